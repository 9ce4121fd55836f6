"""The T-maze: a corridor whose fork can be passed only by who remembers its beginning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from colonnade.checks import AT_LEAST_1, check_fields, whole
from colonnade.errors import UsageError
from colonnade.tasks.random_streams import RandomStreams
from colonnade.tasks.task_ids import task_id
from colonnade.tasks.vector import AnyVectorEnv, StepResult
from colonnade.types import TaskSpec

SIGNS = 4
"""What is seen, one of: the cue "left", the cue "right", the corridor, the fork."""
_CORRIDOR, _FORK = 2, 3

AHEAD, LEFT, RIGHT = range(3)

Views = NDArray[np.float32]


class TMazeVectorEnv(VectorEnv[Views, NDArray[np.int64], NDArray[Any]]):
    """N T-mazes, stepped together, after Bakker 2002 ("Reinforcement Learning with LSTM").

    An episode begins where one of two cues is seen. Walking ahead leads through a corridor whose
    places look alike to a fork `length` steps on. There, turning to the side that the cue meant is
    rewarded with 1, turning to the other with -1, and either ends the episode. Walking into a wall
    (turning elsewhere, or going ahead at the fork) costs 0.1. Episodes are cut off after
    `4 (length + 1)` steps. Whoever can't remember gets 0 at best, on average; whoever can, 1.

    Observations are freshly allocated float32 [N, 4], one entry 1. Environments reset in the same
    step, and `info["final_obs"]`, of the same shape, holds the last observation of each episode
    that ended in a step. After `reset(seed=s)`, maze i depends on s + i and its own actions only.

    Args:
        num_envs: The number of mazes, N.
        length: Steps from the cue to the fork, at least 1.
    """

    BUMP = -0.1

    def __init__(self, num_envs: int = 1, length: int = 10) -> None:
        self.num_envs = num_envs
        self.length = whole("length of a T-maze", length)
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_fps": 15}
        self.single_observation_space = gymnasium.spaces.Box(0.0, 1.0, (SIGNS,), np.float32)
        self.single_action_space = gymnasium.spaces.Discrete(3)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._random = RandomStreams(num_envs)
        self._place, self._age = np.zeros((2, num_envs), np.int64)
        self._cue = np.zeros(num_envs, np.int64)

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[Views, dict[str, Any]]:
        """Begin an episode in every maze.

        Args:
            seed: One whole number, or one for each maze; None goes on with the present streams,
                which a new environment seeds from the operating system.
            options: None are understood.
        """
        if seed is not None:
            self._random.seed(seed)
        self._begin(np.ones(self.num_envs, np.bool_))
        return self._views(), {}

    def step(self, actions: Any) -> StepResult:
        """Take one step in every maze with actions [N]: 0 walks ahead, 1 turns left, 2 right."""
        actions = np.asarray(actions)
        at_fork = self._place == self.length
        ahead = actions == AHEAD
        terminated = at_fork & ~ahead
        right = (actions == RIGHT) == (self._cue == 1)
        rewards = np.where(terminated, np.where(right, 1.0, -1.0), 0.0).astype(np.float32)
        rewards[at_fork == ahead] = self.BUMP
        self._place += ahead & ~at_fork
        self._age += 1
        truncated = (self._age >= 4 * (self.length + 1)) & ~terminated
        observations = self._views()
        info: dict[str, Any] = {}
        if (ended := terminated | truncated).any():
            info["final_obs"] = observations
            self._begin(ended)
            observations = self._views()
        return observations, rewards, terminated, truncated, info

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all that the mazes are, fresh arrays [N] by name."""
        return {
            "place": self._place.copy(),
            "age": self._age.copy(),
            "cue": self._cue.copy(),
            "random": self._random.state,
        }

    def load_state(self, state: dict[str, NDArray[Any]]) -> None:
        """Return to a state that `state` gave, of an environment of as many mazes."""
        self._place[:], self._age[:] = state["place"], state["age"]
        self._cue[:] = state["cue"]
        self._random.state = state["random"]

    def _begin(self, mazes: NDArray[np.bool_]) -> None:
        self._place[mazes] = self._age[mazes] = 0
        self._cue[mazes] = self._random.uniform(mazes) < 0.5

    def _views(self) -> Views:
        views = np.zeros((self.num_envs, SIGNS), np.float32)
        sign = np.where(self._place == self.length, _FORK, _CORRIDOR)
        sign[self._place == 0] = self._cue[self._place == 0]
        views[np.arange(self.num_envs), sign] = 1.0
        return views


def draw_view(view: Views) -> NDArray[np.uint8]:
    """Draw what is seen, [4], as a picture [48, 48, 3].

    A floor leads away between dark walls. A cue is a red square at its side; at the fork the floor
    goes on to both sides and is walled off ahead.
    """
    picture = np.full((48, 48, 3), 40, np.uint8)
    picture[:, 18:30] = 200
    sign = int(np.argmax(view))
    if sign == _FORK:
        picture[:18] = 40
        picture[18:30] = 200
    elif sign != _CORRIDOR:
        side = slice(4, 14) if sign == 0 else slice(34, 44)
        picture[19:29, side] = 220, 40, 40
    return picture


def corridor_length(text: str | int) -> int:
    """Read the length of a corridor.

    Raises:
        UsageError: It is no whole number of 1 or more.
    """
    try:
        length = int(text)
    except ValueError:
        length = 0
    if length < 1:
        raise UsageError(
            f"A T-maze needs a corridor of 1 step or more, as in 't-maze/10'; got {text!r}."
        )
    return length


@dataclass(frozen=True)
class TMazeTask:
    """A T-maze, which needs a memory; `TMazeVectorEnv` has the rules.

    Attributes:
        length: Steps from the cue to the fork, as a number or its digits.
        steps: Budget in agent steps.
        name: What the task is called in a sequence instead of "t-maze/" and the length,
            so that one may hold it twice with other options.

    Raises:
        UsageError: The length or `steps` is no whole number of 1 or more.
    """

    length: int | str = 10
    steps: int = 200_000
    name: str | None = None

    def __post_init__(self) -> None:
        task_id(self.name, "t-maze")
        ranges = {"steps": AT_LEAST_1}
        if not isinstance(self.length, str):
            ranges["length"] = AT_LEAST_1
        check_fields(self, ranges)
        object.__setattr__(self, "length", corridor_length(self.length))

    @property
    def spec(self) -> TaskSpec:
        """What methods and learners need to know."""
        env = TMazeVectorEnv(1)
        return TaskSpec(
            id=task_id(self.name, f"t-maze/{self.length}"),
            observation_space=env.single_observation_space,
            action_space=env.single_action_space,
            steps=self.steps,
        )

    def make_vec(self, num_envs: int, threads: int = 1) -> AnyVectorEnv:
        """Make `num_envs` copies; one thread steps them all, whatever `threads` says."""
        return TMazeVectorEnv(num_envs, corridor_length(self.length))
