"""The way that is walked through a maze while a film is made, kept as numbers beside the film."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from colonnade.errors import ColonnadeError
from colonnade.tasks.mazes.maze_env import MazeVectorEnv

Floats = NDArray[np.float64]

_DIGITS = 3
"""Millimetres are kept."""


@dataclass(frozen=True)
class Way:
    """Where the player of a film went, from above.

    Attributes:
        places: [T, 2] x and y in metres before each step, and after the last one where the episode
            did not end there.
        headings: [T] degrees, 0 along x and 90 along y.
        items: [I, 2] where the items of the level lay, in metres.
        eaten: [I] after how many steps each was eaten; -1 for never.
    """

    places: Floats
    headings: Floats
    items: Floats
    eaten: NDArray[np.int64]

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {
            "places": self.places.round(_DIGITS).tolist(),
            "headings": self.headings.round(_DIGITS).tolist(),
            "items": self.items.round(_DIGITS).tolist(),
            "eaten": self.eaten.tolist(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Way:
        """Read what `to_json` gave.

        Raises:
            ColonnadeError: It is something else.
        """
        try:
            places = np.array(data["places"], np.float64).reshape(-1, 2)
            headings = np.array(data["headings"], np.float64)
            items = np.array(data["items"], np.float64).reshape(-1, 2)
            eaten = np.array(data["eaten"], np.int64)
            sizes = len(places) == headings.size > 0 and len(items) == eaten.size
        except (KeyError, TypeError, ValueError, OverflowError):
            sizes = False
        if not (sizes and np.isfinite(places).all() and np.isfinite(items).all()):
            raise ColonnadeError("A way through a maze is damaged; film it again.")
        return cls(places, headings, items, eaten)


class Tracker:
    """Notes the way of the first copy of a maze, from a reset to the end of its episode.

    Args:
        env: The environments; of what is no maze nothing is noted.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        base = env.unwrapped
        self._maze = base if isinstance(base, MazeVectorEnv) else None
        self._poses: list[NDArray[np.float64]] = []
        self._items: Floats = np.empty((0, 2))
        self._eaten: NDArray[np.int64] = np.empty(0, np.int64)

    def begin(self) -> None:
        """Note how an episode begins."""
        if self._maze is not None:
            self._items = self._maze.places[0]
            self._eaten = np.full(len(self._items), -1)
            self._poses = [self._maze.poses[0].copy()]

    def note(self, *, over: bool, terminated: bool) -> None:
        """Note where a step led; of one that ended the episode only what is certain."""
        if self._maze is None:
            return
        steps = len(self._poses)
        if not over:
            self._poses.append(self._maze.poses[0].copy())
            gone = ~self._maze.items_left[0]
        elif terminated:  # nothing good is left, and the next episode has begun
            gone = np.array(self._maze.level.values) > 0
        else:
            return
        self._eaten[gone & (self._eaten < 0)] = steps

    @property
    def way(self) -> Way | None:
        """What was noted; None of what is no maze."""
        if not self._poses:
            return None
        poses = np.array(self._poses)
        return Way(poses[:, :2], poses[:, 2], self._items, self._eaten)
