"""Observations of several kinds, nested or not, as named inputs of numbers.

What a network reads are Boxes by name. Here a Dict or a Tuple of whatever depth becomes one flat
Dict of them, a Discrete, MultiDiscrete or MultiBinary space a vector of zeros and ones, and a text
its words.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Tuple
from gymnasium.spaces.utils import flatten, flatten_space
from numpy.typing import NDArray

from colonnade.errors import UsageError
from colonnade.records import shown
from colonnade.tasks.gym.failures import EnvironmentFailure
from colonnade.tasks.gym.probing import AnyEnv
from colonnade.types import OBSERVATION

WORDS = 128
"""Numbers that a text becomes."""

_Reading = Callable[[Any], Any]
_Parts = dict[str, tuple[Box, _Reading]]
"""By name: what is shown, and how it is read from an observation."""


def words_of(text: str) -> NDArray[np.float32]:
    """Count the words of a text and the pairs of neighbours, so that their order tells.

    Which number counts a word follows from the word alone, by feature hashing (Weinberger et al.
    2009) with CRC-32, so that no list of words is needed; two words may share one.

    Returns:
        [`WORDS`] float32.
    """
    words = text.lower().split()
    counts = np.zeros(WORDS, np.float32)
    for token in (*words, *map(" ".join, itertools.pairwise(words))):
        counts[zlib.crc32(token.encode()) % WORDS] += 1
    return counts


def with_named_inputs(env: AnyEnv) -> AnyEnv:
    """Have an environment show Boxes: one, or a flat Dict of them.

    Names of nested parts are joined by a full stop; parts of a Tuple are called by their place. An
    environment that shows such already, or something that can't be brought to numbers, such as a
    graph, is returned as it is.

    Raises:
        UsageError: Two parts come to one name.
    """
    space = env.observation_space
    plain = isinstance(space, Dict) and all(isinstance(p, Box) for p in space.spaces.values())
    if isinstance(space, Box) or plain:
        return env
    parts = _parts(space, "", lambda observation: observation)
    if not parts:
        return env
    return _NamedInputs(env, parts)


class _NamedInputs(gymnasium.ObservationWrapper[Any, Any, Any]):
    def __init__(self, env: AnyEnv, parts: _Parts) -> None:
        super().__init__(env)
        self._parts = parts
        self._alone = not isinstance(env.observation_space, Dict | Tuple)
        spaces: dict[str, Space[Any]] = {name: space for name, (space, _) in parts.items()}
        self.observation_space = spaces[OBSERVATION] if self._alone else Dict(spaces)

    def observation(self, observation: Any) -> Any:
        try:
            read = {name: reading(observation) for name, (_, reading) in self._parts.items()}
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise EnvironmentFailure(
                f"{self.env} gave the observation {shown(observation)}, which is none of its space "
                f"{self.env.observation_space}; mend the environment."
            ) from error
        return read[OBSERVATION] if self._alone else read


def _parts(space: Space[Any], name: str, reading: _Reading) -> _Parts | None:
    """Take a space apart; None where a part of it can't be brought to numbers."""
    if isinstance(space, Dict | Tuple):
        inner: Mapping[Any, Space[Any]] = dict(
            space.spaces.items() if isinstance(space, Dict) else enumerate(space.spaces)
        )
        found: _Parts = {}
        for key, part in inner.items():

            def deeper(observation: Any, key: Any = key) -> Any:
                return reading(observation)[key]

            own = _parts(part, f"{name}.{key}" if name else str(key), deeper)
            if own is None:
                return None
            if both := found.keys() & own.keys():
                raise UsageError(
                    f"Two parts of the observations {space} come to the one name "
                    f"{min(both)!r}; give one of them another name."
                )
            found |= own
        return found
    name = name or OBSERVATION
    if isinstance(space, Box):
        return {name: (space, reading)}
    if isinstance(space, Discrete | MultiDiscrete | MultiBinary):
        ones = Box(0, 1, flatten_space(space).shape, np.float32)
        return {name: (ones, lambda seen: np.asarray(flatten(space, reading(seen)), np.float32))}
    if space.dtype is not None and space.dtype.kind == "U":  # MiniGrid's missions are no Text
        counts = Box(0, np.inf, (WORDS,), np.float32)
        return {name: (counts, lambda seen: words_of(str(reading(seen))))}
    return None
