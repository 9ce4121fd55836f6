"""Labyrinth in ViZDoom: the same levels, drawn and walked in a real engine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.tasks.episode_seeds import EpisodeSeeds, reset_mask
from colonnade.tasks.mazes.doom.engines import Engines, check_installed
from colonnade.tasks.mazes.doom.maps import (
    BITS,
    THRUST,
    TICS,
    UNITS,
    eaten_items,
    level_wad,
    text_map,
)
from colonnade.tasks.mazes.labyrinth import first_layout
from colonnade.tasks.mazes.levels import Level, layout
from colonnade.tasks.mazes.maze_env import MAX_STEPS, Mask, MazeVectorEnv, Views, view_space
from colonnade.tasks.mazes.maze_task import MazeTask
from colonnade.tasks.mazes.view_tables import FOCAL
from colonnade.tasks.mazes.walking import MOST_NOD, NOD, TURN
from colonnade.tasks.vector import AnyVectorEnv

_MOVES = np.array([[0.0, 0.0]] * 4 + [[1.0, 0.0], [-1.0, 0.0], [0.0, -1.0], [0.0, 1.0]])
_TURNS = np.array([0.0, 0.0, TURN, -TURN, 0.0, 0.0, 0.0, 0.0])
_NODS = np.array([NOD, -NOD, 0, 0, 0, 0, 0, 0])


class DoomLabyrinthVectorEnv(MazeVectorEnv):
    """Copies of a level, each in an engine of its own; `MazeVectorEnv` has the rules.

    A move pushes the engine's player for three tics and brakes it in the fourth, so that it stands
    after each action, as the ray caster's does.

    What copy i does follows from the seed of its episode, `episode_seeds[i]`, and from its actions
    since then. A seed s lays its first episode out as the ray caster's `reset(seed=s)` does.

    The other arguments are those of `MazeVectorEnv`.

    Args:
        threads: Processes that hold the engines.

    Raises:
        UsageError: ViZDoom is not installed, or its engine refuses the level.
    """

    def __init__(
        self,
        level: Level | str = "track-1",
        num_envs: int = 1,
        colour: bool = True,
        stack: int = 1,
        max_steps: int = MAX_STEPS,
        threads: int = 1,
    ) -> None:
        super().__init__(level, num_envs, colour, stack, max_steps)
        self._seeds = EpisodeSeeds(num_envs)
        counters = math.ceil(len(self.level.items) / BITS)
        wad, offset = level_wad(self.level, layout(self.level, 0))
        self._engines = Engines(wad, offset, num_envs, threads, colour, counters)
        self._variables = np.zeros((num_envs, 4 + counters))
        self._heading = np.zeros(num_envs)
        self._tilt = np.zeros(num_envs, np.int64)
        self._shown = np.zeros(
            (num_envs, self._channels, *view_space(colour, 1).shape[1:]), np.uint8
        )

    @property
    def episode_seeds(self) -> NDArray[np.int64]:
        """The seeds of the episodes under way, int64 [N]; see `EpisodeSeeds`."""
        return self._seeds.values

    @property
    def poses(self) -> NDArray[np.float64]:
        """Where the players are, [N, 4]: x, y in metres, heading in degrees, tilt in rows."""
        places = self._variables[:, :2] / UNITS
        return np.column_stack((places, self._variables[:, 2], self._tilt))

    @property
    def places(self) -> NDArray[np.float64]:
        """Where the items of the episodes under way lie, [N, I, 2], in metres."""
        return np.array([first_layout(self.level, int(s)).places for s in self.episode_seeds])

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[Views, dict[str, Any]]:
        """Begin episodes of explicit seeds.

        Args:
            seed: As in `EpisodeSeeds.begin`.
            options: "reset_mask", bool [N], leaves the other copies as they are.
        """
        chosen = reset_mask(options, self.num_envs)
        self._seeds.begin(seed, chosen)
        self._put(chosen)
        return self._show(chosen), {}

    def _put(self, chosen: Mask) -> None:
        """Begin the episodes that the seeds say."""
        self.items_left[chosen] = True
        self._age[chosen] = 0
        begins = [first_layout(self.level, int(seed)) for seed in self._seeds.values[chosen]]
        texts = [text_map(self.level, begin) for begin in begins]
        self._heading[chosen] = [round(begin.heading) for begin in begins]
        self._tilt[chosen] = 0
        self._take(chosen, *self._engines.begin(chosen, texts))

    def _begin(self, chosen: Mask) -> None:
        self._seeds.follow(chosen)
        self._put(chosen)

    def _act(self, actions: NDArray[np.int64]) -> Mask:
        self._heading = (self._heading + _TURNS[actions]) % 360.0
        self._tilt = np.clip(self._tilt + _NODS[actions], -MOST_NOD, MOST_NOD)
        # Towards what both should be, so that the engine's rounding does not add up.
        turn = (self._variables[:, 2] - self._heading + 180.0) % 360.0 - 180.0
        nod = np.rad2deg(np.arctan(self._tilt / FOCAL)) + self._variables[:, 3]
        looks = np.column_stack((nod, turn)) / TICS
        every = np.ones(self.num_envs, np.bool_)
        self._take(every, *self._engines.step(np.hstack((looks, _MOVES[actions] * THRUST))))
        eaten = eaten_items(self._variables[:, 4:], len(self.level.items))
        return np.asarray(eaten & self.items_left)

    def _take(self, chosen: Mask, variables: NDArray[np.float64], views: NDArray[np.uint8]) -> None:
        self._variables[chosen] = variables
        shown = self._shown.copy()
        shown[chosen] = views.transpose(0, 3, 1, 2)
        self._shown = shown

    def _views(self) -> Views:
        return self._shown

    def close_extras(self, **kwargs: Any) -> None:
        """End the engines."""
        self._engines.close()


@dataclass(frozen=True)
class DoomLabyrinthTask(MazeTask):
    """A level of Labyrinth in ViZDoom, which the extra `colonnade[vizdoom]` installs.

    Its fields are those of `MazeTask`; a step is four of the engine's tics.
    """

    family = "doom-labyrinth"

    def check_installed(self) -> None:
        """Look for ViZDoom.

        Raises:
            UsageError: It is not installed.
        """
        check_installed()

    def make_vec(self, num_envs: int, threads: int = 1) -> AnyVectorEnv:
        """Make `num_envs` copies, each an engine, held by `threads` processes.

        Raises:
            UsageError: ViZDoom is not installed, or its engine refuses the level.
        """
        return DoomLabyrinthVectorEnv(
            self.level, num_envs, self.colour, self.stack, self.max_steps, threads
        )
