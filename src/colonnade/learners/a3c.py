"""Asynchronous advantage actor-critic (Mnih et al. 2016), as both progressive papers train."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from types import TracebackType

import torch
from torch import Tensor

from colonnade.errors import UsageError
from colonnade.learners.a2c import A2C, a2c_loss
from colonnade.learners.a3c_shared import SharedParameters
from colonnade.learners.a3c_workers import Report, Workers
from colonnade.learners.actor_critic import actor_critic_policy, policy_of
from colonnade.learners.collection import Collector, Share
from colonnade.learners.compute import Compute
from colonnade.learners.hyperparameters import UNBOUNDED, check_ranges
from colonnade.learners.trainer import Advance, Streams
from colonnade.ops import MultiCategorical
from colonnade.types import Metrics, Network, Penalty, Rollout, Task, environments_of

_ADVANCE_SECONDS = 1.0
"""How long several workers run before they rest; long, since the first to finish then waits."""


@dataclass(frozen=True)
class A3C(A2C):
    """Hyperparameters of A3C: A2C's, which hold for each worker's updates, and the workers."""

    workers: int = 2
    """Processes that act and learn, each with an equal share of the environments and one thread;
    one is the single-threaded A2C of Rusu et al. 2017."""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        super().__post_init__()
        check_ranges(self, {"workers": (1, UNBOUNDED)})

    def trainer(  # type: ignore[override]  # a trainer of another kind, of the same protocol
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


class A3CTrainer:
    """Worker processes that learn one task together.

    Each worker repeats: copy the shared parameters, collect a rollout with the copy, compute the
    gradient of A2C's loss, apply it to the shared parameters without waiting for anybody. With
    several workers the outcome depends on timing. A single worker takes exactly A2C's steps.

    Between calls of `advance` the workers rest and the parameters stand still: that is when a
    method is told of episodes and when checkpoints are taken. The workers of a segment are forks
    of this process made by `reset`. What a method changes later reaches them only through the
    parameters and buffers of the network, which are shared memory.
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
        if compute.device.type != "cpu":
            raise UsageError(
                "A3C's workers share the memory of the processor, but the device is "
                f"{str(compute.device)!r}; choose device 'cpu', or the learner 'a2c'."
            )
        if "fork" not in multiprocessing.get_all_start_methods():
            raise UsageError("A3C needs a system that can fork processes; use the learner 'a2c'.")
        if num_envs % config.workers:
            raise UsageError(
                f"A3C shares environments out equally, but {num_envs} can't be split among "
                f"{config.workers} workers; make num_envs a multiple of that."
            )
        self._config = config
        self._task = environments_of(task)
        self._network = network
        self._penalty = penalty
        self._compute = compute
        self._num_envs = num_envs
        self._shared = SharedParameters(network, config, task.spec.steps, config.workers)
        self._workers: Workers | None = None
        self._streams: Streams
        self._sampling = ExitStack()
        self.state = self._shared.state
        self.load_state = self._shared.load_state

    def __enter__(self) -> A3CTrainer:
        """Return the trainer."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the workers, at once if something went wrong."""
        if self._workers is not None:
            self._workers.close() if error is None else self._workers.kill()
        self._sampling.close()
        self._shared.release()

    def reset(self, streams: Streams) -> None:
        """Begin new episodes in new workers, with newly seeded random streams."""
        if self._workers is not None:
            self._workers.close()
        self._streams = streams
        self._workers = Workers(self._config.workers, self._worker)

    def advance(self) -> Advance:
        """Let the workers learn: one rollout of a single worker, or several for a second.

        The task's budget is passed by less than a rollout of each worker.
        """
        assert self._workers is not None, "reset first"
        rollout_steps = self._config.rollout_steps * self._envs_per_worker
        left = self._task.spec.steps - self._shared.taken
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
            _mean([report.metrics for report in reports]),
            [episode for report in reports for episode in report.episodes],
        )

    def samples(self) -> Iterator[Rollout]:
        """Yield rollouts of fresh episodes, collected in this process, without learning."""
        generator = torch.Generator().manual_seed(self._streams("actions of samples"))
        whole = self._collector(generator, self._num_envs, Share(0, self._num_envs))
        collector = self._sampling.enter_context(whole)
        collector.reset(self._streams("environments of samples"))
        while True:
            yield collector.collect()

    def likelihood(self, output: Tensor) -> MultiCategorical:
        """Return the policy that an output [..., outputs] means."""
        return policy_of(output, self._task.spec.action_sizes)

    @property
    def _envs_per_worker(self) -> int:
        return self._num_envs // self._config.workers

    def _collector(self, generator: torch.Generator, num_envs: int, share: Share) -> Collector:
        sizes = self._task.spec.action_sizes
        policy = actor_critic_policy(self._network, sizes, self._compute, generator)
        return Collector(
            self._task,
            self._network,
            policy,
            self._compute,
            steps=self._config.rollout_steps,
            num_envs=num_envs,
            share=share,
        )

    @contextmanager
    def _worker(self, index: int, attempt: int) -> Iterator[Callable[[], Report]]:
        """Prepare a worker's work, in its own process."""
        # The first worker has the streams of A2C; one that replaces another must not repeat it.
        suffix = f" of worker {index}, start {attempt}" if index or attempt else ""
        torch.set_num_threads(1)
        self._shared.localise()
        generator = torch.Generator()
        share = Share(index * self._envs_per_worker, self._num_envs)
        with self._collector(generator, self._envs_per_worker, share) as collector:
            generator.manual_seed(self._streams(f"actions{suffix}"))
            torch.manual_seed(self._streams(f"learning{suffix}"))
            collector.reset(self._streams(f"environments{suffix}"))
            yield partial(self._learn, collector, index)

    def _learn(self, collector: Collector, worker: int) -> Report:
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
        metrics["gradient_norm"] = self._shared.descend(loss, worker, rollout.steps)
        episodes, collector.episodes = collector.episodes, []
        return Report(rollout.steps, {k: float(v) for k, v in metrics.items()}, episodes)


def _mean(reports: list[dict[str, float]]) -> Metrics:
    """Average metrics over the reports that have them."""
    names = dict.fromkeys(name for report in reports for name in report)
    values = {name: [report[name] for report in reports if name in report] for name in names}
    return {name: torch.tensor(value).mean() for name, value in values.items()}
