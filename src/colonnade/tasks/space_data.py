"""Spaces of observations and actions as plain JSON data and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Space
from numpy.typing import NDArray

from colonnade.errors import UsageError
from colonnade.records import shown


def space_data(space: Space[Any]) -> dict[str, Any]:
    """Write a space.

    Args:
        space: Box, Discrete, MultiDiscrete, or a Dict of them.

    Raises:
        UsageError: It is of another kind.
    """
    if isinstance(space, Box):
        shape, dtype = list(space.shape), np.dtype(space.dtype).name
        return {"box": shape, "dtype": dtype, "low": _written(space.low),
                "high": _written(space.high)}  # fmt: skip
    if isinstance(space, Discrete):
        return {"discrete": int(space.n), "start": int(space.start)}
    if isinstance(space, MultiDiscrete):
        return {"multi_discrete": space.nvec.tolist(), "start": space.start.tolist()}
    if isinstance(space, Dict):
        return {"dict": {name: space_data(part) for name, part in space.spaces.items()}}
    raise UsageError(f"A space must be a Box, Discrete, MultiDiscrete or a Dict; got {space}.")


def space_from_data(data: object) -> Space[Any]:
    """Read what `space_data` wrote.

    Raises:
        UsageError: It is something else.
    """
    try:
        if not isinstance(data, Mapping):
            raise TypeError
        if "box" in data:
            shape = tuple(map(int, data["box"]))
            kind: Any = np.dtype(data["dtype"])
            low, high = (_read(data[name], shape, data["dtype"]) for name in ("low", "high"))
            return Box(low, high, shape, dtype=kind.type)
        if "discrete" in data:
            return Discrete(int(data["discrete"]), start=int(data["start"]))
        if "multi_discrete" in data:
            return MultiDiscrete(data["multi_discrete"], start=data["start"])
        return Dict({name: space_from_data(part) for name, part in data["dict"].items()})
    except (TypeError, ValueError, KeyError, AssertionError, AttributeError, OverflowError):
        raise UsageError(f"{shown(data)} describes no space; restore the file.") from None


def _written(bounds: NDArray[Any]) -> Any:
    """Write bounds: one number where all are the same, texts where they are infinite."""
    values = [value if np.isfinite(value) else str(value) for value in bounds.ravel().tolist()]
    return values[0] if len(set(values)) == 1 else values


def _read(data: Any, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    values = np.array([float(value) for value in (data if isinstance(data, list) else [data])])
    return np.broadcast_to(values.reshape(shape if values.size > 1 else ()), shape).astype(dtype)
