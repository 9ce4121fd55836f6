"""Parameter totals, against those of Rusu et al. 2017 and against counting by hand."""

import pytest
from rich.console import Console

from colonnade.errors import UsageError
from colonnade.networks import (
    COLUMN_PRESETS,
    ProgressiveNetwork,
    atari_column,
    column_preset,
    column_totals,
    describe,
    format_description,
    sim_to_real_network,
)


@pytest.mark.parametrize(
    ("core", "totals"), [("ff", [620_620, 38_876]), ("recurrent", [298_700, 36_940])]
)
def test_sim_to_real_networks_have_the_papers_parameter_totals(core, totals):
    assert column_totals(describe(sim_to_real_network(core))) == totals


def test_an_atari_network_counted_by_hand():
    network = ProgressiveNetwork()
    for _ in range(3):
        network.add_column(atari_column(), {"observation": (4, 84, 84)}, 7)
    rows = describe(network)
    third = [row for row in rows if row.column == 2]
    assert [row.layer for row in third] == [
        "conv 12 8x8 s4", "conv 12 4x4 s2", "conv 12 3x3 s1", "dense 256", "output 7",
    ]  # fmt: skip
    assert [row.out_shape for row in third] == [(12, 20, 20), (12, 9, 9), (12, 7, 7), (256,), (7,)]
    assert [row.parameters for row in third] == [
        12 * 4 * 64 + 12, 12 * 12 * 16 + 12, 12 * 12 * 9 + 12, 256 * 588 + 256, 7 * 256 + 7,
    ]  # fmt: skip
    assert [row.lateral_parameters for row in third] == [
        0,
        (12 * 24 + 12) + 12 * 12 * 16,
        (12 * 24 + 12) + 12 * 12 * 9,
        (12 * 24 + 12) + 256 * 588,
        (256 * 512 + 256) + 7 * 256,
    ]
    assert [row.scalars for row in third] == [0, 2, 2, 2, 2]
    assert [row.frozen for row in rows] == [True] * 10 + [False] * 5
    counted = sum(p.numel() for p in network.parameters())
    assert sum(row.total + row.scalars for row in rows) == counted


def test_the_description_prints_totals_and_laterals():
    console = Console(width=140, record=True, file=None)
    with console.capture() as capture:
        console.print(format_description(describe(sim_to_real_network("ff")), "sim-to-real"))
    text = capture.get()
    for words in ("620,620", "38,876", "conv 16 8x8 s4", "adapter from 0/1", "linear from 0/2"):
        assert words in text


@pytest.mark.parametrize("name", COLUMN_PRESETS)
def test_every_preset_makes_a_column_on_a_column(name):
    shapes = {"atari": (4, 84, 84), "pong-soup": (4, 84, 84), "mlp": (6,), "tiny": (2, 16, 16)}
    network = ProgressiveNetwork()
    for _ in range(2):
        inputs = {"observation": shapes.get(name, (3, 64, 64)), "proprioception": (18,)}
        network.add_column(column_preset(name), inputs, 5)
    assert any(row.laterals for row in describe(network))


def test_the_recurrent_core_is_named_right():
    with pytest.raises(UsageError, match="did you mean 'sim-to-real-recurrent-wide'"):
        sim_to_real_network("recurent")
