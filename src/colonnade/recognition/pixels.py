"""From what an environment shows to the few grey levels of a small picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.errors import UsageError
from colonnade.recognition.recogniser import Observation
from colonnade.types import Shape, TaskSpec

COLOURS = 3
"""So many planes are colours, of which the mean counts; of any other number the last."""


class Pixels:
    """Reads the pictures of one size.

    Args:
        size: A picture is scaled down by the smallest whole factor that makes its sides at most so
            long; a small pixel is the mean of those that it covers. 84 x 84 becomes 42 x 42.
        levels: The grey levels at which a brighter level begins, rising.
        specs: Of the tasks whose pictures will be read.

    Raises:
        UsageError: A task shows no picture, or one of another size than the others.
    """

    def __init__(self, size: int, levels: Sequence[int], specs: Sequence[TaskSpec]) -> None:
        shapes = {spec.id: _picture(spec) for spec in specs}
        if not shapes:
            raise UsageError("Forget-Me-Not was given no task to recognise; name at least one.")
        first = next(iter(shapes))
        for task, (_, shape) in shapes.items():
            if shape != shapes[first][1]:
                raise UsageError(
                    f"Forget-Me-Not compares pictures of one size, but task {first!r} shows "
                    f"{list(shapes[first][1])} and task {task!r} {list(shape)}; bring them to one "
                    "size, or use true labels."
                )
        self._names = {name for name, _ in shapes.values()}
        self._shape = shape = shapes[first][1]
        height, width = shape[-2:]
        self._factor = factor = max(-(-height // size), -(-width // size))
        self._rows, self._columns = height // factor, width // factor
        self.count = self._rows * self._columns
        self.kinds = len(levels) + 1
        brighter = np.searchsorted(np.asarray(levels), np.arange(256), side="right")
        self._level = brighter.astype(np.uint8)
        if factor > 1:  # of the sum that is divided, so that nothing is rounded twice
            self._level = self._level[np.arange(255 * factor**2 + 1) // factor**2]

    def read(self, observation: Observation) -> NDArray[np.uint8]:
        """Return the levels [P] of an observation, from 0 to `kinds` - 1.

        Raises:
            UsageError: It has another shape than the tasks said.
        """
        planes = self._planes(observation)
        if tuple(planes.shape) != self._shape or planes.dtype != np.uint8:
            raise UsageError(
                f"Forget-Me-Not expected pictures {list(self._shape)} of uint8, but got "
                f"{list(planes.shape)} of {planes.dtype}; give what one environment shows."
            )
        if self._shape[0] == COLOURS:
            plane = (planes.sum(0, dtype=np.uint16) // COLOURS).astype(np.uint8)
        else:
            plane = planes[-1]
        levels: NDArray[np.uint8] = self._level[self._shrunk(plane)].reshape(-1)
        return levels

    def _shrunk(self, plane: NDArray[np.uint8]) -> NDArray[Any]:
        """Return the sums over the pixels that each small one covers; what is left over is cut."""
        f = self._factor
        if f == 1:
            return plane
        cut = plane[: self._rows * f, : self._columns * f]
        kind = np.uint16 if f <= 16 else np.uint32
        down = np.add.reduce(cut.reshape(self._rows, f, -1), 1, dtype=kind)
        total: NDArray[Any] = down[:, ::f].copy()
        for column in range(1, f):
            total += down[:, column::f]
        return total

    def _planes(self, observation: Observation) -> NDArray[Any]:
        if isinstance(observation, Mapping):
            name = next((name for name in observation if name in self._names), None)
            if name is None:
                raise UsageError(
                    f"Forget-Me-Not looks at {' or '.join(sorted(self._names))!r}, but the "
                    f"observation holds {', '.join(observation) or 'nothing'}."
                )
            observation = observation[name]
        return np.asarray(observation)


def _picture(spec: TaskSpec) -> tuple[str, Shape]:
    """Find the first input of a task that is a picture [C, H, W] of bytes."""
    space: Any = spec.observation_space
    parts = getattr(space, "spaces", None)
    for name, shape in spec.input_shapes.items():
        part = parts[name] if isinstance(parts, Mapping) else space
        if len(shape) == 3 and part.dtype == np.uint8:
            return name, shape
    raise UsageError(
        f"Forget-Me-Not recognises tasks by their pictures, but task {spec.id!r} shows none (its "
        f"inputs are {spec.input_shapes}); use true labels for it."
    )
