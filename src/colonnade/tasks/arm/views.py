"""What an agent may be shown of the arm, and as what."""

from __future__ import annotations

from typing import Any, Literal, get_args

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict

from colonnade.errors import unknown_name
from colonnade.types import OBSERVATION, PROPRIOCEPTION

View = Literal["pixels", "proprioception", "both", "state"]

Drawing = Literal["rays", "mujoco"]
"""By what pictures are drawn."""

SIZE = 64
"""Height and width of what an agent sees."""

BOUND = 4.0
"""Numbers that an agent is shown lie within plus and minus this."""

WORLD = 8
"""Numbers of the true state beside proprioception: palm, target, the target's velocity."""


def view_space(view: str, joints: int) -> gymnasium.Space[Any]:
    """Return the space of observations of an arm of n joints.

    "pixels" are uint8 [3, 64, 64]. "proprioception" is float32 [2 n]: angles, from the home
    position in radians, and velocities, as shares of the joints' speeds, `Dynamics.gains` included:
    a joint at full speed shows 1 whatever its gain, so that a gap in the gains shows in the angles
    alone. "both" is a Dict of the two, pixels as `OBSERVATION`, so that columns made for pixels
    alone find them. "state" is proprioception, palm and target [3 each] in metres from the middle
    of the target's area, and the target's velocity [2] in m/s; the numbers 5 times as large, so
    that they are about 1.

    Raises:
        UsageError: There is no such view; the nearest is suggested.
    """
    check_view(view)
    pixels = Box(0, 255, (3, SIZE, SIZE), np.uint8)
    numbers = Box(-BOUND, BOUND, (2 * joints,), np.float32)
    if view == "both":
        return Dict({OBSERVATION: pixels, PROPRIOCEPTION: numbers})
    if view == "state":
        return Box(-BOUND, BOUND, (2 * joints + WORLD,), np.float32)
    return pixels if view == "pixels" else numbers


def check_view(view: str) -> None:
    """Refuse what is no view.

    Raises:
        UsageError: There is no such view.
    """
    if view not in get_args(View):
        raise unknown_name("view of the arm", str(view), get_args(View))
