"""Labyrinth in the base installation: the levels drawn by our own ray caster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.tasks.mazes.levels import REACH, Layout, Level, layout
from colonnade.tasks.mazes.maze_env import MAX_STEPS, Mask, MazeVectorEnv, Views
from colonnade.tasks.mazes.maze_task import MazeTask
from colonnade.tasks.mazes.ray_caster import RayCaster
from colonnade.tasks.mazes.walking import Walkers
from colonnade.tasks.random_streams import RandomStreams
from colonnade.tasks.vector import AnyVectorEnv

_WALKERS = ("x", "y", "heading", "tilt")


class LabyrinthVectorEnv(MazeVectorEnv):
    """Copies of a level, seen by the ray caster; `MazeVectorEnv` has the rules.

    Its arguments are those of `MazeVectorEnv`. After `reset(seed=s)`, copy i depends on s + i and
    its own actions only.
    """

    def __init__(
        self,
        level: Level | str = "track-1",
        num_envs: int = 1,
        colour: bool = True,
        stack: int = 1,
        max_steps: int = MAX_STEPS,
    ) -> None:
        super().__init__(level, num_envs, colour, stack, max_steps)
        kinds = [item.kind for item in self.level.items]
        self._caster = RayCaster(self.level, kinds, colour)
        self._walkers = Walkers(self.level, num_envs)
        self._places = np.zeros((num_envs, len(kinds), 2))
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
class LabyrinthTask(MazeTask):
    """A level of Labyrinth in the ray caster; its fields are those of `MazeTask`."""

    family = "labyrinth"

    def make_vec(self, num_envs: int, threads: int = 1) -> AnyVectorEnv:
        """Make `num_envs` copies; one thread steps them all, whatever `threads` says."""
        return LabyrinthVectorEnv(self.level, num_envs, self.colour, self.stack, self.max_steps)
