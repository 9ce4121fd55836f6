"""The mean of the best few of many jobs, and how sure it is; after Rusu et al. 2016, section 4.

Array shapes use J for jobs, C for cells (a method, a source and a target each) and R for resamples.
A job that has no value in a cell (it failed, or has not come yet) is NaN there and is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from colonnade.analysis.transfer import top_k_mean, transfer_score

Floats = NDArray[np.float64]


def bootstrap_top_k(values: ArrayLike, k: int, *, seed: int = 0, resamples: int = 2000) -> Floats:
    """Redraw jobs with replacement and average the best `k` of each redraw.

    A job is redrawn in all cells at once, because it has the same hyperparameters in all of them.

    Args:
        values: [J, C].
        k: How many of the best to average, at least 1.
        seed: Of the resampling; the same jobs are redrawn for the same seed.
        resamples: R, how many bootstrap samples.

    Returns:
        [R, C] means; NaN where a redraw holds no value.
    """
    table = np.asarray(values, dtype=np.float64)
    jobs = table.shape[0]
    picks = np.random.default_rng(seed).integers(jobs, size=(resamples, jobs))
    return np.stack([top_k_mean(table[picks, cell].T, k) for cell in range(table.shape[1])], axis=1)


def bootstrap_scores(
    values: ArrayLike, references: ArrayLike, k: int, *, seed: int = 0, resamples: int = 2000
) -> Floats:
    """Redraw jobs and compute each cell's transfer score from each redraw.

    Args:
        values: [J, C] areas under the learning curves.
        references: [J, C] areas of baseline 1 on each cell's target.
        k: How many of the best jobs count on either side.
        seed: Of the resampling.
        resamples: R, how many bootstrap samples.

    Returns:
        [R, C] scores; NaN where the redrawn reference is not positive.
    """
    own = bootstrap_top_k(values, k, seed=seed, resamples=resamples)
    below = bootstrap_top_k(references, k, seed=seed, resamples=resamples)
    return transfer_score(own, below)


def interval(samples: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """Take the percentile interval of bootstrap samples.

    Args:
        samples: [R].
        level: Coverage, between 0 and 1.

    Returns:
        (low, high); NaN where more than 1 - `level` of the samples are, for then the interval has
        no end.
    """
    values = np.asarray(samples, dtype=np.float64)
    known = values[~np.isnan(values)]
    if not 0 < level < 1:
        raise ValueError(f"The level of an interval lies between 0 and 1, but {level} came.")
    if known.size == 0 or known.size < level * values.size:
        return np.nan, np.nan
    tail = 50 * (1 - level)
    low, high = np.percentile(known, [tail, 100 - tail])
    return float(low), float(high)


def mean_interval(samples: Sequence[Floats] | Floats, level: float = 0.95) -> tuple[float, float]:
    """Take the percentile interval of the mean over cells.

    Args:
        samples: [R, C]; cells that are NaN throughout are left out.
        level: Coverage, between 0 and 1.
    """
    table = np.asarray(samples, dtype=np.float64)
    table = table[:, ~np.isnan(table).all(axis=0)]
    return interval(table.mean(axis=1), level) if table.shape[1] else (np.nan, np.nan)
