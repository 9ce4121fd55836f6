"""The learning curve as it is made: episodes gathered into bins of agent steps."""

from __future__ import annotations

import time
from collections import deque

import numpy as np

from colonnade.training.recorder import Row
from colonnade.types import Episode


class Curve:
    """Gathers finished episodes into bins of equal width in agent steps.

    A point is the mean over all episodes that finished in its bin, as in Rusu et al. 2016.
    """

    def __init__(self, task: str, task_index: int, width: int, step: int) -> None:
        """Begin at `step` with bins of `width` agent steps."""
        self._name = {"task": task, "task_index": task_index}
        self._width = width
        self._episodes: list[Episode] = []
        self._recent: deque[float] = deque(maxlen=100)
        self._begin(step)

    @property
    def recent_return(self) -> float | None:
        """Mean return of the last 100 episodes."""
        return float(np.mean(self._recent)) if self._recent else None

    def add(self, episodes: list[Episode], step: int) -> Row | None:
        """Take in episodes that ended by `step`; return a row if that completes a bin."""
        self._episodes += episodes
        self._recent.extend(episode.total_return for episode in episodes)
        return self.close(step) if step // self._width > self._start // self._width else None

    def close(self, step: int) -> Row | None:
        """Complete the present bin early; return its row, or None if it has no step."""
        if step == self._start:
            return None
        returns = np.array([episode.total_return for episode in self._episodes])
        lengths = np.array([episode.length for episode in self._episodes])
        seconds = time.perf_counter() - self._clock
        row: Row = {
            "kind": "curve",
            **self._name,
            "step": step,
            "width": self._width,
            "episodes": len(returns),
            "return_mean": float(returns.mean()) if len(returns) else None,
            "return_std": float(returns.std()) if len(returns) else None,
            "length_mean": float(lengths.mean()) if len(returns) else None,
            "steps_per_second": round((step - self._start) / seconds, 1),
        }
        self._begin(step)
        return row

    def _begin(self, step: int) -> None:
        self._start = step
        self._episodes = []
        self._clock = time.perf_counter()
