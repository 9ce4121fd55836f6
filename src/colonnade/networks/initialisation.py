"""How weights start."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

HIDDEN_GAIN = math.sqrt(2.0)


@dataclass(frozen=True)
class Initialiser:
    """Draws the weights and biases of one layer from PyTorch's global generator.

    Attributes:
        how: "orthogonal" with `gain` and zero biases, or "default", as `torch.nn.Linear` starts.
        gain: Scale of orthogonal weights.
    """

    how: Literal["orthogonal", "default"]
    gain: float = HIDDEN_GAIN

    @torch.no_grad()
    def __call__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """Fill `weight` [out, in, ...] and `bias` [out] in place."""
        if self.how == "orthogonal":
            nn.init.orthogonal_(weight, self.gain)
            if bias is not None:
                nn.init.zeros_(bias)
            return
        nn.init.kaiming_uniform_(weight, a=math.sqrt(5))
        if bias is not None:
            bound = 1 / math.sqrt(weight[0].numel())
            nn.init.uniform_(bias, -bound, bound)
