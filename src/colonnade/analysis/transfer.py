"""Transfer between tasks, from learning curves; after Rusu et al. 2016 (arXiv 1606.04671), Sec. 4.

A learning curve is a row of B bins of equal width, each the mean return of the episodes that ended
in it, NaN where none did. Pong's returns start near -21, so a plain ratio of areas means nothing;
areas are therefore measured above the random policy's score. (The paper does not state its offset.)

Array shapes use R for runs (seeds), T for tasks and B for bins. NaN stands for "not available"
throughout, and every summary says over how many values it was taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from colonnade.errors import UsageError

Floats = NDArray[np.float64]

DISPLAY_LIMIT = 2.0
"""Where the paper clips its transfer matrices for display; scores themselves are never clipped."""


def carry_forward(curves: ArrayLike, start: ArrayLike) -> Floats:
    """Fill missing bins with the last value before them.

    Args:
        curves: [..., B] mean returns, NaN where no episode ended.
        start: [...] or scalar; the value before the first bin, normally the random policy's score.

    Returns:
        [..., B] without NaN, unless `start` is NaN.
    """
    values = np.asarray(curves, dtype=np.float64)
    first = np.broadcast_to(np.asarray(start, dtype=np.float64), values.shape[:-1])
    padded = np.concatenate([first[..., None], values], axis=-1)
    position = np.where(np.isnan(padded), 0, np.arange(padded.shape[-1]))
    latest = np.maximum.accumulate(position, axis=-1)
    filled: Floats = np.take_along_axis(padded, latest, axis=-1)[..., 1:]
    return filled


ENOUGH_EPISODES = 30
"""Episodes of a stretch of a curve from which on the mean over them is a mean over policies.

It belongs to version 2 of the measures: another number would be another version.

A mean of few episodes that end in a stretch favours the long ones: a stretch that many short ones
fill counts no more than one that a long one fills. The bias falls as (deviation of the length /
mean length)^2 / episodes."""


def pool_bins(curve: ArrayLike, episodes: ArrayLike, enough: int = ENOUGH_EPISODES) -> Floats:
    """Give neighbouring bins with few episodes their common mean, so that areas are not biased.

    Bins that have enough stay as they are. Between them, bins are taken together until they have
    enough, or until episodes come four times as often, or as rarely, as in the stretch so far:
    their lengths have changed then, and a common mean would be that of the short ones. What is left
    over stands by itself.

    Args:
        curve: [B] mean returns, NaN where no episode ended.
        episodes: [B] how many ended.
        enough: How many there should be.

    Returns:
        [B], NaN before the first bin with an episode, and where a stretch has none.
    """
    counts = np.asarray(episodes, dtype=np.float64)
    totals = np.nan_to_num(np.asarray(curve, dtype=np.float64)) * counts
    pooled: Floats = np.full(len(counts), np.nan)
    end = 0
    for begin in np.flatnonzero(counts).tolist():
        if begin < end:
            continue
        end = begin + 1
        while end < len(counts) and counts[begin:end].sum() < enough:
            pace = counts[begin:end].mean() + 1
            if counts[end] >= enough or not pace / 4 <= counts[end] + 1 <= 4 * pace:
                break
            end += 1
        pooled[begin:end] = totals[begin:end].sum() / counts[begin:end].sum()
    return pooled


def area_under_curve(curves: ArrayLike, random_score: ArrayLike) -> Floats:
    """Measure the area between learning curves and the random policy's score.

    The area is divided by the number of bins, so its unit is that of a return and curves of
    different lengths compare: a curve that stays at `random_score + c` has area c. A policy worse
    than random has a negative area.

    Args:
        curves: [..., B] mean returns per bin, NaN where no episode ended (carried forward).
        random_score: [...] or scalar; mean return of the uniformly random policy.

    Returns:
        [...] areas; NaN for an empty curve.
    """
    values = np.asarray(curves, dtype=np.float64)
    offset = np.asarray(random_score, dtype=np.float64)
    if values.shape[-1] == 0:
        return np.full(values.shape[:-1], np.nan)
    above = carry_forward(values, offset) - offset[..., None]
    area: Floats = above.mean(axis=-1)
    return area


def top_k_mean(areas: ArrayLike, k: int) -> Floats:
    """Average the best `k` runs, as the paper does with 3 of 25 jobs.

    Args:
        areas: [R, ...]; NaN runs are left out.
        k: How many of the best to keep, at least 1; fewer where fewer are available.

    Returns:
        [...] means; NaN where no run is available.

    Raises:
        UsageError: `k` is below 1.
    """
    if k < 1:
        raise UsageError(f"top_k_mean keeps at least 1 run, but k is {k}.")
    best = -np.sort(-np.asarray(areas, dtype=np.float64), axis=0)[:k]
    return _nan_mean(best, axis=0)


def transfer_score(area: ArrayLike, reference: ArrayLike, minimum: ArrayLike = 0.0) -> Floats:
    """Divide an area by that of baseline 1 (training from scratch) on the same target.

    Args:
        area: [...] areas of the method.
        reference: [...] areas of baseline 1.
        minimum: [...] or scalar, not negative; a reference that is not above it leaves the ratio
            ill-defined. The standard error of the random policy's score is a natural choice.

    Returns:
        [...] scores, 1 for "as fast as from scratch"; NaN where the reference is too small.
    """
    denominator = np.asarray(reference, dtype=np.float64)
    usable = denominator > np.maximum(np.asarray(minimum, dtype=np.float64), 0.0)
    ratio: Floats = np.asarray(area, dtype=np.float64) / np.where(usable, denominator, np.nan)
    return ratio


@dataclass(frozen=True)
class Summary:
    """A row of the paper's Table 1.

    Attributes:
        mean: Mean transfer over source-target pairs, in per cent.
        median: Median transfer over source-target pairs, in per cent.
        pairs: How many pairs entered.
        undefined: How many were left out because their score is NaN.
    """

    mean: float
    median: float
    pairs: int
    undefined: int


def summarise(scores: ArrayLike) -> Summary:
    """Reduce transfer scores of any shape to a row of Table 1."""
    values = np.asarray(scores, dtype=np.float64).ravel()
    known = values[~np.isnan(values)]
    if known.size == 0:
        return Summary(np.nan, np.nan, 0, int(values.size))
    return Summary(
        mean=100 * float(known.mean()),
        median=100 * float(np.median(known)),
        pairs=int(known.size),
        undefined=int(values.size - known.size),
    )


def forgetting(scores: ArrayLike) -> Floats:
    """Measure how much of each task's best score was lost by the end of a sequence.

    Args:
        scores: [T, T]; entry (i, j) is the score on task j after learning tasks 0 to i. Entries
            above the diagonal (tasks not yet learned) are ignored.

    Returns:
        [T]: best score from task j's own training on, minus the final one; 0 or more.
    """
    values = _learned(scores)
    loss: Floats = np.nanmax(values, axis=0) - values[-1]
    return loss


def retention(scores: ArrayLike, random_scores: ArrayLike) -> Floats:
    """Measure which part of each task's own score above random is left at the end of a sequence.

    Args:
        scores: [T, T] as in `forgetting`.
        random_scores: [T] scores of the random policy.

    Returns:
        [T]: 1 where all is kept, 0 where the final policy is as good as random; NaN where the task
        had not been learned above random in the first place.
    """
    values = _learned(scores)
    offset = np.asarray(random_scores, dtype=np.float64)
    return transfer_score(values[-1] - offset, np.diagonal(values) - offset)


def _learned(scores: ArrayLike) -> Floats:
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 2 or values.shape[0] != values.shape[1]:
        raise UsageError(f"Expected scores of shape [T, T], not {list(values.shape)}.")
    return np.where(np.tri(values.shape[0], dtype=bool), values, np.nan)


def _nan_mean(values: Floats, axis: int) -> Floats:
    known = ~np.isnan(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    mean: Floats = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return mean
