"""Observations as networks take them: images channels first, numbers scaled as they are declared.

Networks divide uint8 by 255. So what is declared as uint8 of other bounds (a one-hot context, say)
comes as signed integers, which they take as they are.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from gymnasium.spaces import Box, Dict, Space
from gymnasium.spaces.utils import flatten_space
from numpy.typing import NDArray

from colonnade.errors import UsageError
from colonnade.types import Shape

Layout = Literal["first", "last", "grey", "stack of last", "stack of first", "vector", "number"]

_COLOURS = (1, 3, 4)
IMAGE_SIDE = 32
"""A matrix whose sides are at least so long is taken for a grey picture."""


def presented_space(name: str, space: Space[Any]) -> Space[Any]:
    """Return the space of what `present` makes of observations of a space.

    Args:
        name: What the environment is called in errors.
        space: A Box, or a Dict of Boxes.

    Raises:
        UsageError: It is of another kind, or of a shape that can be no vector and no image.
    """
    if isinstance(space, Dict) and all(isinstance(part, Box) for part in space.values()):
        return Dict({key: presented_space(name, part) for key, part in space.items()})
    if not isinstance(space, Box):
        raise UsageError(
            f"{name} has observations {space}; Colonnade's networks need numbers, choices or "
            f"texts, alone or in a Dict or a Tuple, so {_advice(space)}, and register the result."
        )
    if layout_of(space.shape) is None:
        raise UsageError(
            f"{name} has observations of shape {space.shape}, of which no axis can be told to hold "
            "an image's channels; bring them to (C, H, W) with "
            "gymnasium.wrappers.TransformObservation, or flatten them with "
            "gymnasium.wrappers.FlattenObservation, and register the result."
        )
    low, high = (present(space, bound[None])[0] for bound in (space.low, space.high))
    return Box(low, high, dtype=low.dtype.type)


def present(space: Space[Any], batch: Any, *, copy: bool = False) -> Any:
    """Bring a batch of observations [N, ...] into the layout of `presented_space`.

    Images (H, W, C) become (C, H, W), grey ones (H, W) become (1, H, W), and stacks of S images
    become (S * C, H, W). Single numbers become vectors of one. The result is contiguous, and may
    share the batch's memory unless it is to be a copy.
    """
    if isinstance(space, Dict):
        return {key: present(part, batch[key], copy=copy) for key, part in space.items()}
    layout = layout_of(space.shape or ())
    if layout == "last":
        batch = np.moveaxis(batch, -1, 1)
    elif layout in ("grey", "number"):
        batch = batch[:, None]
    elif layout == "stack of last":
        batch = np.moveaxis(batch, -1, 2)
    if layout in ("stack of first", "stack of last"):
        batch = batch.reshape(len(batch), -1, *batch.shape[3:])
    if copy:
        return np.array(batch, _dtype(space), order="C")
    return np.ascontiguousarray(batch, _dtype(space))


def layout_of(shape: Shape, grey_side: int = IMAGE_SIDE) -> Layout | None:
    """Tell by its shape what an observation is, and where an image has its channels.

    Args:
        shape: Of one observation.
        grey_side: A matrix whose sides are at least so long is taken for a grey image.

    Returns:
        The layout; None where it has three or more axes and can't be told.
    """
    if len(shape) == 2:
        return "grey" if min(shape) >= grey_side else "vector"
    if len(shape) < 2:
        return "vector" if shape else "number"
    if len(shape) == 3:
        first, middle, last = shape
        if (first in _COLOURS) != (last in _COLOURS):
            return "first" if first in _COLOURS else "last"
        if (first == middle) != (middle == last):
            return "last" if first == middle else "first"
        if min(first, last) < middle and first != last:
            return "first" if first < last else "last"
    if len(shape) == 4 and (shape[1] in _COLOURS) != (shape[3] in _COLOURS):
        return "stack of first" if shape[1] in _COLOURS else "stack of last"
    return None


def full_batch(space: Space[Any], observations: Any, ended: NDArray[np.bool_]) -> Any:
    """Stack the observations of ended episodes into a batch whose other rows are zero."""
    if isinstance(space, Dict):
        return {
            name: full_batch(part, [o and o[name] for o in observations], ended)
            for name, part in space.items()
        }
    batch = np.zeros((len(ended), *(space.shape or ())), space.dtype)
    for i in np.flatnonzero(ended):
        batch[i] = observations[i]
    return batch


def _dtype(space: Space[Any]) -> Any:
    """uint8 only where all of 0 to 255 is meant."""
    if not isinstance(space, Box) or space.dtype != np.uint8:
        return space.dtype
    if (space.low == 0).all() and (space.high == 255).all():
        return np.uint8
    return np.int8 if space.high.max(initial=0) <= 127 else np.int16


def _advice(space: Space[Any]) -> str:
    """Say how to make a Box, or a Dict of Boxes, of a space."""
    if _flattens(space):
        return "wrap it in gymnasium.wrappers.FlattenObservation"
    parts = dict(space.items()) if isinstance(space, Dict) else {}
    kept = [key for key, part in parts.items() if _flattens(part)]
    if not kept:
        return "make a Box of them with gymnasium.wrappers.TransformObservation"
    filtered = f"keep what numbers can say with gymnasium.wrappers.FilterObservation(env, {kept})"
    if all(isinstance(parts[key], Box) for key in kept):
        return filtered
    return f"{filtered} and wrap that in gymnasium.wrappers.FlattenObservation"


def _flattens(space: Space[Any]) -> bool:
    try:
        return isinstance(flatten_space(space), Box)
    except NotImplementedError:
        return False
