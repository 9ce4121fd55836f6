"""Batches of any kind as samples along one axis, and how a network runs on one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from colonnade.errors import UsageError
from colonnade.types import Rollout

Forward = Callable[[nn.Module, Any], Tensor]
"""Calls a module on inputs with a batch axis and returns its output [B, ...]."""


@dataclass(frozen=True)
class Samples:
    """B samples that do not depend on one another.

    Attributes:
        inputs: Tensors [B, ...], nested in tuples, lists and dicts.
        labels: [B, ...], or None.
        steps: Entries of the log-probability per sample: 1, or the steps of a sequence.
        run: Runs a network on the inputs of one sample, without the axis B: its output [...].
    """

    inputs: Any
    labels: Tensor | None
    steps: int
    run: Callable[[nn.Module, Any], Tensor]

    def __len__(self) -> int:
        return len(tree_leaves(self.inputs)[0])

    def first(self, count: int) -> Samples:
        """Keep at most the first `count` samples."""
        labels = None if self.labels is None else self.labels[:count]
        return replace(self, inputs=tree_map(lambda x: x[:count], self.inputs), labels=labels)


def samples_of(batch: Any, forward: Forward | None, device: torch.device) -> Samples:
    """Take a batch apart.

    Args:
        batch: A `Rollout` or `Examples`; a pair of inputs and labels; or inputs alone.
        forward: How to call the network, where it does not simply take the inputs.
        device: Where the network is.

    Raises:
        UsageError: The batch holds no tensor, or inputs and labels differ in number.
    """
    if isinstance(batch, Rollout):
        samples = _recurrent(batch) if batch.recurrent else _steps(batch)
    elif hasattr(batch, "inputs") and hasattr(batch, "actions"):
        samples = Samples(batch.inputs, batch.actions, 1, _Once(forward))
    else:
        paired = isinstance(batch, (tuple, list)) and len(batch) == 2
        inputs, labels = batch if paired else (batch, None)
        samples = Samples(inputs, labels, 1, _Once(forward))
    leaves = tree_leaves((samples.inputs, samples.labels))
    if not leaves or not all(isinstance(x, Tensor) or x is None for x in leaves):
        raise UsageError(
            "The Fisher needs batches of tensors, as pairs of inputs and labels or inputs alone; "
            f"got {type(batch).__name__}."
        )
    sizes = {len(x) for x in leaves if x is not None}
    if len(sizes) > 1:
        raise UsageError(
            f"The tensors of a batch should have one length, but came with {sorted(sizes)}; the "
            "first axis of each must run over samples."
        )
    return replace(
        samples,
        inputs=tree_map(lambda x: x.to(device), samples.inputs),
        labels=None if samples.labels is None else samples.labels.to(device),
    )


@dataclass(frozen=True)
class _Once:
    """Calls a network on one sample; of a tuple it returns, the first entry is the output."""

    forward: Forward | None

    def __call__(self, network: nn.Module, inputs: Any) -> Tensor:
        batch = tree_map(lambda x: x.unsqueeze(0), inputs)
        output = network(batch) if self.forward is None else self.forward(network, batch)
        result: Tensor = output[0] if isinstance(output, tuple) else output
        return result.squeeze(0)


def _steps(rollout: Rollout) -> Samples:
    """Every step of a feed-forward network's rollout is a sample."""
    inputs = {name: value.flatten(0, 1) for name, value in rollout.inputs.items()}
    return Samples(inputs, rollout.actions.flatten(0, 1), 1, _Once(None))


def _recurrent(rollout: Rollout) -> Samples:
    """Every environment's sequence is a sample of T steps."""
    inputs = {name: value.transpose(0, 1) for name, value in rollout.inputs.items()}
    sequence = (inputs, rollout.state, rollout.starts.transpose(0, 1))
    return Samples(sequence, rollout.actions.transpose(0, 1), len(rollout.starts), _unroll)


def _unroll(network: Any, sequence: Any) -> Tensor:
    inputs, state, starts = sequence
    output: Tensor = network.unroll(
        {name: value.unsqueeze(1) for name, value in inputs.items()},
        {name: value.unsqueeze(0) for name, value in state.items()},
        starts.unsqueeze(1),
    )[0]
    return output.squeeze(1)
