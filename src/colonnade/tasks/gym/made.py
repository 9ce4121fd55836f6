"""How an environment is made, and what making it once tells of it."""

from __future__ import annotations

import functools
import json
import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Space
from gymnasium.wrappers import TransformAction

from colonnade.errors import UsageError
from colonnade.tasks.gym.failures import NamedEnv, where_raised
from colonnade.tasks.gym.inputs import with_named_inputs
from colonnade.tasks.gym.probing import AnyEnv, Draws, probe, probe_vector, repeats
from colonnade.tasks.gym.real_time import is_real_time
from colonnade.tasks.gym.seeded_env import SeededEnv, make_seeded
from colonnade.tasks.gym.sources import Factory, Source, label_of, make, origin_of
from colonnade.tasks.gym.wrappers import wrapped
from colonnade.tasks.observations import presented_space
from colonnade.tasks.vector import AnyVectorEnv


def has_own_vector(origin: EnvSpec | Factory) -> bool:
    """Whether an id is registered with a vector environment of its own."""
    return isinstance(origin, EnvSpec) and origin.vector_entry_point is not None


class Made(NamedTuple):
    """How an environment is made: its source, options as JSON, levels of actions, and wrappers."""

    source: Source
    options: str
    action_levels: int | None
    wrappers: str = "[]"

    @property
    def label(self) -> str:
        """What messages call it."""
        return label_of(self.source)

    def make_vec(self, num_envs: int) -> AnyVectorEnv:
        """Make the vector environment that an id is registered with."""
        return gymnasium.make_vec(str(self.source), num_envs, **json.loads(self.options))

    def make(self) -> AnyEnv:
        """Make one, with everything around it.

        Raises:
            UsageError: It makes none, or levels are asked for of actions that have no bounds.
        """
        env = wrapped(make(self.source, json.loads(self.options)), self.wrappers)
        env = with_named_inputs(env)
        space, count = env.action_space, self.action_levels
        if count is None:
            return env
        if not isinstance(space, Box) or not (space.is_bounded("both")):
            raise UsageError(
                f"action_levels={count} are levels of numbers with bounds, but {self.label} has "
                f"actions {space}; leave action_levels away, or wrap it to bound its actions."
            )
        levels = np.linspace(space.low.ravel(), space.high.ravel(), count, dtype=space.dtype)
        numbers = np.arange(levels.shape[1])
        return TransformAction(
            env,
            lambda chosen: levels[np.asarray(chosen), numbers].reshape(space.shape),
            MultiDiscrete([count] * len(numbers)),
        )


@dataclass(frozen=True)
class Known:
    """What making an environment once tells of it; `made_of` is where it came from."""

    made_of: EnvSpec | Factory
    observation_space: Space[Any]
    action_space: Space[Any]
    draws: Draws
    real_time: bool = False


_KNOWN: dict[Made, Known] = {}


def known_of(made: Made) -> Known:
    """Return what is known of an environment, made anew if its id was registered anew."""
    made_of = origin_of(made.source)
    known = _KNOWN.get(made)
    if known is None or known.made_of is not made_of:
        known = _KNOWN[made] = _look(made_of, made)
    return known


def _look(made_of: EnvSpec | Factory, made: Made) -> Known:
    env_id = made.label
    if isinstance(made_of, EnvSpec) and made_of.entry_point is None:
        raise UsageError(
            f"{env_id} is registered with a vector environment alone; register it with an "
            "`entry_point` too, which makes a single one."
        )
    make = functools.partial(make_seeded, made.make)
    try:
        env = make()
    except TypeError as error:
        raise UsageError(f"{env_id} does not take the options {made.options}: {error}.") from None
    except gymnasium.error.DependencyNotInstalled as error:
        raise UsageError(f"{env_id} needs a package that is not installed: {error}.") from None
    except gymnasium.error.Error as error:
        raise UsageError(f"{env_id} cannot be made: {' '.join(str(error).split())}") from None
    except UsageError:
        raise
    except Exception as error:
        words = " ".join(str(error).split())[:300] or where_raised(error)
        raise UsageError(
            f"{env_id} cannot be made with the options {made.options}: {type(error).__name__}: "
            f"{words}."
        ) from error
    try:
        observations = presented_space(env_id, env.observation_space)
        _check_actions(env_id, env.action_space)
        if is_real_time(env):  # nobody moves a robot to find out what it is
            nothing = Draws(frozenset(), ignores_seed=False, spaces=False)
            return Known(made_of, observations, env.action_space, nothing, real_time=True)
        draws = probe(NamedEnv(env, env_id, 0))
    finally:
        env.close()
    if not repeats(lambda: SeededEnv(make(), draws)):
        _warn(env_id)
    return Known(made_of, observations, env.action_space, draws)


_KNOWN_VECTORS: dict[Made, tuple[EnvSpec | Factory, frozenset[str]]] = {}


def vector_sources(made: Made) -> frozenset[str]:
    """Return what an id's own vector environment draws from, looked at once for a registration."""
    made_of = origin_of(made.source)
    known = _KNOWN_VECTORS.get(made)
    if known is None or known[0] is not made_of:
        sources, repeated = probe_vector(functools.partial(made.make_vec, 1))
        if not repeated:
            _warn(made.label)
        known = _KNOWN_VECTORS[made] = made_of, sources
    return known[1]


def _warn(env_id: str) -> None:
    warnings.warn(
        f"{env_id} showed different episodes for the same seed and actions, so runs with it will "
        "not repeat; have it draw from its `np_random`, which `reset(seed=...)` seeds.",
        stacklevel=2,
    )


def make_one(made: Made, draws: Draws, place: int) -> AnyEnv:
    """Make one environment, in the process that is to play it."""
    env = make_seeded(made.make, place)
    return SeededEnv(NamedEnv(env, made.label, place), draws)


def _check_actions(env_id: str, space: Space[Any]) -> None:
    if isinstance(space, Box):
        if not np.issubdtype(space.dtype, np.floating) or not np.prod(space.shape):
            raise UsageError(
                f"{env_id} has actions {space}; Colonnade's policies need a Box of one or more "
                "floating-point numbers, so wrap it in gymnasium.wrappers.TransformAction and "
                "register the result."
            )
        return
    discrete = isinstance(space, Discrete) and int(space.start) == 0
    several = isinstance(space, MultiDiscrete) and len(space.shape) == 1 and not space.start.any()
    if not discrete and not several:
        raise UsageError(
            f"{env_id} has actions {space}; Colonnade's policies need a Box, Discrete or one "
            "row of MultiDiscrete actions counted from 0, so wrap it in "
            "gymnasium.wrappers.TransformAction and register the result."
        )
