"""Gymnasium environments of which an episode follows from its seed and its actions alone."""

from __future__ import annotations

import copy
import itertools
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import VectorWrapper
from numpy.typing import NDArray

from colonnade.seeding import derive
from colonnade.tasks.episode_seeds import next_seed
from colonnade.tasks.global_streams import GlobalStreams, drawn_from, snapshot
from colonnade.tasks.vector import GOING_ON, AnyVectorEnv, StepResult

AnyEnv = gymnasium.Env[Any, Any]

PROBED_STEPS = 64
"""Random steps in which an environment shows where it draws its random numbers from."""

# Nobody else's numbers but theirs tell that an environment drew from these in an episode;
# networks draw from torch's all the time.
_WATCHED = ("random", "numpy.random")


@dataclass(frozen=True)
class Draws:
    """Where an environment draws from, besides the generator that Gymnasium has it seed.

    Attributes:
        sources: Those of `colonnade.tasks.global_streams.SOURCES`.
        ignores_seed: Its `reset` leaves `np_random` as it is, whatever the seed.
        spaces: It samples from its own spaces.
    """

    sources: frozenset[str]
    ignores_seed: bool
    spaces: bool


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


def probe(env: AnyEnv) -> Draws:
    """Play `PROBED_STEPS` random steps and return where an environment draws from.

    The process's global generators are left as they were.
    """
    seed = derive(0, "probe")
    seeds_np_random = False

    def play() -> None:
        nonlocal seeds_np_random
        actions = copy.deepcopy(env.action_space)
        actions.seed(seed)
        env.reset(seed=seed)
        seeds_np_random = getattr(env.unwrapped, "_np_random_seed", None) == seed
        for _ in range(PROBED_STEPS):
            _, _, terminated, truncated, _ = env.step(actions.sample())
            if terminated or truncated:
                env.reset()

    streams = GlobalStreams()
    streams.seed(seed)
    with streams:
        sources = drawn_from(play)
    return Draws(sources, not seeds_np_random, any(map(_sampled, _spaces(env))))


def _spaces(env: AnyEnv) -> list[gymnasium.Space[Any]]:
    return [env.unwrapped.observation_space, env.unwrapped.action_space]


def _sampled(space: gymnasium.Space[Any]) -> bool:
    parts = getattr(space, "spaces", ())
    parts = parts.values() if hasattr(parts, "values") else parts
    return space._np_random is not None or any(map(_sampled, parts))


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
        self._draws = draws
        self._episodes = 0
        self._watched: dict[str, object] = {}
        self._seed = 0
        self._use(draws.sources)

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
        if self._draws.ignores_seed:
            self.env.unwrapped.np_random = seeding.np_random(seed)[0]
        if self._draws.spaces:
            for i, space in enumerate(_spaces(self.env)):
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


def seeded_vector(make: Callable[[int], AnyVectorEnv], num_envs: int) -> AnyVectorEnv:
    """Make a vector environment that draws from no global generator but from streams of its own.

    Args:
        make: Makes a vector environment of a size.
        num_envs: The size.
    """
    streams = GlobalStreams()
    streams.seed(derive(0, "constructor", "vector"))
    with streams:
        env = make(num_envs)
        if any(hasattr(env, name) for name in GOING_ON):
            return env  # it promises that all follows from its seeds
        one = make(1)
        try:
            sources = drawn_from(lambda: _play_vector(one))
        finally:
            one.close()
    return _SeededVectorEnv(env, sorted(sources)) if sources else env


def _play_vector(env: AnyVectorEnv) -> None:
    actions = copy.deepcopy(env.action_space)
    actions.seed(0)
    env.reset(seed=0)
    for _ in range(PROBED_STEPS):
        env.step(actions.sample())


class _SeededVectorEnv(VectorWrapper[Any, Any, Any, Any, NDArray[Any]]):
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
