"""Summaries that a lucky run can't carry: rliable's measures; Agarwal et al. 2021 (2108.13264)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def interquartile_mean(scores: ArrayLike) -> float:
    """Mean of the middle half of all scores, of all runs and tasks together.

    As in rliable, a whole number of scores is cut off at either end: a quarter, rounded down.

    Args:
        scores: [...] of runs and tasks, each divided by something that makes tasks compare; NaN
            ones are left out.

    Returns:
        The mean; NaN where there is no score.
    """
    values = np.asarray(scores, dtype=np.float64).ravel()
    known = np.sort(values[~np.isnan(values)])
    cut = known.size // 4
    return float(known[cut : known.size - cut].mean()) if known.size else np.nan


def probability_of_improvement(first: Sequence[ArrayLike], second: Sequence[ArrayLike]) -> float:
    """How likely a run of the first method beats one of the second, averaged over tasks.

    On each task it is Mann and Whitney's U over the number of pairs of runs; a tie counts half.

    Args:
        first: For each task the [R] scores of a method; the numbers of runs may differ.
        second: For each task, in the same order, the [R] scores of another.

    Returns:
        The probability, 1/2 for equals; NaN where no task has runs of both. Tasks that lack
        one are left out.
    """
    found = []
    for one, other in zip(first, second, strict=True):
        mine, theirs = (np.asarray(v, dtype=np.float64) for v in (one, other))
        mine, theirs = mine[~np.isnan(mine)], theirs[~np.isnan(theirs)]
        if mine.size and theirs.size:
            above = mine[:, None] > theirs
            found.append(float((above + 0.5 * (mine[:, None] == theirs)).mean()))
    return float(np.mean(found)) if found else np.nan
