"""The learning curve as it is made: episodes gathered into bins of agent steps."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from colonnade.training.recorder import Row
from colonnade.types import Episode

_RECENT = 100


class Curve:
    """Gathers finished episodes into bins of equal width in agent steps.

    A point is the mean over all episodes that finished in its bin, as in Rusu et al. 2016. An
    episode belongs to the bin of the step in which it ended, whenever that is told, so that the
    curve does not hang on how many steps a learner hands over at once. What ends past the budget
    belongs to the last bin.

    Bins in which an environment is still in its first episode are marked as early: the episodes
    that ended by then are the short ones.

    Attributes:
        episodes: How many there were.
    """

    def __init__(self, name: Row, width: int, budget: int, envs: int) -> None:
        """Begin at step 0.

        Args:
            name: What every row says of the visit.
            width: Of a bin in agent steps.
            budget: Agent steps of the visit.
            envs: How many environments play; 1 for a data set.
        """
        self._name = name
        self._width = width
        self._last_bin = max(0, math.ceil(budget / width) - 1)
        self._envs = envs
        self.episodes = 0
        self._done: set[int] = set()
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self._episodes: list[Episode] = []
        self._bin = 0
        self._spent = 0.0
        self._clock = time.perf_counter()

    @property
    def recent_return(self) -> float | None:
        """Mean return of the last 100 episodes."""
        return float(np.mean(self._recent)) if self._recent else None

    def add(self, episodes: Sequence[Episode], step: int) -> list[Row]:
        """Take in the episodes that ended by `step`; return the rows of the bins it completes."""
        self._episodes += episodes
        self.episodes += len(episodes)
        self._recent.extend(episode.total_return for episode in episodes)
        reached = min(self._last_bin, step // self._width)
        return self._complete([(b + 1) * self._width for b in range(self._bin, reached)])

    def close(self, step: int) -> list[Row]:
        """Complete the present bin, whose row says `step`, since the task ends here."""
        rows = self.add((), step)
        if self._bin <= self._last_bin and step > self._bin * self._width:
            rows += self._complete([step])
        return rows

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must keep, as JSON data."""
        return {
            "bin": self._bin,
            "all": self.episodes,
            "episodes": list(self._episodes),
            "recent": list(self._recent),
            "done": sorted(self._done),
            "spent": self._spent + time.perf_counter() - self._clock,
        }

    def load_state(self, data: dict[str, Any]) -> None:
        """Return to a state that `state` gave."""
        self._bin, self._spent, self.episodes = data["bin"], data["spent"], data["all"]
        self._episodes = [Episode(*episode) for episode in data["episodes"]]
        self._recent = deque(data["recent"], maxlen=_RECENT)
        self._done = set(data["done"])
        self._clock = time.perf_counter()

    def _complete(self, ends: list[int]) -> list[Row]:
        """Make the rows of the present bin and those after it, which end at the steps `ends`."""
        if not ends:
            return []
        now = time.perf_counter()
        seconds = self._spent + now - self._clock
        rate = (ends[-1] - self._bin * self._width) / max(seconds, 1e-9)
        rows = [self._row(index, end, rate) for index, end in enumerate(ends, self._bin)]
        self._bin, self._spent, self._clock = self._bin + len(ends), 0.0, now
        return rows

    def _row(self, index: int, end: int, rate: float) -> Row:
        def bin_of(episode: Episode) -> int:
            return min(self._last_bin, max(0, episode.step - 1) // self._width)

        own = [e for e in self._episodes if bin_of(e) <= index]
        self._episodes = [e for e in self._episodes if bin_of(e) > index]
        self._done |= {episode.environment for episode in own}
        returns = np.array([episode.total_return for episode in own])
        early: Row = {} if len(self._done) >= self._envs else {"early": True}
        return {
            "kind": "curve",
            **self._name,
            "step": end,
            "width": self._width,
            "episodes": len(own),
            "return_mean": float(returns.mean()) if own else None,
            "return_std": float(returns.std()) if own else None,
            "length_mean": float(np.mean([e.length for e in own])) if own else None,
            **early,
            "steps_per_second": round(rate, 1),
        }
