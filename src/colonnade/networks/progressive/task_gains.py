"""Gains and biases of one task each, in every layer of a column that several tasks share.

Kirkpatrick et al. 2017, supplement: "the network had task-specific bias and per-element
multiplicative gains at each layer". Before the activation, a layer's units are u = W h, and of
task r then g_r u + b_r, with g_r = 1 and b_r = 0 at first. The layer's own bias stays as it starts.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class TaskGains(nn.Module):
    """A gain and a bias for each unit or map, a row for each task.

    Attributes:
        gains: Of each row [units].
        biases: Of each row [units].
    """

    def __init__(self, units: int) -> None:
        """Begin with the row of one task."""
        super().__init__()
        self._units = units
        self.gains = nn.ParameterList()
        self.biases = nn.ParameterList()
        self.add_row()

    def add_row(self) -> None:
        """Add the row of another task."""
        like = self.gains[0] if len(self.gains) else torch.empty(0)
        options: dict[str, Any] = {"device": like.device, "dtype": like.dtype}
        self.gains.append(nn.Parameter(torch.ones(self._units, **options)))
        self.biases.append(nn.Parameter(torch.zeros(self._units, **options)))

    def learn(self, row: int) -> None:
        """Let one row learn, and freeze all others."""
        for rows in (self.gains, self.biases):
            for number, values in enumerate(rows):
                values.requires_grad_(number == row)

    def forward(self, total: Tensor, row: int) -> Tensor:
        """Scale and shift pre-activations [B, units, ...] by a row."""
        gain: Tensor = self.gains[row]
        bias: Tensor = self.biases[row]
        return scaled(total, gain, bias)

    def folded(self, weight: Tensor, own: Tensor, row: int) -> tuple[Tensor, Tensor]:
        """Bring a row into the layer's weights and its own bias: see `folded`."""
        gain: Tensor = self.gains[row]
        bias: Tensor = self.biases[row]
        return folded(weight, own, gain, bias)


def folded(weight: Tensor, own: Tensor, gain: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Bring a gain and a bias [units] into weights [units, ...] and their own bias [units].

    g (W h + c) + b = (g W) h + (g c + b): of convolutions in half precision, whose weights are far
    fewer than what they make, and which are rounded once then instead of twice.
    """
    return weight * gain.view(-1, *[1] * (weight.dim() - 1)), torch.addcmul(bias, own, gain)


def scaled(total: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
    """Scale and shift pre-activations [B, units, ...] by a gain and a bias [units]."""
    shape = (-1, *[1] * (total.dim() - 2))
    return torch.addcmul(bias.view(shape).to(total.dtype), total, gain.view(shape).to(total.dtype))
