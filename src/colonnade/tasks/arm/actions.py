"""What an arm's joints are told to do, and what is no such thing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.errors import UsageError

STILL, FORWARD, BACKWARD = range(3)
"""What each joint may be told."""

SIGNS = np.array([0.0, 1.0, -1.0])
"""Of the velocity that each asks for."""


def checked_actions(actions: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return what are actions of arms, and refuse all else.

    Args:
        actions: For each arm and joint one of the three.
        shape: [N, joints].

    Raises:
        UsageError: They are of another shape, no whole numbers, or none of the three.
    """
    if actions.shape != shape or actions.dtype.kind not in "iu":
        came = f"{actions.dtype} of shape {actions.shape}"
    # What is below 0 is large without its sign: one look instead of two.
    elif actions.astype(np.int64, copy=False).view(np.uint64).max() > BACKWARD:
        came = f"numbers from {actions.min()} to {actions.max()}"
    else:
        return actions
    raise UsageError(
        f"Actions must be whole numbers of shape {shape}, for each arm and joint {STILL} (stand"
        f" still), {FORWARD} (forward) or {BACKWARD} (backward); got {came}."
    )
