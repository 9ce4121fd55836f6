"""What a suite comes to: areas under curves, transfer scores, and their intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from colonnade.analysis import top_k, transfer
from colonnade.analysis.aggregates import interquartile_mean, probability_of_improvement
from colonnade.analysis.intervals import NO_INTERVAL, Interval, enough_runs, ratio_interval
from colonnade.experiments.method_titles import in_order, method_of
from colonnade.experiments.plans.plan import SCRATCH, Comparison, Place
from colonnade.experiments.results.runs import Floats, RunResult, read_run
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.titles import distinct, task_title
from colonnade.parts.part import Said

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Cell:
    """A place in the transfer matrix: one method, source and target, over all seeds.

    Attributes:
        method: The row of the table; see `methods.METHODS`.
        source: In words; None where the method has none.
        target: Name of the task.
        areas: [R] areas of the complete runs.
        score: Transfer score; NaN where it is ill-defined or nothing is complete.
        interval: Its 95 % interval over the jobs of a sweep; NaN elsewhere.
        awaited: Whether no job of a sweep is complete both here and at baseline 1, but some are to
            come.
    """

    method: str
    source: str | None
    target: str
    areas: Floats
    score: float
    interval: Interval = NO_INTERVAL
    awaited: bool = False


class RandomScore(NamedTuple):
    """What the random policy scores on a task.

    Attributes:
        mean: Mean return; NaN where unknown.
        error: Standard error of a run's mean, the largest one; NaN where unknown.
        runs: How many runs it was played in.
    """

    mean: float
    error: float
    runs: int


class _Jobs(NamedTuple):
    """A sweep's jobs at a place and at its baseline: the best of few are no match for many's.

    Attributes:
        own: [J] areas; NaN of a job that failed, and of one that is still to come at either place.
        below: [J] the same at the baseline.
        over: Whether no job is to come at either.
    """

    own: Floats
    below: Floats
    over: bool


class Results:
    """Everything a report says of a suite.

    Args:
        suite: The output folder, complete or not.
    """

    def __init__(self, suite: SuiteFolder) -> None:
        self.suite = suite
        self._known: dict[str, float] = {}
        basis = suite.basis
        self.runs: dict[str, RunResult] = {
            spec.id: read_run(suite.run(spec.id), spec, basis.training, basis.measures)
            for spec in suite.plan.runs
        }

    @cached_property
    def _places(self) -> Mapping[Place, list[RunResult]]:
        places: dict[Place, list[RunResult]] = {}
        for entry in self.comparisons:
            places.setdefault(entry.place, []).append(self.runs[entry.run])
        return places

    @property
    def top(self) -> int | None:
        """How many of the best jobs of a sweep count; None where all runs do."""
        return self.suite.sweep.top if self.suite.sweep else None

    @property
    def comparisons(self) -> Sequence[Comparison]:
        """The places of the runs, as planned."""
        return self.suite.plan.comparisons

    @property
    def methods(self) -> list[str]:
        """Keys of the methods compared, in the order that the folder names."""
        present = in_order((entry.method for entry in self.comparisons), self.own)
        named = [method for method in self.suite.basis.methods if method in present]
        return named + [method for method in present if method not in named]

    def title(self, method: str) -> str:
        """Name a method as the folder does."""
        return self.suite.basis.methods.get(method) or method_of(method, self.own).title

    def colour(self, method: str) -> str:
        """Return a method's colour in pictures."""
        return method_of(method, self.own).colour

    @property
    def own(self) -> tuple[Said, ...]:
        """What the folder says of parts that are a user's own."""
        return self.suite.basis.parts

    @property
    def targets(self) -> list[str]:
        """Names of the targets, in the order of the plan."""
        return list(dict.fromkeys(entry.target for entry in self.comparisons))

    @cached_property
    def target_titles(self) -> dict[str, str]:
        """Titles of the targets: a task that its user gave a name has that one."""
        given: dict[str, set[str]] = {}
        for entry in self.comparisons:
            name = self.runs[entry.run].spec.tasks[-1].options.get("name", "")
            given.setdefault(entry.target, set()).add(str(name))
        own = {target: min(names) for target, names in given.items() if len(names) == 1}
        return distinct(self.targets, lambda target: own.get(target) or task_title(target))

    @property
    def sources(self) -> list[str]:
        """The sources in words, in the order of the plan."""
        return list(dict.fromkeys(e.source for e in self.comparisons if e.source is not None))

    def runs_of(self, method: str, source: str | None, target: str) -> list[RunResult]:
        """Return the runs of all seeds at one place."""
        return self._places.get(Place(method, source, target), [])

    def counting(self, method: str, source: str | None, target: str) -> list[RunResult]:
        """Return the runs at one place that count: all, or the best few of a sweep's."""
        runs = self.runs_of(method, source, target)
        if self.top is None:
            return runs
        known = [run for run in runs if not math.isnan(self.area(run))]
        return sorted(known, key=self.area, reverse=True)[: self.top]

    def area(self, run: RunResult) -> float:
        """Measure the area of a run that is over; NaN for any other.

        A run that was stopped early is taken to go on as it was. Where all runs are scored on all
        their tasks, the measure is what they gained on them.
        """
        if run.looks_back and (self.by_gain or not self.comparisons):
            return run.gain
        if run.spec.id not in self._known:
            self._known[run.spec.id] = self._area_of(run)
        return self._known[run.spec.id]

    @cached_property
    def by_gain(self) -> bool:
        """Whether all runs that are compared are scored on all their tasks; one measure for all."""
        compared = [self.runs[entry.run] for entry in self.comparisons]
        return bool(compared) and all(run.looks_back for run in compared)

    @property
    def measured(self) -> str:
        """What `area` gives, in a word."""
        return "gain" if self.by_gain else "area"

    def _area_of(self, run: RunResult) -> float:
        key = run.spec.tasks[-1].key
        if not run.over or key not in self.random_scores:
            return math.nan
        return float(transfer.area_under_curve(run.learning.pooled, self.random_scores[key].mean))

    @cached_property
    def random_scores(self) -> Mapping[tuple[str, str], RandomScore]:
        """What the random policy scores on each task with a complete run.

        By the task's name and options (`TaskBudget.key`): other options are another task.
        """
        found: dict[tuple[str, str], list[tuple[float, float]]] = {}
        # What only tries may be scored in fewer episodes; it counts while there is nothing else.
        tries = self.suite.plan.tries
        reported = (run for name, run in self.runs.items() if run.done and name not in tries)
        known = {run.spec.tasks[-1].key for run in reported}
        for name, run in self.runs.items():
            if name in tries and run.spec.tasks[-1].key in known:
                continue
            if row := run.score("random"):
                # Rows hold the population's standard deviation.
                error = row["return_std"] / math.sqrt(max(1, row["episodes"] - 1))
                key = run.spec.tasks[-1].key
                found.setdefault(key, []).append((row["return_mean"], error))
        return {
            task: RandomScore(
                mean=float(np.mean([mean for mean, _ in rows])),
                error=max(error for _, error in rows),
                runs=len(rows),
            )
            for task, rows in found.items()
        }

    def random_score(self, target: str) -> RandomScore:
        """What the random policy scores on a target.

        Where runs play the target with several options, baseline 1's stand for it.
        """
        entries = [entry for entry in self.comparisons if entry.target == target]
        entries.sort(key=lambda entry: entry.method != SCRATCH)
        keys = (self.runs[entry.run].spec.tasks[-1].key for entry in entries)
        known = (self.random_scores[key] for key in keys if key in self.random_scores)
        return next(known, RandomScore(math.nan, math.nan, 0))

    def baseline(self, source: str | None, target: str) -> Place:
        """Where the runs of baseline 1 stand that runs of a cell are measured by.

        Where whole sequences are compared, those are networks for each task of the same one.
        """
        return Place(SCRATCH, source if self.by_gain else None, target)

    @cached_property
    def references(self) -> Mapping[Place, Floats]:
        """[R] areas of baseline 1's complete runs at each of its places that has some."""
        places = dict.fromkeys(self.baseline(e.source, e.target) for e in self.comparisons)
        areas = {place: self._areas(*place) for place in places}
        return {place: values for place, values in areas.items() if values.size}

    @property
    def relative(self) -> bool:
        """Whether baseline 1 is among what is compared, so that there are transfer scores."""
        return any(entry.method == SCRATCH for entry in self.comparisons)

    @cached_property
    def cells(self) -> Sequence[Cell]:
        """The transfer matrix, without its gaps."""
        places = dict.fromkeys(entry.place for entry in self.comparisons)
        cells = [self._cell(*place) for place in places]
        if self.top is None or not cells:
            return cells
        return [
            cell if math.isnan(cell.score) else replace(cell, interval=interval)
            for cell, interval in zip(cells, self._intervals(cells), strict=True)
        ]

    def summary(self, method: str) -> tuple[transfer.Summary, Interval]:
        """Reduce a method to its row of Table 1, with an interval of the mean in per cent."""
        cells = [cell for cell in self.cells if cell.method == method]
        known = [cell for cell in cells if not math.isnan(cell.score)]
        if self.top is not None and known:
            (interval,) = self._intervals(known, together=True)
        else:
            areas = [(self.baseline(cell.source, cell.target), cell.areas) for cell in known]
            interval = ratio_interval(areas, self.references)
        return transfer.summarise([cell.score for cell in cells]), interval.scaled(100)

    def robust_summary(self, method: str) -> tuple[float, float]:
        """Sum a method up so that no lucky run can carry it, over all runs of its pairs.

        Returns:
            The interquartile mean of the runs' areas over the mean area of baseline 1, in per cent,
            and the probability that a run has a larger area than one of baseline 1.
        """
        cells = [c for c in self.cells if c.method == method and not math.isnan(c.score)]
        below = [self.references[self.baseline(c.source, c.target)] for c in cells]
        # All runs over all: the best few of a sweep's baseline would be another measure.
        errors = [self.random_score(cell.target).error for cell in cells]
        relative = [
            transfer.transfer_score(cell.areas, reference.mean(), minimum=error)
            for cell, reference, error in zip(cells, below, errors, strict=True)
        ]
        middle = interquartile_mean(np.concatenate(relative)) if cells else math.nan
        areas = [cell.areas for cell in cells]
        return 100 * middle, probability_of_improvement(areas, below)

    def relative_area(self, run: RunResult) -> float:
        """Divide a run's area by baseline 1's mean area on the same target; NaN if ill-defined."""
        place = self.suite.plan.place(run.spec.id)
        return self._ratio(self.area(run), self.baseline(place.source, place.target))

    def _ratio(self, area: float, baseline: Place) -> float:
        if baseline not in self.references:
            return math.nan
        # A reference within the error of the random score is no measure of anything.
        reference = self.mean_area(self.references[baseline])
        error = self.random_score(baseline.target).error
        return float(transfer.transfer_score(area, reference, minimum=error))

    def seeds_wanted(self, share: float = 0.2) -> int | None:
        """Say how many seeds would do for mean areas sure to within a share of themselves.

        It is judged by baseline 1's runs so far, at the middle one of the targets; None where no
        target has two of them.
        """
        found = [
            enough_runs(areas, share * areas.mean())
            for areas in self.references.values()
            if areas.size > 1 and areas.mean() > 0
        ]
        return math.ceil(np.median(found)) if found else None

    def _areas(self, method: str, source: str | None, target: str) -> Floats:
        areas = np.array([self.area(run) for run in self.runs_of(method, source, target)])
        known: Floats = areas[~np.isnan(areas)]
        return known

    def mean_area(self, areas: Floats) -> float:
        """Average areas: all of them, or the best few of a sweep."""
        return float(areas.mean() if self.top is None else transfer.top_k_mean(areas, self.top))

    def _cell(self, method: str, source: str | None, target: str) -> Cell:
        areas, baseline = self._areas(method, source, target), self.baseline(source, target)
        score, awaited = math.nan, False
        if self.top is not None and areas.size:
            jobs = self._jobs(method, source, target)
            awaited = not jobs.over and bool(np.isnan(jobs.own + jobs.below).all())
            own, below = (transfer.top_k_mean(side, self.top) for side in (jobs.own, jobs.below))
            error = self.random_score(target).error
            score = float(transfer.transfer_score(own, below, minimum=error))
        elif areas.size:
            score = self._ratio(self.mean_area(areas), baseline)
        return Cell(method, source, target, areas, score, awaited=awaited)

    def _intervals(self, cells: Sequence[Cell], *, together: bool = False) -> list[Interval]:
        """Return the intervals of a sweep's transfer scores, or the one of their mean.

        There is none while a job is to come.
        """
        assert self.top is not None
        jobs = [self._jobs(cell.method, cell.source, cell.target) for cell in cells]
        found = top_k.score_intervals(
            np.transpose([each.own for each in jobs]),
            np.transpose([each.below for each in jobs]),
            self.top,
            together=together,
        )
        over = [all(each.over for each in jobs)] if together else [each.over for each in jobs]
        return [one if known else NO_INTERVAL for one, known in zip(found, over, strict=True)]

    def _jobs(self, method: str, source: str | None, target: str) -> _Jobs:
        """Set a sweep's jobs at one place beside the same jobs at its baseline."""
        own, tried = self._by_job(method, source, target)
        below, too = self._by_job(*self.baseline(source, target))
        both = tried & too
        own, below = (np.where(both, side, math.nan) for side in (own, below))
        return _Jobs(own, below, bool(both.all()))

    def _by_job(self, method: str, source: str | None, target: str) -> tuple[Floats, Flags]:
        """Return the areas [J] of all jobs at one place, NaN where a job has none; and who is over.

        A job that failed is over, too.
        """
        assert self.suite.sweep is not None
        areas = np.full(self.suite.sweep.total, math.nan)
        tried = np.zeros(areas.size, np.bool_)
        for run in self.runs_of(method, source, target):
            number = self.suite.sweep.number_of(run.spec.seed)
            areas[number] = self.area(run)
            tried[number] = run.over or run.folder.failure is not None
        return areas, tried
