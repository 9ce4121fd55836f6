"""How scores hang on hyperparameters: the numbers; the report draws them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from colonnade.experiments.results.runs import Floats
from colonnade.experiments.results.sweep.jobs import JobRow
from colonnade.experiments.results.transfer import Results

BINS = 5
"""Into how many parts a continuous hyperparameter is divided for its median line."""


@dataclass(frozen=True)
class SortedScores:
    """One method's final scores on a target, from the best job to the worst.

    Attributes:
        method: Its key.
        share: [J] place of each job in per cent of all the method's jobs; jobs that failed or never
            ended leave the end out.
        scores: [J] final scores.
        jobs: How many there are, with those that have no score.
    """

    method: str
    share: Floats
    scores: Floats
    jobs: int


@dataclass(frozen=True)
class SortedPanel:
    """The sorted scores on one target.

    Attributes:
        title: The target, in words.
        lines: One for each method.
        random: The random policy's score; NaN where unknown.
    """

    title: str
    lines: tuple[SortedScores, ...]
    random: float


@dataclass(frozen=True)
class Scatter:
    """One method's jobs against a hyperparameter.

    Attributes:
        method: Its key.
        values: [J] what was drawn.
        heights: [J] areas, relative to baseline 1's or as they are.
        middles: [M] where the line of medians has its points.
        medians: [M] medians of the heights: of each value of a grid, or of fifths of a range.
        jobs: [J] the jobs' numbers.
    """

    method: str
    values: Floats
    heights: Floats
    middles: Floats
    medians: Floats
    jobs: tuple[int, ...]


@dataclass(frozen=True)
class ScatterPanel:
    """All methods' jobs against one hyperparameter.

    Attributes:
        name: Of the hyperparameter.
        relative: Whether heights are relative to baseline 1's; else it is no measure of anything.
        values: All values that were drawn, in order.
        scatters: One for each method.
    """

    name: str
    relative: bool
    values: tuple[float, ...]
    scatters: tuple[Scatter, ...]

    @property
    def logarithmic(self) -> bool:
        """Whether all values are above 0, so that a logarithmic axis can hold them."""
        return bool(self.values) and self.values[0] > 0


def sorted_panels(results: Results, rows: Sequence[JobRow]) -> list[SortedPanel]:
    """Sort every method's final scores on each target that has some."""
    titles = results.target_titles
    panels = []
    for target in results.targets:
        lines = []
        for method in results.methods:
            scores = np.array([row.final_score for row in rows if row.at(method, target)])
            known = -np.sort(-scores[~np.isnan(scores)])
            if known.size:
                share = 100 * (np.arange(known.size) + 0.5) / scores.size
                lines.append(SortedScores(method, share, known, scores.size))
        if lines:
            random = _random(rows, target)
            panels.append(SortedPanel(titles[target], tuple(lines), random))
    return panels


def _random(rows: Sequence[JobRow], target: str) -> float:
    known = [row.random_score for row in rows if row.target == target]
    known = [score for score in known if not math.isnan(score)]
    return known[0] if known else math.nan


def scatter_panels(results: Results, rows: Sequence[JobRow]) -> list[ScatterPanel]:
    """Set every job's area against each hyperparameter that was drawn for it."""
    relative = any(not math.isnan(row.transfer) for row in rows)
    panels = []
    for name in dict.fromkeys(name for row in rows for name in row.hyperparameters):
        scatters = []
        for method in results.methods:
            points = [
                (row.hyperparameters[name], height, row.job)
                for row in rows
                if row.method == method
                and not math.isnan(height := row.transfer if relative else row.area)
                and not math.isnan(row.hyperparameters[name])
            ]
            if points:
                values, heights = np.array([point[:2] for point in points]).T
                jobs = tuple(job for *_, job in points)
                scatters.append(Scatter(method, values, heights, *_medians(values, heights), jobs))
        drawn = sorted({v for row in rows if not math.isnan(v := row.hyperparameters[name])})
        panels.append(ScatterPanel(name, relative, tuple(drawn), tuple(scatters)))
    return panels


def _medians(values: Floats, heights: Floats) -> tuple[Floats, Floats]:
    places = np.unique(values)
    if places.size > BINS:
        edges = np.quantile(values, np.linspace(0, 1, BINS + 1))
        bins = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, BINS - 1)
        groups = [bins == number for number in np.unique(bins)]
    else:
        groups = [values == place for place in places]
    logarithmic = places[0] > 0
    middles = [
        math.exp(float(np.log(values[group]).mean())) if logarithmic else values[group].mean()
        for group in groups
    ]
    return np.array(middles), np.array([np.median(heights[group]) for group in groups])
