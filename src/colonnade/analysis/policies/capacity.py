"""How much of a network's capacity is used: sorted sensitivities, and how few features hold most.

After the appendix of Rusu et al. 2016 (arXiv 1606.04671): sensitivities of single features, sorted
and averaged over networks, grow sparser as columns are added.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from colonnade.errors import UsageError

Floats = NDArray[np.float64]


def mean_spectrum(sensitivities: Sequence[ArrayLike], points: int = 101) -> Floats:
    """Sort each network's sensitivities and average over networks.

    Args:
        sensitivities: For each network, those of its n features, in any unit; n may differ, and
            each spectrum is stretched over the same axis, as the paper does.
        points: How many points the axis from the most to the least sensitive feature has.

    Returns:
        [points] mean shares of the sum, falling; networks without any sensitivity are left out.
    """
    axis = np.linspace(0, 1, points)
    stretched = []
    for given in sensitivities:
        values = -np.sort(-np.asarray(given, np.float64).ravel())
        if values.sum() > 0:
            places = np.linspace(0, 1, values.size) if values.size > 1 else np.zeros(1)
            stretched.append(np.interp(axis, places, values / values.sum()))
    return np.mean(stretched, axis=0) if stretched else np.full(points, np.nan)


def most_sensitive(sensitivity: ArrayLike, keep: float) -> NDArray[np.int64]:
    """Choose the fewest features that hold a share of the whole sensitivity.

    Args:
        sensitivity: [n].
        keep: The share, above 0 and at most 1; at 1 all features with any sensitivity are chosen.

    Returns:
        Indices, ascending; empty where there is no sensitivity.
    """
    check_keep(keep)
    values = np.asarray(sensitivity, np.float64)
    order = np.argsort(-values, kind="stable")
    held = values[order].cumsum()
    count = int((values > 0).sum())
    if count and keep < 1:
        count = min(count, int(np.searchsorted(held, keep * held[-1])) + 1)
    return np.sort(order[:count])


def used_share(sensitivity: ArrayLike, keep: float = 0.95) -> float:
    """Share of the features [n] that it takes to hold `keep` of the sensitivity."""
    return len(most_sensitive(sensitivity, keep)) / np.asarray(sensitivity).size


def check_keep(keep: float) -> None:
    """Refuse a share that is none.

    Raises:
        UsageError: It is not above 0 and at most 1.
    """
    if not 0 < keep <= 1:
        raise UsageError(f"The share to keep is above 0 and at most 1, but {keep} came.")
