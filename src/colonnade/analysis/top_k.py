"""The mean of the best few of many jobs, and how sure it is; after Rusu et al. 2016, section 4.

Array shapes use J for jobs, C for cells (a method, a source and a target each) and S for bootstrap
samples. A job that has no value in a cell (it failed, or has not come yet) is NaN there and is left
out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from colonnade.analysis.intervals import LEVEL, NO_INTERVAL, Interval, bootstrap, top_k_interval
from colonnade.analysis.transfer import top_k_mean, transfer_score

Floats = NDArray[np.float64]


def bootstrap_top_k(values: ArrayLike, k: int, *, seed: int = 0, resamples: int = 2000) -> Floats:
    """Redraw jobs with replacement and average the best `k` of each redraw.

    A job is redrawn in all cells at once, because it has the same hyperparameters in all of them.

    Args:
        values: [J, C].
        k: How many of the best to average, at least 1.
        seed: Of the resampling; the same jobs are redrawn for the same seed.
        resamples: S, how many bootstrap samples.

    Returns:
        [S, C] means; NaN where a redraw holds no value.
    """
    table = np.asarray(values, dtype=np.float64)

    def best(picks: NDArray[np.int64]) -> Floats:
        cells = [top_k_mean(table[picks, cell].T, k) for cell in range(table.shape[1])]
        return np.stack(cells, axis=1)

    return bootstrap([np.arange(len(table))], best, seed=seed, resamples=resamples)


def bootstrap_scores(
    values: ArrayLike, references: ArrayLike, k: int, *, seed: int = 0, resamples: int = 2000
) -> Floats:
    """Redraw jobs and compute each cell's transfer score from each redraw.

    Args:
        values: [J, C] areas under the learning curves.
        references: [J, C] areas of baseline 1 on each cell's target.
        k: How many of the best jobs count on either side.
        seed: Of the resampling.
        resamples: S, how many bootstrap samples.

    Returns:
        [S, C] scores; NaN where the redrawn reference is not positive.
    """
    own = bootstrap_top_k(values, k, seed=seed, resamples=resamples)
    below = bootstrap_top_k(references, k, seed=seed, resamples=resamples)
    return transfer_score(own, below)


def score_intervals(
    values: ArrayLike,
    references: ArrayLike | None,
    k: int,
    *,
    together: bool = False,
    level: float = LEVEL,
) -> list[Interval]:
    """Say how sure the scores of the best `k` jobs are.

    Args:
        values: [J, C] areas under the learning curves.
        references: [J, C] areas of baseline 1 on each cell's target; without them, the score of a
            cell is the mean area of its best jobs.
        k: How many of the best jobs count on either side.
        together: Give one interval of the mean over all cells that have a score.
        level: Coverage, between 0 and 1.

    Returns:
        [C] intervals, or one; see `intervals.top_k_interval` for what they are about.
    """
    table = np.asarray(values, dtype=np.float64)
    scores = top_k_mean(table, k)
    if references is None:
        samples = bootstrap_top_k(table, k)
    else:
        scores = transfer_score(scores, top_k_mean(references, k))
        samples = bootstrap_scores(table, references, k)
    if together:
        known = ~np.isnan(scores)
        if not known.any():
            return [NO_INTERVAL]
        scores, samples = (
            scores[known].mean(keepdims=True),
            samples[:, known].mean(1, keepdims=True),
        )
    return [
        top_k_interval(float(score), column, k, len(table), level=level)
        for score, column in zip(scores, samples.T, strict=True)
    ]
