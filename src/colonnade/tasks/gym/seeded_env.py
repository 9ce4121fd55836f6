"""Gymnasium environments of which an episode follows from its seed and its actions alone."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import VectorWrapper

from colonnade.seeding import derive
from colonnade.tasks.episode_seeds import next_seed
from colonnade.tasks.gym.global_streams import SOURCES, GlobalStreams, snapshot
from colonnade.tasks.gym.probing import AnyEnv, Draws, spaces_of
from colonnade.tasks.places import first_place
from colonnade.tasks.vector import AnyVectorEnv, StepResult

_SPACES = "spaces"
_SEEDABLE = (*SOURCES, _SPACES)

# Nobody else's numbers but theirs tell that an environment drew from these in an episode;
# networks draw from torch's all the time.
_WATCHED = ("random", "numpy.random")


def make_seeded(make: Callable[[], AnyEnv], place: int = 0) -> AnyEnv:
    """Make an environment whose constructor draws from streams of its own.

    Args:
        make: Makes the environment.
        place: Which of several it is. Its constructor's streams follow from this alone.
    """
    seed = derive(0, "constructor", place)
    streams = GlobalStreams()
    streams.seed(seed)
    with streams, _unseeded_generators_from(seed):
        return make()


@contextmanager
def _unseeded_generators_from(seed: int) -> Iterator[None]:
    """Seed what Gymnasium makes without a seed: `np_random` asked for early, and spaces'."""
    make, made, base = seeding.np_random, itertools.count(), seed

    def np_random(seed: int | None = None) -> tuple[np.random.Generator, int]:
        return make(derive(base, "np_random", next(made)) if seed is None else seed)

    seeding.np_random = np_random
    try:
        yield
    finally:
        seeding.np_random = make


class SeededEnv(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Begins every episode with a seed, and seeds by it all that the environment draws from.

    Where `reset` is given no seed, it takes the next of the last one's chain. Global generators are
    exchanged for streams of the environment's own while it resets and steps, if it draws from them;
    if it never did, nothing is. That a probe missed a source is noticed at the end of an episode,
    of the first, second, fourth, eighth and so on.

    Args:
        env: The environment.
        draws: Where it draws from.
    """

    def __init__(self, env: AnyEnv, draws: Draws) -> None:
        super().__init__(env)
        self._ignores_seed, self._spaces = draws.ignores_seed, draws.spaces
        self._episodes = 0
        self._watched: dict[str, object] = {}
        self._seed = 0
        self._use(draws.sources)

    @property
    def seeded_sources(self) -> int:
        """What each episode seeds besides `np_random`, a number of which each bit is a source.

        Where an episode is played again in another process, it is set to what it was in the first:
        that one may have noticed what a probe missed.
        """
        held = self._sources | ({_SPACES} if self._spaces else set())
        return sum(1 << i for i, name in enumerate(_SEEDABLE) if name in held)

    @seeded_sources.setter
    def seeded_sources(self, bits: int) -> None:
        held = frozenset(name for i, name in enumerate(_SEEDABLE) if bits >> i & 1)
        self._spaces = _SPACES in held
        self._use(held - {_SPACES})
        self._watched = {}

    def _use(self, sources: frozenset[str]) -> None:
        self._sources = sources
        self._streams = GlobalStreams(sorted(sources)) if sources else None
        # Around an environment that draws from none, there is not even a call.
        self.__dict__.pop("step", None)
        if self._streams is None:
            self.__dict__["step"] = self.env.step

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin the episode of a seed, or of the next of the chain."""
        self._seed = seed = next_seed(self._seed) if seed is None else seed
        self._watch()
        if self._ignores_seed:
            self.env.unwrapped.np_random = seeding.np_random(seed)[0]
        if self._spaces:
            for i, space in enumerate(spaces_of(self.env)):
                space.seed(derive(seed, "space", i))
        if self._streams is None:
            return self.env.reset(seed=seed, options=options)
        self._streams.seed(seed)
        with self._streams:
            return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take a step; see `gymnasium.Env.step`."""
        assert self._streams is not None
        with self._streams:
            return self.env.step(action)

    def _watch(self) -> None:
        """Compare the generators now with those at the beginning of the episode, now and then."""
        missed = {name for name, before in self._watched.items() if snapshot(name) != before}
        if missed:
            self._use(self._sources | missed)
        self._episodes += 1
        often = self._episodes & (self._episodes - 1) == 0
        watched = [name for name in _WATCHED if often and name not in self._sources]
        self._watched = {name: snapshot(name) for name in watched}


def make_seeded_vector(make: Callable[[], AnyVectorEnv]) -> AnyVectorEnv:
    """Make a vector environment whose constructor draws from streams of its own."""
    streams = GlobalStreams()
    first = first_place()
    streams.seed(derive(0, "constructor", "vector", *([first] if first else [])))
    with streams:
        return make()


def seeded_vector(env: AnyVectorEnv, find_sources: Callable[[], frozenset[str]]) -> AnyVectorEnv:
    """Have a vector environment draw from streams of its own instead of global generators.

    Args:
        env: The vector environment.
        find_sources: Finds those that it draws from. Not asked where the environment offers a way
            to go on elsewhere, which promises that all follows from its seeds.
    """
    # As `colonnade.learners.acting.under_way` asks: others have a `state` of another meaning.
    if (hasattr(env, "state") and hasattr(env, "load_state")) or hasattr(env, "episode_seeds"):
        return env
    sources = find_sources()
    return _SeededVectorEnv(env, sorted(sources)) if sources else env


class _SeededVectorEnv(VectorWrapper):
    """A vector environment with streams for the global generators that it draws from."""

    def __init__(self, env: AnyVectorEnv, sources: list[str]) -> None:
        super().__init__(env)
        self._streams = GlobalStreams(sources)
        self._streams.seed(secrets.randbits(31))

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        if seed is not None:
            self._streams.seed(int(np.ravel(seed)[0]))
        with self._streams:
            return self.env.reset(seed=seed, options=options)

    def step(self, actions: Any) -> StepResult:
        with self._streams:
            return self.env.step(actions)
