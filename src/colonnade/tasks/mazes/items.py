"""What lies in mazes to be eaten or avoided, with its pictures, drawn by arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from colonnade.tasks.mazes.decor import Colour, Picture

SPRITE = 48
"""Rows and columns of an item's picture."""

_Plane = NDArray[np.float64]
_Mask = NDArray[np.bool_]
_Layer = tuple[_Mask, Colour]


def _ellipse(x: _Plane, y: _Plane, width: float, height: float, up: float = 0.0) -> _Mask:
    return np.asarray((x / width) ** 2 + ((y - up) / height) ** 2 <= 1)


def _apple(x: _Plane, y: _Plane) -> list[_Layer]:
    body = _ellipse(x, y + 0.12 * np.exp(-((x / 0.25) ** 2)), 0.86, 0.78, -0.12)
    stem = (abs(x - 0.05) < 0.07) & (y > 0.3) & (y < 0.95)
    leaf = _ellipse(x - 0.28, y, 0.24, 0.12, 0.72)
    return [(body, (206, 30, 36)), (stem, (92, 60, 30)), (leaf, (62, 150, 52))]


def _strawberry(x: _Plane, y: _Plane) -> list[_Layer]:
    half = 0.78 * np.sqrt(np.clip((y + 0.98) / 1.5, 0, 1))
    body = (abs(x) <= half) & (y < 0.52)
    crown = _ellipse(x, y, 0.72, 0.2, 0.52)
    seeds = body & (np.cos(13 * x) * np.cos(11 * y + 0.8) > 0.82)
    return [(body, (232, 52, 96)), (seeds, (250, 226, 150)), (crown, (48, 160, 60))]


def _lemon(x: _Plane, y: _Plane) -> list[_Layer]:
    body = _ellipse(x, y, 0.82, 0.58)
    tips = _ellipse(x, y, 0.98, 0.16)
    return [(tips, (214, 190, 40)), (body, (244, 222, 54))]


def _mushroom(x: _Plane, y: _Plane) -> list[_Layer]:
    stalk = (abs(x) < 0.26) & (y > -0.98) & (y < 0.2)
    cap = _ellipse(x, y, 0.94, 0.82, 0.08) & (y > 0.08)
    dots = cap & (np.cos(7.5 * x) * np.cos(9 * y) > 0.72)
    return [(stalk, (236, 226, 206)), (cap, (120, 72, 160)), (dots, (240, 236, 240))]


@dataclass(frozen=True)
class Kind:
    """A kind of item.

    Attributes:
        value: Reward for eating one, where a level says nothing else.
        layers: Of x and y in the picture, from -1 to 1 and y up, makes what is drawn one over the
            other.
    """

    value: float
    layers: Callable[[_Plane, _Plane], list[_Layer]]


KINDS: dict[str, Kind] = {
    "apple": Kind(1.0, _apple),
    "strawberry": Kind(1.0, _strawberry),
    "lemon": Kind(-1.0, _lemon),
    "mushroom": Kind(-1.0, _mushroom),
}
"""By name. That the first two are good and the others bad is the paper's; the size is ours."""


def item_colours() -> list[Colour]:
    """List the colours that items are painted with, before light falls on them."""
    nowhere = np.zeros((1, 1))
    return [colour for kind in KINDS.values() for _, colour in kind.layers(nowhere, nowhere)]


def sprite(kind: str) -> tuple[Picture, _Mask]:
    """Draw an item from the side.

    Args:
        kind: One of `KINDS`.

    Returns:
        Colours [SPRITE, SPRITE, 3], and which pixels [SPRITE, SPRITE] show the item; in each
        column those lie together.
    """
    axis = (np.arange(SPRITE) + 0.5) / SPRITE * 2 - 1
    x, y = np.meshgrid(axis, -axis)
    colours = np.zeros((SPRITE, SPRITE, 3))
    shown = np.zeros((SPRITE, SPRITE), np.bool_)
    # Light comes from above on the left.
    light = np.clip(0.92 + 0.2 * (y - x) / 1.4, 0.6, 1.1)[..., None]
    for mask, colour in KINDS[kind].layers(x, y):
        colours[mask] = np.array(colour) * light[mask]
        shown |= mask
    # What hangs over a gap within a column would be drawn as a second run.
    for column in range(SPRITE):
        rows = np.flatnonzero(shown[:, column])
        if len(rows):
            gap = np.setdiff1d(np.arange(rows[0], rows[-1]), rows)
            colours[gap, column] = colours[rows[0], column]
            shown[gap, column] = True
    return np.clip(colours, 0, 255).astype(np.uint8), shown
