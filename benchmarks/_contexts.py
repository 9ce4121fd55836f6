"""A recogniser that has met contexts before."""

import gymnasium
import numpy as np

from colonnade.recognition import FlatForgetMeNot, ForgetMeNot
from colonnade.types import TaskSpec


def with_contexts(side: int, contexts: int) -> tuple[FlatForgetMeNot, np.ndarray]:
    """Return a recogniser that has met pictures each like no other, and the last one.

    Args:
        side: Of a picture, in pixels; observations are stacks of four.
        contexts: How many it has met.
    """
    random = np.random.default_rng(0)
    space = gymnasium.spaces.Box(0, 255, (4, side, side), np.uint8)
    spec = TaskSpec("a", space, gymnasium.spaces.Discrete(2), 10)
    recogniser = ForgetMeNot().build([spec])
    for _ in range(contexts):
        blocks = random.integers(0, 256, (4, side // 2, side // 2)).astype(np.uint8)
        picture = blocks.repeat(2, 1).repeat(2, 2)
        for _ in range(32):
            recogniser.observe(picture)
    assert len(recogniser.contexts) == contexts
    return recogniser, picture
