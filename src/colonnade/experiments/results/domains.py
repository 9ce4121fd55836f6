"""What a column knew of other domains before it learned there, and what was learned then."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from colonnade.analysis.policies.filters import median_filtered
from colonnade.analysis.transfer import carry_forward
from colonnade.experiments.plans.plan import Place
from colonnade.experiments.results.runs import Floats, RunResult
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.titles import source_title
from colonnade.training import Row

_SMOOTHED = 20
"""A median is taken of the bins of so many parts of a run."""


@dataclass(frozen=True)
class DomainScore:
    """What the first column scores in a domain, without learning there.

    Attributes:
        task: Id of the domain's task.
        picture: How episodes begin there, a PNG in base64.
        mean: Mean return.
        error: Its standard error.
        episodes: How many were played.
    """

    task: str
    picture: str
    mean: float
    error: float
    episodes: int


@dataclass(frozen=True)
class Learned:
    """What a method came to on a target.

    Attributes:
        place: Method, source and target.
        scores: [R] final scores of the complete runs, the best first.
        above: Share of them above the first column's score there without learning; NaN where that
            is not known.
    """

    place: Place
    scores: Floats
    above: float

    @property
    def mean(self) -> float:
        """Mean final score; NaN where nothing is complete."""
        return float(self.scores.mean()) if self.scores.size else math.nan

    @property
    def spread(self) -> float:
        """Standard deviation over runs, of their sample; NaN for fewer than two."""
        return float(self.scores.std(ddof=1)) if self.scores.size > 1 else math.nan

    @property
    def quartiles(self) -> tuple[float, float]:
        """The lower and the upper one; NaN where nothing is complete."""
        if not self.scores.size:
            return math.nan, math.nan
        low, high = np.quantile(self.scores, (0.25, 0.75))
        return float(low), float(high)


@dataclass(frozen=True)
class Rewards:
    """The rewards of a method on a target as it learned.

    Attributes:
        place: Method, source and target.
        steps: [B] agent steps at the ends of the bins.
        raw: [R, B] mean return of each run's bins; NaN where no episode ended.
        filtered: [B] running median of the runs' mean.
        window: Of how many bins.
        seeds: [R] the runs' seeds.
    """

    place: Place
    steps: Floats
    raw: Floats
    filtered: Floats
    window: int
    seeds: tuple[int, ...]


def domain_scores(results: Results) -> list[DomainScore]:
    """Return the first column's score in each domain, of the first run that measured them."""
    for run in results.runs.values():
        if rows := [row for row in _scores(run) if row["kind"] == "domain"]:
            return [
                DomainScore(
                    row["task"], row["picture"], row["return_mean"], _error(row), row["episodes"]
                )
                for row in rows
            ]
    return []


def zero_shot(results: Results, target: str) -> tuple[float, float]:
    """Return what first columns score on a target without learning, and its standard error.

    Of a column that several runs begin from, rows that are alike are the same episodes and count
    once. Of several columns the error is that of the mean over columns, by their spread. NaN where
    nothing was measured.
    """
    by_column: dict[tuple[str, ...], set[tuple[float, float]]] = {}
    for run in results.runs.values():
        if run.spec.target == target:
            rows = (row for row in _scores(run) if row["kind"] == "zero-shot")
            found = by_column.setdefault(run.spec.origins, set())
            found.update((row["return_mean"], _error(row)) for row in rows)
    columns = [np.array(sorted(found)) for found in by_column.values() if found]
    if not columns:
        return math.nan, math.nan
    means = [float(rows[:, 0].mean()) for rows in columns]
    if len(columns) > 1:
        return float(np.mean(means)), float(np.std(means, ddof=1) / math.sqrt(len(means)))
    errors = columns[0][:, 1]
    return means[0], float(np.sqrt((errors**2).sum()) / len(errors))


def measured_zero_shot(results: Results) -> bool:
    """Say whether any run measured what was known before."""
    kinds = {row["kind"] for run in results.runs.values() for row in _scores(run)}
    return "zero-shot" in kinds


def learned(results: Results, target: str) -> list[Learned]:
    """Return what each method came to on a target, in the order of tables."""
    before, _ = zero_shot(results, target)
    found = []
    for place, runs in _places(results, target):
        scores = np.array([run.final_score for run in runs])
        scores = -np.sort(-scores[~np.isnan(scores)])
        known = scores.size and not math.isnan(before)
        above = float((scores > before).mean()) if known else math.nan
        found.append(Learned(place, scores, above))
    return found


def rewards(results: Results, target: str) -> list[Rewards]:
    """Return the rewards of each method that has begun on a target."""
    found = []
    for place, runs in _places(results, target):
        begun = [run for run in runs if not np.isnan(run.curve).all()]
        if not begun:
            continue
        width = begun[0].learning.width
        alike = [run for run in begun if run.learning.width == width]
        bins = min(run.curve.size for run in alike)
        raw = np.array([_lasting(run)[:bins] for run in alike])
        window = 2 * (bins // _SMOOTHED // 2) + 1
        mean = np.full(bins, np.nan)
        some = ~np.isnan(raw).all(axis=0)
        mean[some] = np.nanmean(raw[:, some], axis=0)
        steps = width * np.arange(1.0, bins + 1)
        seeds = tuple(run.spec.seed for run in alike)
        found.append(Rewards(place, steps, raw, median_filtered(mean, window), window, seeds))
    return found


def _lasting(run: RunResult) -> Floats:
    """Return a run's curve; one that is over before its budget goes on as it was."""
    last = run.learning.bins_reached
    if not run.over or last == run.curve.size:
        return run.curve
    return np.concatenate((run.curve[:last], carry_forward(run.curve, math.nan)[last:]))


def place_title(results: Results, place: Place, places: Sequence[Place]) -> str:
    """Name a row; its source stands behind it where a method has several."""
    title = results.title(place.method)
    several = len({other.source for other in places if other.method == place.method}) > 1
    return f"{title}, from {source_title(place.source)}" if several and place.source else title


def target_titles(results: Results) -> dict[str, str]:
    """Name the targets."""
    return results.target_titles


def _places(results: Results, target: str) -> Iterator[tuple[Place, list[RunResult]]]:
    order = {method: number for number, method in enumerate(results.methods)}
    places = dict.fromkeys(e.place for e in results.comparisons if e.target == target)
    for place in sorted(places, key=lambda place: order[place.method]):
        yield place, results.runs_of(*place)


def _scores(run: RunResult) -> list[Row]:
    rows: list[Row] = run.result.get("scores", [])
    return rows


def _error(row: Row) -> float:
    # Rows hold the population's standard deviation.
    return float(row["return_std"] / math.sqrt(max(1, row["episodes"] - 1)))
