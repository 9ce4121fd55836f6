"""When something is due that happens every so many agent steps."""

from __future__ import annotations

from colonnade.checks import whole


def crossings(before: int, after: int, every: int) -> int:
    """Count the multiples of `every` above `before` and up to `after`.

    So a target network that is copied every 7,500 agent steps is copied when they are reached,
    however many environments step at once and wherever training was cut off.

    Args:
        before: Agent steps until now, of all environments.
        after: Agent steps then.
        every: The period in agent steps.
    """
    every = whole("every", every)
    return after // every - before // every
