"""Labyrinth in the base installation: the levels drawn by our own ray caster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.checks import AT_LEAST_1, check_fields
from colonnade.errors import UsageError
from colonnade.tasks.mazes.levels import REACH, Layout, Level, layout
from colonnade.tasks.mazes.maze_env import (
    Mask,
    MazeVectorEnv,
    Views,
    action_space,
    view_space,
)
from colonnade.tasks.mazes.paper_levels import level_from_name
from colonnade.tasks.mazes.ray_caster import RayCaster
from colonnade.tasks.mazes.walking import Walkers
from colonnade.tasks.random_streams import RandomStreams
from colonnade.tasks.task_ids import task_id
from colonnade.tasks.vector import AnyVectorEnv
from colonnade.types import TaskSpec

MAX_STEPS = 525
"""Steps of an episode: a minute of 2,100 frames of which an action lasts four."""

_WALKERS = ("x", "y", "heading", "tilt")


class LabyrinthVectorEnv(MazeVectorEnv):
    """Copies of a level, seen by the ray caster; `MazeVectorEnv` has the rules.

    After `reset(seed=s)`, copy i depends on s + i and its own actions only.

    Args:
        level: What is played, or the name of one.
        num_envs: The number of copies, N.
        colour: Whether views have three channels or a grey one.
        stack: How many views an observation holds.
        max_steps: Steps after which an episode is truncated.
    """

    def __init__(
        self,
        level: Level | str = "track-1",
        num_envs: int = 1,
        colour: bool = True,
        stack: int = 1,
        max_steps: int = MAX_STEPS,
    ) -> None:
        level = level_from_name(level) if isinstance(level, str) else level
        super().__init__(level, num_envs, colour, stack, max_steps)
        self._caster = RayCaster(level, [item.kind for item in level.items], colour)
        self._walkers = Walkers(level, num_envs)
        self._places = np.zeros((num_envs, len(level.items), 2))
        self._random = RandomStreams(num_envs)

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[Views, dict[str, Any]]:
        """Begin an episode in every copy.

        Args:
            seed: One whole number, or one for each copy; None goes on with the present streams,
                which a new environment seeds from the operating system.
            options: None are understood.
        """
        if seed is not None:
            self._random.seed(seed)
        every = np.ones(self.num_envs, np.bool_)
        self._restart(every)
        return self._show(every), {}

    @property
    def poses(self) -> NDArray[np.float64]:
        """Where the players are, [N, 4]: x, y in metres, heading in degrees, tilt in rows."""
        return np.stack([getattr(self._walkers, name) for name in _WALKERS], axis=1)

    @property
    def places(self) -> NDArray[np.float64]:
        """Where the items of the episodes under way lie, [N, I, 2], in metres."""
        return self._places.copy()

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all that the copies are, fresh arrays [N, ...] by name."""
        walkers = {name: getattr(self._walkers, name).copy() for name in _WALKERS}
        return {
            **walkers,
            "age": self._age.copy(),
            "items_left": self.items_left.copy(),
            "places": self._places.copy(),
            "seen": self._seen.copy(),
            "random": self._random.state,
        }

    def load_state(self, state: dict[str, NDArray[Any]]) -> None:
        """Return to a state that `state` gave, of an environment of as many copies."""
        for name in _WALKERS:
            getattr(self._walkers, name)[...] = state[name]
        self._age[...] = state["age"]
        self.items_left[...] = state["items_left"]
        self._places[...] = state["places"]
        self._seen = np.array(state["seen"], np.uint8)
        self._random.state = state["random"]

    def _begin(self, chosen: Mask) -> None:
        drawn = self._random.uniform(chosen)
        layouts = [layout(self.level, layout_seed(share)) for share in drawn]
        self._places[chosen] = [one.places for one in layouts]
        self._walkers.begin(chosen, np.array([one.heading for one in layouts]))

    def _act(self, actions: NDArray[np.int64]) -> Mask:
        self._walkers.act(actions)
        here = np.stack((self._walkers.x, self._walkers.y), axis=1)
        near = ((self._places - here[:, None]) ** 2).sum(-1) < REACH**2
        return np.asarray(near & self.items_left)

    def _views(self) -> Views:
        walkers = self._walkers
        return self._caster.draw(
            walkers.x, walkers.y, walkers.heading, walkers.tilt, self._places, self.items_left
        )


def layout_seed(share: float) -> int:
    """Make the seed of an episode's layout of a number in [0, 1) from the copy's stream."""
    return int(share * 2**53)


def first_layout(level: Level, seed: int) -> Layout:
    """Return how the first episode after `reset(seed=[seed])` begins, in both bodies."""
    stream = RandomStreams(1)
    stream.seed(seed)
    return layout(level, layout_seed(float(stream.uniform(np.ones(1, np.bool_))[0])))


@dataclass(frozen=True)
class LabyrinthTask:
    """A level of Labyrinth, in the ray caster; `MazeVectorEnv` has the rules.

    Attributes:
        level: The name of one, of a JSON file of your own, or a `Level`.
        steps: Budget in agent steps.
        colour: Whether views have three channels, red, green and blue, or a grey one.
        stack: How many views an observation holds, the newest last.
        max_steps: Steps after which an episode is truncated.
        name: What the task is called in a sequence instead of "labyrinth/" and the level's name, so
            that one may hold it twice with other options.

    Raises:
        UsageError: There is no such level (the nearest name is suggested), or a number is out of
            range.
    """

    level: Level | str = "track-1"
    steps: int = 2_000_000
    colour: bool = True
    stack: int = 1
    max_steps: int = MAX_STEPS
    name: str | None = None

    def __post_init__(self) -> None:
        check_maze_task(self)

    @property
    def spec(self) -> TaskSpec:
        """What methods and learners need to know."""
        return TaskSpec(
            id=task_id(self.name, f"labyrinth/{level_of(self.level).name}"),
            observation_space=view_space(self.colour, self.stack),
            action_space=action_space(),
            steps=self.steps,
        )

    def make_vec(self, num_envs: int, threads: int = 1) -> AnyVectorEnv:
        """Make `num_envs` copies; one thread steps them all, whatever `threads` says."""
        return LabyrinthVectorEnv(
            level_of(self.level), num_envs, self.colour, self.stack, self.max_steps
        )


def level_of(level: Level | str) -> Level:
    """Return a level, or the one of a name."""
    return level_from_name(level) if isinstance(level, str) else level


def check_maze_task(task: Any) -> None:
    """Refuse fields of a maze's task that make no sense.

    Raises:
        UsageError: They do not.
    """
    if not isinstance(task.level, Level | str):
        raise UsageError(
            f"level of {type(task).__name__} must be a level's name or a Level; got "
            f"{task.level!r:.80}."
        )
    check_fields(task, {"steps": AT_LEAST_1, "stack": AT_LEAST_1, "max_steps": AT_LEAST_1})
    task_id(task.name, level_of(task.level).name)
