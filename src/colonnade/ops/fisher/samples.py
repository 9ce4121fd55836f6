"""Batches of any kind as samples along one axis, and how a network runs on one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from colonnade.errors import UsageError
from colonnade.records import shown
from colonnade.types import Rollout

Forward = Callable[[nn.Module, Any], Tensor]
"""Calls a module on inputs with a batch axis and returns its output [B, ...]."""


@dataclass(frozen=True)
class Samples:
    """B samples that do not depend on one another.

    Attributes:
        inputs: Tensors [B, ...], nested in tuples, lists and dicts.
        labels: [B, ...], or None.
        sequence: Whether a sample is a sequence, over whose steps its output's first axis runs.
        run: Runs a network on the inputs of one sample, without the axis B: its output [...].
    """

    inputs: Any
    labels: Tensor | None
    sequence: bool
    run: Callable[[nn.Module, Any], Tensor]

    def __len__(self) -> int:
        return len(tree_leaves(self.inputs)[0])

    def part(self, begin: int, end: int) -> Samples:
        """Select the samples from `begin` up to `end`."""
        labels = None if self.labels is None else self.labels[begin:end]
        return replace(self, inputs=tree_map(lambda x: x[begin:end], self.inputs), labels=labels)


def check_batches(batches: object) -> None:
    """Refuse what is no iterable of batches, such as one batch without a list around it.

    Raises:
        UsageError: It is not.
    """
    repeats = isinstance(batches, Iterable) or hasattr(type(batches), "__getitem__")
    if isinstance(batches, Tensor):
        one = f"a tensor of shape {list(batches.shape)}"
    elif _is_pair(batches):
        one = "a pair of inputs and labels"
    elif isinstance(batches, Mapping) or (hasattr(batches, "inputs") and not repeats):
        one = f"of type {type(batches).__name__}"
    elif not repeats or isinstance(batches, str):
        raise UsageError(
            "The Fisher needs an iterable of batches, such as a DataLoader or [(inputs, labels)]; "
            f"got {shown(batches)}."
        )
    else:
        return
    raise UsageError(
        f"The Fisher needs an iterable of batches, but one batch by itself came, {one}; put it "
        "into a list: [(inputs, labels)], or [inputs] where there are no labels."
    )


def _is_pair(batches: object) -> bool:
    """Whether something is inputs and labels, and not a list of two batches of inputs alone."""
    if not isinstance(batches, (tuple, list)) or len(batches) != 2:
        return False
    inputs, labels = batches
    if not isinstance(labels, Tensor):
        return False
    if isinstance(batches, tuple) or not isinstance(inputs, Tensor):
        return True
    # A DataLoader's own batches are lists.
    floating = inputs.is_floating_point(), labels.is_floating_point()
    return inputs.dim() != labels.dim() or floating[0] != floating[1]


def samples_of(batch: Any, forward: Forward | None, device: torch.device) -> Samples:
    """Take a batch apart.

    Args:
        batch: A `Rollout` or `Examples`; a pair of inputs and labels; or inputs alone.
        forward: How to call the network, where it does not simply take the inputs.
        device: Where the network is.

    Raises:
        UsageError: The batch holds no tensor, or something else, or is of another form, or its
            tensors differ in length.
    """
    if isinstance(batch, Rollout):
        samples = _recurrent(batch) if batch.recurrent else _steps(batch)
    elif hasattr(batch, "inputs") and hasattr(batch, "actions"):
        samples = Samples(batch.inputs, batch.actions, False, _Once(forward))
    else:
        samples = Samples(*_pair(batch), False, _Once(forward))
    leaves = tree_leaves((samples.inputs, samples.labels))
    if not leaves or not all(isinstance(x, Tensor) or x is None for x in leaves):
        other = next((x for x in leaves if not (isinstance(x, Tensor) or x is None)), None)
        inside = "" if other is None else f" that holds {type(other).__name__}"
        raise UsageError(
            "The Fisher needs batches of tensors, as pairs of inputs and labels or inputs alone; "
            f"got {type(batch).__name__}{inside}."
        )
    tensors = [x for x in leaves if x is not None]
    if not tree_leaves(samples.inputs) or any(not x.dim() for x in tensors):
        raise UsageError(
            "The first axis of each tensor of a batch must run over samples, but one is a single "
            "number, or there are no inputs; leave such entries out of the batch, and give a data "
            "set by a DataLoader."
        )
    sizes = {len(x) for x in tensors}
    if len(sizes) > 1:
        raise UsageError(
            f"The tensors of a batch should have one length, but came with {sorted(sizes)}; the "
            "first axis of each must run over samples."
        )
    return replace(
        samples,
        inputs=tree_map(lambda x: _plain(x.to(device)), samples.inputs),
        labels=None if samples.labels is None else _plain(samples.labels.to(device)),
    )


def _pair(batch: Any) -> tuple[Any, Tensor | None]:
    """Read what a `DataLoader` gives: inputs and labels, or inputs alone.

    Raises:
        UsageError: It is neither.
    """
    if not isinstance(batch, (tuple, list)):
        return batch, None
    if len(batch) == 1:  # as from a TensorDataset of inputs
        return batch[0], None
    if len(batch) != 2:
        raise UsageError(
            "A batch for the Fisher should be a pair of inputs and labels, or inputs alone, but "
            f"came as a {type(batch).__name__} of {len(batch)}; pick the two, as in "
            "((x, y) for x, y, _ in loader), or nest several inputs: ((x, mask), y)."
        )
    inputs, labels = batch
    if isinstance(labels, np.ndarray | list):
        raise UsageError(
            f"The labels of a batch should be one tensor, but came as a {type(labels).__name__}; "
            "make it one by torch.as_tensor(labels)."
        )
    if labels is not None and not isinstance(labels, Tensor):
        raise UsageError(
            f"The labels of a batch should be one tensor, but came as a {type(labels).__name__}; "
            "pick the one that the likelihood speaks of."
        )
    return inputs, labels


def _plain(value: Tensor) -> Tensor:
    """Return a tensor that autograd takes, also if it was made in inference mode."""
    return value.clone() if value.is_inference() else value


@dataclass(frozen=True)
class _Once:
    """Calls a network on one sample; of a tuple it returns, the first entry is the output."""

    forward: Forward | None

    def __call__(self, network: nn.Module, inputs: Any) -> Tensor:
        batch = tree_map(lambda x: x.unsqueeze(0), inputs)
        output = network(batch) if self.forward is None else self.forward(network, batch)
        return check_output(output).squeeze(0)


def check_output(output: Any) -> Tensor:
    """Return what a network gave for a batch of one, if it is an output [1, ...].

    Raises:
        UsageError: It is not.
    """
    found = output[0] if isinstance(output, tuple) and output else output
    if isinstance(found, Mapping):
        raise UsageError(
            f"The network returned a {type(found).__name__} of {', '.join(map(str, found))}; say "
            "which is its output, as in forward=lambda model, x: model(x)["
            f"{next(iter(found), 'logits')!r}]."
        )
    if not isinstance(found, Tensor):
        raise UsageError(
            f"The network returned a {type(found).__name__}, where a tensor [B, ...] was expected; "
            "say which part is its output, as in forward=lambda model, x: model(x)[0]."
        )
    if not found.dim() or len(found) != 1:
        raise UsageError(
            f"The network returned shape {list(found.shape)} for a batch of one, where its first "
            "axis should run over samples; each sample is run by itself, so do not squeeze that "
            "axis away or mix it with others."
        )
    if not found.is_floating_point():
        raise UsageError(
            f"The network returned {found.dtype}, where logits or real numbers were expected; say "
            "what its output is by forward=."
        )
    return found


def _steps(rollout: Rollout) -> Samples:
    """Every step of a feed-forward network's rollout is a sample."""
    inputs = {name: value.flatten(0, 1) for name, value in rollout.inputs.items()}
    return Samples(inputs, rollout.actions.flatten(0, 1), False, _Once(None))


def _recurrent(rollout: Rollout) -> Samples:
    """Every environment's sequence is a sample of T steps."""
    inputs = {name: value.transpose(0, 1) for name, value in rollout.inputs.items()}
    sequence = (inputs, rollout.state, rollout.starts.transpose(0, 1))
    return Samples(sequence, rollout.actions.transpose(0, 1), True, _unroll)


def _unroll(network: Any, sequence: Any) -> Tensor:
    inputs, state, starts = sequence
    output: Tensor = network.unroll(
        {name: value.unsqueeze(1) for name, value in inputs.items()},
        {name: value.unsqueeze(0) for name, value in state.items()},
        starts.unsqueeze(1),
    )[0]
    return output.squeeze(1)
