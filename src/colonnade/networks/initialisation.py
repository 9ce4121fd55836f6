"""How weights start."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from colonnade.errors import UsageError

HIDDEN_GAIN = math.sqrt(2.0)
CONTRAST_GAIN = 4.0
"""How much longer zero-sum kernels are than others. What moves on a screen then excites a first
layer about half as much as the whole screen would have."""

_DRAWN: ContextVar[bool] = ContextVar("drawn", default=True)


_MOST_WEIGHTS = 2**28
"""Of a layer, 1 GiB: more is a slip of the pen, which the system would end the process for."""


def room(*shape: int) -> Tensor:
    """Make a tensor for a layer's weights, not yet drawn.

    Raises:
        UsageError: It would have more elements than any layer that can be trained here.
    """
    check_room(*shape)
    return torch.empty(shape)


def check_room(*shape: int) -> None:
    """Refuse a layer that is too large to be meant.

    Raises:
        UsageError: It is.
    """
    if (count := math.prod(shape)) > _MOST_WEIGHTS:
        raise UsageError(
            f"A layer would have {' x '.join(f'{size:,}' for size in shape)} weights, "
            f"{count:,} in all, where at most {_MOST_WEIGHTS:,} make sense; make it smaller."
        )


@contextmanager
def undrawn() -> Iterator[None]:
    """Leave out the drawing of orthogonal weights, for networks of which only the shape is asked.

    It is most of what building a large network costs. The weights are zero.
    """
    token = _DRAWN.set(False)
    try:
        yield
    finally:
        _DRAWN.reset(token)


def is_drawn() -> bool:
    """Whether weights are drawn; else only the shapes of networks are asked for."""
    return _DRAWN.get()


@dataclass(frozen=True)
class Initialiser:
    """Draws the weights and biases of one layer from PyTorch's global generator.

    Attributes:
        how: "orthogonal" with `gain` and zero biases; "zero-sum", the same, but that the kernels
            of a first convolution sum to zero; or "default", as `torch.nn.Linear` starts.
        gain: Scale of orthogonal weights.
        first: Whether the weights are the kernels of a first convolution.
    """

    how: Literal["orthogonal", "zero-sum", "default"]
    gain: float = HIDDEN_GAIN
    first: bool = False

    @torch.no_grad()
    def __call__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """Fill `weight` [out, in, ...] and `bias` [out] in place."""
        if weight.device.type != "cpu":
            # Drawn where seeds say, whatever the device: else resuming would draw other numbers.
            drawn = torch.empty_like(weight, device="cpu")
            biases = None if bias is None else torch.empty_like(bias, device="cpu")
            self(drawn, biases)
            weight.copy_(drawn)
            if bias is not None and biases is not None:
                bias.copy_(biases)
            return
        if self.how != "default":
            if self.how == "zero-sum" and self.first:
                _check_kernels(weight)
            if _DRAWN.get():
                nn.init.orthogonal_(weight, self.gain)
                if self.how == "zero-sum" and self.first:
                    _make_zero_sum(weight)
            else:
                nn.init.zeros_(weight)
            if bias is not None:
                nn.init.zeros_(bias)
            return
        nn.init.kaiming_uniform_(weight, a=math.sqrt(5))
        if bias is not None:
            bound = 1 / math.sqrt(weight[0].numel())
            nn.init.uniform_(bias, -bound, bound)


def _make_zero_sum(kernels: Tensor) -> None:
    """Make each of a convolution's `kernels` [out, in, height, width] sum to zero, in place.

    Together they get `CONTRAST_GAIN` times the norm they had. What is the same all over a kernel's
    window, as most of a screen is in most games, then excites nothing. Other kernels turn the
    brightness of a screen into a constant many times as large as all that ever changes; where it
    comes out negative they are silent, as pixels are never negative.
    """
    norm = kernels.norm()
    kernels -= kernels.mean((1, 2, 3), keepdim=True)
    kernels *= CONTRAST_GAIN * norm / kernels.norm()


def _check_kernels(kernels: Tensor) -> None:
    if kernels[0].numel() == 1:
        raise UsageError(
            'init="zero-sum" needs kernels of more than one number, but the first layer has 1x1 '
            'kernels on a single channel; use "orthogonal" or "default".'
        )
