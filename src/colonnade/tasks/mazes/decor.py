"""What the walls of mazes look like, drawn by arithmetic for both bodies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from colonnade.checks import Range, whole
from colonnade.errors import UsageError, unknown_name

Colour = tuple[int, int, int]
"""Red, green and blue, each from 0 to 255."""

Picture = NDArray[np.uint8]

TEXTURE = 64
"""Rows and columns of a wall's pattern, which covers a square of the wall's height."""

_BYTE = Range(0, 255)

Grid = NDArray[np.int64]


def _bricks(row: Grid, column: Grid) -> tuple[NDArray[np.bool_], Grid]:
    course = row // 16
    shifted = (column + 16 * (course % 2)) % TEXTURE
    return (row % 16 < 2) | (shifted % 32 < 2), course * 2 + shifted // 32


def _blocks(row: Grid, column: Grid) -> tuple[NDArray[np.bool_], Grid]:
    return (row % 32 < 2) | (column % 32 < 2), row // 32 * 2 + column // 32


def _planks(row: Grid, column: Grid) -> tuple[NDArray[np.bool_], Grid]:
    return (column % 16 < 2) | (row < 3), column // 16


def _tiles(row: Grid, column: Grid) -> tuple[NDArray[np.bool_], Grid]:
    return (row % 16 < 1) | (column % 16 < 1), (row // 16 + column // 16) % 2 * 3


PATTERNS: dict[str, Callable[[Grid, Grid], tuple[NDArray[np.bool_], Grid]]] = {
    "bricks": _bricks,
    "blocks": _blocks,
    "planks": _planks,
    "tiles": _tiles,
}
"""By name: of rows and columns, where joints are and which stone a place belongs to."""


@dataclass(frozen=True)
class Decor:
    """The colours of a maze.

    Attributes:
        pattern: One of `PATTERNS`.
        wall: Colour of the stones.
        floor: Colour of the floor.
        ceiling: Colour of the ceiling.

    Raises:
        UsageError: There is no such pattern, or a colour is not three numbers from 0 to 255.
    """

    pattern: str = "bricks"
    wall: Colour = (170, 92, 66)
    floor: Colour = (96, 90, 80)
    ceiling: Colour = (92, 116, 146)

    def __post_init__(self) -> None:
        if self.pattern not in PATTERNS:
            raise unknown_name("pattern of walls", str(self.pattern), PATTERNS)
        for name in ("wall", "floor", "ceiling"):
            given = getattr(self, name)
            if not isinstance(given, tuple | list) or len(given) != 3:
                raise UsageError(
                    f"{name} of Decor must be a colour of three numbers from 0 to 255, as in "
                    f"(170, 92, 66); got {given!r}."
                )
            parts = (whole(f"{name} of Decor", part, _BYTE) for part in given)
            object.__setattr__(self, name, tuple(parts))


def wall_texture(decor: Decor) -> Picture:
    """Draw a wall's pattern, [TEXTURE, TEXTURE, 3]; it repeats seamlessly along the wall."""
    row, column = np.mgrid[:TEXTURE, :TEXTURE]
    joint, stone = PATTERNS[decor.pattern](row, column)
    # Stones differ by a few fixed tones, so that one sees how far one has walked along them.
    tone = np.array([1.0, 0.86, 0.94, 0.78, 0.9, 1.06, 0.82, 0.98])[stone % 8]
    grain = 1.0 + 0.05 * np.sin(row * 2.1 + stone) * np.sin(column * 1.7 + 2 * stone)
    shade = np.where(joint, 0.5, tone * grain)
    lit: Picture = np.clip(shade[..., None] * np.array(decor.wall), 0, 255).astype(np.uint8)
    return lit
