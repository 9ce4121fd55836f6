"""What both bodies of a maze share: spaces, what is eaten, ends, stacked frames."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from colonnade.tasks.mazes.levels import Level
from colonnade.tasks.mazes.paper_levels import level_of
from colonnade.tasks.mazes.view_tables import SIZE
from colonnade.tasks.mazes.walking import ACTIONS
from colonnade.tasks.vector import StepResult

Views = NDArray[np.uint8]
Mask = NDArray[np.bool_]

FRAMES_PER_SECOND = 15

MAX_STEPS = 525
"""Steps of an episode: a minute of 2,100 frames of which an action lasts four."""


def view_space(colour: bool, stack: int) -> gymnasium.spaces.Box:
    """Return the space of what is seen: `stack` views of 3 channels or 1, the newest last."""
    channels = (3 if colour else 1) * stack
    return gymnasium.spaces.Box(0, 255, (channels, SIZE, SIZE), np.uint8)


def action_space() -> gymnasium.spaces.Discrete:
    """Return the space of `ACTIONS`."""
    return gymnasium.spaces.Discrete(len(ACTIONS))


def draw_view(observation: Views, colour: bool) -> Views:
    """Picture an observation's newest view as RGB, [SIZE, SIZE, 3]."""
    newest = observation[-3:] if colour else np.repeat(observation[-1:], 3, axis=0)
    return np.ascontiguousarray(newest.transpose(1, 2, 0))


class MazeVectorEnv(VectorEnv[Views, NDArray[np.int64], NDArray[Any]], ABC):
    """N copies of a level, stepped together, whatever draws them.

    The player looks up, down, left or right, or moves forward, back, left or right. Coming within
    `REACH` of an item eats it and earns its value. The episode terminates where nothing of
    positive value is left, and is truncated after `max_steps` steps. Who walks straight into a wall
    slides along it.

    Observations are freshly allocated uint8 [N, stack * channels, 84, 84]. Environments reset in
    the same step, and `info["final_obs"]`, of the same shape, holds the last observation of each
    episode that ended in a step.

    Attributes:
        level: What is played.
        items_left: [N, I] bool, which items of the episodes under way are not eaten.

    Args:
        level: What is played, or the name of one.
        num_envs: The number of copies, N.
        colour: Whether views have three channels or a grey one.
        stack: How many views an observation holds, the newest last; at an episode's start all
            are the first.
        max_steps: Steps after which an episode is truncated.
    """

    def __init__(
        self, level: Level | str, num_envs: int, colour: bool, stack: int, max_steps: int
    ) -> None:
        self.level = level = level_of(level)
        self.num_envs = num_envs
        self.metadata = {
            "autoreset_mode": AutoresetMode.SAME_STEP,
            "render_fps": FRAMES_PER_SECOND,
        }
        self.single_observation_space = view_space(colour, stack)
        self.single_action_space = action_space()
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.items_left = np.ones((num_envs, len(level.items)), np.bool_)
        self._values = np.array(level.values)
        self._good = self._values > 0
        self._age = np.zeros(num_envs, np.int64)
        self._max_steps = max_steps
        self._channels = 3 if colour else 1
        self._stack = stack
        self._seen = np.zeros((num_envs, *(self.single_observation_space.shape or ())), np.uint8)

    @property
    @abstractmethod
    def poses(self) -> NDArray[np.float64]:
        """Where the players are, [N, 4]: x, y in metres, heading in degrees, tilt in rows."""

    @property
    @abstractmethod
    def places(self) -> NDArray[np.float64]:
        """Where the items of the episodes under way lie, [N, I, 2], in metres."""

    @abstractmethod
    def _begin(self, chosen: Mask) -> None:
        """Put the chosen copies at the start of an episode."""

    @abstractmethod
    def _act(self, actions: NDArray[np.int64]) -> Mask:
        """Do one action each; return what is eaten, [N, I]."""

    @abstractmethod
    def _views(self) -> Views:
        """Return what the players see, [N, channels, SIZE, SIZE], freshly allocated."""

    def step(self, actions: Any) -> StepResult:
        """Do one action in every copy, [N]; see `colonnade.tasks.mazes.walking.ACTIONS`."""
        eaten = self._act(np.asarray(actions, np.int64))
        self.items_left &= ~eaten
        self._age += 1
        rewards = np.asarray(eaten @ self._values, np.float32)
        terminated = np.asarray(~(self.items_left & self._good).any(axis=1))
        truncated = (self._age >= self._max_steps) & ~terminated
        observations = self._show(None)
        info: dict[str, Any] = {}
        if (ended := terminated | truncated).any():
            info["final_obs"] = observations
            self._restart(ended)
            observations = self._show(ended)
        return observations, rewards, terminated, truncated, info

    def _restart(self, chosen: Mask) -> None:
        self.items_left[chosen] = True
        self._age[chosen] = 0
        self._begin(chosen)

    def _show(self, fresh: Mask | None) -> Views:
        """Return observations; where `fresh`, [N], they are an episode's first.

        With None all go on. Otherwise, those that are not fresh stay as they were.
        """
        views = self._views()
        if self._stack == 1:
            self._seen = views
            return views
        if fresh is None:
            seen = np.concatenate((self._seen[:, self._channels :], views), axis=1)
        else:
            seen = self._seen.copy()
            seen[fresh] = np.tile(views[fresh], (1, self._stack, 1, 1))
        self._seen = seen
        return seen
