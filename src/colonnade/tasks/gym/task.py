"""Any environment registered with Gymnasium, as a task."""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Space
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space
from gymnasium.wrappers import TransformAction
from numpy.typing import NDArray

from colonnade.checks import ABOVE_0, AT_LEAST_1, Range, check_fields, whole
from colonnade.errors import UsageError
from colonnade.records import shown
from colonnade.tasks.episode_seeds import EpisodeSeeds, reset_mask
from colonnade.tasks.gym.env_processes import EnvProcesses
from colonnade.tasks.gym.failures import NamedEnv
from colonnade.tasks.gym.ids import check_id
from colonnade.tasks.gym.probing import AnyEnv, Draws, probe, probe_vector, repeats
from colonnade.tasks.gym.real_time import RealTimeVectorEnv, is_real_time
from colonnade.tasks.gym.seeded_env import (
    SeededEnv,
    make_seeded,
    make_seeded_vector,
    seeded_vector,
)
from colonnade.tasks.gym.wrappers import Named, as_json, wrapped
from colonnade.tasks.observations import full_batch, present, presented_space
from colonnade.tasks.task_ids import task_id
from colonnade.tasks.vector import AnyVectorEnv, StepResult
from colonnade.types import TaskSpec


@dataclass(frozen=True)
class GymTask:
    """An environment that `gymnasium.make` can make.

    Observations are a Box, or a Dict of Boxes (a nested one must be flattened first), which
    `colonnade.tasks.observations` brings into a network's layout. Environments whose id is
    registered with a vector environment of its own that resets in the same step use it. One that
    runs in real time, such as a robot, is looked at without being played; see
    `colonnade.tasks.gym.real_time`.

    Actions are Discrete, a row of MultiDiscrete, or a Box of numbers, for which policies are
    Gaussians (`colonnade.ops.DiagonalGaussian`), or choices among `action_levels`.

    Attributes:
        id: As in "CartPole-v1", or "module:Name-v0" to import the module that registers it.
        steps: Budget in agent steps.
        reward_clip: As in `TaskSpec.reward_clip`.
        processes: Whether each environment runs in a process of its own, which pays where a step
            takes longer than about a tenth of a millisecond.
        options: Passed to the environment's constructor; plain JSON values.
        name: What the task is called in a sequence instead of "gym/" and the id,
            so that one may hold it twice with other options.
        action_levels: Of a Box of bounded numbers: how many evenly spaced levels, from the lowest
            to the highest, each is chosen from, all at once (Rusu et al. 2017 have three velocities
            a joint); None leaves numbers as they are.
        wrappers: Put around each environment, the first one innermost, before its actions get
            levels: each by its name, as "gymnasium.wrappers:FlattenObservation", or with options
            {"wrapper": "gymnasium.wrappers:ResizeObservation", "shape": [84, 84]}. They must keep
            nothing from one episode to the next.

    Raises:
        UsageError: The id is unknown (the nearest is suggested), a number is out of range, the
            environment rejects its options, or its spaces are of a kind that Colonnade's networks
            do not take. The last two when `spec` is first asked for.
    """

    id: str
    steps: int = 100_000
    reward_clip: float | None = None
    processes: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None
    action_levels: int | None = None
    wrappers: Sequence[Named] = ()

    def __post_init__(self) -> None:
        as_json(self.wrappers)
        check_fields(self, {"steps": AT_LEAST_1, "reward_clip": ABOVE_0, "action_levels": Range(2)})
        try:
            json.dumps(dict(self.options), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"options of GymTask must be plain JSON values; got {shown(dict(self.options))} "
                f"({error})."
            ) from None
        check_id(self.id)
        task_id(self.name, self.id)

    def __hash__(self) -> int:
        numbers = self.steps, self.reward_clip, self.processes
        return hash((self._made, self.name, *numbers))

    @property
    def _made(self) -> _Made:
        options = json.dumps(dict(self.options), sort_keys=True)
        return _Made(self.id, options, self.action_levels, as_json(self.wrappers))

    @property
    def spec(self) -> TaskSpec:
        """What methods and learners need to know; makes the environment once to ask for it."""
        known = _known(self._made)
        return TaskSpec(
            task_id(self.name, f"gym/{self.id}"),
            known.observation_space,
            known.action_space,
            self.steps,
            self.reward_clip,
        )

    def drawn(self) -> GymTask:
        """Return the task with environments that draw what happens, as films need.

        Those can that have "rgb_array" among the `render_modes` of their metadata; of others it is
        this task.
        """
        known = _known(self._made)
        if known.real_time or not known.draws_pictures or "render_mode" in self.options:
            return self
        return replace(self, options={**self.options, "render_mode": "rgb_array"})

    def make_vec(self, num_envs: int, threads: int = 1) -> AnyVectorEnv:
        """Make `num_envs` copies; `processes` says how they run, whatever `threads` says.

        Raises:
            UsageError: Several of an environment that runs in real time, of which there is one.
        """
        num_envs = whole("num_envs of make_vec", num_envs)
        made, known = self._made, _known(self._made)
        if known.real_time:
            if num_envs != 1:
                raise UsageError(
                    f"{self.id} runs in real time and there is one of it, but {num_envs} are "
                    "asked for; set num_envs=1, of a learner with one worker."
                )
            return RealTimeVectorEnv(made.make())
        own_vector = gymnasium.registry[self.id.rpartition(":")[2]].vector_entry_point
        as_it_is = self.action_levels is None and not self.wrappers
        if own_vector is not None and not self.processes and as_it_is:
            make_own = functools.partial(gymnasium.make_vec, self.id, **dict(self.options))
            own = make_seeded_vector(functools.partial(make_own, num_envs))
            same_step = own.metadata.get("autoreset_mode") == AutoresetMode.SAME_STEP
            if same_step and own.single_observation_space == self.spec.observation_space:
                return seeded_vector(own, lambda: _vector_sources(made))
            own.close()
        makers = [functools.partial(_make, made, known.draws, place) for place in range(num_envs)]
        mode = AutoresetMode.SAME_STEP
        if self.processes:
            return _Batched(EnvProcesses(self.id, makers, autoreset_mode=mode))
        return _Batched(SyncVectorEnv(makers, autoreset_mode=mode))


class _Made(NamedTuple):
    """How an environment is made: its id, options as JSON, levels of its actions, and wrappers."""

    id: str
    options: str
    action_levels: int | None
    wrappers: str = "[]"

    def make(self) -> gymnasium.Env[Any, Any]:
        env: gymnasium.Env[Any, Any] = gymnasium.make(self.id, **json.loads(self.options))
        env = wrapped(env, self.wrappers)
        space, count = env.action_space, self.action_levels
        if count is None:
            return env
        if not isinstance(space, Box) or not (space.is_bounded("both")):
            raise UsageError(
                f"action_levels={count} are levels of numbers with bounds, but {self.id} has "
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
class _Known:
    """What making an environment once tells of it; `made_of` is its entry in the registry."""

    made_of: EnvSpec
    observation_space: Space[Any]
    action_space: Space[Any]
    draws: Draws
    real_time: bool = False
    draws_pictures: bool = False


_KNOWN: dict[_Made, _Known] = {}


def _known(made: _Made) -> _Known:
    """Return what is known of an environment, made anew if its id was registered anew."""
    made_of = gymnasium.registry[made.id.rpartition(":")[2]]
    known = _KNOWN.get(made)
    if known is None or known.made_of is not made_of:
        known = _KNOWN[made] = _look(made_of, made)
    return known


def _look(made_of: EnvSpec, made: _Made) -> _Known:
    env_id = made.id
    if made_of.entry_point is None:
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
        words = " ".join(str(error).split())[:300]
        raise UsageError(
            f"{env_id} cannot be made with the options {made.options}: {type(error).__name__}: "
            f"{words}."
        ) from error
    try:
        observations = presented_space(env_id, env.observation_space)
        _check_actions(env_id, env.action_space)
        if is_real_time(env):  # nobody moves a robot to find out what it is
            nothing = Draws(frozenset(), ignores_seed=False, spaces=False)
            return _Known(made_of, observations, env.action_space, nothing, real_time=True)
        draws = probe(env)
    finally:
        env.close()
    if not repeats(lambda: SeededEnv(make(), draws)):
        _warn(env_id)
    pictures = "rgb_array" in (env.metadata.get("render_modes") or ())
    return _Known(made_of, observations, env.action_space, draws, draws_pictures=pictures)


_KNOWN_VECTORS: dict[_Made, tuple[EnvSpec, frozenset[str]]] = {}


def _vector_sources(made: _Made) -> frozenset[str]:
    """Return what an id's own vector environment draws from, looked at once for a registration."""
    made_of = gymnasium.registry[made.id.rpartition(":")[2]]
    known = _KNOWN_VECTORS.get(made)
    if known is None or known[0] is not made_of:
        make = functools.partial(gymnasium.make_vec, made.id, 1, **json.loads(made.options))
        sources, repeated = probe_vector(make)
        if not repeated:
            _warn(made.id)
        known = _KNOWN_VECTORS[made] = made_of, sources
    return known[1]


def _warn(env_id: str) -> None:
    warnings.warn(
        f"{env_id} showed different episodes for the same seed and actions, so runs with it will "
        "not repeat; have it draw from its `np_random`, which `reset(seed=...)` seeds.",
        stacklevel=2,
    )


def _make(made: _Made, draws: Draws, place: int) -> AnyEnv:
    """Make one environment, in the process that is to play it."""
    env = make_seeded(made.make, place)
    return SeededEnv(NamedEnv(env, made.id, place), draws)


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


class _Batched(VectorWrapper[Any, Any, Any, Any, NDArray[Any]]):
    """Observations as networks take them, final ones as one batch, float32 rewards, known seeds.

    Every returned array is fresh; no later step writes to it. The environments wear
    `SeededEnv`, whose chains of seeds are followed here, without a word to their processes.
    """

    def __init__(self, env: SyncVectorEnv | EnvProcesses) -> None:
        super().__init__(env)
        self._copies = env
        self._inner_space = env.single_observation_space
        self.single_observation_space = presented_space("", self._inner_space)
        self.observation_space = batch_space(self.single_observation_space, env.num_envs)
        self._seeds = EpisodeSeeds(env.num_envs)

    @property
    def episode_seeds(self) -> NDArray[np.int64]:
        """The seed of the episode under way in each environment; see `EpisodeSeeds`."""
        return self._seeds.values

    @property
    def seeded_sources(self) -> NDArray[np.int64]:
        """What each environment's episodes seed, [N]; see `SeededEnv`. May be set."""
        return np.array(self._copies.get_attr("seeded_sources"), np.int64)

    @seeded_sources.setter
    def seeded_sources(self, bits: NDArray[np.int64]) -> None:
        self._copies.set_attr("seeded_sources", bits.tolist())

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        self._seeds.begin(seed, reset_mask(options, self.num_envs))
        # Gymnasium takes the mask out of the options that it is given.
        observations, info = self.env.reset(
            seed=self._seeds.values.tolist(), options=options and dict(options)
        )
        return present(self._inner_space, observations), info

    def step(self, actions: Any) -> StepResult:
        observations, rewards, terminated, truncated, info = self.env.step(actions)
        if "final_obs" in info:
            ended = terminated | truncated
            self._seeds.follow(ended)
            final = full_batch(self._inner_space, info["final_obs"], ended)
            info["final_obs"] = present(self._inner_space, final)
        return (
            present(self._inner_space, observations),
            rewards.astype(np.float32),
            terminated,
            truncated,
            info,
        )
