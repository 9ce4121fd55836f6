"""The numbers of a report's learning curves; `charts` draws them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from colonnade.analysis.intervals import band
from colonnade.analysis.transfer import carry_forward
from colonnade.experiments.results.mean_lines import MeanLine
from colonnade.experiments.results.runs import Floats, RunResult
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.titles import distinct, option_titles
from colonnade.experiments.words import without_seed


@dataclass(frozen=True, kw_only=True)
class CurveLine(MeanLine):
    """A line of a panel: the mean over runs, as far as all have come that are under way.

    A bin in which no episode ended takes the value before it, and the first ones the random
    policy's score. A run that is over before its budget is, at a goal or stopped early, is taken to
    go on as it was, as for areas (`Results.area`), to where the longest one ended.

    Attributes:
        key: The method, or the label of the one run; its id where labels are the same. Of runs that
            differ in their seeds alone, the first one's label without its seed.
        early: [B] whether in some run a bin ended before every environment had finished an episode.
        seeds: [R] the runs' seeds; of a sweep's, the numbers that their draws come from.
        ids: [R] the runs' ids.
        seconds: [B] seconds of training until then, averaged over the runs; NaN where one of them
            does not say.
    """

    key: str
    early: NDArray[np.bool_]
    seeds: tuple[int, ...]
    ids: tuple[str, ...]
    seconds: Floats

    @property
    def runs(self) -> int:
        """How many runs it averages."""
        return len(self.seeds)


@dataclass(frozen=True)
class CurvePanel:
    """The curves on one task.

    Attributes:
        target: Name of the task.
        title: The same for people.
        lines: One for each method, or for each run.
        random: The random policy's score; NaN where unknown.
    """

    target: str
    title: str
    lines: tuple[CurveLine, ...]
    random: float


def curve_sources(results: Results) -> list[str | None]:
    """Return what curves are told apart by: the sources; None alone where no method has one."""
    return [*results.sources] or [None] * bool(results.comparisons)


def source_panels(results: Results, source: str | None) -> list[CurvePanel]:
    """Collect, for each target begun from a source, all methods' mean curves.

    Methods without a source stand in every panel of their target.
    """
    begun = dict.fromkeys(
        entry.target
        for entry in results.comparisons
        if entry.source == source and results.runs[entry.run].reached
    )
    titles = results.target_titles
    panels = []
    for target in begun:
        lines = [
            line
            for method in results.methods
            for line in _lines(
                method,
                results.counting(method, source, target) or results.counting(method, None, target),
                _random(results, target),
                best=results.top is not None,
            )
        ]
        panels.append(CurvePanel(target, titles[target], tuple(lines), _random(results, target)))
    return panels


def plain_panels(results: Results, runs: Iterable[RunResult]) -> list[CurvePanel]:
    """Collect the curves of runs that are not compared: a panel per task, a line per run.

    Runs that differ in their seeds alone have a line of their mean.
    """
    grouped: dict[tuple[str, str], list[RunResult]] = {}
    for run in runs:
        grouped.setdefault(run.spec.tasks[-1].key, []).append(run)
    titles = option_titles(grouped)
    labels = distinct(results.runs, lambda run: results.runs[run].spec.label)
    panels = []
    for key, alone in grouped.items():
        scores = [row["return_mean"] for run in alone if (row := run.score("random"))]
        random = float(np.mean(scores)) if scores else math.nan
        alike: dict[str, list[RunResult]] = {}
        for run in alone:
            alike.setdefault(results.suite.plan.configuration(run.spec), []).append(run)
        lines = [
            line
            for group in alike.values()
            for line in _lines(_common(labels, group), group, random)
        ]
        panels.append(CurvePanel(key[0], titles[key], tuple(lines), random))
    return panels


def _common(labels: Mapping[str, str], runs: Sequence[RunResult]) -> str:
    """Name runs that differ in their seeds alone, by the first one's label without its seed."""
    names = [labels[run.spec.id] for run in runs]
    if len(names) == 1:
        return names[0]
    return f"{without_seed(names[0])}, {len(names)} seeds"


def _random(results: Results, target: str) -> float:
    return results.random_score(target).mean


def _lines(
    key: str, runs: Sequence[RunResult], start: float, *, best: bool = False
) -> list[CurveLine]:
    """Average runs of the same width of bins; as a rule all have the same.

    The best few of a sweep are no sample of anything, so that their mean has no interval.
    """
    begun = [run for run in runs if not np.isnan(run.curve).all()]
    # What failed ends where it failed, and would end the line there; alone it is all there is.
    begun = [run for run in begun if not run.failed] or begun
    widths = dict.fromkeys(run.learning.width for run in begun)
    return [
        _line(key, width, [run for run in begun if run.learning.width == width], start, best=best)
        for width in widths
    ]


def _line(
    key: str, width: int, runs: Sequence[RunResult], start: float, *, best: bool
) -> CurveLine:
    longest = max(runs, key=lambda run: run.learning.reached)
    under_way = [run.learning.bins_reached for run in runs if not run.over]
    bins = min(under_way, default=longest.learning.bins_reached)
    curves = carry_forward([run.curve[:bins] for run in runs], start)
    low, high = np.full((2, bins), math.nan) if best else band(curves)
    return CurveLine(
        key=key,
        steps=longest.learning.ends[:bins],
        mean=curves.mean(axis=0),
        low=low,
        high=high,
        early=np.any([run.learning.early[:bins] for run in runs], axis=0),
        seeds=tuple(run.spec.seed for run in runs),
        ids=tuple(run.spec.id for run in runs),
        each=curves,
        seconds=np.mean([_spent(run)[:bins] for run in runs], axis=0),
    )


def _spent(run: RunResult) -> Floats:
    """Return the seconds to each bin's end; a run that is over takes no more."""
    seconds = run.learning.seconds.copy()
    if run.over:
        bins = run.learning.bins_reached
        seconds[bins:] = seconds[bins - 1]
    return seconds
