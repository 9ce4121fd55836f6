"""What trainers whose worker processes collect experience share."""

from __future__ import annotations

import multiprocessing
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor

from colonnade.errors import UsageError
from colonnade.learners.actor_critic import actor_critic_policy, policy_of
from colonnade.learners.collection import Collector, Share
from colonnade.learners.compute import Compute
from colonnade.learners.shared_parameters import SharedParameters
from colonnade.learners.trainer import Advance, Streams
from colonnade.learners.workers import Report, Workers
from colonnade.ops import MultiCategorical
from colonnade.types import Metrics, Network, Penalty, Rollout, Task, environments_of


class WorkerTrainer(ABC):
    """Worker processes that each play an equal share of a task's environments, on one thread.

    Between calls of `advance` the workers rest and the parameters stand still: that is when a
    method is told of episodes and when checkpoints are taken. The workers of a segment are forks
    of this process made by `reset`. What a method changes later reaches them only through the
    parameters and buffers of the network, which are shared memory.
    """

    def __init__(
        self,
        learner: str,
        task: Task,
        network: Network,
        penalty: Penalty,
        compute: Compute,
        *,
        workers: int,
        num_envs: int,
        rollout_steps: int,
    ) -> None:
        """Move the network to shared memory; `reset` starts the workers.

        Raises:
            UsageError: The device, the system or the number of environments doesn't suit.
        """
        if compute.device.type != "cpu":
            raise UsageError(
                f"{learner}'s workers share the memory of the processor, but the device is "
                f"{str(compute.device)!r}; choose device 'cpu', or learner 'a2c' with one worker."
            )
        if "fork" not in multiprocessing.get_all_start_methods():
            raise UsageError(
                f"{learner}'s workers need a system that can fork processes; use the learner 'a2c' "
                "with one worker."
            )
        if num_envs % workers:
            raise UsageError(
                f"{learner} shares environments out equally, but {num_envs} can't be split among "
                f"{workers} workers; make num_envs a multiple of that."
            )
        self._task = environments_of(task)
        self._network = network
        self._penalty = penalty
        self._compute = compute
        self._num_envs = num_envs
        self._envs_per_worker = num_envs // workers
        self._rollout_steps = rollout_steps
        self._shared = SharedParameters(network)
        self._count = workers
        self._workers: Workers | None = None
        self._streams: Streams
        self._sampling = ExitStack()

    def __enter__(self) -> Self:
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
        torch.manual_seed(streams("learning"))  # what the method draws after training
        self._workers = Workers(self._count, self._worker)

    @abstractmethod
    def advance(self) -> Advance:
        """Let the workers play, and learn from it."""

    @abstractmethod
    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return what a checkpoint must keep beside the network."""

    @abstractmethod
    def load_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Return to a state that `state` gave."""

    @abstractmethod
    def _learn(self, collector: Collector, worker: int) -> tuple[int, Metrics]:
        """Collect a rollout and do a worker's part of learning from it, in its process.

        Returns:
            How many agent steps, and the metrics of the update.
        """

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

    def _collector(self, generator: torch.Generator, num_envs: int, share: Share) -> Collector:
        sizes = self._task.spec.action_sizes
        policy = actor_critic_policy(self._network, sizes, self._compute, generator)
        return Collector(
            self._task,
            self._network,
            policy,
            self._compute,
            steps=self._rollout_steps,
            num_envs=num_envs,
            share=share,
        )

    @contextmanager
    def _worker(self, index: int, attempt: int) -> Iterator[Callable[[], Report]]:
        """Prepare a worker's work, in its own process."""
        # The first worker has the streams of A2C; one that replaces another must not repeat it.
        suffix = f" of worker {index}, start {attempt}" if index or attempt else ""
        torch.set_num_threads(1)
        generator = torch.Generator()
        share = Share(index * self._envs_per_worker, self._num_envs)
        with self._collector(generator, self._envs_per_worker, share) as collector:
            generator.manual_seed(self._streams(f"actions{suffix}"))
            torch.manual_seed(self._streams(f"learning{suffix}"))
            collector.reset(self._streams(f"environments{suffix}"))
            yield partial(self._report, collector, index)

    def _report(self, collector: Collector, worker: int) -> Report:
        """Collect a rollout, do a worker's part of learning from it, and say what it came to."""
        steps, metrics = self._learn(collector, worker)
        episodes, collector.episodes = collector.episodes, []
        found = {name: float(value) for name, value in metrics.items()}
        return Report(worker, steps, found, episodes)


def mean_metrics(reports: list[dict[str, float]]) -> Metrics:
    """Average metrics over the reports that have them."""
    names = dict.fromkeys(name for report in reports for name in report)
    values = {name: [report[name] for report in reports if name in report] for name in names}
    return {name: torch.tensor(value).mean() for name, value in values.items()}
