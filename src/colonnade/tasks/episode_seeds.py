"""The seeds that episodes follow from, so that what environments do can be replayed."""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.seeding import derive

_SEEDS = 2**31


def next_seed(seed: int) -> int:
    """Return the seed that follows `seed` in an environment's chain."""
    return derive(seed, "next episode")


class EpisodeSeeds:
    """The seeds of what is under way in N environments, each the latest of a chain.

    A vector environment shows them as `episode_seeds`; see `colonnade.types.SeededEpisodes`.

    Args:
        count: The number of environments, N. Their chains start at seeds from the operating system.
    """

    def __init__(self, count: int) -> None:
        self._values = np.array([secrets.randbelow(_SEEDS) for _ in range(count)], np.int64)

    @property
    def values(self) -> NDArray[np.int64]:
        """The seeds now, [N] int64; a fresh array."""
        return self._values.copy()

    def begin(self, seed: Any, chosen: NDArray[np.bool_]) -> None:
        """Set the seeds of environments that are reset.

        Args:
            seed: A whole number s, for s, s + 1, ..., s + N - 1; or one number for each
                environment, of which those not chosen do not count; None for each chain's next.
                Numbers of any size are taken modulo 2**31.
            chosen: [N]; the others keep theirs.
        """
        if seed is None:
            self.follow(chosen)
            return
        seeds = np.asarray(seed)
        if seeds.ndim == 0:
            seeds = seeds + np.arange(len(self._values))
        self._values[chosen] = (seeds % _SEEDS).astype(np.int64)[chosen]

    def follow(self, chosen: NDArray[np.bool_]) -> None:
        """Move the chosen environments, [N], to the next seed of their chain."""
        for i in np.flatnonzero(chosen):
            self._values[i] = next_seed(int(self._values[i]))


def reset_mask(options: dict[str, Any] | None, count: int) -> NDArray[np.bool_]:
    """Return which of `count` environments a reset's options choose: all, unless they say.

    Raises:
        ValueError: The mask is no bool array [count], or chooses none.
    """
    if not options or "reset_mask" not in options:
        return np.ones(count, np.bool_)
    mask = np.asarray(options["reset_mask"])
    if mask.dtype != np.bool_ or mask.shape != (count,) or not mask.any():
        raise ValueError(
            f"reset_mask must be a bool array of shape ({count},) that chooses at least one "
            f"environment, not {options['reset_mask']!r}"
        )
    return mask
