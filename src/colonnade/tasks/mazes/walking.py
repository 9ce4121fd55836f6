"""How players move through a maze: a step, a turn, a tilt of the head; walls are slid along."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from colonnade.tasks.mazes.levels import BODY, Level
from colonnade.tasks.mazes.polygons import inside

ACTIONS = (
    "look up",
    "look down",
    "look left",
    "look right",
    "move forward",
    "move back",
    "move left",
    "move right",
)
"""What a player can do, by number; the paper names these eight."""

STEP = 0.3
"""Metres of a move; shorter than `BODY`, so that no step leads through a wall."""

TURN = 15.0
"""Degrees of a look to the left or right."""

NOD, MOST_NOD = 8, 32
"""Rows by which a look up or down moves the horizon, and the most from the middle."""

_LOOKS = np.array([NOD, -NOD, 0, 0, 0, 0, 0, 0])
_TURNS = np.array([0.0, 0.0, TURN, -TURN, 0.0, 0.0, 0.0, 0.0])
_AHEAD = np.array([0.0, 0.0, 0.0, 0.0, STEP, -STEP, 0.0, 0.0])
_ASIDE = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, STEP, -STEP])  # to the left
_PASSES = 4
_SLACK = 1e-9

Floats = NDArray[np.float64]


class Walkers:
    """N players in as many copies of a level.

    Attributes:
        x: [N], the middle of each player, in metres.
        y: [N].
        heading: [N], in degrees from 0 to below 360, 0 along x and 90 along y.
        tilt: [N] int64, rows by which the horizon lies below the middle of the view.

    Args:
        level: Where they are.
        count: How many, N.
    """

    def __init__(self, level: Level, count: int) -> None:
        self._outline = level.outline
        self._corners = np.array(level.outline, np.float64)
        self._sides = np.roll(self._corners, -1, axis=0) - self._corners
        self._squares = (self._sides**2).sum(-1)
        self._start = level.start
        self.x, self.y, self.heading = np.zeros((3, count))
        self.tilt = np.zeros(count, np.int64)
        self.begin(np.ones(count, np.bool_), np.full(count, level.start[2]))

    def begin(self, chosen: NDArray[np.bool_], headings: Floats) -> None:
        """Put the chosen players, [N], at the start, with their own headings, [chosen]."""
        self.x[chosen], self.y[chosen] = self._start[:2]
        self.heading[chosen] = headings
        self.tilt[chosen] = 0

    def act(self, actions: NDArray[np.int64]) -> None:
        """Do one action each, [N]; see `ACTIONS`."""
        self.tilt += _LOOKS[actions]
        np.clip(self.tilt, -MOST_NOD, MOST_NOD, out=self.tilt)
        self.heading += _TURNS[actions]
        self.heading %= 360.0
        moving = np.flatnonzero(actions >= 4)
        if len(moving):
            self._move(moving, _AHEAD[actions[moving]], _ASIDE[actions[moving]])

    def _move(self, moving: NDArray[np.int64], ahead: Floats, aside: Floats) -> None:
        angle = np.deg2rad(self.heading[moving])
        cosine, sine = np.cos(angle), np.sin(angle)
        old = np.stack((self.x[moving], self.y[moving]), axis=1)
        new = old + np.stack((ahead * cosine - aside * sine, ahead * sine + aside * cosine), axis=1)
        bad = np.arange(len(new))
        for _ in range(_PASSES):
            away, normal = self._nearest(new[bad])
            close = away < BODY - _SLACK
            bad = bad[close]
            if not len(bad):
                break
            new[bad] += (BODY - away[close])[:, None] * normal[close]
        if len(bad):
            # Wedged between walls: stay where one stood.
            away, _ = self._nearest(new[bad])
            new[bad[away < BODY - 1e-6]] = old[bad[away < BODY - 1e-6]]
        self.x[moving], self.y[moving] = new.T

    def _nearest(self, points: Floats) -> tuple[Floats, Floats]:
        """Return how far the nearest wall of each point is, and the direction away from it."""
        from_corner = points[:, None] - self._corners
        share = (from_corner * self._sides).sum(-1) / self._squares
        apart = from_corner - np.clip(share, 0.0, 1.0)[..., None] * self._sides
        squares = (apart**2).sum(-1)
        rows = np.arange(len(points))
        nearest = squares.argmin(-1)
        away = np.sqrt(squares[rows, nearest])
        return away, apart[rows, nearest] / np.maximum(away, 1e-12)[:, None]

    def within_walls(self) -> NDArray[np.bool_]:
        """Return whether each player, [N], is where a player can be."""
        points = np.stack((self.x, self.y), axis=1)
        away, _ = self._nearest(points)
        return np.asarray(inside(self._outline, points) & (away >= BODY - 1e-6))
