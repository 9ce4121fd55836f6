"""Synchronous learning over several processes: each plays and differentiates a share."""

from __future__ import annotations

from typing import Protocol

from torch.nn.utils import clip_grad_norm_

from colonnade.learners.acting.collector import Collector
from colonnade.learners.descent.backward import Pass
from colonnade.learners.descent.optimisation import Optimisation
from colonnade.learners.processes.parameters import SharedBuffers, SharedGradients
from colonnade.learners.processes.trainer import (
    WorkerConfig,
    WorkerTrainer,
    heard,
    mean_metrics,
)
from colonnade.learners.trainer import Advance, Lesson
from colonnade.types import Metrics, Penalty, Rollout, TaskSpec


class GradientConfig(WorkerConfig, Protocol):
    """A learner that takes a gradient of each rollout; its loss is a mean over environments."""

    def differentiate(
        self, through: Pass, rollout: Rollout, spec: TaskSpec, penalty: Penalty
    ) -> Metrics:
        """Set the gradient of the loss of a rollout; return its parts."""
        ...


class DataParallelTrainer(WorkerTrainer):
    """Worker processes that learn one task in step.

    Each collects a rollout in its share of the environments and takes the gradient of the loss on
    it; this process waits for all, and steps along their mean. That is, up to rounding, the step
    of one process with all the environments: nothing is stale and nothing hangs on timing. Nobody
    can take the place of a worker that died in the middle of a step, so training returns to its
    last checkpoint then, and goes through the same numbers again.
    """

    optimisation: Optimisation
    may_lose_workers = True

    def __init__(self, config: GradientConfig, lesson: Lesson, optimisation: Optimisation) -> None:
        """Move the network to shared memory; call `begin` before use.

        Raises:
            UsageError: The device, the system or the number of environments doesn't suit.
        """
        super().__init__(config, lesson)
        self._differentiate, self.optimisation = config.differentiate, optimisation
        self._gradients = SharedGradients(self._shared.parameters, config.workers)
        self._moving = SharedBuffers(lesson.network)

    def advance(self) -> Advance:
        """Take one gradient step, on a rollout of every worker."""
        reports = self._work(self._count)
        steps = sum(report.steps for report in reports)
        self._gradients.take()
        self._moving.publish()
        descent = self.optimisation
        descent.anneal(steps)
        metrics = mean_metrics([report.metrics for report in reports])
        metrics["gradient_norm"] = clip_grad_norm_(descent.parameters, self._config.clip_norm)
        descent.optimizer.step()
        return Advance(steps, metrics, *heard(reports))

    def _learn(self, collector: Collector, worker: int) -> tuple[int, Metrics]:
        rollout = collector.collect()
        with self._moving.apart(worker):
            self.optimisation.clear()
            through = Pass(self._network, self._compute)
            metrics = self._differentiate(through, rollout, self._task.spec, self._penalty)
        self._gradients.give(worker)
        return rollout.steps, metrics
