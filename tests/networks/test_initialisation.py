"""Weights that are left out where only a network's shape is asked."""

import pytest
import torch

from colonnade.errors import UsageError
from colonnade.networks import ColumnSpec, Conv, Dense, ProgressiveNetwork
from colonnade.networks.initialisation import undrawn


def column(**options):
    network = ProgressiveNetwork()
    network.add_column(
        ColumnSpec((Conv(4, 3, 1), Dense(8)), **options), {"observation": (2, 8, 8)}, 3
    )
    return dict(network.named_parameters())


def test_undrawn_networks_have_the_shapes_of_drawn_ones_and_draw_nothing():
    drawn, state = column(), torch.get_rng_state()
    with undrawn():
        plain = column()
    assert {k: v.shape for k, v in plain.items()} == {k: v.shape for k, v in drawn.items()}
    assert torch.equal(torch.get_rng_state(), state)
    kernels = next(iter(column().values()))
    assert kernels.abs().sum() > 0, "drawn again afterwards"
    assert all(float(v.detach().abs().sum()) == 0 for v in plain.values())


def test_what_can_not_be_drawn_is_refused_all_the_same():
    network = ProgressiveNetwork()
    with undrawn(), pytest.raises(UsageError, match="1x1 kernels"):
        network.add_column(
            ColumnSpec((Conv(4, 1, 1),), init="zero-sum"), {"observation": (1, 8, 8)}, 3
        )
