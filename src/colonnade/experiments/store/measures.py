"""How learning curves are measured, by version; a folder states the version that its runs have.

Version 2: environments go on over checkpoints, and an episode counts in the bin of the step at
which it ended. There is a row for every bin; `step` is the bin's end and `width` its width. Bins
that end before every environment has finished an episode are marked `early`, because short episodes
reach them first; they count as they are. Areas are taken of bins pooled until they have enough
episodes.

Version 1: every checkpoint began all environments anew and dropped the episodes under way. A row
closed with the first update past its bin's end, and an episode counted in the row that was open
when the update handed it over.

The two give other numbers for the same training, so that folders of both are read, each by its own,
and never joined.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from colonnade.analysis.transfer import pool_bins
from colonnade.errors import ColonnadeError

if TYPE_CHECKING:
    from colonnade.experiments.plans.spec import RunSpec
    from colonnade.training import Row

MEASURES = 2
"""The version that runs are measured with now."""

FIRST_TRAINING: Mapping[str, Any] = {
    "num_envs": 16,
    "threads": 1,
    "segment_steps": 250_000,
    "curve_steps": 10_000,
    "device": "auto",
    "precision": "auto",
    "test_episodes": 0,
    "patience": 0,
    "goal_episodes": 0,
    "goal_return": 0.0,
}
"""Options of training where a spec of version 1 names none: the defaults of that time, for ever."""

_NEEDED = {"task_index", "step", "return_mean", "episodes"}


@dataclass(frozen=True)
class LearningCurve:
    """Mean returns of one task over training.

    Attributes:
        returns: [B] mean return of the episodes in each bin; NaN where none ended or the run has
            not come yet.
        early: [B] whether a bin ended before every environment had finished an episode.
        width: Of a bin, in agent steps.
        reached: Agent steps taken.
        pooled: [B] the same, of which areas are taken: in version 2 bins with few episodes share
            their mean (`transfer.pool_bins`), and those that the run has not come to have that of
            the last bin with an episode, where it stood; in version 1 they are `returns`.
        seconds: [B] seconds of training from the task's begin to each bin's end; NaN where the run
            has not come yet, or its rows do not say how fast it was.
        exact: Whether rows close at the very end of a bin, as in version 2.
    """

    returns: NDArray[np.float64]
    early: NDArray[np.bool_]
    width: int
    reached: int
    pooled: NDArray[np.float64]
    seconds: NDArray[np.float64]
    exact: bool = False

    @property
    def bins_reached(self) -> int:
        """How many bins the run has come through; at least 1."""
        return min(self.returns.size, max(1, _bin_of(self.reached, self.width, self.exact)))

    @property
    def ends(self) -> NDArray[np.float64]:
        """Agent steps [bins_reached] at the end of each bin that the run has come through."""
        ends = self.width * np.arange(1.0, self.bins_reached + 1)
        return np.minimum(ends, self.reached) if self.exact else ends


def learning_curve(
    rows: Iterable[Row], task_index: int, steps: int, width: int, where: object = "A run"
) -> LearningCurve:
    """Put a task's rows of kind "curve" on a regular grid, by their version's rule.

    Rows of version 2 say their width; those of version 1, which lack it, close a little behind
    their bin's end. Rows that share a bin are weighted by their episodes.

    Args:
        rows: Metrics of a run.
        task_index: The task's place in the sequence.
        steps: The task's budget in agent steps.
        width: Of a bin, where the rows do not say it.
        where: How messages name the rows' origin.

    Raises:
        ColonnadeError: Rows lack a number, or are of bins of several widths.
    """
    curve = [row for row in rows if row.get("kind") == "curve"]
    if any(_NEEDED - row.keys() for row in curve):
        raise ColonnadeError(
            f"{where} holds points of a curve that lack some of {', '.join(sorted(_NEEDED))}; "
            "restore it, or train the run again in another folder."
        )
    curve = [row for row in curve if row["task_index"] == task_index]
    widths = {row["width"] for row in curve if "width" in row} or {width}
    if len(widths) > 1:
        raise ColonnadeError(
            f"{where} holds one task's curve in bins of {' and '.join(map(str, sorted(widths)))} "
            "steps; restore it, or train the run again in another folder."
        )
    (width,) = widths
    bins = max(1, -(-steps // width))
    total, episodes = np.zeros((2, bins))
    early = np.zeros(bins, dtype=bool)
    for row in curve:
        place = min(bins, max(1, _bin_of(row["step"], width, "width" in row))) - 1
        early[place] |= bool(row.get("early"))
        if row["return_mean"] is not None:
            total[place] += row["return_mean"] * row["episodes"]
            episodes[place] += row["episodes"]
    returns = np.divide(total, episodes, out=np.full(bins, np.nan), where=episodes > 0)
    second = version_of(curve) == 2
    learning = LearningCurve(
        returns,
        early,
        width,
        reached=max((row["step"] for row in curve), default=0),
        pooled=pool_bins(returns, episodes) if second else returns,
        seconds=_seconds(curve, bins, width),
        exact=second,
    )
    if second and episodes.any():
        # Not what it last shared: that is the mean of its way there.
        learning.pooled[learning.bins_reached :] = returns[episodes > 0][-1]
    return learning


def of_all_visits(rows: Iterable[Row], spec: RunSpec) -> list[Row]:
    """Count the steps of a task that comes back from its first visit on, by the budgets.

    Args:
        rows: Metrics of a run; those without the number of a visit stay as they are.
        spec: Of the run.
    """
    visits, begins = spec.visits, list[int]()
    learned = dict.fromkeys(spec.visited, 0)
    for task, visit in zip(spec.visited, visits, strict=True):
        begins.append(learned[task])
        learned[task] += visit.steps
    return [
        {**row, "step": begins[row["visit"]] + min(row["step"], visits[row["visit"]].steps)}
        if row.get("kind") == "curve" and row.get("visit") in range(len(begins))
        else row
        for row in rows
    ]


def _bin_of(step: int, width: int, exact: bool) -> int:
    """Return which bin, from 1 on, a row that closes at a step belongs to."""
    return -(-step // width) if exact else round(step / width)


def _seconds(rows: Iterable[Row], bins: int, width: int) -> NDArray[np.float64]:
    """Add up how long a task's bins took, by the speed of each row."""
    found, spent, before = np.full(bins, np.nan), 0.0, 0
    for row in sorted(rows, key=lambda row: row["step"]):
        # 0 where the clock said nothing; a row without a speed ends what is known.
        speed = row.get("steps_per_second") or np.nan
        spent += (row["step"] - before) / speed
        before = row["step"]
        place = _bin_of(row["step"], width, "width" in row)
        found[min(bins, max(1, place)) - 1] = spent
    return found


def version_of(rows: Iterable[Row]) -> int | None:
    """Tell the version of a run's measures by its metrics; None while there is no curve."""
    curve = [row for row in rows if row.get("kind") == "curve"]
    if not curve:
        return None
    return 2 if all("width" in row for row in curve) else 1
