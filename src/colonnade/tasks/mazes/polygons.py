"""Plane polygons as mazes need them: bands along a line, simple outlines, what lies inside.

Points are (x, y) in metres, x to the right and y up; outlines run counter-clockwise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]
Floats = NDArray[np.float64]


def band(line: Sequence[Point], width: float) -> tuple[Point, ...]:
    """Outline a corridor along a line of straight pieces, its corners mitred.

    Args:
        line: At least two points; the corridor ends square at the first and the last.
        width: From wall to wall, in metres.

    Returns:
        The outline, counter-clockwise: the right side from the first point on, then the left side
        back.
    """
    points = np.array(line, np.float64)
    along = np.diff(points, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    before, after = np.vstack((along[:1], along)), np.vstack((along, along[-1:]))
    # The mitre: where both pieces' sides meet, half a width from either.
    middle = before + after
    middle *= width / (middle * before).sum(1, keepdims=True) / 2
    right = np.stack((middle[:, 1], -middle[:, 0]), axis=1)
    corners = np.vstack((points + right, (points - right)[::-1]))
    return tuple((round(float(x), 6), round(float(y), 6)) for x, y in corners)


def star(centre: Point, ends: Sequence[Point], width: float) -> tuple[Point, ...]:
    """Outline corridors that lead from one place to several ends.

    Args:
        centre: Where they meet.
        ends: The middle of each dead end, counter-clockwise around the centre.
        width: From wall to wall, in metres.

    Returns:
        The outline, counter-clockwise.
    """
    corners: list[Point] = []
    for end, following in zip(ends, [*ends[1:], ends[0]], strict=True):
        here, there = _direction(centre, end), _direction(centre, following)
        half = width / 2
        corners.append((end[0] + half * here[1], end[1] - half * here[0]))
        corners.append((end[0] - half * here[1], end[1] + half * here[0]))
        # The left side of this arm meets the right side of the following one.
        middle = (here[0] + there[0], here[1] + there[1])
        turn = here[0] * there[1] - here[1] * there[0]
        corners.append(
            (centre[0] + half * middle[0] / turn, centre[1] + half * middle[1] / turn),
        )
    return tuple((round(x, 6), round(y, 6)) for x, y in corners)


def _direction(a: Point, b: Point) -> Point:
    length = math.dist(a, b)
    return (b[0] - a[0]) / length, (b[1] - a[1]) / length


def signed_area(outline: Sequence[Point]) -> float:
    """Return the area in square metres, negative for a clockwise outline."""
    x, y = np.array(outline, np.float64).T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)


def crossing(outline: Sequence[Point]) -> tuple[int, int] | None:
    """Return two walls that meet elsewhere than at a shared corner, or None.

    Wall i leads from corner i to the next one.
    """
    count = len(outline)
    walls = [(outline[i], outline[(i + 1) % count]) for i in range(count)]
    for i in range(count):
        for j in range(i + 1, count):
            neighbours = j == i + 1 or (i == 0 and j == count - 1)
            if neighbours:
                first, last = (i, j) if j == i + 1 else (j, i)
                if _folds_back(walls[first][0], walls[first][1], walls[last][1]):
                    return i, j
            elif _meet(*walls[i], *walls[j]):
                return i, j
    return None


def _turn(a: Point, b: Point, c: Point) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _folds_back(a: Point, b: Point, c: Point) -> bool:
    """Whether the wall from b to c lies on that from a to b."""
    return _turn(a, b, c) == 0 and (b[0] - a[0]) * (c[0] - b[0]) + (b[1] - a[1]) * (c[1] - b[1]) < 0


def _meet(a: Point, b: Point, c: Point, d: Point) -> bool:
    turns = _turn(a, b, c), _turn(a, b, d), _turn(c, d, a), _turn(c, d, b)
    if turns[0] * turns[1] < 0 and turns[2] * turns[3] < 0:
        return True
    between = ((a, b, c), (a, b, d), (c, d, a), (c, d, b))
    return any(
        turn == 0
        and min(p[0], q[0]) <= r[0] <= max(p[0], q[0])
        and min(p[1], q[1]) <= r[1] <= max(p[1], q[1])
        for turn, (p, q, r) in zip(turns, between, strict=True)
    )


def inside(outline: Sequence[Point], points: Floats) -> NDArray[np.bool_]:
    """Tell which points, [..., 2], lie inside; on a wall it may be either."""
    a = np.array(outline, np.float64)
    b = np.roll(a, -1, axis=0)
    x, y = points[..., None, 0], points[..., None, 1]
    straddles = (a[:, 1] > y) != (b[:, 1] > y)
    rise = np.where(b[:, 1] == a[:, 1], 1.0, b[:, 1] - a[:, 1])
    crossed = straddles & (x < a[:, 0] + (y - a[:, 1]) / rise * (b[:, 0] - a[:, 0]))
    result: NDArray[np.bool_] = crossed.sum(-1) % 2 == 1
    return result


def wall_distance(outline: Sequence[Point], points: Floats) -> Floats:
    """Return how far points, [..., 2], are from the nearest wall, in metres."""
    a = np.array(outline, np.float64)
    along = np.roll(a, -1, axis=0) - a
    from_corner = points[..., None, :] - a
    share = (from_corner * along).sum(-1) / (along**2).sum(-1)
    apart = from_corner - np.clip(share, 0, 1)[..., None] * along
    return np.asarray(np.sqrt((apart**2).sum(-1)).min(-1))
