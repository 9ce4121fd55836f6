"""A return to reach, at which a task ends before its budget is spent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from colonnade.types import Episode


class Goal:
    """Says when the mean return of a block of episodes has reached a target.

    Blocks follow one another without overlap, so that one of T minibatches is what PathNet calls
    an evaluation (Fernando et al. 2017 end a task at 0.998 training accuracy).

    Attributes:
        episodes: How many have been counted.
        mean: Of the last complete block; None before there is one.
    """

    def __init__(self, block: int, target: float) -> None:
        """Set the goal.

        Args:
            block: Episodes, or minibatches, of a block; 0 never ends a task.
            target: Mean return to reach.
        """
        self.episodes = 0
        self.mean: float | None = None
        self._block, self._target = block, target
        self._total, self._count = 0.0, 0

    def reached(self, episodes: Sequence[Episode]) -> bool:
        """Count episodes; True if a block that is complete with them has reached the target."""
        if not self._block:
            return False
        for episode in episodes:
            self.episodes += 1
            self._total += episode.total_return
            self._count += 1
            if self._count == self._block:
                self.mean = self._total / self._block
                self._total, self._count = 0.0, 0
                if self.mean >= self._target:
                    return True
        return False

    def state(self) -> dict[str, Any]:
        """Return all counts as JSON data."""
        return {
            "episodes": self.episodes, "mean": self.mean, "total": self._total,
            "count": self._count,
        }  # fmt: skip

    def load_state(self, data: dict[str, Any]) -> None:
        """Return to a state that `state` gave."""
        self.episodes, self.mean = data["episodes"], data["mean"]
        self._total, self._count = data["total"], data["count"]
