"""Asynchronous advantage actor-critic (Mnih et al. 2016), as both progressive papers train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from colonnade.learners.a2c import A2C
from colonnade.learners.acting.collector import Collector
from colonnade.learners.descent.backward import Pass
from colonnade.learners.descent.optimisation import clip_gradient
from colonnade.learners.descent.rmsprop import rmsprop_step
from colonnade.learners.on_policy import OnPolicyTrainer
from colonnade.learners.processes.parameters import SharedParameters, shared_copy
from colonnade.learners.processes.trainer import (
    WorkerTrainer,
    heard,
    mean_metrics,
    unwatched,
)
from colonnade.learners.trainer import Advance, Lesson, Trainer
from colonnade.tasks.gym.real_time import in_real_time
from colonnade.types import Metrics

_ADVANCE_STEPS = 4096
"""Agent steps that several workers take before they rest: many, since the first to finish waits."""


@dataclass(frozen=True)
class A3C(A2C):
    """Hyperparameters of A3C: A2C's, which hold for each worker's updates, and the workers."""

    workers: int = 2
    """Processes that act and learn, each with an equal share of the environments and one thread;
    one is the single-threaded A2C of Rusu et al. 2017."""

    @property
    def on_processor(self) -> bool:
        """Whether it learns in the processor's memory alone, which its workers share."""
        return True

    def memory(self, lesson: Lesson) -> None:
        """Keep nothing.

        Raises:
            UsageError: Nobody says when tasks change: its workers show nobody what they see.
        """
        if not lesson.told:
            raise unwatched("A3C")

    def trainer(self, lesson: Lesson) -> Trainer:
        """Prepare workers for a task; each has one thread, whatever the lesson says.

        A robot, of which there is one, is one process's: it learns as A2C does, which is the same.
        """
        if self.workers == 1 and in_real_time(lesson.task):
            learner = self.build(lesson.network, lesson.spec, lesson.compute)
            return OnPolicyTrainer(self, lesson, learner)
        return A3CTrainer(self, lesson)


class A3CTrainer(WorkerTrainer):
    """Worker processes that learn one task together.

    Each worker repeats: copy the shared parameters, collect a rollout with the copy, compute the
    gradient of A2C's loss, apply it to the shared parameters without waiting for anybody. With
    several workers the outcome depends on timing. A single worker takes exactly A2C's steps.
    """

    optimisation: SharedRMSProp

    def __init__(self, config: A3C, lesson: Lesson) -> None:
        """Move the network to shared memory; call `begin` before use.

        Raises:
            UsageError: The device, the system or the number of environments doesn't suit.
        """
        super().__init__(config, lesson)
        self._differentiate = config.differentiate
        # What a single worker does hangs on no timing, and is done again to the digit.
        self.may_lose_workers = config.workers == 1
        self._budget = lesson.spec.steps
        self.optimisation = SharedRMSProp(self._shared, config, self._budget)

    def advance(self) -> Advance:
        """Let the workers learn: one rollout of a single worker, or several for `_ADVANCE_STEPS`.

        How many is a matter of steps and not of seconds, so that what a method does between two
        calls, as evolution does, follows the steps on any machine. The task's budget is passed by
        less than a rollout of each worker.
        """
        before = self.optimisation.taken
        rollout_steps = self._config.rollout_steps * self._envs_per_worker
        left = self._budget - before
        wanted = min(left, _ADVANCE_STEPS) if self._config.workers > 1 else 1
        reports = self._work(max(1, -(-wanted // rollout_steps)))
        episodes, notes = heard(reports)
        return Advance(
            # What a worker that died had learned is in the weights and counts.
            self.optimisation.taken - before,
            mean_metrics([report.metrics for report in reports]),
            episodes,
            notes + self._notes(),
        )

    def _taken(self) -> int:
        return self.optimisation.taken

    def _learn(self, collector: Collector, worker: int) -> tuple[int, Metrics]:
        """Take one asynchronous step, in a worker's process (Mnih et al. 2016, Alg. S3)."""
        config, shared, statistics = self._config, self._shared, self.optimisation
        shared.pull()
        own, before = collector.taken, statistics.taken
        rollout = collector.collect()
        # Gradients live in this process alone and begin anew each time. Handing them to shared
        # parameters once and relying on that tie, as some code does, sums them up from the second
        # update on: zero_grad drops the tie, and what it leaves behind is added to.
        for parameter in shared.parameters:
            parameter.grad = None
        through = Pass(self._network, self._compute)
        metrics = self._differentiate(through, rollout, self._task.spec, self._penalty)
        shared.buffers.settle()
        rate = statistics.anneal(worker, rollout.steps)
        metrics["gradient_norm"] = clip_gradient(shared.parameters, config.clip_norm)
        statistics.step(rate)
        # While this worker took its steps the others took theirs.
        pace = (statistics.taken - before) / len(rollout.rewards)
        collector.episodes = [
            e._replace(step=before + round(pace * (e.step // self._num_envs - own)))
            for e in collector.episodes
        ]
        return rollout.steps, metrics


class SharedRMSProp:
    """The statistics of A3C's RMSProp, and the count of steps taken, in shared memory.

    The updates of several workers interleave as they come (Recht et al. 2011, "Hogwild!"): now and
    then one is lost, in some elements, to another of the same moment.
    """

    def __init__(self, shared: SharedParameters, config: A3C, budget: int) -> None:
        """Begin without statistics.

        Args:
            shared: The parameters that change.
            config: Learning rate, whether it is annealed, and what RMSProp needs.
            budget: Agent steps over which the learning rate falls to zero, if it does.
        """
        self._shared = shared
        self._config = config
        self._budget = budget
        start = config.mean_square_start
        self._mean_squares = [shared_copy(torch.full_like(v, start)) for v in shared.values]
        # A place for each worker, so that counting needs no lock that a dying worker might hold.
        self._taken = shared_copy(torch.zeros(config.workers, dtype=torch.int64))

    @property
    def taken(self) -> int:
        """Agent steps learned from, by all workers together."""
        return int(self._taken.sum())

    def anneal(self, worker: int, steps: int) -> float:
        """Count a worker's agent steps to come, and return the learning rate for them."""
        left = max(0.0, 1.0 - self.taken / self._budget) if self._config.anneal else 1.0
        self._taken[worker] += steps
        return self._config.learning_rate * left

    def step(self, rate: float) -> None:
        """Move the shared parameters along this process's gradients (section "Optimization")."""
        rmsprop_step(
            self._shared.values,
            [parameter.grad for parameter in self._shared.parameters],
            self._mean_squares,
            lr=rate,
            decay=self._config.decay,
            epsilon=self._config.epsilon,
        )

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the mean squares as "parameter|square_avg", and the count of steps."""
        named = zip(self._shared.names, self._mean_squares, strict=True)
        return {f"{name}|square_avg": value for name, value in named}, {"taken": self.taken}

    def load_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Return to a state that `state` gave."""
        for name, value in zip(self._shared.names, self._mean_squares, strict=True):
            value.copy_(tensors[f"{name}|square_avg"])
        self._taken.zero_()
        self._taken[0] = meta["taken"]
