"""Supervised learning: cross-entropy over minibatches of a labelled data set."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import clip_grad_norm_

from colonnade.checks import ABOVE_0, AT_LEAST_0, AT_LEAST_1, BELOW_1, check_fields
from colonnade.errors import UsageError
from colonnade.learners.acting.policies import Classifier
from colonnade.learners.compute import Compute
from colonnade.learners.descent.optimisation import Optimisation, trainable
from colonnade.learners.descent.passes import Held, Passes
from colonnade.learners.trainer import Advance, Lesson, Streams
from colonnade.types import (
    DatasetTask,
    Descending,
    Episode,
    Examples,
    Metrics,
    Network,
    Penalty,
    ReadTask,
    Task,
    TaskSpec,
)

Optimizer = Literal["sgd", "adam"]


@dataclass(frozen=True)
class Supervised(Classifier):
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
        check_fields(
            self,
            {
                "learning_rate": ABOVE_0,
                "momentum": BELOW_1,
                "batch_size": AT_LEAST_1,
                "weight_decay": AT_LEAST_0,
                "clip_norm": ABOVE_0,
            },
        )

    def build(self, network: Network, spec: TaskSpec, compute: Compute) -> SupervisedLearner:
        """Make a learner for one task over the network's parameters that require gradients."""
        return SupervisedLearner(self, network, spec, compute)

    def trainer(self, lesson: Lesson) -> SupervisedTrainer:
        """Bring a task's training examples to the device, or make ready to read them."""
        learner = self.build(lesson.network, lesson.spec, lesson.compute)
        return SupervisedTrainer(self, lesson, learner)


class SupervisedLearner:
    """Trains a classifier, one gradient step a minibatch."""

    def __init__(
        self, config: Supervised, network: Network, spec: TaskSpec, compute: Compute
    ) -> None:
        """Set up the optimiser."""
        self._config = config
        self._network = network
        self._spec = spec
        self._compute = compute
        self.optimisation = Optimisation(
            _optimizer(config, network),
            budget=spec.steps if config.anneal else None,
        )
        plain = config.optimizer == "sgd" and not (config.momentum or config.weight_decay)
        endless = not config.anneal and config.clip_norm >= Supervised.clip_norm
        self._descent = None
        alone = plain and endless and len(spec.head_widths) == 1 and not compute.bfloat16
        if alone and isinstance(network, Descending):
            self._descent = network.descent(config.learning_rate)

    def update(self, examples: Examples, penalty: Penalty) -> Metrics:
        """Take one gradient step on a minibatch.

        Returns:
            The cross-entropy in nats and the share of right answers, averaged over examples; the
            penalty, if there is one; the gradient's norm, unless the network steps by itself.
        """
        descent = self.optimisation
        descent.anneal(examples.steps)
        if self._descent is not None and penalty() is None:
            cross_entropy, accuracy = self._descent(examples.inputs, examples.targets)
            return {"cross_entropy": cross_entropy, "accuracy": accuracy}
        try:
            with self._compute.autocast():
                output = examples.outputs(self._network)
        except ValueError as error:
            if examples.steps > 1 or not _normalises(self._network):
                raise
            raise UsageError(
                f"A minibatch of a single example came, of which batch normalisation takes no "
                f"statistics ({error}); give another batch_size, or leave the last, shorter "
                "minibatch out."
            ) from None
        labels = self._config.likelihood(output, self._spec)
        loss = -labels.log_prob(examples.actions).mean()
        metrics = {} if (held := penalty()) is None else {"penalty": held.detach()}
        descent.optimizer.zero_grad()
        (loss if held is None else loss + held).backward()
        norm = clip_grad_norm_(descent.parameters, self._config.clip_norm)
        descent.optimizer.step()
        right = labels.mode().squeeze(-1) == examples.targets
        return metrics | {
            "cross_entropy": loss.detach(),
            "accuracy": right.float().mean(),
            "gradient_norm": norm,
        }


def data_set_of(task: Task) -> DatasetTask:
    """Return a task that is a data set.

    Raises:
        UsageError: It is none.
    """
    if isinstance(task, DatasetTask):
        return task
    raise UsageError(
        f"Task {task.spec.id!r} is no data set, as the learner 'supervised' needs; learn it with "
        "'ppo', 'a2c', 'a3c' or 'dqn'."
    )


def _check_last(network: Network, task: str, examples: int, batch_size: int) -> None:
    """Refuse passes whose last minibatch is a single example, if its statistics are asked for."""
    if examples % batch_size != 1 or batch_size == 1 or not _normalises(network, nn.BatchNorm1d):
        return
    sizes = range(batch_size + 1, 2 * examples)
    fits = next((size for size in sizes if examples % size != 1), None)
    advice = "more examples" if fits is None else f"another batch_size, such as {fits}"
    raise UsageError(
        f"Task {task!r} has {examples:,} training example{'s' * (examples > 1)}, of which "
        f"minibatches of {batch_size} leave one alone in each pass, and batch normalisation takes "
        f"no statistics of one; give {advice}."
    )


def _normalises(network: Network, kind: type[nn.Module] = _BatchNorm) -> bool:
    """Say whether it takes statistics of minibatches, in layers of a kind."""
    parts = network.modules() if isinstance(network, nn.Module) else ()
    return any(isinstance(part, kind) and part.training for part in parts)


class SupervisedTrainer:
    """A learner and the training examples of a task.

    Those in memory stay on the device as a whole; the others are read anew in each pass. The order
    of every pass follows from the task's seed and the pass's number alone, so that a checkpoint
    holds no more than these and the place in the pass.
    """

    may_lose_workers = False

    def __init__(self, config: Supervised, lesson: Lesson, learner: SupervisedLearner) -> None:
        """Take up the training examples; call `begin` before use.

        Raises:
            UsageError: The task is no data set, is empty, or has a label outside the head.
        """
        task, self._device = data_set_of(lesson.task), lesson.compute.device
        self._learner = learner
        self._penalty = lesson.penalty
        self._batch_size = config.batch_size
        reader = task.reader("train") if isinstance(task, ReadTask) else None
        if reader is None:
            examples = task.examples("train")
            _check(examples, task.spec)
            _check_last(lesson.network, task.spec.id, examples.steps, config.batch_size)
            reader = Held(_on(self._device, examples))
        self._reader = reader
        self._passes = Passes(reader, config.batch_size)
        self._seed_of_samples = self._steps = 0
        self.likelihood = partial(config.likelihood, spec=task.spec)

    def __enter__(self) -> SupervisedTrainer:
        """Return the trainer."""
        return self

    def __exit__(self, *exception: Any) -> None:
        """End the processes that read, where there are any."""
        self._passes.close()

    def begin(self, streams: Streams) -> None:
        """Begin the first pass over the examples, in the order of the stream "minibatches"."""
        self._passes.close()
        self._passes = Passes(self._reader, self._batch_size, streams("minibatches"))
        self._seed_of_samples, self._steps = streams("samples"), 0

    def advance(self) -> Advance:
        """Learn from a minibatch, which counts as an episode whose return is the share right."""
        examples = _on(self._device, next(self._passes))
        metrics = self._learner.update(examples, self._penalty)
        self._steps += examples.steps
        episode = Episode(float(metrics["accuracy"]), examples.steps, 0, self._steps)
        return Advance(examples.steps, metrics, [episode])

    def samples(self) -> Generator[Examples]:
        """Yield minibatches without learning: pass after pass, in orders of their own."""
        with closing(Passes(self._reader, self._batch_size, self._seed_of_samples)) as passes:
            for examples in passes:
                yield replace(_on(self._device, examples), passed=passes.finished)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the optimiser's state, and the place in the pass under way."""
        tensors, meta = self._learner.optimisation.state()
        return tensors, {
            "optimisation": meta,
            "passes": self._passes.state(),
            "samples": self._seed_of_samples,
            "steps": self._steps,
        }

    def load_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Go on from a state that `state` gave, in the middle of a pass or at its end."""
        self._learner.optimisation.load_state(tensors, meta["optimisation"])
        self._passes.load_state(meta["passes"])
        self._seed_of_samples, self._steps = meta["samples"], meta["steps"]


def _on(device: torch.device, examples: Examples) -> Examples:
    inputs = {name: value.to(device) for name, value in examples.inputs.items()}
    return Examples(inputs, examples.targets.to(device))


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
