"""What trainers whose worker processes collect experience share."""

from __future__ import annotations

import json
import multiprocessing
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Any, Protocol, Self

import safetensors.torch
import torch
from torch import Tensor

from colonnade.errors import UsageError
from colonnade.learners.acting.collector import Collector, Share
from colonnade.learners.acting.sampling import whole_episodes
from colonnade.learners.compute import device_for
from colonnade.learners.processes.parameters import SharedParameters
from colonnade.learners.processes.workers import Report, Work, Workers
from colonnade.learners.trainer import (
    Advance,
    Lesson,
    Policy,
    RolloutConfig,
    Stateful,
    Streams,
    prefixed,
    under,
)
from colonnade.memory_layout import settled
from colonnade.seeding import globals_state, load_globals_state, seed_globals
from colonnade.types import Episode, Metrics, Rollout, environments_of


def unwatched(learner: str) -> UsageError:
    """Explain that contexts can't be recognised where workers play."""
    return UsageError(
        f"Contexts are recognised in the process that learns, but {learner}'s workers play in "
        "processes of their own; use 'a2c' or 'ppo' with one worker, or 'dqn', or true labels."
    )


class WorkerConfig(RolloutConfig, Protocol):
    """A learner whose workers collect rollouts."""

    @property
    def workers(self) -> int:
        """How many processes."""
        ...

    @property
    def clip_norm(self) -> float:
        """Largest norm of a gradient."""
        ...


class WorkerTrainer(ABC):
    """Worker processes that each play an equal share of a task's environments, on one thread.

    Between calls of `advance` the workers rest and the parameters stand still: that is when a
    method is told of episodes and when checkpoints are taken. The workers are forks of this process
    made by the first `advance`. What a method changes later reaches them only through the
    parameters and buffers of the network, which are shared memory.
    """

    optimisation: Stateful
    may_lose_workers = False
    """Whether nobody takes the place of a worker that died."""

    def __init__(self, config: WorkerConfig, lesson: Lesson) -> None:
        """Move the network to shared memory; call `begin` before use.

        Raises:
            UsageError: The device, the system or the number of environments doesn't suit.
        """
        learner, workers = type(config).__name__, config.workers
        compute, num_envs = lesson.compute, lesson.num_envs
        device_for(config, str(compute.device))
        if "fork" not in multiprocessing.get_all_start_methods():
            raise UsageError(
                f"{learner}'s workers need a system that can fork processes; use 'a2c' or 'ppo' "
                "with one worker."
            )
        if num_envs % workers:
            raise UsageError(
                f"{learner} shares environments out equally, but {num_envs} can't be split among "
                f"{workers} workers; make num_envs a multiple of that."
            )
        self._task = environments_of(lesson.task)
        self._config = config
        self.likelihood = partial(config.likelihood, spec=lesson.task.spec)
        self._network, self._penalty, self._compute = lesson.network, lesson.penalty, compute
        self._num_envs = num_envs
        self._envs_per_worker = num_envs // workers
        self._shared = SharedParameters(lesson.network)
        self._count = workers
        self._running: Workers | None = None
        self._streams: Streams
        self._restored: list[bytes] = []

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
        if self._running is not None:
            self._running.close() if error is None else self._running.kill()
        self._shared.release()

    def begin(self, streams: Streams) -> None:
        """Prepare to begin episodes in new workers, with seeded random streams."""
        self._streams = streams

    @property
    def _workers(self) -> Workers:
        if self._running is None:
            self._running = Workers(self._count, self._worker, replace=not self.may_lose_workers)
        return self._running

    def _notes(self) -> list[str]:
        """Return what happened to workers since the last call."""
        notes, self._workers.notes = self._workers.notes, []
        return notes

    @abstractmethod
    def advance(self) -> Advance:
        """Let the workers play, and learn from it."""

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the optimiser's state, and where each worker stands."""
        tensors, meta = self.optimisation.state()
        states = self._workers.states()
        workers = {
            str(index): torch.frombuffer(bytearray(state), dtype=torch.uint8)
            for index, state in enumerate(states)
        }
        return prefixed("optimisation/", tensors) | prefixed("workers/", workers), meta

    def load_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Go on from a state that `state` gave; workers do with the first `advance`."""
        self.optimisation.load_state(under("optimisation/", tensors), meta)
        states = under("workers/", tensors)
        self._restored = [states[str(i)].numpy().tobytes() for i in range(len(states))]

    @abstractmethod
    def _learn(self, collector: Collector, worker: int) -> tuple[int, Metrics]:
        """Collect a rollout and do a worker's part of learning from it, in its process.

        Returns:
            How many agent steps, and the metrics of the update.
        """

    def samples(self) -> Generator[Rollout]:
        """Yield steps of whole episodes, played in this process, without learning."""
        generator = torch.Generator().manual_seed(self._streams("actions of samples"))
        return whole_episodes(
            self._task,
            self._network,
            self._policy(generator),
            self._compute,
            seed=self._streams("environments of samples"),
            num_envs=self._num_envs,
        )

    def _policy(self, generator: torch.Generator) -> Policy:
        return self._config.policy(self._network, self._task.spec, self._compute, generator)

    @contextmanager
    def _worker(self, index: int, attempt: int) -> Iterator[Work]:
        """Prepare a worker's work, in its own process."""
        # The first worker has the streams of A2C; one that replaces another must repeat nobody.
        suffix = f" of worker {index}, start {attempt}" if index or attempt else ""
        suffix += f", after {self._taken()} steps" if attempt else ""
        torch.set_num_threads(1)
        generator = torch.Generator().manual_seed(self._streams(f"actions{suffix}"))
        seed_globals(self._streams(f"learning{suffix}"))
        with Collector(
            self._task,
            self._network,
            self._policy(generator),
            self._compute,
            steps=self._config.rollout_steps,
            num_envs=self._envs_per_worker,
            share=Share(index * self._envs_per_worker, self._num_envs),
            resumable=True,
        ) as collector:
            collector.begin(self._streams(f"environments{suffix}"))
            if self._restored and not attempt:
                _go_on(collector, generator, self._restored[index])
            yield Work(
                partial(self._report, collector, index), partial(_whereabouts, collector, generator)
            )

    def _taken(self) -> int:
        """Say how many agent steps have been learned from, where workers are replaced."""
        return 0

    def _work(self, orders: int) -> list[Report]:
        """Hand out so many orders, and return what the workers report, in their order."""
        left = iter(range(orders))
        reports = self._workers.run(lambda: next(left, None) is not None)
        return sorted(reports, key=lambda report: report.worker)

    def _report(self, collector: Collector, worker: int) -> Report:
        """Collect a rollout, do a worker's part of learning from it, and say what it came to."""
        steps, metrics = self._learn(collector, worker)
        episodes, collector.episodes = collector.episodes, []
        notes, collector.notes = collector.notes, []
        found = {name: float(value) for name, value in metrics.items()}
        return Report(worker, steps, found, episodes, notes)


def _whereabouts(collector: Collector, generator: torch.Generator) -> bytes:
    """Say where a worker stands: its experience under way and its random streams."""
    tensors, meta = collector.state()
    tensors = {name: value.contiguous() for name, value in tensors.items()}
    meta["random"] = globals_state()
    # Bytes go through the pipe; tensors would go through shared memory that a kill leaves behind.
    return safetensors.torch.save(
        tensors | {"generator": generator.get_state()}, {"meta": json.dumps(meta)}
    )


def _go_on(collector: Collector, generator: torch.Generator, state: bytes) -> None:
    """Return to where a worker stood."""
    tensors = {name: settled(value) for name, value in safetensors.torch.load(state).items()}
    size = int.from_bytes(state[:8], "little")
    meta = json.loads(json.loads(state[8 : 8 + size])["__metadata__"]["meta"])
    generator.set_state(tensors.pop("generator"))
    collector.load_state(tensors, meta)
    load_globals_state(meta["random"])


def mean_metrics(reports: list[dict[str, float]]) -> Metrics:
    """Average metrics over the reports that have them."""
    names = dict.fromkeys(name for report in reports for name in report)
    values = {name: [report[name] for report in reports if name in report] for name in names}
    return {name: torch.tensor(value).mean() for name, value in values.items()}


def heard(reports: list[Report]) -> tuple[list[Episode], list[str]]:
    """Put together the episodes of several workers, by when they ended, and their notes."""
    episodes = [episode for report in reports for episode in report.episodes]
    episodes.sort(key=lambda episode: (episode.step, episode.environment))
    return episodes, [note for report in reports for note in report.notes]
