"""Asynchronous advantage actor-critic (Mnih et al. 2016), as both progressive papers train."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from colonnade.learners.a2c import A2C, a2c_loss
from colonnade.learners.collection import Collector
from colonnade.learners.compute import Compute
from colonnade.learners.shared_rmsprop import SharedRMSProp
from colonnade.learners.trainer import Advance
from colonnade.learners.worker_trainer import WorkerTrainer, mean_metrics
from colonnade.types import Metrics, Network, Penalty, Task

_ADVANCE_SECONDS = 1.0
"""How long several workers run before they rest; long, since the first to finish then waits."""


@dataclass(frozen=True)
class A3C(A2C):
    """Hyperparameters of A3C: A2C's, which hold for each worker's updates, and the workers."""

    workers: int = 2
    """Processes that act and learn, each with an equal share of the environments and one thread;
    one is the single-threaded A2C of Rusu et al. 2017."""

    def trainer(
        self,
        task: Task,
        network: Network,
        penalty: Penalty,
        compute: Compute,
        *,
        num_envs: int = 16,
        threads: int = 1,
    ) -> A3CTrainer:
        """Prepare workers for a task; each has one thread, whatever `threads` says."""
        return A3CTrainer(self, task, network, penalty, compute, num_envs)


class A3CTrainer(WorkerTrainer):
    """Worker processes that learn one task together.

    Each worker repeats: copy the shared parameters, collect a rollout with the copy, compute the
    gradient of A2C's loss, apply it to the shared parameters without waiting for anybody. With
    several workers the outcome depends on timing. A single worker takes exactly A2C's steps.
    """

    def __init__(
        self,
        config: A3C,
        task: Task,
        network: Network,
        penalty: Penalty,
        compute: Compute,
        num_envs: int,
    ) -> None:
        """Move the network to shared memory; `reset` starts the workers.

        Raises:
            UsageError: The device, the system or the number of environments doesn't suit.
        """
        super().__init__(
            "A3C",
            task,
            network,
            penalty,
            compute,
            workers=config.workers,
            num_envs=num_envs,
            rollout_steps=config.rollout_steps,
        )
        self._config = config
        self._optimizer = SharedRMSProp(self._shared, config, task.spec.steps, config.workers)

    def advance(self) -> Advance:
        """Let the workers learn: one rollout of a single worker, or several for a second.

        The task's budget is passed by less than a rollout of each worker.
        """
        assert self._workers is not None, "reset first"
        rollout_steps = self._config.rollout_steps * self._envs_per_worker
        left = self._task.spec.steps - self._optimizer.taken
        until = time.monotonic() + _ADVANCE_SECONDS
        given = 0

        def more() -> bool:
            nonlocal given
            wanted = given == 0 or (
                self._config.workers > 1
                and given * rollout_steps < left
                and time.monotonic() < until
            )
            given += wanted
            return wanted

        reports = self._workers.run(more)
        return Advance(
            sum(report.steps for report in reports),
            mean_metrics([report.metrics for report in reports]),
            [episode for report in reports for episode in report.episodes],
        )

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the optimiser's statistics and its count of steps."""
        return self._optimizer.state()

    def load_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Return to a state that `state` gave."""
        self._optimizer.load_state(tensors, meta)

    def _learn(self, collector: Collector, worker: int) -> tuple[int, Metrics]:
        """Take one asynchronous step, in a worker's process (Mnih et al. 2016, Alg. S3)."""
        self._shared.pull()
        rollout = collector.collect()
        loss, metrics = a2c_loss(
            self._config,
            self._network,
            rollout,
            self._task.spec.action_sizes,
            self._compute,
            self._penalty,
        )
        metrics["gradient_norm"] = self._optimizer.descend(loss, worker, rollout.steps)
        return rollout.steps, metrics
