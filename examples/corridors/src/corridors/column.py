"""A column with a module of one's own: gated linear units."""

from __future__ import annotations

import math

from torch import Tensor, nn

from colonnade.networks import ColumnSpec, Custom, Dense

UNITS = 32


class Gated(nn.Module):
    """(A x + a) * sigmoid(B x + b) (Dauphin et al. 2017, eq. 1)."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, 2 * UNITS)

    def forward(self, features: Tensor) -> Tensor:
        """Map features [N, ...] to [N, UNITS]."""
        return nn.functional.glu(self.linear(features.flatten(1)))


def gated(shape: tuple[int, ...]) -> nn.Module:
    """Make the module for an input of a shape: the stage's own, and those of its laterals."""
    return Gated(math.prod(shape))


GATED = ColumnSpec((Custom(gated, (UNITS,)), Dense(UNITS)), activation="tanh")
