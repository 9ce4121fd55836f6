"""Where a replay keeps what has no frames to share: actions, vectors, colours, kept features."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from colonnade.learners.acting.observed import kept_dtype
from colonnade.types import Shape


class Records:
    """One tensor for every entry of N rings; see `frames.Store`.

    Args:
        envs: N.
        places: Entries of a ring.
        shape: Of an entry.
        dtype: Of an entry; see `observed.kept_dtype` for which is kept as another.
    """

    def __init__(self, envs: int, places: int, shape: Shape, dtype: torch.dtype) -> None:
        self._places = places
        self._values = torch.empty((envs * places, *shape), dtype=kept_dtype(dtype))

    @staticmethod
    def size(envs: int, places: int, shape: Shape, dtype: torch.dtype) -> int:
        """Return the bytes that it takes."""
        return envs * places * math.prod(shape) * kept_dtype(dtype).itemsize

    def put(self, env: int, entry: int, value: Tensor, *, start: bool) -> None:
        """Keep a value; see `Store`."""
        self._values[env * self._places + entry % self._places] = value

    def oldest(self, env: int, first: int) -> int:
        """Return `first`: every entry of a ring lasts as long as the ring."""
        return first

    def get(self, envs: NDArray[np.int64], entries: NDArray[np.int64]) -> Tensor:
        """Return the values [B, ...] of entries; see `Store`."""
        rows = torch.from_numpy(envs * self._places + entries % self._places)
        return self._values.index_select(0, rows)

    def state(self, spans: list[range]) -> dict[str, Tensor]:
        """Copy the values in the order of time."""
        return {"values": self._values[self._rows(spans)]}

    def load_state(self, tensors: dict[str, Tensor], spans: list[range]) -> None:
        """Take up what `state` gave."""
        self._values[self._rows(spans)] = tensors["values"].to(self._values.dtype)

    def _rows(self, spans: list[range]) -> Tensor:
        rows = [
            env * self._places + np.arange(span.start, span.stop) % self._places
            for env, span in enumerate(spans)
        ]
        return torch.from_numpy(np.concatenate(rows))
