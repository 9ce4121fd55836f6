"""The diagonal of the Fisher information of a network's parameters (Kirkpatrick et al. 2017).

    F_i = E_x E_y[(d log p(y | x, theta) / d theta_i)^2]

The square is taken per sample, before any average: the square of a minibatch's mean gradient is
another number, which shrinks as the batch grows.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, get_args

import torch
from torch import Tensor, nn

from colonnade.errors import UsageError, unknown_name
from colonnade.ops.fisher.samples import Samples, check_batches, samples_of
from colonnade.ops.fisher.scores import FisherKind, Scores
from colonnade.ops.fisher.squared_gradients import How, SquaredGradients
from colonnade.ops.likelihoods import categorical
from colonnade.ops.quadratic import check_not_lazy
from colonnade.types import Likelihood, Network
from colonnade.watching import beat

MAX_BYTES = 128 * 2**20
"""About how much memory a Fisher uses, where nothing else is asked for."""


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
    max_bytes: int = MAX_BYTES,
) -> dict[str, Tensor]:
    """Estimate the diagonal Fisher information per sample.

    The network is in evaluation mode meanwhile, no statistics move, and it is left as it was. Each
    sample is run as a batch of one, whatever the batches' size, in full precision.

    A sample is one entry of the log-probability: an example, or a place of it where each has its
    own label; a step of a rollout; where the network is recurrent, a step too, with the gradient
    taken through all earlier steps of the rollout back to the state it began with.

    Nothing broadcasts: network, likelihood and labels must fit one another. The labels are checked
    also where the kind does not need them, and say which places count (`ignore_index`).

    Args:
        network: Any module, or a `colonnade.types.Network`.
        batches: `Rollout`s or `Examples`; or pairs of inputs [B, ...] and labels [B], as from a
            `DataLoader`; or inputs alone, where the kind needs no labels. Inputs may be nested in
            tuples and dicts, and lengths may differ from batch to batch. Read one at a time, and
            only as far as needed. A single batch needs a list around it; a tuple of two tensors
            is taken for one.
        likelihood: What the network's output means: `categorical` ([B, C] or [B, C, ...]),
            `bernoulli`, `gaussian`, or a function of the output [B, ...]; of a rollout's output,
            [steps, outputs].
        kind: Whose labels; see `FisherKind`.
        samples: How many to use at most; None uses all batches. Places and sequences of one
            example are taken whole.
        parameters: Names of those wanted; None takes all that require gradients.
        forward: How to call a module that does not simply take the inputs and return its output:
            `forward(network, inputs)`, both with a batch axis of one.
        generator: Draws the labels of kind "sampled"; None is PyTorch's global generator.
        how: How per-sample gradients are computed; all ways agree.
        max_bytes: About how much memory to use beyond the parameters and a batch. One sample is
            the least that can be taken.

    Returns:
        By parameter name, shaped as the parameter, in float32 or more: the average over samples.

    Raises:
        UsageError: An option is unknown, no parameter requires gradients or one is lazy still, no
            sample came or one batch in place of several, the network can't be run on a sample, an
            output or a label does not fit the likelihood, or something is not finite.
    """
    check_fisher_options(kind, how, samples, max_bytes, forward)
    if not callable(likelihood):
        raise UsageError(
            "The likelihood must be a function of the network's output, such as "
            f"colonnade.ops.categorical; got a {type(likelihood).__name__}."
        )
    check_batches(batches)
    if kind == "batch-squared":
        warnings.warn(
            "The batch-squared Fisher is the square of a mean, not the mean of squares: it shrinks "
            "as batches grow, and lambda with it; use it only to compare with other libraries.",
            stacklevel=2,
        )
    names = _wanted(network, parameters)
    device = dict(network.named_parameters())[names[0]].device
    with _plain_autograd(device):
        squares = SquaredGradients(network, names, how, max_bytes)
    scores = Scores(likelihood, kind, generator)
    estimate = _Estimate(squares, scores, mean=kind == "batch-squared")
    with evaluation(network):
        for batch in batches:
            beat()
            with _plain_autograd(device):
                part = samples_of(batch, forward, device)
                if len(part) and estimate.add(part, samples):
                    break
    with _plain_autograd(device):
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
            object.__setattr__(module, "training", mode)  # `nn.Module` asks much before it does so


@contextmanager
def _plain_autograd(device: torch.device) -> Iterator[None]:
    """Record gradients in full precision, whatever mode the caller is in."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        if device.type in ("cpu", "cuda"):
            stack.enter_context(torch.autocast(device.type, enabled=False))
        yield


class _Estimate:
    """The sum over entries, and how many there were."""

    def __init__(self, squares: SquaredGradients, scores: Scores, mean: bool) -> None:
        self._squares = squares
        self._scores = scores
        self._mean = mean  # whether each batch's mean gradient is squared
        self._batches = 0

    def add(self, samples: Samples, limit: int | None) -> bool:
        """Add a batch, or as much of it as brings the entries to `limit`; say if that is reached.

        Raises:
            UsageError: The network, its likelihood and the labels do not fit one another.
        """
        one = samples.part(0, 1)
        output = self._squares.output(one)
        each = self._scores.entries(output, one.labels, samples.sequence)
        if limit is not None:
            samples = samples.part(0, -(-(limit - self._scores.count) // each))
        if self._mean:
            self._squares.add_mean(samples, partial(self._mean_vector, samples))
        else:
            self._squares.add(samples, partial(self._scores, sequence=samples.sequence))
        self._batches += 1
        return limit is not None and self._scores.count >= limit

    def result(self) -> dict[str, Tensor]:
        """Return the average.

        Raises:
            UsageError: There was no entry, or a result is not finite.
        """
        if not self._scores.count:
            why = (
                "all labels are those that are ignored"
                if self._batches
                else "the data set is empty"
            )
            raise UsageError(
                f"The Fisher needs at least one sample, but {why}; give it the data of the task "
                "that has been learned."
            )
        divisor = self._batches if self._mean else self._scores.count
        fisher = {name: total / divisor for name, total in self._squares.sums.items()}
        for name, value in fisher.items():
            if not bool(value.isfinite().all()):
                raise UsageError(
                    f"The Fisher of {name!r} is not finite: the network diverged, or its inputs "
                    "hold NaN or infinite values; look at the loss and the data of this task."
                )
        if not any(bool(value.any()) for value in fisher.values()):
            warnings.warn(
                "The Fisher is zero for every parameter, and holds nothing: the network is surer "
                "of its output than its digits tell, or none of these parameters has a part in it.",
                stacklevel=3,
            )
        return fisher

    def _mean_vector(self, samples: Samples, outputs: Tensor) -> Tensor:
        before = self._scores.count
        vectors = self._scores(outputs, samples.labels, samples.sequence, apart=False)
        total = sum(vectors, torch.zeros_like(outputs))
        return total / max(1, self._scores.count - before)


def check_fisher_options(
    kind: str, how: str, samples: int | None, max_bytes: int, forward: object = None
) -> None:
    """Check the options of a Fisher, as `parameter_fisher` takes them.

    Args:
        kind: A `FisherKind`.
        how: A `How`.
        samples: How many states or examples, at least 1; None for all.
        max_bytes: Of memory, at least 1.
        forward: Called with a batch; None for the module itself.

    Raises:
        UsageError: One is unknown or out of range.
    """
    if kind not in get_args(FisherKind):
        raise unknown_name("kind of Fisher", str(kind), get_args(FisherKind))
    if how not in get_args(How):
        raise unknown_name("way to compute per-sample gradients", str(how), get_args(How))
    if samples is not None and not _whole(samples):
        raise UsageError(f"The Fisher needs at least 1 sample; got samples={samples!r}.")
    if not _whole(max_bytes):
        raise UsageError(f"max_bytes must be a whole number of 1 or more; got {max_bytes!r}.")
    if forward is not None and not callable(forward):
        raise UsageError(
            "forward must be a function of the network and its inputs; got a "
            f"{type(forward).__name__}."
        )


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


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
    check_not_lazy({name: found[name] for name in names})
    return names
