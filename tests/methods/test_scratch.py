"""Baseline 1 knows nothing of the columns before it, whatever its column says of laterals."""

import gymnasium
import numpy as np
import pytest
import torch

from colonnade.methods import Scratch
from colonnade.networks import ColumnSpec, Conv, Dense, column_preset
from colonnade.types import TaskSpec

PIXELS = gymnasium.spaces.Box(0, 255, (3, 64, 64), np.uint8)


def task(name):
    return TaskSpec(name, PIXELS, gymnasium.spaces.Discrete(3), 100)


@pytest.mark.parametrize(
    "column",
    [
        column_preset("sim-to-real-recurrent-wide"),
        column_preset("sim-to-real-ff-narrow"),
        ColumnSpec((Conv(4, 8, 4), Dense(8, laterals="adapter"))),
    ],
    ids=["recurrent", "copies the output layer", "adapter in a stage"],
)
def test_a_column_from_scratch_reads_no_other(column):
    method = Scratch(column)
    method.begin_task(task("a"))
    network = method.begin_task(task("b"))
    newest = method.network.newest
    assert not any(newest.reads)
    assert not newest.output_reads
    x = torch.randint(0, 255, (2, 3, 64, 64), dtype=torch.uint8)
    before = network(x)[0]
    with torch.no_grad():
        for parameter in method.network.column(0).parameters():
            parameter.mul_(5).add_(1)
    assert torch.equal(network(x)[0], before)
