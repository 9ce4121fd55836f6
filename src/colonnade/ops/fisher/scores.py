"""What is squared in a Fisher: gradients of the log-probability by a network's outputs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from colonnade.errors import UsageError
from colonnade.ops.distributions import MultiCategorical
from colonnade.ops.likelihoods import Bernoulli
from colonnade.types import Distribution, Likelihood

FisherKind = Literal["exact", "sampled", "empirical", "batch-squared"]
"""Whose labels y: "exact" takes the expectation over the network's own distribution; "sampled"
draws one label per sample from it; "empirical" takes the labels of the data. "batch-squared" is
the widespread mistake, the squared gradient of each batch's mean log-likelihood of the data's
labels; it is offered for comparison alone."""


@runtime_checkable
class FactoredDistribution(Protocol):
    """A distribution whose Fisher matrix has a known factor, as "exact" needs."""

    @property
    def parameters(self) -> Tensor:
        """What the distribution is made of, [..., P], with its graph."""
        ...

    def fisher_root(self) -> Iterator[Tensor]:
        """Yield vectors [..., P]; the sum of root root^T over them is the Fisher matrix."""
        ...


class Scores:
    """Vectors on the outputs of some samples whose pulled-back squares sum to the Fisher's sum.

    An entry is one log-probability: a sample, or a place or a step of one. Entries are squared
    apart, so each vector is zero at all of a sample's entries but one.

    Attributes:
        count: Entries so far.
    """

    def __init__(
        self,
        likelihood: Likelihood,
        kind: FisherKind,
        generator: torch.Generator | None,
    ) -> None:
        """Begin with no entry; arguments are those of `parameter_fisher`."""
        self.count = 0
        self._likelihood = likelihood
        self._kind = kind
        self._generator = generator

    def entries(self, output: Tensor, labels: Tensor | None, sequence: bool) -> int:
        """Check that a likelihood fits a sample, and say how many entries it has.

        Args:
            output: [1, ...], of one sample.
            labels: [1, ...], or None.
            sequence: Whether the axis that follows runs over the steps of a sequence.

        Raises:
            UsageError: It does not.
        """
        given, _ = self._read(output, sequence)
        if labels is not None:
            _fit(given, labels.flatten(0, 1) if sequence else labels)
        elif self._kind in ("empirical", "batch-squared"):
            raise UsageError(
                f"The {self._kind} Fisher needs the data's labels, but the batches hold inputs "
                "alone; give pairs of inputs and labels, or use kind='exact' or 'sampled'."
            )
        if self._kind == "exact" and not isinstance(given, FactoredDistribution):
            raise UsageError(
                f"The exact Fisher of a {type(given).__name__} is not known, since it has no "
                "'fisher_root'; use kind='sampled'."
            )
        return math.prod(_entry_shape(given, output, sequence))

    def __call__(
        self, outputs: Tensor, labels: Tensor | None, sequence: bool, apart: bool = True
    ) -> Iterator[Tensor]:
        """Yield the vectors, each as the outputs.

        Args:
            outputs: [B, ...], without a graph.
            labels: [B, ...], or None.
            sequence: Whether the axis that follows B runs over the steps of a sequence.
            apart: Whether entries are squared apart; else all are in one vector.
        """
        given, leaf = self._read(outputs, sequence)
        shape = _entry_shape(given, outputs, sequence)
        counted: Tensor | None = None
        if labels is not None:
            labels, counted = _fit(given, labels.flatten(0, 1) if sequence else labels)
        self.count += math.prod(shape) if counted is None else int(counted.sum())
        if self._kind == "exact":
            assert isinstance(given, FactoredDistribution)
            source, roots = given.parameters, given.fisher_root()
        else:
            drawn = given.sample(self._generator).detach() if self._kind == "sampled" else labels
            assert drawn is not None
            source = given.log_prob(drawn)
            roots = iter([torch.ones_like(source)])
        for root in roots:
            vectors = _one_by_one(root, shape, counted) if apart else [_at(root, counted)]
            for vector in vectors:
                found = torch.autograd.grad(source, leaf, vector, retain_graph=True)[0]
                yield found.to(outputs.dtype)

    def _read(self, outputs: Tensor, sequence: bool) -> tuple[Distribution, Tensor]:
        """Return the distribution and the leaf it hangs on, in full precision."""
        wide = torch.promote_types(outputs.dtype, torch.float32)
        leaf = outputs.detach().to(wide, copy=True).requires_grad_()
        given = self._likelihood(leaf.flatten(0, 1) if sequence else leaf)
        masks = isinstance(given, (MultiCategorical, Bernoulli))
        wrong = leaf.isnan() | (leaf == math.inf) if masks else ~leaf.isfinite()
        if bool(wrong.any()):
            raise UsageError(
                "The network's output is not finite: the network diverged, or its inputs hold NaN "
                "or infinite values; look at the loss and the data of this task."
            )
        return given, leaf


def _entry_shape(given: Distribution, outputs: Tensor, sequence: bool) -> tuple[int, ...]:
    """Return the shape [B, ...] of a distribution's entries.

    Raises:
        UsageError: They are not the samples, or their places and steps.
    """
    shape = tuple(given.mode().shape[:-1])
    count = len(outputs) * (outputs.shape[1] if sequence else 1)
    if shape[:1] == (count,):
        return (len(outputs), outputs.shape[1], *shape[1:]) if sequence else shape
    raise UsageError(
        "The likelihood should keep the axis over samples, which comes first: for an output of "
        f"shape {list(outputs.shape)} it gave entries of shape {list(shape)}; read it along its "
        "other axes."
    )


def _fit(given: Distribution, labels: Tensor) -> tuple[Tensor, Tensor | None]:
    """Bring labels to a distribution's form; of one that has no `fit`, in the shape of its mode."""
    fit: Any = getattr(given, "fit", None)
    if fit is not None:
        fitted: tuple[Tensor, Tensor | None] = fit(labels)
        return fitted
    shape = given.mode().shape
    if labels.shape not in (shape, shape[:-1] if shape[-1] == 1 else shape):
        raise UsageError(
            f"Labels of shape {list(labels.shape)} do not fit a {type(given).__name__}, whose own "
            f"have shape {list(shape)}."
        )
    return labels.reshape(shape), None


def _at(root: Tensor, counted: Tensor | None) -> Tensor:
    """Return vectors [*entries, ...] that are zero where an entry does not count."""
    if counted is None:
        return root
    return root * counted.view(*counted.shape, *[1] * (root.dim() - counted.dim()))


def _one_by_one(root: Tensor, shape: tuple[int, ...], counted: Tensor | None) -> Iterator[Tensor]:
    """Yield vectors that are zero at all of a sample's entries but one, which counts."""
    root = _at(root, counted)
    samples, each = shape[0], math.prod(shape[1:])
    if each == 1:
        yield root
        return
    some = [True] * each if counted is None else counted.view(samples, each).any(0).tolist()
    rows = root.reshape(samples, each, -1)
    for entry in range(each):
        if some[entry]:
            alone = torch.zeros_like(rows)
            alone[:, entry] = rows[:, entry]
            yield alone.view(root.shape)
