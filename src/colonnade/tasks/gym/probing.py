"""What random play tells of an environment: where it draws from, and whether it can be repeated."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from colonnade.seeding import derive
from colonnade.tasks.gym.global_streams import GlobalStreams, drawn_from
from colonnade.tasks.vector import AnyVectorEnv

AnyEnv = gymnasium.Env[Any, Any]

LEAST_STEPS = 64
"""Steps that a probe takes at least, however slow they are."""
LONG_EPISODE = 1_000
"""Steps after which one whole episode is enough for a probe; else it waits for two."""
MOST_STEPS = 2_000
MOST_SECONDS = 2.0
"""What a probe of episodes without an end takes."""

_SECONDS_OF_REPEATING = 0.5


@dataclass(frozen=True)
class Draws:
    """Where an environment draws from, besides the generator that Gymnasium has it seed.

    Attributes:
        sources: Those of `colonnade.tasks.gym.global_streams.SOURCES`.
        ignores_seed: Its `reset` leaves `np_random` as it is, whatever the seed.
        spaces: It samples from its own spaces.
    """

    sources: frozenset[str]
    ignores_seed: bool
    spaces: bool


def probe(env: AnyEnv) -> Draws:
    """Play at random and return where an environment draws from.

    Two whole episodes are played, or a long one, as far as `MOST_STEPS` and `MOST_SECONDS` allow.
    The process's global generators are left as they were.
    """
    seed = derive(0, "probe")
    streams = GlobalStreams()
    streams.seed(seed)
    with streams:
        env.reset(seed=seed)
        seeds_np_random = getattr(env.unwrapped, "_np_random_seed", None) == seed
        sources = drawn_from(lambda: _play(env, seed, LEAST_STEPS, MOST_SECONDS))
    return Draws(sources, not seeds_np_random, any(map(_sampled, spaces_of(env))))


def repeats(make: Callable[[], AnyEnv]) -> bool:
    """Make an environment twice, play it with one seed, and say whether the same was seen.

    Args:
        make: Makes the environment, which seeds all that it is known to draw from.
    """
    return _same(make, _play)


def probe_vector(make: Callable[[], AnyVectorEnv]) -> tuple[frozenset[str], bool]:
    """Return which global generators a vector environment draws from, and whether it repeats.

    Args:
        make: Makes the vector environment.
    """
    seed = derive(0, "probe")
    streams = GlobalStreams()
    streams.seed(seed)
    with streams, closing(make()) as env:
        sources = drawn_from(lambda: _play_vector(env, seed, LEAST_STEPS, MOST_SECONDS))
    return sources, _same(make, _play_vector)


def spaces_of(env: AnyEnv) -> list[gymnasium.Space[Any]]:
    """Return the spaces that an environment may sample from, unwrapped."""
    return [env.unwrapped.observation_space, env.unwrapped.action_space]


def _same(make: Callable[[], Any], play: Callable[[Any, int, int, float], list[int]]) -> bool:
    """Say whether two environments show the same, as far as both were played."""
    seed, plays = derive(0, "repeated probe"), []
    for _ in range(2):
        streams = GlobalStreams()
        streams.seed(seed)
        with streams, closing(make()) as env:
            plays.append(play(env, seed, 1, _SECONDS_OF_REPEATING))
    return all(one == other for one, other in zip(*plays, strict=False))


def _play(env: AnyEnv, seed: int, least: int, seconds: float) -> list[int]:
    """Play whole episodes at random; return a digest of each thing seen."""
    actions = copy.deepcopy(env.action_space)
    actions.seed(seed)
    seen = [_digest(env.reset(seed=seed)[0])]
    steps, ends, begun = 0, 0, time.monotonic()
    while not _enough(steps, ends, least, time.monotonic() - begun, seconds):
        observation, reward, terminated, truncated, _ = env.step(actions.sample())
        seen.append(_digest(observation, reward, terminated, truncated))
        steps += 1
        if terminated or truncated:
            ends += 1
            seen.append(_digest(env.reset()[0]))
    return seen


def _play_vector(env: AnyVectorEnv, seed: int, least: int, seconds: float) -> list[int]:
    """Play whole episodes of the first environment at random; return digests as `_play` does."""
    actions = copy.deepcopy(env.action_space)
    actions.seed(seed)
    seen = [_digest(env.reset(seed=seed)[0])]
    steps, ends, begun = 0, 0, time.monotonic()
    while not _enough(steps, ends, least, time.monotonic() - begun, seconds):
        observations, rewards, terminated, truncated, _ = env.step(actions.sample())
        seen.append(_digest(observations, rewards, terminated, truncated))
        steps += 1
        ends += bool(terminated[0] or truncated[0])
    return seen


def _enough(steps: int, ends: int, least: int, passed: float, seconds: float) -> bool:
    if steps < least:
        return False
    whole = ends >= 2 or (ends == 1 and steps >= LONG_EPISODE)
    return (whole and steps >= LEAST_STEPS) or steps >= MOST_STEPS or passed >= seconds


def _digest(*seen: Any) -> int:
    return hash(tuple(map(_bytes, seen)))


def _bytes(value: Any) -> bytes:
    if isinstance(value, Mapping):
        return b"".join(_bytes(value[key]) for key in sorted(value, key=str))
    array = np.asarray(value)
    return b"" if array.dtype.hasobject else array.tobytes()


def _sampled(space: gymnasium.Space[Any]) -> bool:
    parts = getattr(space, "spaces", ())
    parts = parts.values() if hasattr(parts, "values") else parts
    return space._np_random is not None or any(map(_sampled, parts))
