"""The 256 colours of a level in the engine: ramps from dark to bright of what is in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from colonnade.tasks.mazes.decor import Decor
from colonnade.tasks.mazes.items import item_colours

_LIGHTS = 32  # maps from full light to darkness
_BRIGHTEST = 1.12


def palette(decor: Decor) -> NDArray[np.uint8]:
    """Choose a level's colours, [256, 3]: each colour of its decor and of items, at many lights."""
    bases = np.array([decor.wall, decor.floor, decor.ceiling, *item_colours()], np.float64)
    steps = 254 // len(bases)
    light = np.linspace(_BRIGHTEST / steps, _BRIGHTEST, steps)
    ramps = np.clip(light[:, None] * bases[:, None], 0, 255).reshape(-1, 3)
    colours = np.zeros((256, 3), np.uint8)
    colours[1 : len(ramps) + 1] = ramps
    colours[len(ramps) + 1 :] = 255
    return colours


def light_maps(colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """For each light, of which there are 34, say by which colour each colour is shown.

    The last two are the engine's for invulnerability and for none; here as bright as the first.
    """
    wide = colours.astype(np.float64)
    light = np.concatenate((1 - np.arange(_LIGHTS) / _LIGHTS, (1.0, 1.0)))
    maps = np.empty((len(light), 256), np.uint8)
    squares = (wide**2).sum(-1)
    for i, share in enumerate(light):
        wanted = share * wide
        distance = squares - 2 * wanted @ wide.T  # and a term that is the same for all
        maps[i] = distance.argmin(-1)
    return maps
