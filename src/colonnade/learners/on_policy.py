"""Training on fresh experience: collect a rollout, learn from it, collect the next."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from colonnade.learners.acting.collector import Collector
from colonnade.learners.acting.recent import RecentSteps
from colonnade.learners.acting.sampling import whole_episodes
from colonnade.learners.descent.optimisation import Optimisation
from colonnade.learners.trainer import (
    Advance,
    Lesson,
    Policy,
    RolloutConfig,
    Streams,
    prefixed,
    under,
)
from colonnade.seeding import MOVED, restore
from colonnade.types import (
    Metrics,
    Penalty,
    Rollout,
    environments_of,
)


def recent_steps(lesson: Lesson) -> RecentSteps | None:
    """Make the memory of an on-policy learner, where nobody says when tasks change."""
    return None if lesson.told else RecentSteps()


class OnPolicyLearner(Protocol):
    """Learns from rollouts of its own policy."""

    optimisation: Optimisation

    def update(self, rollout: Rollout, penalty: Penalty) -> Metrics:
        """Learn from a rollout."""
        ...


class OnPolicyTrainer:
    """A learner and the environments that it acts in."""

    may_lose_workers = False

    def __init__(self, config: RolloutConfig, lesson: Lesson, learner: OnPolicyLearner) -> None:
        """Make the environments; call `begin` before use."""
        self._config, self._lesson, self._learner = config, lesson, learner
        self._task = environments_of(lesson.task)
        self._generator = torch.Generator(lesson.compute.device)
        self._streams: Streams
        self._collector = Collector(
            self._task,
            lesson.network,
            self._policy(self._generator),
            lesson.compute,
            steps=config.rollout_steps,
            num_envs=lesson.num_envs,
            threads=lesson.threads,
            resumable=True,
            watch=lesson.watch,
        )
        self._recent = lesson.memory if isinstance(lesson.memory, RecentSteps) else None
        self.likelihood = partial(config.likelihood, spec=lesson.task.spec)

    def _policy(self, generator: torch.Generator) -> Policy:
        lesson = self._lesson
        return self._config.policy(lesson.network, lesson.task.spec, lesson.compute, generator)

    def __enter__(self) -> OnPolicyTrainer:
        """Return the trainer."""
        return self

    def __exit__(self, *exception: Any) -> None:
        """Close the environments."""
        self._collector.__exit__(*exception)

    def begin(self, streams: Streams) -> None:
        """Begin episodes with seeded random streams."""
        self._streams = streams
        self._generator.manual_seed(streams("actions"))
        self._collector.begin(streams("environments"))

    def advance(self) -> Advance:
        """Collect a rollout and learn from it."""
        rollout = self._collector.collect()
        metrics = self._learner.update(rollout, self._lesson.penalty)
        if self._recent is not None:
            self._recent.add(rollout)
        episodes, self._collector.episodes = self._collector.episodes, []
        notes, self._collector.notes = self._collector.notes, []
        return Advance(rollout.steps, metrics, episodes, notes)

    def samples(self) -> Generator[Rollout]:
        """Yield steps of whole episodes, without learning; or those that the memory holds."""
        if self._recent is not None:
            return self._recent.samples(self._streams("samples of recent steps"))
        generator = torch.Generator(self._lesson.compute.device)
        generator.manual_seed(self._streams("actions of samples"))
        return whole_episodes(
            self._task,
            self._lesson.network,
            self._policy(generator),
            self._lesson.compute,
            seed=self._streams("environments of samples"),
            num_envs=self._lesson.num_envs,
        )

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the optimiser's state, that of the random stream, and the experience under way."""
        tensors, meta = self._learner.optimisation.state()
        experience, place = self._collector.state()
        return (
            prefixed("optimisation/", tensors)
            | prefixed("experience/", experience)
            | {"actions": self._generator.get_state()},
            {"optimisation": meta, "experience": place},
        )

    def load_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Go on from a state that `state` gave."""
        self._learner.optimisation.load_state(under("optimisation/", tensors), meta["optimisation"])
        self._collector.load_state(under("experience/", tensors), meta["experience"])
        if not restore(self._generator, tensors["actions"]):
            self._collector.notes.append(MOVED)
