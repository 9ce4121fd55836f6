"""Levels drawn from above."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from colonnade.checks import whole
from colonnade.tasks.mazes.items import SPRITE, sprite
from colonnade.tasks.mazes.levels import Layout, Level, layout
from colonnade.tasks.mazes.polygons import inside, wall_distance

_FINE = 3  # samples across a pixel
_MARGIN = 0.5  # metres around the outline
_ITEM = 0.8  # metres across an item's picture, larger than it is
_PAPER = np.array((255.0, 255.0, 255.0))
_PLAYER = np.array((30.0, 60.0, 200.0))

Points = NDArray[np.float64]


def draw_plan(
    level: Level, pixels_per_metre: int = 24, begin: Layout | None = None
) -> NDArray[np.uint8]:
    """Draw a level from above: floor, walls, items, and the player as an arrow.

    Args:
        level: What to draw.
        pixels_per_metre: Its scale.
        begin: Where items lie and which way the player looks; None takes those of seed 0.

    Returns:
        [H, W, 3], north up; y grows upwards.

    Raises:
        UsageError: The scale is no whole number of 1 or more.
    """
    scale = whole("pixels_per_metre", pixels_per_metre)
    begin = begin or layout(level, 0)
    low, high = plan_edges(level)
    width, height = np.ceil((high - low) * scale).astype(int)
    fine = (np.arange(max(width, height) * _FINE) + 0.5) / (scale * _FINE)
    points = np.stack(
        np.meshgrid(low[0] + fine[: width * _FINE], high[1] - fine[: height * _FINE]), axis=-1
    )
    picture = np.empty((*points.shape[:2], 3))
    picture[:] = _PAPER
    for rows in np.array_split(np.arange(len(points)), max(1, points.size // 200_000)):
        part = points[rows]
        picture[rows] = _ground(level, part)
    picture[_arrow(points, level.start[:2], begin.heading)] = _PLAYER
    for item, place in zip(level.items, begin.places, strict=True):
        _put(
            picture,
            item.kind,
            ((place - low) * scale * _FINE)[0],
            ((high - place) * scale * _FINE)[1],
            _ITEM * scale * _FINE,
        )
    shrunk = picture.reshape(height, _FINE, width, _FINE, 3).mean((1, 3))
    plan: NDArray[np.uint8] = np.rint(shrunk).astype(np.uint8)
    return plan


def plan_edges(level: Level) -> tuple[Points, Points]:
    """Return the lowest and the highest x and y, in metres, that a plan shows."""
    corners = np.array(level.outline)
    return corners.min(0) - _MARGIN, corners.max(0) + _MARGIN


def _ground(level: Level, points: Points) -> Points:
    ground = np.empty((*points.shape[:2], 3))
    ground[:] = _PAPER
    ground[inside(level.outline, points)] = 0.4 * np.array(level.decor.floor) + 0.6 * _PAPER
    ground[wall_distance(level.outline, points) < 0.1] = level.decor.wall
    return ground


def _arrow(points: Points, start: tuple[float, float], heading: float) -> NDArray[np.bool_]:
    """Return which points lie in a triangle that points where the player looks."""
    angle = np.deg2rad(heading)
    apart = points - np.array(start)
    ahead = apart[..., 0] * np.cos(angle) + apart[..., 1] * np.sin(angle)
    aside = np.abs(apart[..., 0] * np.sin(angle) - apart[..., 1] * np.cos(angle))
    return np.asarray((ahead > -0.3) & (aside < 0.6 * (0.4 - ahead) * 0.5))


def _put(picture: Points, kind: str, column: float, row: float, size: float) -> None:
    """Draw an item's picture around a place, over what is there."""
    colours, shown = sprite(kind)
    side = max(1, round(size))
    at = (np.arange(side) + 0.5) / side * SPRITE
    index = at.astype(np.int64)
    top, left = round(row - side / 2), round(column - side / 2)
    rows = np.clip(top + np.arange(side), 0, picture.shape[0] - 1)
    columns = np.clip(left + np.arange(side), 0, picture.shape[1] - 1)
    under = picture[np.ix_(rows, columns)]
    mask = shown[np.ix_(index, index)][..., None]
    picture[np.ix_(rows, columns)] = np.where(mask, colours[np.ix_(index, index)], under)
