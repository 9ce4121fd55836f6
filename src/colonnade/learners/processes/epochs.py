"""Several gradient steps on each rollout, taken by several processes together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from colonnade.learners.acting.collector import Collector
from colonnade.learners.acting.policies import advantages_of
from colonnade.learners.compute import Compute
from colonnade.learners.descent.backward import Pass
from colonnade.learners.descent.optimisation import Optimisation
from colonnade.learners.processes.parameters import SharedBuffers, SharedGradients, shared_copy
from colonnade.learners.processes.trainer import (
    WorkerConfig,
    WorkerTrainer,
    heard,
    mean_metrics,
)
from colonnade.learners.trainer import Advance, Lesson
from colonnade.types import Metrics, Network, Penalty, Rollout, TaskSpec


class EpochsConfig(WorkerConfig, Protocol):
    """A learner that goes through each rollout several times, in minibatches."""

    @property
    def gamma(self) -> float:
        """Discount factor."""
        ...

    @property
    def lam(self) -> float:
        """Decay of generalised advantage estimation."""
        ...

    @property
    def epochs(self) -> int:
        """Passes over each rollout."""
        ...

    @property
    def minibatches(self) -> int:
        """Parts a rollout is split into."""
        ...

    def size(self, steps: int, environments: int, recurrent: bool) -> int:
        """Say how many, of steps or of environments, are split into minibatches."""
        ...

    def orders(self, size: int) -> Tensor:
        """Draw in which order each epoch goes through a rollout: [epochs, size]."""
        ...

    def split(
        self,
        network: Network,
        rollout: Rollout,
        orders: Tensor,
        spec: TaskSpec,
        compute: Compute,
        advantages: Tensor | None = None,
        worker: int = 0,
    ) -> Iterator[Any]:
        """Split a worker's rollout into minibatches."""
        ...

    def differentiate(
        self, through: Pass, minibatch: Any, spec: TaskSpec, penalty: Penalty
    ) -> tuple[Any, Tensor | None]:
        """Set the gradient of the loss of a minibatch; return what `losses` takes, the penalty."""
        ...

    def losses(self, judged: Sequence[Any], spec: TaskSpec) -> Metrics:
        """Average the parts of the loss over minibatches."""
        ...


class EpochsTrainer(WorkerTrainer):
    """Worker processes that learn one task in step, going through each rollout several times.

    Each collects a rollout in its share of the environments and hands its advantages round. Then,
    minibatch by minibatch, each takes the gradient of the loss on its part, and this process steps
    along their mean. That is, up to rounding, the step of one process with all the environments;
    where the network is recurrent, of one whose minibatches hold as many environments of each
    worker. A worker that dies is not replaced, as in `DataParallelTrainer`.
    """

    optimisation: Optimisation
    may_lose_workers = True

    def __init__(self, config: EpochsConfig, lesson: Lesson, optimisation: Optimisation) -> None:
        """Move the network to shared memory; call `begin` before use.

        Raises:
            UsageError: The device, the system or the number of environments doesn't suit.
        """
        super().__init__(config, lesson)
        self._epochs, self.optimisation = config, optimisation
        self._gradients = SharedGradients(self._shared.parameters, config.workers)
        self._moving = SharedBuffers(lesson.network)
        shape = config.rollout_steps, self._envs_per_worker
        size = config.size(*shape, bool(lesson.network.initial_state(lesson.num_envs)))
        self._advantages = shared_copy(torch.zeros(config.workers, *shape))
        self._orders = shared_copy(torch.zeros(config.epochs, size, dtype=torch.int64))
        self._through: Pass
        self._minibatches: Iterator[Any] = iter(())  # in a worker: those left of its rollout
        self._left = 0

    def advance(self) -> Advance:
        """Let every worker collect a rollout, and take a gradient step for each minibatch."""
        config, descent = self._epochs, self.optimisation
        self._orders.copy_(config.orders(self._orders.shape[1]))
        collected = self._work(self._count)
        steps = sum(report.steps for report in collected)
        descent.anneal(steps)
        found = []
        for _ in range(config.epochs * config.minibatches):
            metrics = mean_metrics([report.metrics for report in self._work(self._count)])
            self._gradients.take()
            self._moving.publish()
            metrics["gradient_norm"] = clip_grad_norm_(descent.parameters, config.clip_norm)
            descent.optimizer.step()
            found.append({name: float(value) for name, value in metrics.items()})
        return Advance(steps, mean_metrics(found), *heard(collected))

    def _learn(self, collector: Collector, worker: int) -> tuple[int, Metrics]:
        """Collect a rollout, or take the gradient of the next minibatch of the last one."""
        config, spec = self._epochs, self._task.spec
        if not self._left:
            rollout = collector.collect()
            self._advantages[worker].copy_(advantages_of(rollout, config.gamma, config.lam))
            self._left = config.epochs * config.minibatches
            self._through = Pass(self._network, self._compute)
            # Nothing is read before the first minibatch is asked for, when all have collected.
            self._minibatches = config.split(
                self._network,
                rollout,
                self._orders,
                spec,
                self._compute,
                self._advantages,
                worker,
            )
            return rollout.steps, {}
        self._left -= 1
        with self._moving.apart(worker):
            minibatch = next(self._minibatches)
            self.optimisation.optimizer.zero_grad()
            judged, held = config.differentiate(self._through, minibatch, spec, self._penalty)
        self._gradients.give(worker)
        return 0, ({} if held is None else {"penalty": held}) | config.losses([judged], spec)
