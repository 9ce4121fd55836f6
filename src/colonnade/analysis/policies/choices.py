"""What can be chosen when sensitivities are measured; light, for a command line to read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from colonnade.checks import ABOVE_0, real
from colonnade.errors import UsageError

Normalisation = Literal["map", "map-shift", "pixel"]
"""How pixels of a feature map are taken together; the three are one for dense features.

"map": the map's variance over states and pixels, times the sum over pixels of squared gradients,
which is what noise drawn for each pixel does. The default.
"map-shift": the same variance, times the square of the summed gradient, which is what noise
shared by the whole map does.
"pixel": the sum over pixels of each one's own variance over states times its squared gradient; a
pattern that never changes counts for nothing.
"""

NOISE = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Default noise levels, in standard deviations of each feature."""


def noise_levels(noise: Any, name: str = "noise level") -> tuple[float, ...]:
    """Return noise levels in ascending order.

    Args:
        noise: The levels.
        name: What one is called.

    Raises:
        UsageError: They are not one or more different numbers above 0.
    """
    if isinstance(noise, str) or not isinstance(noise, Iterable):
        raise UsageError(f"{name.capitalize()}s must be a list of numbers above 0; got {noise!r}.")
    levels = tuple(sorted(float(real(f"A {name}", level, ABOVE_0)) for level in noise))
    if not levels or len(set(levels)) < len(levels):
        raise UsageError(
            f"{name.capitalize()}s must be one or more different numbers; got {levels}."
        )
    return levels
