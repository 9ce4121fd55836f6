"""Levels of mazes as data, the one truth for the ray caster and for ViZDoom, and their layouts."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.checks import flag, real
from colonnade.errors import UsageError, unknown_name
from colonnade.tasks.mazes.decor import Decor
from colonnade.tasks.mazes.items import KINDS
from colonnade.tasks.mazes.polygons import (
    Point,
    crossing,
    inside,
    signed_area,
    wall_distance,
)

CORRIDOR = 2.0
"""Width of a corridor, in metres, and height of all walls."""

BODY = 0.35
"""How near its middle the player comes to a wall, in metres."""

ITEM = 0.25
"""How near an item's middle may lie to a wall: half its width, in metres."""

REACH = 0.55
"""How near the player must come to an item's middle to eat it, in metres."""

FURTHEST = 64.0
"""No two places of a level may be further apart than this, in metres."""

_APART, _FROM_START, _FROM_WALLS = 0.8, 1.2, 0.5  # of scattered items, in metres
_ROUNDS, _CANDIDATES = 40, 4  # of candidates, and how many in each for every scattered item


@dataclass(frozen=True)
class Item:
    """Something to eat.

    Attributes:
        kind: One of `colonnade.tasks.mazes.items.KINDS`.
        x: Of its middle, in metres.
        y: Of its middle, in metres.
        value: Reward for eating it; None for its kind's.

    Raises:
        UsageError: The kind is unknown, or something else is no number.
    """

    kind: str
    x: float
    y: float
    value: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown_name("kind of item", str(self.kind), KINDS)
        real(f"x of a {self.kind}", self.x)
        real(f"y of a {self.kind}", self.y)
        if self.value is None:
            object.__setattr__(self, "value", KINDS[self.kind].value)
        object.__setattr__(self, "value", float(real(f"value of a {self.kind}", self.value)))

    @property
    def reward(self) -> float:
        """Reward for eating it."""
        assert self.value is not None
        return self.value


@dataclass(frozen=True)
class Level:
    """A maze of one outline, without pillars.

    Attributes:
        name: What it is called.
        outline: Corners (x, y) in metres, in order around the maze in either direction; made
            counter-clockwise.
        start: Where the player begins: x and y in metres, and the heading in degrees, 0 along x
            and 90 along y.
        items: What lies in it. An episode ends where all of positive value are eaten.
        scattered: Whether every episode lays the items elsewhere, by its seed; where they are
            here tells only their kinds and values.
        any_heading: Whether every episode begins with another heading, by its seed.
        decor: Colours.

    Raises:
        UsageError: The outline crosses itself, the start or an item lies outside or within a wall,
            there is nothing good to eat, or no room to scatter the items.
    """

    name: str
    outline: tuple[Point, ...]
    start: tuple[float, float, float]
    items: tuple[Item, ...]
    scattered: bool = False
    any_heading: bool = False
    decor: Decor = field(default_factory=Decor)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip() or not self.name.isprintable():
            raise UsageError(f"The name of a level must be a line of text, not {self.name!r}.")
        object.__setattr__(self, "outline", _outline(self.name, self.outline))
        object.__setattr__(self, "start", _start(self.name, self.start))
        object.__setattr__(self, "items", tuple(self.items))
        flag(f"scattered of level {self.name!r}", self.scattered)
        flag(f"any_heading of level {self.name!r}", self.any_heading)
        self._check_places()

    def _check_places(self) -> None:
        if not self._free(np.array(self.start[:2]), BODY):
            raise UsageError(
                f"Level {self.name!r} starts at {self.start[:2]}, outside its walls or nearer than "
                f"{BODY} m to one; move it further in."
            )
        if not any(item.reward > 0 for item in self.items):
            raise UsageError(
                f"Level {self.name!r} has no item of positive value, so that its episodes have no "
                "end to reach; add an apple or a strawberry."
            )
        for item in self.items if not self.scattered else ():
            if not self._free(np.array((item.x, item.y)), ITEM):
                raise UsageError(
                    f"The {item.kind} of level {self.name!r} at {(item.x, item.y)} lies outside "
                    f"its walls or nearer than {ITEM} m to one; move it further in."
                )
        layout(self, 0)  # refuses a level without room

    def _free(self, points: NDArray[np.float64], margin: float) -> NDArray[np.bool_]:
        away = wall_distance(self.outline, points) >= margin
        return np.asarray(inside(self.outline, points) & away)

    @property
    def values(self) -> tuple[float, ...]:
        """Reward for eating each item."""
        return tuple(item.reward for item in self.items)

    @property
    def best(self) -> float:
        """The highest return of an episode: all good items and no bad one."""
        return math.fsum(value for value in self.values if value > 0)

    def to_json(self) -> dict[str, Any]:
        """Return the level as JSON types; `level_from_json` reads them."""
        return {
            "name": self.name,
            "outline": [list(corner) for corner in self.outline],
            "start": list(self.start),
            "items": [
                {"kind": item.kind, "x": item.x, "y": item.y, "value": item.reward}
                for item in self.items
            ],
            "scattered": self.scattered,
            "any_heading": self.any_heading,
            "decor": {
                "pattern": self.decor.pattern,
                "wall": list(self.decor.wall),
                "floor": list(self.decor.floor),
                "ceiling": list(self.decor.ceiling),
            },
        }


@dataclass(frozen=True)
class Layout:
    """How an episode begins.

    Attributes:
        places: [I, 2] float64, the middle of each item in metres.
        heading: Of the player, in degrees from 0 to below 360; drawn ones are whole.
    """

    places: NDArray[np.float64]
    heading: float


def layout(level: Level, seed: int) -> Layout:
    """Lay out an episode's items.

    Args:
        level: Whose items.
        seed: A whole number of 0 or more; the same gives the same layout, in both bodies.

    Raises:
        UsageError: The level scatters its items and has no room for them.
    """
    places = np.array([(item.x, item.y) for item in level.items], np.float64)
    heading = level.start[2]
    if not level.scattered and not level.any_heading:
        return Layout(places, heading)
    random = np.random.default_rng(seed)
    if level.any_heading:
        heading = float(random.integers(360))  # whole, as maps of the engine have it
    if level.scattered:
        places = _scatter(level, random)
    return Layout(places, heading)


def _scatter(level: Level, random: np.random.Generator) -> NDArray[np.float64]:
    corners = np.array(level.outline)
    low, high = corners.min(0), corners.max(0)
    places: list[NDArray[np.float64]] = []
    for _ in range(_ROUNDS):
        candidates = low + (high - low) * random.random((_CANDIDATES * len(level.items), 2))
        free = level._free(candidates, _FROM_WALLS)
        for taken, apart in (
            (np.array(level.start[:2]), _FROM_START),
            *((p, _APART) for p in places),
        ):
            free &= ((candidates - taken) ** 2).sum(-1) >= apart**2
        left = candidates[free]
        while len(left) and len(places) < len(level.items):
            places.append(left[0])
            left = left[((left - left[0]) ** 2).sum(-1) >= _APART**2]
        if len(places) == len(level.items):
            break
    if len(places) < len(level.items):
        raise UsageError(
            f"Level {level.name!r} has no room to scatter {len(level.items)} items {_APART} m from "
            f"each other, {_FROM_START} m from the start and {_FROM_WALLS} m from walls; enlarge "
            "it or take items away."
        )
    return np.array(places)


def _outline(name: str, given: Any) -> tuple[Point, ...]:
    try:
        corners = tuple((float(x), float(y)) for x, y in given)
    except (TypeError, ValueError):
        corners = ()
    if len(corners) < 3 or not all(math.isfinite(x) and math.isfinite(y) for x, y in corners):
        raise UsageError(
            f"The outline of level {name!r} must be three corners (x, y) or more, in metres; got "
            f"{str(given)[:80]}."
        )
    for i, corner in enumerate(corners):
        if math.dist(corner, corners[(i + 1) % len(corners)]) < 0.01:
            raise UsageError(
                f"The outline of level {name!r} names the corner {corner} twice in a row; leave "
                "one of them away."
            )
    if (pair := crossing(corners)) is not None:
        walls = " and ".join(
            f"from {corners[i]} to {corners[(i + 1) % len(corners)]}" for i in pair
        )
        raise UsageError(
            f"The outline of level {name!r} crosses itself: the walls {walls} meet; order its "
            "corners around the maze."
        )
    spread = np.ptp(np.array(corners), axis=0)
    if math.hypot(*spread) > FURTHEST:
        raise UsageError(
            f"Level {name!r} measures {spread[0]:g} by {spread[1]:g} m; corners may lie up to "
            f"{FURTHEST:g} m apart."
        )
    return corners if signed_area(corners) > 0 else corners[::-1]


def _start(name: str, given: Any) -> tuple[float, float, float]:
    if not isinstance(given, tuple | list) or len(given) != 3:
        raise UsageError(
            f"The start of level {name!r} must be x and y in metres and a heading in degrees; got "
            f"{given!r}."
        )
    x, y, heading = (float(real(f"start of level {name!r}", number)) for number in given)
    return x, y, heading % 360.0


def level_from_json(data: Any) -> Level:
    """Make the level that `Level.to_json` gave.

    Raises:
        UsageError: A part is missing, unknown or wrong.
    """
    if not isinstance(data, Mapping):
        raise UsageError(f"A level must be an object with a name and an outline, not {data!r:.80}.")
    known = ("name", "outline", "start", "items", "scattered", "any_heading", "decor")
    for key in data:
        if key not in known:
            raise unknown_name("part of a level", str(key), known)
    for key in known[:4]:
        if key not in data:
            raise UsageError(f"A level needs {', '.join(known[:4])}; {key!r} is missing.")
    try:
        parts = {
            **data,
            "items": tuple(Item(**item) for item in data["items"]),
            "decor": Decor(**data.get("decor", {})),
        }
    except TypeError as error:
        raise UsageError(f"The items or the decor of level {data['name']!r}: {error}.") from None
    return Level(**parts)


def read_level(path: Path) -> Level:
    """Read a level of one's own from a JSON file.

    Raises:
        UsageError: There is no such file, it is no JSON, or no level.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"The level file {str(path)!r} cannot be read: {error.strerror}."
        ) from None
    except ValueError as error:
        raise UsageError(f"The level file {str(path)!r} is no JSON: {error}.") from None
    return level_from_json(data)
