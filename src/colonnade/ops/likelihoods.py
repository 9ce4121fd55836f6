"""What a network's output means: classes, yes or no, or numbers with Gaussian errors.

A likelihood is a function of the output that returns a distribution; these are the common ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from colonnade.checks import ABOVE_0, real
from colonnade.errors import UsageError
from colonnade.ops.distributions import MultiCategorical

_SURE = 1e9
"""A logit that is sure: minus and plus infinity are cut off here."""


class _IndependentNumbers:
    """Numbers [..., D], each with a distribution of its own about what the network says of it."""

    def __init__(self, output: Tensor, target_shape: tuple[int, ...] | None = None) -> None:
        self._output = output
        self._target_shape = tuple(output.shape) if target_shape is None else target_shape

    @property
    def parameters(self) -> Tensor:
        """What `fisher_root` differentiates by: the output."""
        return self._output

    def _diagonal(self, roots: Tensor) -> Iterator[Tensor]:
        """Yield vectors [..., D], each with one entry of `roots` [..., D], for each of D."""
        for index in range(roots.shape[-1]):
            root = torch.zeros_like(roots)
            root[..., index] = roots[..., index]
            yield root

    def _check_shape(self, targets: Tensor) -> None:
        if targets.shape != self._output.shape:
            raise UsageError(
                f"Targets of shape {list(targets.shape)} do not fit an output of shape "
                f"{list(self._output.shape)}; give each number of the output its own."
            )

    def _fit(self, targets: Tensor, what: str) -> Tensor:
        """Bring targets to the output's shape: theirs must be the same, or lack a last axis of 1.

        Raises:
            UsageError: They are of another shape or kind, or not finite.
        """
        shape = self._target_shape
        if targets.shape not in (shape, shape[:-1] if shape[-1:] == (1,) else shape):
            raise UsageError(
                f"{what} of shape {list(targets.shape)} do not fit the network's output of shape "
                f"{list(shape)}; give each number of the output its own."
            )
        if targets.is_complex() or not bool(targets.isfinite().all()):
            raise UsageError(
                f"{what} must be finite real numbers, but hold NaN or infinite values; leave those "
                "samples out."
            )
        return targets.reshape(self._output.shape).to(self._output.dtype)


class Gaussian(_IndependentNumbers):
    """Independent Gaussians of one fixed width around a network's outputs: regression.

    The log-probability is minus the squared error over 2 std^2, up to a constant.
    """

    def __init__(
        self, mean: Tensor, std: float = 1.0, target_shape: tuple[int, ...] | None = None
    ) -> None:
        """Centre on a mean.

        Args:
            mean: [..., D].
            std: Standard deviation, in the unit of the targets.
            target_shape: Shape that targets come with, where it is another than the mean's.

        Raises:
            UsageError: The width is no number above 0.
        """
        super().__init__(mean, target_shape)
        self.mean = mean
        self.std = real("The standard deviation of a Gaussian", std, ABOVE_0)

    def fisher_root(self) -> Iterator[Tensor]:
        """Factor the Fisher matrix of the mean, I / std^2: D vectors [..., D]."""
        return self._diagonal(torch.full_like(self.mean.detach(), 1 / self.std))

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Draw targets [..., D]."""
        noise = torch.empty_like(self.mean).normal_(generator=generator)
        return self.mean.detach() + self.std * noise

    def mode(self) -> Tensor:
        """Most likely targets [..., D]: the mean."""
        return self.mean

    def log_prob(self, targets: Tensor) -> Tensor:
        """Log-density [...] of targets [..., D]."""
        self._check_shape(targets)
        scaled = (targets - self.mean) / self.std
        constant = self.mean.shape[-1] * math.log(self.std * math.sqrt(2 * math.pi))
        return -0.5 * scaled.square().sum(-1) - constant

    def fit(self, labels: Tensor) -> tuple[Tensor, Tensor | None]:
        """Bring targets to the form that `log_prob` takes; all entries count.

        Raises:
            UsageError: They do not fit the mean.
        """
        return self._fit(labels, "Targets"), None


class Bernoulli(_IndependentNumbers):
    """Independent answers, yes (1) or no (0), by their logits: several labels at once, or one.

    The log-probability is minus the sum of `binary_cross_entropy_with_logits` over the answers.
    """

    def __init__(self, logits: Tensor, target_shape: tuple[int, ...] | None = None) -> None:
        """Take logits [..., D]; `target_shape` is that of labels, where it is another."""
        logits = logits.clamp(-_SURE, _SURE)
        super().__init__(logits, target_shape)
        self.logits = logits

    def fisher_root(self) -> Iterator[Tensor]:
        """Factor the Fisher matrix of the logits, diag(p (1 - p)): D vectors [..., D].

        The root is worked out in logarithms: 1 - p of a sure answer has no digits left.
        """
        logits = self.logits.detach()
        return self._diagonal((0.5 * (F.logsigmoid(logits) + F.logsigmoid(-logits))).exp())

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Draw answers [..., D], each 0 or 1."""
        return self.logits.detach().sigmoid().bernoulli(generator=generator)

    def mode(self) -> Tensor:
        """Most likely answers [..., D]."""
        return (self.logits.detach() > 0).to(self.logits.dtype)

    def log_prob(self, answers: Tensor) -> Tensor:
        """Log-probability [...] of answers [..., D]."""
        self._check_shape(answers)
        loss = F.binary_cross_entropy_with_logits(
            self.logits, answers.to(self.logits.dtype), reduction="none"
        )
        return -loss.sum(-1)

    def fit(self, labels: Tensor) -> tuple[Tensor, Tensor | None]:
        """Bring labels, from 0 (no) to 1 (yes), to the form of `log_prob`; all entries count.

        Raises:
            UsageError: They do not fit the logits.
        """
        fitted = self._fit(labels, "Yes-or-no labels")
        if bool(((fitted < 0) | (fitted > 1)).any()):
            raise UsageError(
                "Yes-or-no labels run from 0 to 1, but came from "
                f"{float(fitted.min()):g} to {float(fitted.max()):g}; classes that exclude one "
                "another are the likelihood colonnade.ops.categorical."
            )
        return fitted, None


def categorical(output: Tensor, *, axis: int = 1, ignore_index: int = -100) -> MultiCategorical:
    """Read a classifier's output as the logits of one choice among C, as `cross_entropy` does.

    Args:
        output: [B, C], or [B, C, ...] with a label for each place that follows.
        axis: Where the classes are; -1 where they come last, as transformers have them.
        ignore_index: Label of places that do not count.

    Returns:
        The distribution of labels [B, ..., 1].

    Raises:
        UsageError: The output has no such axis or fewer than two classes, or masks all of them.
    """
    if output.dim() < 2 or not -output.dim() <= axis < output.dim():
        raise UsageError(
            f"Class logits have shape [B, C] or [B, C, ...], but the network's output has shape "
            f"{list(output.shape)}; one logit a sample is the likelihood colonnade.ops.bernoulli, "
            "a number colonnade.ops.gaussian."
        )
    classes = output.shape[axis]
    if classes < 2:
        raise UsageError(
            f"One choice among classes needs at least 2 logits, but the network's output of shape "
            f"{list(output.shape)} has {classes}: its Fisher would be zero; one logit of yes or no "
            "is the likelihood colonnade.ops.bernoulli, a number colonnade.ops.gaussian."
        )
    if bool((output == -math.inf).all(axis).any()):
        raise UsageError(
            "The network masks every class of a sample with a logit of -inf; leave one unmasked."
        )
    return MultiCategorical(output.movedim(axis, -1), (classes,), ignore_index)


def gaussian(output: Tensor, *, std: float = 1.0) -> Gaussian:
    """Read a regression's output as the means of Gaussians of one width.

    A Q-network's output [B, actions] is read so too: half the squared TD error is minus the
    log-density of the target under a unit Gaussian around the action's value.

    Args:
        output: [B, ...], or [B]; all numbers of a sample belong to one entry.
        std: Standard deviation, in the unit of the targets.

    Returns:
        The distribution of targets, which come in the output's shape.
    """
    return Gaussian(_one_axis(output), std, tuple(output.shape))


def bernoulli(output: Tensor) -> Bernoulli:
    """Read an output as the logits of independent answers, yes or no: several labels, or one.

    Args:
        output: [B, ...], or [B]; all answers of a sample belong to one entry.

    Returns:
        The distribution of labels, which come in the output's shape.
    """
    return Bernoulli(_one_axis(output), tuple(output.shape))


def _one_axis(output: Tensor) -> Tensor:
    """Bring [B, ...] to [B, D]."""
    if not output.dim():
        raise UsageError("The network's output is a single number, where [B, ...] was expected.")
    return output.reshape(len(output), -1)
