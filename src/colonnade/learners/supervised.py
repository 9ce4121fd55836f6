"""Supervised learning: cross-entropy over minibatches of a labelled data set."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from colonnade.errors import UsageError, unknown_name
from colonnade.layout import take
from colonnade.learners.compute import Compute
from colonnade.learners.hyperparameters import UNBOUNDED, check_ranges
from colonnade.learners.optimisation import Optimisation, trainable
from colonnade.learners.path_descent import PathDescent
from colonnade.learners.trainer import Advance, Streams
from colonnade.ops import MultiCategorical
from colonnade.types import (
    DatasetTask,
    Episode,
    Examples,
    Inputs,
    Metrics,
    Network,
    Penalty,
    Task,
    TaskSpec,
)

Optimizer = Literal["sgd", "adam"]


@dataclass(frozen=True)
class Supervised:
    """Hyperparameters of supervised learning, by stochastic gradient descent unless said."""

    learning_rate: float = 0.03
    """Step size at the start of a task."""
    momentum: float = 0.9
    """Of SGD; Adam has its own."""
    batch_size: int = 128
    """Examples in a minibatch; the last of a pass may be smaller."""
    optimizer: Optimizer = "sgd"
    """"sgd" or "adam"."""
    weight_decay: float = 0.0
    """Pull of all parameters towards zero, added to the gradient."""
    clip_norm: float = 1e6
    """Largest norm of the gradient."""
    anneal: bool = False
    """Whether the learning rate falls linearly to zero over a task's budget."""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if self.optimizer not in get_args(Optimizer):
            raise unknown_name("optimizer", self.optimizer, get_args(Optimizer))
        check_ranges(
            self,
            {
                "learning_rate": (0, UNBOUNDED),
                "momentum": (0, 1),
                "batch_size": (1, UNBOUNDED),
                "weight_decay": (0, UNBOUNDED),
                "clip_norm": (0, UNBOUNDED),
            },
        )

    def build(self, network: Network, spec: TaskSpec, compute: Compute) -> SupervisedLearner:
        """Make a learner for one task over the network's parameters that require gradients."""
        return SupervisedLearner(self, network, spec, compute)

    def trainer(
        self,
        task: Task,
        network: Network,
        penalty: Penalty,
        compute: Compute,
        *,
        num_envs: int = 16,
        threads: int = 1,
    ) -> SupervisedTrainer:
        """Bring a task's training examples to the device; `num_envs` and `threads` are not used."""
        learner = self.build(network, task.spec, compute)
        return SupervisedTrainer(task, learner, penalty, compute, self.batch_size)


class SupervisedLearner:
    """Trains a classifier, one gradient step a minibatch."""

    def __init__(
        self, config: Supervised, network: Network, spec: TaskSpec, compute: Compute
    ) -> None:
        """Set up the optimiser."""
        self._network = network
        self._spec = spec
        self._compute = compute
        self.optimisation = Optimisation(
            _optimizer(config, network),
            budget=spec.steps if config.anneal else None,
            clip_norm=config.clip_norm,
        )
        plain = config.optimizer == "sgd" and not (config.momentum or config.weight_decay)
        endless = not config.anneal and config.clip_norm >= Supervised.clip_norm
        self._descent = None
        if plain and endless and spec.heads == 1 and not compute.bfloat16:
            self._descent = PathDescent.along(network, config.learning_rate)

    def update(self, examples: Examples, penalty: Penalty) -> Metrics:
        """Take one gradient step on a minibatch.

        Returns:
            The cross-entropy in nats and the share of right answers, averaged over examples; the
            penalty, if there is one; the gradient's norm, where there is more than plain descent
            along a path of dense modules to do.
        """
        self.optimisation.advance(examples.steps)
        if self._descent is not None and penalty() is None:
            cross_entropy, accuracy = self._descent.step(examples.inputs, examples.targets)
            return {"cross_entropy": cross_entropy, "accuracy": accuracy}
        with self._compute.autocast():
            output = examples.outputs(self._network)
        labels = self.likelihood(output.float())
        loss = -labels.log_prob(examples.actions).mean()
        metrics = {} if (held := penalty()) is None else {"penalty": held.detach()}
        norm = self.optimisation.descend(loss if held is None else loss + held)
        right = labels.mode().squeeze(-1) == examples.targets
        return metrics | {
            "cross_entropy": loss.detach(),
            "accuracy": right.float().mean(),
            "gradient_norm": norm,
        }

    def likelihood(self, output: Tensor) -> MultiCategorical:
        """Return the distribution over labels that an output [..., outputs] means."""
        return labels_of(output, self._spec)


class SupervisedTrainer:
    """A learner and the training examples of a task, which stay on the device as a whole."""

    may_lose_workers = False

    def __init__(
        self,
        task: Task,
        learner: SupervisedLearner,
        penalty: Penalty,
        compute: Compute,
        batch_size: int,
    ) -> None:
        """Take up the training examples; call `reset` before use.

        Raises:
            UsageError: The task is no data set, is empty, or has a label outside the head.
        """
        if not isinstance(task, DatasetTask):
            raise UsageError(
                f"Task {task.spec.id!r} is no data set, as the learner 'supervised' needs; learn "
                "it with 'ppo', 'a2c' or 'a3c'."
            )
        self._learner = learner
        self._penalty = penalty
        examples = task.examples("train")
        _check(examples, task.spec)
        self._examples = Examples(
            {name: value.to(compute.device) for name, value in examples.inputs.items()},
            examples.targets.to(compute.device),
        )
        self._batch_size = batch_size
        self._generator = torch.Generator()
        self._batches = self.samples()
        self.likelihood = learner.likelihood
        self.state = learner.optimisation.state
        self.load_state = learner.optimisation.load_state

    def __enter__(self) -> SupervisedTrainer:
        """Return the trainer."""
        return self

    def __exit__(self, *exception: Any) -> None:
        """Do nothing: there is nothing to close."""

    def begin(self, streams: Streams) -> None:
        """Begin a pass over the examples, in a newly seeded order."""
        self._generator.manual_seed(streams("minibatches"))
        torch.manual_seed(streams("learning"))
        self._batches = self.samples()

    def advance(self) -> Advance:
        """Learn from a minibatch, which counts as an episode whose return is the share right."""
        examples = next(self._batches)
        metrics = self._learner.update(examples, self._penalty)
        episode = Episode(float(metrics["accuracy"]), examples.steps, 0)
        return Advance(examples.steps, metrics, [episode])

    def samples(self) -> Generator[Examples]:
        """Yield minibatches without learning: pass after pass, each in an order of its own."""
        examples = self._examples
        while True:
            order = torch.randperm(examples.steps, generator=self._generator)
            for index in order.to(examples.targets.device).split(self._batch_size):
                yield Examples(
                    {name: take(value, 0, index) for name, value in examples.inputs.items()},
                    examples.targets.index_select(0, index),
                )


def labels_of(output: Tensor, spec: TaskSpec) -> MultiCategorical:
    """Read a classifier's output [..., outputs] as a task's distribution over its labels.

    Where tasks have heads of their own, the other heads' logits say nothing.
    """
    sizes = spec.action_sizes
    return MultiCategorical(output.narrow(-1, spec.head * sum(sizes), sum(sizes)), sizes)


def predictions(network: Network, inputs: Inputs, spec: TaskSpec, compute: Compute) -> Tensor:
    """Return the most likely labels [B] of inputs, each [B, ...]."""
    with torch.no_grad(), compute.autocast():
        output, _ = network(inputs)
    return labels_of(output.float(), spec).mode().squeeze(-1)


def _check(examples: Examples, spec: TaskSpec) -> None:
    if not examples.steps:
        raise UsageError(f"Task {spec.id!r} has no training examples; give it at least one.")
    low, high = int(examples.targets.min()), int(examples.targets.max())
    (classes,) = spec.action_sizes
    if low < 0 or high >= classes:
        raise UsageError(
            f"Labels of task {spec.id!r} should be from 0 to {classes - 1}, the width of its head, "
            f"but {low if low < 0 else high} came."
        )


def _optimizer(config: Supervised, network: Network) -> torch.optim.Optimizer:
    parameters = trainable(network)
    if config.optimizer == "adam":
        return torch.optim.Adam(
            parameters, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
    optimizer = torch.optim.SGD(
        parameters,
        lr=config.learning_rate,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        fused=True,
    )
    if config.momentum:
        # Fused steps need momentum everywhere; on a path some parameters get gradients later.
        for _, parameter in parameters:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer
