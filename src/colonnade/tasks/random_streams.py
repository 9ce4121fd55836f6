"""Many independent random streams drawn from together, one for each environment."""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np
from numpy.typing import NDArray

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)
_LAST, _TO_DOUBLE = np.uint64(31), np.uint64(11)


class RandomStreams:
    """N SplitMix64 streams (Steele, Lea and Flood 2014), vectorised.

    What a stream yields depends on its own seed and on how often it was drawn from, not on the
    number of other streams nor on who draws beside it.

    Args:
        count: The number of streams, N. They start at a seed from the operating system.
    """

    def __init__(self, count: int) -> None:
        self._state = np.zeros(count, np.uint64)
        self.seed(secrets.randbits(63))

    def seed(self, seed: Any) -> None:
        """Start the streams anew.

        Args:
            seed: A whole number s, for s, s + 1, ..., s + N - 1; or one number for each stream.
        """
        count = len(self._state)
        seeds: NDArray[np.uint64] = np.asarray(seed).astype(np.uint64)
        if seeds.ndim == 0:
            seeds = np.arange(count, dtype=np.uint64) + seeds
        # Mixed, since streams whose states differ by multiples of the step would overlap.
        self._state[:] = _mix(seeds)

    @property
    def state(self) -> NDArray[np.uint64]:
        """Where the streams are, [N] uint64; a fresh array."""
        return self._state.copy()

    @state.setter
    def state(self, state: NDArray[np.uint64]) -> None:
        self._state[:] = state

    def uniform(self, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Draw one number in [0, 1) from each chosen stream.

        Args:
            chosen: [N]; the others stay where they are.

        Returns:
            The numbers, as many as were chosen.
        """
        state = self._state[chosen] + _STEP
        self._state[chosen] = state
        return (_mix(state) >> _TO_DOUBLE).astype(np.float64) * 2.0**-53


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    for shift, factor in _MIX:
        state = (state ^ (state >> shift)) * factor
    mixed: NDArray[np.uint64] = state ^ (state >> _LAST)
    return mixed
