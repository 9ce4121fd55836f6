"""Asynchronous advantage actor-critic (Mnih et al. 2016), as both progressive papers train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from colonnade.learners.a2c import A2C, a2c_loss
from colonnade.learners.acting.collector import Collector
from colonnade.learners.compute import Compute
from colonnade.learners.processes.rmsprop import SharedRMSProp
from colonnade.learners.processes.trainer import WorkerTrainer, mean_metrics, when_it_ended
from colonnade.learners.trainer import Advance
from colonnade.types import Metrics, Network, Penalty, Task

_ADVANCE_STEPS = 4096
"""Agent steps that several workers take before they rest: many, since the first to finish waits."""


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
        """Move the network to shared memory; call `begin` before use.

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
        # What a single worker does hangs on no timing, and is done again to the digit.
        self.may_lose_workers = config.workers == 1
        self._optimizer = SharedRMSProp(self._shared, config, task.spec.steps, config.workers)

    def advance(self) -> Advance:
        """Let the workers learn: one rollout of a single worker, or several for `_ADVANCE_STEPS`.

        How many is a matter of steps and not of seconds, so that what a method does between two
        calls, as evolution does, follows the steps on any machine. The task's budget is passed by
        less than a rollout of each worker.
        """
        before = self._optimizer.taken
        rollout_steps = self._config.rollout_steps * self._envs_per_worker
        left = self._task.spec.steps - before
        wanted = min(left, _ADVANCE_STEPS) if self._config.workers > 1 else 1
        orders = iter(range(max(1, -(-wanted // rollout_steps))))
        reports = self._workers.run(lambda: next(orders, None) is not None)
        episodes = sorted((e for report in reports for e in report.episodes), key=when_it_ended)
        notes = [note for report in reports for note in report.notes]
        return Advance(
            # What a worker that died had learned is in the weights and counts.
            self._optimizer.taken - before,
            mean_metrics([report.metrics for report in reports]),
            episodes,
            notes + self._notes(),
        )

    def optimiser_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the optimiser's statistics and its count of steps."""
        return self._optimizer.state()

    def load_optimiser_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Return to a state that `optimiser_state` gave."""
        self._optimizer.load_state(tensors, meta)

    def _taken(self) -> int:
        return self._optimizer.taken

    def _learn(self, collector: Collector, worker: int) -> tuple[int, Metrics]:
        """Take one asynchronous step, in a worker's process (Mnih et al. 2016, Alg. S3)."""
        self._shared.pull()
        own, before = collector.taken, self._optimizer.taken
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
        # While this worker took its steps the others took theirs.
        pace = (self._optimizer.taken - before) / len(rollout.rewards)
        collector.episodes = [
            e._replace(step=before + round(pace * (e.step // self._num_envs - own)))
            for e in collector.episodes
        ]
        return rollout.steps, metrics
