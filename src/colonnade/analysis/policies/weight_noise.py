"""How well a network plays while its weights are disturbed (Kirkpatrick et al. 2017, Fig. 3C).

At every step a fresh perturbation is drawn from a Gaussian around the trained weights. Its
covariance has one of three shapes, F being the diagonal of the Fisher information:

    uniform          I
    inverse-fisher   (F + l I)^-1, the changes that elastic weight consolidation allows
    null-space       I among the weights that the Fisher takes for irrelevant, 0 elsewhere

Every shape is scaled to the same expected norm: at size s the perturbation of P weights has
E |d|^2 = s^2 P, so that for "uniform" the size is each weight's standard deviation. That scaling,
`DAMPING` and `NULL` are not in the paper; they were fixed before anything was measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from colonnade.checks import ABOVE_0, AT_LEAST_0, real
from colonnade.errors import UsageError, unknown_name
from colonnade.types import Inputs, Network, State

NoiseShape = Literal["uniform", "inverse-fisher", "null-space"]

SHAPES: tuple[NoiseShape, ...] = get_args(NoiseShape)

DAMPING = 1.0
"""l as a factor on the mean of F, so that it belongs to no scale of rewards or of values."""

NULL = 1e-6
"""Weights whose F is at most this part of its mean span the null space."""


def deviations(
    shape: NoiseShape,
    fisher: Mapping[str, Tensor],
    *,
    damping: float = DAMPING,
    null: float = NULL,
) -> dict[str, Tensor]:
    """Return the standard deviation of each weight's noise at size 1.

    Args:
        shape: Of the covariance.
        fisher: By parameter name, not below 0; see `colonnade.ops.parameter_fisher`.
        damping: l, as a factor on the mean of F.
        null: Up to which part of the mean of F a weight belongs to the null space.

    Returns:
        By the same names, shaped as they are, float32. The mean of the squares over all weights is
        one; where the null space is empty, all are zero.

    Raises:
        UsageError: The shape is unknown, or the Fisher is not one or is zero throughout.
    """
    if shape not in SHAPES:
        raise unknown_name("shape of weight noise", shape, SHAPES)
    damping = real("damping", damping, ABOVE_0)
    null = real("null", null, AT_LEAST_0)
    mean = _mean(fisher)
    squares: dict[str, Tensor] = {}
    for name, value in fisher.items():
        wide = value.detach().double()
        if shape == "uniform":
            squares[name] = torch.ones_like(wide)
        elif shape == "inverse-fisher":
            squares[name] = mean / (wide + damping * mean)
        else:
            squares[name] = (wide <= null * mean).double()
    total = sum(float(value.sum()) for value in squares.values())
    count = sum(value.numel() for value in squares.values())
    scale = count / total if total else 0.0
    return {name: (scale * value).sqrt().float() for name, value in squares.items()}


def null_share(fisher: Mapping[str, Tensor], null: float = NULL) -> float:
    """Return the share of the weights that span the null space."""
    mean = _mean(fisher)
    inside = sum(int((value.double() <= null * mean).sum()) for value in fisher.values())
    return inside / sum(value.numel() for value in fisher.values())


def _mean(fisher: Mapping[str, Tensor]) -> float:
    count = sum(value.numel() for value in fisher.values())
    total = sum(float(value.detach().double().sum()) for value in fisher.values())
    least = min((float(value.min()) for value in fisher.values() if value.numel()), default=0.0)
    if least < 0 or not math.isfinite(total) or total <= 0:
        raise UsageError(
            "Weight noise needs the diagonal of a Fisher information, with no number below 0 and "
            f"some above; got {count:,} numbers with the sum {total:g}, the least {least:g}."
        )
    return total / count


def root_mean_square(network: nn.Module, names: Sequence[str]) -> float:
    """Return the root of the mean square of some of a network's weights."""
    weights = dict(network.named_parameters())
    squares = sum(float(weights[name].detach().double().square().sum()) for name in names)
    return math.sqrt(squares / sum(weights[name].numel() for name in names))


class Disturbed(nn.Module):
    """A `colonnade.types.Network` whose weights are drawn anew at each step; see `disturbed`.

    A step begins with `precompute`, as wherever networks are played. Environments that are stepped
    side by side share a draw.
    """

    def __init__(
        self,
        network: nn.Module,
        deviations: Mapping[str, Tensor],
        size: float,
        stream: torch.Generator,
    ) -> None:
        """Take note of the weights, which are left as they are; see `disturbed`."""
        super().__init__()
        self._network: Any = network
        weights = dict(network.named_parameters())
        self._weights = [
            (weights[name], weights[name].detach().clone(), size * value.to(weights[name].device))
            for name, value in deviations.items()
        ]
        self._stream = stream

    @torch.no_grad()
    def draw(self) -> None:
        """Disturb the weights anew."""
        for weight, trained, scale in self._weights:
            noise = torch.empty_like(weight).normal_(generator=self._stream)
            weight.copy_(torch.addcmul(trained, noise, scale))

    @torch.no_grad()
    def restore(self) -> None:
        """Give the network its weights back."""
        for weight, trained, _ in self._weights:
            weight.copy_(trained)

    def initial_state(self, batch: int) -> State:
        """As the network's."""
        state: State = self._network.initial_state(batch)
        return state

    def precompute(self, inputs: Inputs, state: State) -> tuple[Inputs, State]:
        """Begin a step: draw, then as the network."""
        self.draw()
        found: tuple[Inputs, State] = self._network.precompute(inputs, state)
        return found

    def forward(self, inputs: Inputs | Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """As the network's, with the weights of this step."""
        found: tuple[Tensor, State] = self._network(inputs, state)
        return found

    def unroll(self, inputs: Inputs, state: State, starts: Tensor) -> tuple[Tensor, State]:
        """As the network's, with the weights of this step for all of them."""
        found: tuple[Tensor, State] = self._network.unroll(inputs, state, starts)
        return found


@contextmanager
def disturbed(
    network: nn.Module,
    deviations: Mapping[str, Tensor],
    size: float,
    stream: torch.Generator,
) -> Iterator[Network]:
    """Let a network's weights be drawn anew at each step within the block.

    Args:
        network: A `colonnade.types.Network`; it has its own weights back after the block.
        deviations: Of `deviations`.
        size: Factor on them, above or equal to 0.
        stream: Where the noise comes from, on the network's device.

    Raises:
        UsageError: The size is below 0, or the deviations are those of another network.
    """
    size = real("size of weight noise", size, AT_LEAST_0)
    weights = dict(network.named_parameters())
    for name, value in deviations.items():
        if name not in weights:
            raise unknown_name("parameter to disturb", name, weights)
        if weights[name].shape != value.shape:
            raise UsageError(
                f"Parameter {name!r} has the shape {list(weights[name].shape)}, but its noise "
                f"{list(value.shape)}; give the Fisher of this network."
            )
    player = Disturbed(network, deviations, size, stream)
    try:
        yield player
    finally:
        player.restore()


def sign_test(differences: Sequence[float]) -> float:
    """Return how likely chance alone would give as many differences above 0, or more.

    Pairs without a difference are left out, as usual; without any left it is one.
    """
    signs = [value > 0 for value in differences if value]
    wins, count = sum(signs), len(signs)
    found: float = sum(math.comb(count, k) for k in range(wins, count + 1)) / 2**count
    return found
