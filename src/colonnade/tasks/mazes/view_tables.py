"""What a ray caster looks up: walls and items drawn beforehand, as seen from every distance."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.tasks.mazes.decor import TEXTURE, Decor, wall_texture
from colonnade.tasks.mazes.items import KINDS, SPRITE, sprite
from colonnade.tasks.mazes.levels import CORRIDOR

SIZE = 84
"""Rows and columns of a view."""

FOCAL = 56.0
"""Focal length in pixels: a view spans 2 atan(42 / 56), 73.74 degrees, across and up."""

EYE = 0.75
"""Height of the eye above the floor, in metres; walls are `CORRIDOR` high."""

ITEM_WIDTH, ITEM_HEIGHT = 0.5, 0.45
"""Metres across an item's picture, and the height of its middle above the floor."""

TILT = 32
"""Rows by which looking up or down can move the horizon."""

ROWS = SIZE + 2 * TILT
"""Rows of a column drawn beforehand; a view is `SIZE` of them. The horizon is in their middle."""

WALL_BITS = 18
"""Bits of a float32 that levels of inverse depth ignore: there are 32 of them to a doubling."""

NEAREST, FARTHEST = 2.0**3, 2.0**-6
"""Inverse depths, in 1 / m, between which levels are told apart."""

TONES = (1.0, 0.8)
"""Brightness of walls along y and along x, so that corners show."""

LARGEST = 72
"""Pixels across the largest picture of an item; a nearer one than that is eaten or out of view."""

_LUMA = np.array((0.299, 0.587, 0.114))


def shade(depth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how bright things are at a depth in metres."""
    return np.asarray(np.maximum(0.25, 1.0 / (1.0 + 0.07 * depth)))


def pixels(colours: NDArray[np.uint8], colour: bool) -> NDArray[np.uint32] | NDArray[np.uint8]:
    """Pack colours [..., 3] into one number a pixel: red, green and blue bytes, or a grey level."""
    if not colour:
        grey: NDArray[np.uint8] = np.rint(colours @ _LUMA).astype(np.uint8)
        return grey
    four = np.zeros((*colours.shape[:-1], 4), np.uint8)
    four[..., :3] = colours
    packed: NDArray[np.uint32] = four.view(np.uint32)[..., 0]
    return packed


def wall_level(inverse_depth: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return the level of inverse depths: their exponent and the first bits of their fraction."""
    within = np.clip(inverse_depth, FARTHEST, np.nextafter(np.float32(NEAREST), np.float32(0)))
    return np.asarray((within.astype(np.float32).view(np.int32) >> WALL_BITS) - _FIRST_LEVEL)


_FIRST_LEVEL = int(np.float32(FARTHEST).view(np.int32)) >> WALL_BITS
LEVELS = int(np.float32(NEAREST).view(np.int32) >> WALL_BITS) - _FIRST_LEVEL
"""How many levels of inverse depth there are."""


def level_depths() -> NDArray[np.float64]:
    """Return the depth at the middle of each level, [LEVELS], in metres."""
    bits = (np.arange(LEVELS, dtype=np.int32) + _FIRST_LEVEL << WALL_BITS) + (1 << WALL_BITS - 1)
    return np.asarray(1.0 / bits.view(np.float32).astype(np.float64))


@functools.lru_cache(maxsize=2)
def wall_columns(decor: Decor, colour: bool) -> NDArray[np.uint32] | NDArray[np.uint8]:
    """Draw each column of a wall's pattern from each depth, ceiling above and floor below.

    Args:
        decor: Pattern and colours.
        colour: Whether pixels are colours or grey levels.

    Returns:
        Pixels, flat, of shape [tones, LEVELS, TEXTURE, ROWS].
    """
    texture = wall_texture(decor)
    depth = level_depths()[:, None]
    down = (np.arange(ROWS) + 0.5 - ROWS / 2) / FOCAL  # below the horizon, per metre of depth
    from_top = down * depth + CORRIDOR - EYE
    is_wall = (from_top >= 0) & (from_top < CORRIDOR)
    rows = np.clip(from_top / CORRIDOR * TEXTURE, 0, TEXTURE - 1).astype(np.int64)
    flat_depth = np.where(down > 0, EYE, CORRIDOR - EYE) / np.abs(down)
    flat_colour = np.where(down[:, None] > 0, decor.floor, decor.ceiling)
    flat = pixels((shade(flat_depth)[:, None] * flat_colour).astype(np.uint8), colour)
    table = np.empty((len(TONES), LEVELS, TEXTURE, ROWS), flat.dtype)
    for tone, bright in enumerate(TONES):
        for level in range(LEVELS):
            lit = (texture * (bright * shade(depth[level]))).astype(np.uint8)
            seen = pixels(lit, colour)[rows[level]].T
            table[tone, level] = np.where(is_wall[level], seen, flat)
    return table.reshape(-1)


@dataclass(frozen=True)
class ItemColumns:
    """Pictures of items of 1 to `LARGEST` pixels across, column by column.

    A column shows one run of rows. Columns of a picture follow each other.

    Attributes:
        first: [kinds, LARGEST + 1], number of a picture's first column by kind and size.
        top: [columns], row of the picture where a column's run begins.
        length: [columns], pixels of the run; 0 where a column shows nothing.
        source: [columns], where in `pixels` the run begins.
        pixels: Of all runs.
    """

    first: NDArray[np.int64]
    top: NDArray[np.int64]
    length: NDArray[np.int64]
    source: NDArray[np.int64]
    pixels: NDArray[np.uint32] | NDArray[np.uint8]


@functools.lru_cache(maxsize=2)
def item_columns(colour: bool) -> ItemColumns:
    """Draw items of every kind, in the order of `KINDS`, at every size."""
    first = np.zeros((len(KINDS), LARGEST + 1), np.int64)
    tops: list[int] = []
    lengths: list[int] = []
    runs: list[NDArray[Any]] = []
    for kind, name in enumerate(KINDS):
        colours, shown = sprite(name)
        for size in range(1, LARGEST + 1):
            first[kind, size] = len(tops)
            at = ((np.arange(size) + 0.5) / size * SPRITE).astype(np.int64)
            depth = np.array(ITEM_WIDTH * FOCAL / size)
            lit = (colours[at][:, at] * (0.2 + 0.8 * shade(depth))).astype(np.uint8)
            packed, mask = pixels(lit, colour), shown[at][:, at]
            for column in range(size):
                rows = np.flatnonzero(mask[:, column])
                tops.append(int(rows[0]) if len(rows) else 0)
                lengths.append(len(rows))
                runs.append(packed[rows, column])
    length = np.array(lengths)
    return ItemColumns(
        first, np.array(tops), length, np.cumsum(length) - length, np.concatenate(runs)
    )
