"""Smoothing of noisy series."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from colonnade.checks import whole
from colonnade.errors import UsageError


def median_filtered(values: ArrayLike, window: int) -> NDArray[np.float64]:
    """Replace each value by the median of those around it, as Rusu et al. 2017 draw rewards.

    Args:
        values: [B]; NaN is no value, and is left out.
        window: How many values a median is taken of, an odd number. At the ends there are fewer.

    Returns:
        [B] medians; NaN where there is no value in the window.

    Raises:
        UsageError: The window is no odd number above 0.
    """
    if not whole("window of median_filtered", window) % 2:
        raise UsageError(f"window of median_filtered must be odd; got {window}.")
    series = np.asarray(values, np.float64)
    padded = np.pad(series, window // 2, constant_values=np.nan)
    around = np.lib.stride_tricks.sliding_window_view(padded, window)
    known = ~np.isnan(around).all(axis=1)
    medians = np.full(series.shape, np.nan)
    medians[known] = np.nanmedian(around[known], axis=1)
    return medians
