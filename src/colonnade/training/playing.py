"""Playing a context that may not move any more, for as long as it lasts."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from colonnade.learners import Acting, Advance, Collector, Lesson, Streams, prefixed, under
from colonnade.seeding import MOVED, restore
from colonnade.types import Batch, environments_of

_STEPS = 16
"""Steps of each environment between two looks at the recogniser's verdict."""


class Playing:
    """Plays a network as it is, so that what comes next is seen; a `Trainer` without learning."""

    may_lose_workers = False

    def __init__(self, config: Acting, lesson: Lesson) -> None:
        """Make the environments; call `begin` before use."""
        spec, compute = lesson.task.spec, lesson.compute
        self._generator = torch.Generator(compute.device)
        self.likelihood = partial(config.likelihood, spec=spec)
        self._collector = Collector(
            environments_of(lesson.task),
            lesson.network,
            config.policy(lesson.network, spec, compute, self._generator),
            compute,
            steps=_STEPS,
            num_envs=lesson.num_envs,
            threads=lesson.threads,
            resumable=True,
            watch=lesson.watch,
        )

    def __enter__(self) -> Playing:
        """Return the player."""
        return self

    def __exit__(self, *exception: Any) -> None:
        """Close the environments."""
        self._collector.__exit__(*exception)

    def begin(self, streams: Streams) -> None:
        """Begin episodes with seeded random streams."""
        self._generator.manual_seed(streams("actions"))
        self._collector.begin(streams("environments"))

    def advance(self) -> Advance:
        """Play a bit."""
        rollout = self._collector.collect()
        episodes, self._collector.episodes = self._collector.episodes, []
        notes, self._collector.notes = self._collector.notes, []
        return Advance(rollout.steps, {}, episodes, notes)

    def samples(self) -> Generator[Batch]:
        """Yield nothing: nothing is consolidated where nothing was learned."""
        yield from ()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the experience under way, and the random stream."""
        experience, place = self._collector.state()
        tensors = prefixed("experience/", experience) | {"actions": self._generator.get_state()}
        return tensors, {"experience": place}

    def load_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Go on from a state that `state` gave."""
        self._collector.load_state(under("experience/", tensors), meta["experience"])
        if not restore(self._generator, tensors["actions"]):
            self._collector.notes.append(MOVED)
