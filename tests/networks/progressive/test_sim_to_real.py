"""The columns of Rusu et al. 2017: sizes by hand, first policies, who sees what."""

import pytest
import torch

from colonnade.errors import UsageError
from colonnade.methods import Progressive
from colonnade.networks import (
    LSTM,
    ColumnSpec,
    Conv,
    Dense,
    Join,
    ProgressiveNetwork,
    column_preset,
    column_totals,
    describe,
    sim_to_real_column,
    sim_to_real_network,
)
from colonnade.tasks.arm import JacoTask
from colonnade.types import OBSERVATION, PROPRIOCEPTION

BOTH = (OBSERVATION, PROPRIOCEPTION)


def seen(count: int = 3) -> dict[str, torch.Tensor]:
    return {
        OBSERVATION: torch.randint(0, 256, (count, 3, 64, 64), dtype=torch.uint8),
        PROPRIOCEPTION: torch.randn(count, 18),
    }


def test_the_table_of_the_paper():
    eyes = {True: (Conv(16, 8, 4), Conv(32, 5, 2)), False: (Conv(8, 8, 4), Conv(8, 5, 2))}
    core = LSTM(128, laterals="linear"), LSTM(16, laterals="linear")
    assert sim_to_real_column("ff", True).stages == (*eyes[True], Dense(512))
    assert sim_to_real_column("ff", False).stages == (*eyes[False], Dense(32))
    assert sim_to_real_column("recurrent", True).stages == (*eyes[True], Dense(128), core[0])
    assert sim_to_real_column("recurrent", False).stages == (*eyes[False], Dense(16), core[1])
    assert [sim_to_real_column("ff", wide).output_init for wide in (True, False)] == [
        "random",
        "copy",
    ]


def test_proprioception_is_joined_before_the_lstm_and_may_stand_alone():
    both = column_preset("sim-to-real-recurrent-narrow-both")
    assert [type(stage) for stage in both.stages] == [Conv, Conv, Dense, Join, LSTM]
    assert both.input is None
    alone = column_preset("sim-to-real-recurrent-narrow-proprioception")
    assert [type(stage) for stage in alone.stages] == [Dense, LSTM]
    assert alone.input == PROPRIOCEPTION


@pytest.mark.parametrize(
    ("core", "second", "third"),
    [
        (
            "recurrent",
            # conv 1; conv 2 with V and U; dense 16 with V and U; join; LSTM with two laterals; out
            1544 + (1608 + 136 + 1600) + (4624 + 264 + 4608) + 304 + (3136 + 16384) + (476 + 3584),
            304 + (2112 + (128 + 128 + 32 + 16) * 64) + (476 + (128 + 16) * 28),
        ),
        (
            "ff",
            1544 + (1608 + 136 + 1600) + 608 + (10272 + 1152 * 32 + 32 + 1024) + (924 + 512 * 28),
            608 + (1056 + (1152 + 320) * 32 + 32 + 1024) + (924 + (512 + 32) * 28),
        ),
    ],
)
def test_the_columns_of_figure_7_counted_by_hand(core, second, third):
    totals = column_totals(describe(sim_to_real_network(core, 3)))
    assert totals[1:] == [second, third]


@pytest.mark.parametrize("core", ["ff", "recurrent"])
def test_each_column_starts_with_the_policy_of_the_one_before_it(core):
    network, inputs = sim_to_real_network(core, 3), seen()
    first, second, third = (network(inputs, column=column)[0] for column in range(3))
    assert torch.equal(first, second)
    assert torch.equal(second, third)
    assert first.std() > 0


@pytest.mark.parametrize("core", ["ff", "recurrent"])
def test_the_third_column_sees_pixels_through_the_first_two_alone(core):
    network, inputs = sim_to_real_network(core, 3), seen()
    column = network.newest
    assert {feature.column for reads in column.reads for feature in reads} == {0, 1}
    with torch.no_grad():
        column.output.weight.normal_()
    changed = inputs | {OBSERVATION: 255 - inputs[OBSERVATION]}
    assert not torch.equal(network(inputs)[0], network(changed)[0])
    with torch.no_grad():
        for stage in (*column.stages, column.output):
            if stage.lateral is not None:
                for parameter in stage.lateral.parameters():
                    parameter.zero_()
    assert torch.equal(network(inputs)[0], network(changed)[0])
    moved = inputs | {PROPRIOCEPTION: -inputs[PROPRIOCEPTION]}
    assert not torch.equal(network(inputs)[0], network(moved)[0])


def test_only_the_third_column_learns_and_by_its_own_way_in():
    network = sim_to_real_network("recurrent", 3)
    for _ in range(2):  # its own output weights start at zero, and pass nothing back at first
        network.zero_grad()
        network(seen())[0].square().sum().backward()
        with torch.no_grad():
            for parameter in network.newest.parameters():
                assert parameter.grad is not None
                parameter -= 1e-3 * parameter.grad
    moved = {n.split(".")[1] for n, p in network.named_parameters() if p.grad is not None}
    assert moved == {"2"}
    assert network.newest.stages[0].weight.grad.abs().sum() > 0


def test_a_narrow_column_on_one_of_other_actions_is_refused_in_a_sentence():
    method = Progressive(column_preset("sim-to-real-ff-narrow"))
    method.network.add_column(column_preset("sim-to-real-ff-wide"), {OBSERVATION: (3, 64, 64)}, 7)
    with pytest.raises(UsageError, match=r"needs the previous column's output width of 7, but.*28"):
        method.begin_task(JacoTask().spec, 28)


def test_proprioception_asked_of_pixels_alone_is_refused_in_a_sentence():
    for name in ("both", "proprioception"):
        method = Progressive(column_preset(f"sim-to-real-recurrent-narrow-{name}"))
        with pytest.raises(UsageError, match="'proprioception'") as caught:
            method.begin_task(JacoTask().spec, 28)
        assert "\n" not in str(caught.value)


def test_a_copied_output_layer_is_that_of_the_columns_it_reads():
    copied = ColumnSpec((Dense(8),), output_laterals="linear", output_init="copy")
    alone = ProgressiveNetwork()
    alone.add_column(copied, {"observation": (4,)}, 3)
    network = ProgressiveNetwork()
    network.add_column(ColumnSpec((Dense(8),)), {"observation": (4,)}, 3)
    # Beside another network a first column still has nothing to copy.
    index = network.stand_beside(alone)
    x = torch.rand(5, 4)
    assert torch.equal(network(x, column=index)[0], alone(x)[0])
    with pytest.raises(UsageError, match="choose one of the two"):
        ColumnSpec((Dense(8),), output_laterals="linear", output_init="copy", task_gains=True)
