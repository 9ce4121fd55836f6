"""Random streams of a data set's own, for whatever its code draws from."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from colonnade.seeding import derive


class OwnStreams:
    """Gives the code in its blocks global generators of their own, and takes them back.

    `random`, `numpy.random` and torch begin at the seed, each at a stream of its own, and in later
    blocks go on from where the last one left them. Outside the blocks nobody notices.

    Args:
        seed: Of the streams.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._own: _States | None = None
        self._outside = _States.now()

    def __enter__(self) -> OwnStreams:
        """Bring in the own streams."""
        self._outside = _States.now()
        if self._own is None:
            random.seed(derive(self._seed, "random"))
            np.random.seed(derive(self._seed, "numpy"))  # noqa: NPY002 - the global one is meant
            torch.default_generator.manual_seed(derive(self._seed, "torch"))
        else:
            self._own.restore()
        return self

    def __exit__(self, *exception: object) -> None:
        """Bring back the streams from outside."""
        self._own = _States.now()
        self._outside.restore()


class _States(NamedTuple):
    """Where the global generators of a process stand."""

    python: Any
    numpy: Any
    torch: Tensor

    @classmethod
    def now(cls) -> _States:
        numpy = np.random.get_state()  # noqa: NPY002
        return cls(random.getstate(), numpy, torch.default_generator.get_state())

    def restore(self) -> None:
        random.setstate(self.python)
        np.random.set_state(self.numpy)  # noqa: NPY002
        torch.default_generator.set_state(self.torch)
