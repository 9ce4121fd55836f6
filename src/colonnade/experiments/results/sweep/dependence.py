"""How far a method hangs on the draw of its hyperparameters, in numbers."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from colonnade.analysis.intervals import NO_INTERVAL, Interval, mean_interval
from colonnade.experiments.results.sweep.jobs import JobRow
from colonnade.experiments.results.transfer import Results

LEARNED = 0.5
"""A job has learned a target where its gain is at least this. A gain is a final score above the
random policy's, over that of the best job of all methods on the target."""


@dataclass(frozen=True)
class Dependence:
    """What became of one method's jobs, on one target or on all of them.

    Attributes:
        method: Its key.
        jobs: How many are over; those that failed gained nothing.
        learned: How many of them learned, on all targets together for all targets.
        places: Of how many: jobs times targets.
        gain: Mean gain over the jobs. It is the height of the line of sorted scores, in the mean.
        best: Gain of the method's best job, in the mean over targets.
        ahead: Mean gain less that of the first method, over the jobs that both have.
        interval: Student's t interval of `ahead`, jobs with the same draw in pairs.
    """

    method: str
    jobs: int
    learned: int
    places: int
    gain: float
    best: float
    ahead: float = math.nan
    interval: Interval = NO_INTERVAL

    @property
    def kept(self) -> float:
        """What part of its own best job's gain a job has on average; 1 hangs on no draw."""
        return self.gain / self.best if self.best > 0 else math.nan


@dataclass(frozen=True)
class DependencePanel:
    """What became of all methods' jobs.

    Attributes:
        target: Name of the target; None for all of them.
        methods: One for each method that has jobs.
    """

    target: str | None
    methods: tuple[Dependence, ...]


Gains = dict[str, dict[int, dict[str, float]]]
"""Gains by method, job and target."""


def dependences(results: Results, rows: Sequence[JobRow]) -> list[DependencePanel]:
    """Say what became of the jobs: on all targets, if there are several, then on each."""
    gains = _gains(rows)
    targets = [t for t in results.targets if any(row.target == t for row in rows)]
    gained = [t for t in targets if _any_gain(gains, t)]
    panels = [DependencePanel(t, _methods(results, gains, [t])) for t in gained]
    if len(targets) > 1 and gained:
        panels.insert(0, DependencePanel(None, _methods(results, gains, targets)))
    return [panel for panel in panels if panel.methods]


def _gains(rows: Iterable[JobRow]) -> Gains:
    above = [(row, _above(row)) for row in rows]
    best: dict[str, float] = defaultdict(float)
    for row, score in above:
        best[row.target] = max(best[row.target], score)  # a NaN is never the larger
    found: dict[tuple[str, int, str], list[float]] = defaultdict(list)
    for row, score in above:
        # Where no job came above random play, none gained anything.
        gain = score / best[row.target] if best[row.target] > 0 else 0.0 * score
        found[row.method, row.job, row.target].append(gain)
    gains: Gains = defaultdict(lambda: defaultdict(dict))
    for (method, job, target), values in found.items():  # from several sources
        if not math.isnan(mean := float(np.mean(values))):  # all of them are through
            gains[method][job][target] = mean
    return gains


def _any_gain(gains: Gains, target: str) -> bool:
    return any(job.get(target, 0.0) > 0 for jobs in gains.values() for job in jobs.values())


def _above(row: JobRow) -> float:
    """The final score above the random policy's; NaN of a run that is not over."""
    return 0.0 if row.state == "failed" else row.final_score - row.random_score


def _methods(results: Results, gains: Gains, targets: Sequence[str]) -> tuple[Dependence, ...]:
    found: list[Dependence] = []
    first: dict[int, float] = {}
    for method in results.methods:
        # Jobs that are not through with all targets would compare unlike things.
        table = {
            job: np.array([own[target] for target in targets])
            for job, own in gains[method].items()
            if own.keys() >= set(targets)
        }
        if not table:
            continue
        values = np.array(list(table.values()))
        means = {job: float(each.mean()) for job, each in table.items()}
        ahead = np.array([mean - first[job] for job, mean in means.items() if job in first])
        found.append(
            Dependence(
                method=method,
                jobs=len(table),
                learned=int((values >= LEARNED).sum()),
                places=values.size,
                gain=float(values.mean()),
                best=float(values.max(axis=0).mean()),
                ahead=float(ahead.mean()) if ahead.size else math.nan,
                interval=mean_interval(ahead) if ahead.size else NO_INTERVAL,
            )
        )
        first = first or means
    return tuple(found)
