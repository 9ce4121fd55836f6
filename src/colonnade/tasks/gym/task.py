"""Any environment registered with Gymnasium, as a task."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from gymnasium.spaces import Dict
from gymnasium.vector import AutoresetMode, VectorWrapper
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from colonnade.checks import ABOVE_0, AT_LEAST_1, SHARE, Range, check_fields, whole
from colonnade.errors import UsageError
from colonnade.records import shown
from colonnade.tasks.episode_seeds import EpisodeSeeds, reset_mask
from colonnade.tasks.gym.env_processes import EnvProcesses
from colonnade.tasks.gym.in_turn import InTurn
from colonnade.tasks.gym.made import Made, has_own_vector, known_of, make_one, vector_sources
from colonnade.tasks.gym.real_time import RealTimeVectorEnv, Robot
from colonnade.tasks.gym.seeded_env import make_seeded_vector, seeded_vector
from colonnade.tasks.gym.sources import Source, label_of, origin_of
from colonnade.tasks.gym.wrappers import Named, as_json
from colonnade.tasks.normalization import Normalization, NormalizedVectorEnv, normalized_space
from colonnade.tasks.observations import full_batch, present, presented_space
from colonnade.tasks.places import first_place
from colonnade.tasks.task_ids import task_id
from colonnade.tasks.vector import AnyVectorEnv, StepResult
from colonnade.types import OBSERVATION, TaskSpec


@dataclass(frozen=True)
class GymTask:
    """An environment that `gymnasium.make` can make, or a function of one's own.

    Observations are a Box, or a Dict of Boxes, which `colonnade.tasks.observations` brings into a
    network's layout; other kinds, nested ones too, become Boxes by name as
    `colonnade.tasks.gym.inputs` has it. Environments whose id is
    registered with a vector environment of its own that resets in the same step use it. One that
    runs in real time, such as a robot, is looked at without being played; see
    `colonnade.tasks.gym.real_time`.

    Actions are Discrete, a row of MultiDiscrete, or a Box of numbers, for which policies are
    Gaussians (`colonnade.ops.DiagonalGaussian`), or choices among `action_levels`.

    Attributes:
        id: As in "CartPole-v1", or "module:Name-v0" to import the module that registers it; or a
            function that makes one environment, itself or by name: "my_package.envs:make".
        steps: Budget in agent steps.
        reward_clip: As in `TaskSpec.reward_clip`.
        processes: Whether each environment runs in a process of its own, which pays where a step
            takes longer than about a tenth of a millisecond.
        options: Passed to the environment's constructor, or the function; plain JSON values.
        name: What the task is called in a sequence instead of "gym/" and the id,
            so that one may hold it twice with other options.
        action_levels: Of a Box of bounded numbers: how many evenly spaced levels, from the lowest
            to the highest, each is chosen from, all at once (Rusu et al. 2017 have three velocities
            a joint); None leaves numbers as they are.
        wrappers: Put around each environment, the first one innermost, before its actions get
            levels: each by its name, as "gymnasium.wrappers:FlattenObservation", or with options
            {"wrapper": "gymnasium.wrappers:ResizeObservation", "shape": [84, 84]}. They must keep
            nothing from one episode to the next.
        normalize_observations: Whether networks see observations less their mean, over their
            deviation, in float32; see `normalization`.
        normalize_rewards: Divide rewards by the deviation of returns of this discount, such as the
            learner's `gamma`, for learning, never for reporting; None leaves them as they are.

    Raises:
        UsageError: The id is unknown (the nearest is suggested), a number is out of range, the
            environment rejects its options, or its spaces are of a kind that Colonnade's networks
            do not take. The last two when `spec` is first asked for.
    """

    id: Source
    steps: int = 100_000
    reward_clip: float | None = None
    processes: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None
    action_levels: int | None = None
    wrappers: Sequence[Named] = ()
    normalize_observations: bool = False
    normalize_rewards: float | None = None

    def __post_init__(self) -> None:
        label = label_of(self.id)
        as_json(self.wrappers)
        ranges = {"steps": AT_LEAST_1, "reward_clip": ABOVE_0, "action_levels": Range(2)}
        check_fields(self, ranges | {"normalize_rewards": SHARE})
        try:
            json.dumps(dict(self.options), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"options of GymTask must be plain JSON values; got {shown(dict(self.options))} "
                f"({error})."
            ) from None
        origin_of(self.id)
        task_id(self.name, label)

    def __hash__(self) -> int:
        numbers = self.steps, self.reward_clip, self.processes
        normalized = self.normalize_observations, self.normalize_rewards
        return hash((self._made, self.name, *numbers, *normalized))

    @property
    def _made(self) -> Made:
        options = json.dumps(dict(self.options), sort_keys=True)
        return Made(self.id, options, self.action_levels, as_json(self.wrappers))

    @property
    def spec(self) -> TaskSpec:
        """What methods and learners need to know; makes the environment once to ask for it."""
        known, normalization = known_of(self._made), self.normalization
        space = known.observation_space
        return TaskSpec(
            task_id(self.name, f"gym/{label_of(self.id)}"),
            space if normalization is None else normalized_space(space, normalization),
            known.action_space,
            self.steps,
            self.reward_clip,
        )

    @property
    def real_time(self) -> bool:
        """Whether there is one of it, which runs in real time; makes it once to ask for it."""
        return known_of(self._made).real_time

    @cached_property
    def _robot(self) -> Robot:
        """What runs in real time; its own, as `normalization` is."""
        return Robot(self._made.make)

    @cached_property
    def normalization(self) -> Normalization | None:
        """What was seen while the task was learned, where it is to be normalised.

        It is this object's own: an equal task that was made anew has seen nothing.
        """
        if not self.normalize_observations and self.normalize_rewards is None:
            return None
        space = known_of(self._made).observation_space
        parts = space.spaces if isinstance(space, Dict) else {OBSERVATION: space}
        shapes = {name: tuple(part.shape or ()) for name, part in parts.items()}
        return Normalization(shapes if self.normalize_observations else {}, self.normalize_rewards)

    def drawn(self) -> GymTask:
        """Return the same task with environments that render what they show.

        It normalises by what this one has seen.
        """
        drawn = replace(self, options={**self.options, "render_mode": "rgb_array"})
        drawn.__dict__["normalization"] = self.normalization  # as `cached_property` keeps it
        return drawn

    def make_vec(self, num_envs: int, threads: int = 1) -> AnyVectorEnv:
        """Make `num_envs` copies; `processes` says how they run, whatever `threads` says.

        Raises:
            UsageError: Several of an environment that runs in real time, of which there is one.
        """
        envs = self._make_vec(whole("num_envs of make_vec", num_envs))
        normalization = self.normalization
        return envs if normalization is None else NormalizedVectorEnv(envs, normalization)

    def _make_vec(self, num_envs: int) -> AnyVectorEnv:
        made, known = self._made, known_of(self._made)
        if known.real_time:
            if num_envs != 1:
                raise UsageError(
                    f"{made.label} runs in real time and there is one of it, but {num_envs} are "
                    "asked for; set num_envs=1, of a learner with one worker."
                )
            return RealTimeVectorEnv(self._robot)
        as_it_is = self.action_levels is None and not self.wrappers
        if has_own_vector(known.made_of) and not self.processes and as_it_is:
            own = make_seeded_vector(functools.partial(made.make_vec, num_envs))
            same_step = own.metadata.get("autoreset_mode") == AutoresetMode.SAME_STEP
            if same_step and own.single_observation_space == known.observation_space:
                return seeded_vector(own, lambda: vector_sources(made))
            own.close()
        makers = [
            functools.partial(make_one, made, known.draws, first_place() + place)
            for place in range(num_envs)
        ]
        if self.processes:
            mode = AutoresetMode.SAME_STEP
            return _Batched(EnvProcesses(made.label, makers, autoreset_mode=mode, copy=False))
        return _Batched(InTurn(makers))


class _Batched(VectorWrapper):
    """Observations as networks take them, final ones as one batch, float32 rewards, known seeds.

    Every returned array is fresh; no later step writes to it. The environments wear
    `SeededEnv`, whose chains of seeds are followed here, without a word to their processes.
    """

    def __init__(self, env: InTurn | EnvProcesses) -> None:
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
        return present(self._inner_space, observations, copy=True), info

    def step(self, actions: Any) -> StepResult:
        observations, rewards, terminated, truncated, info = self.env.step(actions)
        if "final_obs" in info:
            ended = terminated | truncated
            self._seeds.follow(ended)
            final = full_batch(self._inner_space, info["final_obs"], ended)
            info["final_obs"] = present(self._inner_space, final)
        return (
            present(self._inner_space, observations, copy=True),
            rewards.astype(np.float32),
            terminated,
            truncated,
            info,
        )
