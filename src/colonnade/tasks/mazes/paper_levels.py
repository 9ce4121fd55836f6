"""Labyrinth's eight levels.

Rusu et al. (2016, "Progressive Neural Networks", section 5.3 and appendix) name them and say what
each looks like from above, which items lie in it and that good ones count up and bad ones down.
Sizes, places and numbers of items are ours; `docs/labyrinth.md` tells which is which.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np

from colonnade.errors import unknown_name
from colonnade.tasks.mazes.decor import Decor
from colonnade.tasks.mazes.levels import CORRIDOR, Item, Level, read_level
from colonnade.tasks.mazes.polygons import Point, band, star


def level_from_name(name: str) -> Level:
    """Return one of the eight levels, or that of a file whose name ends in ".json".

    Raises:
        UsageError: There is no such level; the nearest name is suggested.
    """
    if name.endswith(".json"):
        return read_level(Path(name))
    if name not in LEVELS:
        raise unknown_name("level of Labyrinth", name, LEVELS)
    return LEVELS[name]


def level_of(level: Level | str) -> Level:
    """Return a level, or the one of a name."""
    return level_from_name(level) if isinstance(level, str) else level


def _along(line: tuple[Point, ...], first: float, step: float, count: int) -> list[Point]:
    """Return points at equal distances along a line."""
    points = []
    for distance in first + step * np.arange(count):
        left = float(distance)
        for a, b in itertools.pairwise(line):
            length = math.dist(a, b)
            if left <= length or b is line[-1]:
                share = left / length
                x, y = a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])
                points.append((round(x, 3), round(y, 3)))
                break
            left -= length
    return points


def _items(kind: str, places: list[Point]) -> tuple[Item, ...]:
    return tuple(Item(kind, x, y) for x, y in places)


def _levels() -> dict[str, Level]:
    straight = ((0.0, 0.0), (16.0, 0.0))
    u_shape = ((0.0, 0.0), (10.0, 0.0), (10.0, 5.0), (0.0, 5.0))
    omega = ((0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (10.0, 4.0), (10.0, 0.0), (14.0, 0.0))
    slanted = ((0.0, 0.0), (4.0, 0.0), (7.0, 3.0), (10.0, 3.0), (13.0, 0.0), (17.0, 0.0))
    m_shape = ((0.0, 0.0), (0.0, 5.0), (4.0, 1.5), (8.0, 5.0), (8.0, 0.0))
    room = ((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0))
    arms = ((0.0, -4.0), (2.8, 2.8), (-2.8, 2.8))
    grid = [(1.25 + 1.5 * column, 1.0 + 2.6 * row) for row in range(4) for column in range(6)]

    def room_of(bad: str) -> tuple[Item, ...]:
        return tuple(Item(("apple", bad)[i % 2], *place) for i, place in enumerate(grid))

    brick, stone = (176, 92, 66), (128, 132, 140)
    return {
        level.name: level
        for level in (
            Level(
                "track-1",
                band(straight, CORRIDOR),
                (0.6, 0.0, 0.0),
                _items("apple", _along(straight, 1.8, 1.0, 14)),
                decor=Decor("bricks", brick),
            ),
            Level(
                "track-2",
                band(u_shape, CORRIDOR),
                (0.6, 0.0, 0.0),
                _items("strawberry", _along(u_shape, 1.8, 1.0, 23)),
                decor=Decor("blocks", stone, floor=(104, 92, 72)),
            ),
            Level(
                "track-3",
                band(omega, CORRIDOR),
                (0.6, 0.0, 0.0),
                _items("apple", [(4.0, 0.8), (5.0, 4.0), (9.0, 4.0), (10.0, 0.8), (13.2, 0.0)]),
                decor=Decor("planks", (150, 112, 62), ceiling=(110, 124, 120)),
            ),
            Level(
                "track-4",
                band(slanted, CORRIDOR),
                (0.6, 0.0, 0.0),
                _items("apple", [(4.0, 0.0), (7.0, 3.0), (10.0, 3.0), (13.0, 0.0), (16.2, 0.0)]),
                decor=Decor("tiles", (104, 146, 120), floor=(84, 84, 96)),
            ),
            Level(
                "avoid-1",
                room,
                (5.0, 5.0, 90.0),
                room_of("lemon"),
                scattered=True,
                any_heading=True,
                decor=Decor("blocks", (150, 130, 110)),
            ),
            Level(
                "avoid-2",
                room,
                (5.0, 5.0, 90.0),
                room_of("mushroom"),
                scattered=True,
                any_heading=True,
                decor=Decor("bricks", (112, 120, 160), floor=(84, 100, 78)),
            ),
            Level(
                "maze-m",
                band(m_shape, CORRIDOR),
                (4.0, 1.5, 90.0),
                _items("apple", [(0.0, 0.6), (8.0, 0.6)]),
                decor=Decor("tiles", (160, 140, 90)),
            ),
            Level(
                "maze-y",
                star((0.0, 0.0), arms, CORRIDOR),
                (0.0, -3.4, 90.0),
                _items("apple", [(2.4, 2.4), (-2.4, 2.4)]),
                decor=Decor("planks", (140, 96, 96), ceiling=(120, 118, 104)),
            ),
        )
    }


LEVELS: dict[str, Level] = _levels()
"""The paper's eight levels by name."""
