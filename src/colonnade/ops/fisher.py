"""The diagonal of the Fisher information of a network's parameters (Kirkpatrick et al. 2017).

    F_i = E_x E_y[(d log p(y | x, theta) / d theta_i)^2]

The square is taken per sample, before any average: the square of a minibatch's mean gradient is
another number, which shrinks as the batch grows.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import torch
from torch import Tensor, nn

from colonnade.errors import UsageError, unknown_name
from colonnade.ops.policies import MultiCategorical, categorical
from colonnade.ops.samples import Samples, samples_of
from colonnade.ops.squared_gradients import How, SquaredGradients
from colonnade.types import Distribution, Likelihood, Network

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

    def fisher_root(self) -> Tensor:
        """Vectors [R, ..., P]; the sum over r of root_r root_r^T is the Fisher matrix."""
        ...


def parameter_fisher(
    network: nn.Module,
    batches: Iterable[Any],
    likelihood: Likelihood = categorical,
    *,
    kind: FisherKind = "exact",
    samples: int | None = None,
    parameters: Iterable[str] | None = None,
    forward: Callable[[nn.Module, Any], Tensor] | None = None,
    generator: torch.Generator | None = None,
    how: How = "auto",
    max_bytes: int = 128 * 2**20,
) -> dict[str, Tensor]:
    """Estimate the diagonal Fisher information per sample.

    The network is in evaluation mode meanwhile, no statistics move, and it is left as it was. Each
    sample is run as a batch of one, whatever the batches' size, in full precision.

    A sample is one entry of the log-probability: an example; a step of a rollout; where the network
    is recurrent, a step too, with the gradient taken through all earlier steps of the rollout back
    to the state it began with.

    Args:
        network: Any module, or a `colonnade.types.Network`.
        batches: `Rollout`s or `Examples`; or pairs of inputs [B, ...] and labels [B], as from a
            `DataLoader`; or inputs alone, where the kind needs no labels. Inputs may be nested in
            tuples and dicts. Read one at a time, and only as far as needed.
        likelihood: What the network's output [..., outputs] means.
        kind: Whose labels; see `FisherKind`.
        samples: How many to use at most; None uses all batches. A recurrent network's rollouts
            count in whole sequences.
        parameters: Names of those wanted; None takes all that require gradients.
        forward: How to call a module that does not simply take the inputs and return its output:
            `forward(network, inputs)`, both with a batch axis of one.
        generator: Draws the labels of kind "sampled"; None is PyTorch's global generator.
        how: How per-sample gradients are computed; all ways agree.
        max_bytes: About how much memory to use beyond the parameters and a batch.

    Returns:
        By parameter name, shaped as the parameter: the average over samples.

    Raises:
        UsageError: No parameter requires gradients, no sample came, a label is none of the
            network's, or a result is not finite.
    """
    if kind not in get_args(FisherKind):
        raise unknown_name("kind of Fisher", kind, get_args(FisherKind))
    if how not in get_args(How):
        raise unknown_name("way to compute per-sample gradients", how, get_args(How))
    if samples is not None and samples < 1:
        raise UsageError(f"The Fisher needs at least 1 sample; got samples={samples}.")
    if kind == "batch-squared":
        warnings.warn(
            "The batch-squared Fisher is the square of a mean, not the mean of squares: it shrinks "
            "as batches grow, and lambda with it; use it only to compare with other libraries.",
            stacklevel=2,
        )
    names = _wanted(network, parameters)
    device = dict(network.named_parameters())[names[0]].device
    estimate = _Estimate(network, names, likelihood, kind, generator, how, max_bytes)
    with evaluation(network):
        for batch in batches:
            part = samples_of(batch, forward, device)
            if samples is not None:
                part = part.first(-(-(samples - estimate.count) // part.steps))
            if len(part):
                estimate.add(part)
            if samples is not None and estimate.count >= samples:
                break
    return estimate.result()


@contextmanager
def evaluation(network: nn.Module | Network | None) -> Iterator[None]:
    """Put a module into evaluation mode, and each part of it back into its own mode afterwards.

    What is no module has no modes and is let be.
    """
    modes: dict[nn.Module, bool] = {}
    if isinstance(network, nn.Module):
        modes = {module: module.training for module in network.modules()}
        network.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


class _Estimate:
    """The sum over samples, and how many there were."""

    def __init__(
        self,
        network: nn.Module,
        names: list[str],
        likelihood: Likelihood,
        kind: FisherKind,
        generator: torch.Generator | None,
        how: How,
        max_bytes: int,
    ) -> None:
        self.count = 0
        self._network = network
        self._names = names
        self._likelihood = likelihood
        self._kind = kind
        self._generator = generator
        self._how: How = how
        self._max_bytes = max_bytes
        self._squares: SquaredGradients | None = None
        self._batches = 0

    def add(self, samples: Samples) -> None:
        """Add a batch."""
        if self._squares is None:
            self._squares = SquaredGradients(
                self._network, self._names, samples.run, self._how, self._max_bytes
            )
        if self._kind == "batch-squared":
            self._squares.add_mean(samples.inputs, samples.labels, self._vectors)
        else:
            self._squares.add(samples.inputs, samples.labels, self._scores)
        self._batches += 1

    def result(self) -> dict[str, Tensor]:
        """Return the average."""
        if self._squares is None:
            raise UsageError(
                "The Fisher needs at least one sample, but the data set is empty; give it the data "
                "of the task that has been learned."
            )
        divisor = self._batches if self._kind == "batch-squared" else self.count
        fisher = {name: total / divisor for name, total in self._squares.sums.items()}
        for name, value in fisher.items():
            if not bool(value.isfinite().all()):
                raise UsageError(
                    f"The Fisher of {name!r} is not finite: the network diverged, or its inputs "
                    "hold NaN or infinite values; look at the loss and the data of this task."
                )
        return fisher

    def _scores(self, outputs: Tensor, labels: Tensor | None) -> Iterator[Tensor]:
        """Vectors on the outputs [B, ..., K] whose pulled-back squares sum to the Fisher.

        Where a sample has several steps, each step's vector is zero at all others.
        """
        for vector in self._vectors(outputs, labels):
            if outputs.dim() == 2:
                yield vector
                continue
            steps = vector.flatten(1, -2)
            for step in range(steps.shape[1]):
                alone = torch.zeros_like(steps)
                alone[:, step] = steps[:, step]
                yield alone.view_as(vector)

    def _vectors(self, outputs: Tensor, labels: Tensor | None) -> list[Tensor]:
        self.count += math.prod(outputs.shape[:-1])
        outputs = outputs.requires_grad_()
        given = self._likelihood(outputs)
        if labels is not None:
            labels = _with_components(labels, outputs)
            check_labels(given, labels)
        if self._kind == "exact":
            if not isinstance(given, FactoredDistribution):
                raise UsageError(
                    f"The exact Fisher of a {type(given).__name__} is not known, since it has no "
                    "'fisher_root'; use kind='sampled'."
                )
            return [
                torch.autograd.grad(given.parameters, outputs, root, retain_graph=True)[0]
                for root in given.fisher_root()
            ]
        if self._kind == "sampled":
            labels = given.sample(self._generator).detach()
        if labels is None:
            raise UsageError(
                f"The {self._kind} Fisher needs the data's labels, but the batches hold inputs "
                "alone; give pairs of inputs and labels, or use kind='exact' or 'sampled'."
            )
        return [torch.autograd.grad(given.log_prob(labels).sum(), outputs)[0]]


def _with_components(labels: Tensor, outputs: Tensor) -> Tensor:
    """Give class labels [...] the axis over components that distributions expect, [..., 1]."""
    whole = not labels.is_floating_point()
    return labels.unsqueeze(-1) if whole and labels.dim() == outputs.dim() - 1 else labels


def check_labels(given: Distribution, labels: Tensor) -> None:
    """Check that labels [..., A] are among the choices of a categorical distribution.

    Raises:
        UsageError: A label is not.
    """
    if not isinstance(given, MultiCategorical) or labels.is_floating_point():
        return
    for component, size in enumerate(given.sizes):
        own = labels[..., component]
        wrong = own[(own < 0) | (own >= size)]
        if len(wrong):
            raise UsageError(
                f"Label {int(wrong[0])} is outside the network's output, which has {size} choices "
                f"(0 to {size - 1}); give the network as many outputs as there are labels."
            )


def _wanted(network: nn.Module, names: Iterable[str] | None) -> list[str]:
    found = dict(network.named_parameters())
    if names is not None:
        names = list(names)
        for name in names:
            if name not in found:
                raise unknown_name("parameter", name, found)
    else:
        names = [name for name, parameter in found.items() if parameter.requires_grad]
    if not names or not all(found[name].requires_grad for name in names):
        raise UsageError(
            f"The Fisher needs parameters that require gradients, but {type(network).__name__} has "
            f"{'none' if not names else 'some here that do not'}; unfreeze what was learned, or "
            "name the parameters that are meant."
        )
    return names
