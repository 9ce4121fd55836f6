"""Policies over numbers: independent Gaussians whose widths the network says too."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property

import torch
from torch import Tensor

from colonnade.errors import UsageError
from colonnade.ops.distributions import OutputGradient
from colonnade.ops.scalars import scalar

LOG_STD = (-5.0, 2.0)
"""What a width's logarithm is kept within, so that no density grows beyond all bounds."""

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


class DiagonalGaussian:
    """Independent Gaussians, each with a mean and a width of its own (a diagonal covariance)."""

    def __init__(self, output: Tensor) -> None:
        """Read a network's output.

        Args:
            output: [..., 2 A]: the means, then the logarithms of the standard deviations.

        Raises:
            UsageError: It is not of even width.
        """
        if output.shape[-1] % 2:
            raise UsageError(
                "A Gaussian policy over A numbers needs 2 A outputs, a mean and a width each; got "
                f"{output.shape[-1]}."
            )
        self.mean, self._given = output.chunk(2, -1)
        self.log_std = self._given.clamp(*LOG_STD)

    @cached_property
    def std(self) -> Tensor:
        """Standard deviations [..., A]."""
        return self.log_std.exp()

    @property
    def parameters(self) -> Tensor:
        """What `fisher_root` differentiates by: means and logarithms of widths, [..., 2 A]."""
        return torch.cat([self.mean, self.log_std], -1)

    def fisher_root(self) -> Iterator[Tensor]:
        """Factor the Fisher matrix, which is diagonal: 1 / std^2 of a mean, 2 of a log width.

        Yields:
            2 A vectors [..., 2 A], each with one entry.
        """
        std = self.std.detach()
        roots = torch.cat([1 / std, torch.full_like(std, math.sqrt(2))], -1)
        for index in range(roots.shape[-1]):
            root = torch.zeros_like(roots)
            root[..., index] = roots[..., index]
            yield root

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Draw actions [..., A], without a graph."""
        noise = torch.empty_like(self.mean).normal_(generator=generator)
        return noise.mul_(self.std.detach()).add_(self.mean.detach())

    def mode(self) -> Tensor:
        """Most likely actions [..., A]: the means."""
        return self.mean

    def log_prob(self, actions: Tensor) -> Tensor:
        """Log-density [...] of actions [..., A].

        Raises:
            UsageError: The actions are of another shape.
        """
        return self._density(self._scaled(actions))

    def differentiated(self, actions: Tensor) -> tuple[Tensor, OutputGradient]:
        """Compute log-densities [...] of actions [..., A], and what leads back to the output.

        Raises:
            UsageError: The actions are of another shape.
        """
        scaled = self._scaled(actions)

        def gradient(by_log_prob: Tensor, by_entropy: Tensor | None) -> Tensor:
            by = by_log_prob.unsqueeze(-1)
            # The order of the sums is the one that autograd has.
            by_mean = by * scaled
            by_width = (by_mean * (scaled / self.std)).mul_(self.std)
            by_width = by_width.sub_(by) if by_entropy is None else by_width + (by_entropy - by)
            by_width.masked_fill_(self._given != self.log_std, 0.0)
            return torch.cat([by_mean.div_(self.std), by_width], -1)

        return self._density(scaled), gradient

    def _scaled(self, actions: Tensor) -> Tensor:
        if actions.shape != self.mean.shape:
            raise UsageError(
                f"Actions of shape {list(actions.shape)} do not fit a policy whose actions have "
                f"shape {list(self.mean.shape)}."
            )
        return (actions - self.mean) / self.std

    def _density(self, scaled: Tensor) -> Tensor:
        kind = self.mean.dtype
        half, constant = scalar(0.5, kind), scalar(_HALF_LOG_2PI, kind)
        return (scaled.square() * half + self.log_std + constant).sum(-1).neg()

    def entropy(self) -> Tensor:
        """Entropy [...] in nats, summed over numbers: 1/2 log(2 pi e std^2) each."""
        return (self.log_std + _HALF_LOG_2PI + 0.5).sum(-1)

    def fit(self, labels: Tensor) -> tuple[Tensor, Tensor | None]:
        """Bring actions to the form that `log_prob` takes; all entries count.

        Raises:
            UsageError: They are of another shape, or not finite.
        """
        if labels.shape != self.mean.shape or not bool(labels.isfinite().all()):
            raise UsageError(
                f"Actions should be finite numbers of shape {list(self.mean.shape)}, as the policy "
                f"gives them, but came as {list(labels.shape)} of {labels.dtype}."
            )
        return labels.to(self.mean.dtype), None
