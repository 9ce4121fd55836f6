"""The numbers of a report's transfer matrix and of its table; `charts` draws the matrix."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from colonnade.analysis.intervals import NO_INTERVAL
from colonnade.experiments.method_titles import method_of
from colonnade.experiments.plans.plan import SCRATCH
from colonnade.experiments.results.runs import Floats
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.titles import source_title


@dataclass(frozen=True)
class TransferMatrix:
    """Transfer scores of all methods and sources but for baseline 1.

    Attributes:
        rows: [M] what a row shows, in words.
        columns: [T] the targets, in words.
        scores: [M, T]; NaN where ill-defined or not complete.
        low: [M, T] lower ends of the scores' intervals; NaN where there is none.
        high: [M, T] upper ends.
        planned: [M, T] whether there is such a cell.
        complete: [M, T] whether one of its runs is over, of a sweep one whose baseline is too.
        runs: [M, T] how many runs each score stands on, but for baseline 1's.
        caution: What must be said of the intervals; often nothing.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    scores: Floats
    low: Floats
    high: Floats
    planned: NDArray[np.bool_]
    complete: NDArray[np.bool_]
    runs: NDArray[np.int64]
    caution: str


def matrix_of(results: Results) -> TransferMatrix:
    """Arrange a suite's cells: rows in the order of the table, columns in that of the plan."""
    places = list(dict.fromkeys((c.method, c.source) for c in results.cells if c.method != SCRATCH))
    places.sort(key=lambda place: results.methods.index(place[0]))
    targets = results.targets
    scores, low, high = np.full((3, len(places), len(targets)), math.nan)
    planned, complete = np.zeros((2, *scores.shape), dtype=bool)
    runs = np.zeros(scores.shape, dtype=np.int64)
    shown = [cell for cell in results.cells if cell.method != SCRATCH]
    for cell in shown:
        at = places.index((cell.method, cell.source)), targets.index(cell.target)
        scores[at], planned[at] = cell.score, True
        low[at], high[at] = cell.interval
        complete[at], runs[at] = cell.areas.size > 0 and not cell.awaited, cell.areas.size
    titles = results.target_titles
    methods = dict.fromkeys(method for method, _ in places)
    short = Counter(results.title(method).partition(" (")[0] for method in methods)
    return TransferMatrix(
        rows=tuple(
            _shortened(results.title(method), short)
            + (f" from {source_title(source)}" if source else "")
            for method, source in places
        ),
        columns=tuple(titles[target] for target in targets),
        scores=scores,
        low=low,
        high=high,
        planned=planned,
        complete=complete,
        runs=runs,
        caution="; ".join(dict.fromkeys(c.interval.caution for c in shown if c.interval.caution)),
    )


def _shortened(title: str, short: Mapping[str, int]) -> str:
    """Leave out what stands in brackets, where the rest still tells methods apart."""
    words = title.partition(" (")[0]
    return words if short[words] == 1 else title


@dataclass(frozen=True)
class TableRow:
    """A row of the paper's Table 1, in per cent.

    Attributes:
        method: Its key.
        title: In words.
        mean: Mean transfer over source-target pairs; NaN where none is defined.
        low: Lower end of the mean's interval; NaN where there is none.
        high: Upper end.
        endless: Whether there is none since it would have no end; see `Interval.endless`.
        caution: What must be said of the interval; often nothing.
        median: Median transfer.
        middle: Interquartile mean over all runs.
        improvement: Probability that a run has a larger area than one of baseline 1; NaN of itself.
        pairs: How many pairs entered.
        planned: How many there are.
        runs: How many runs those that entered stand on, but for baseline 1's.
        paper: The paper's mean and median; None where it has none of this experiment.
        colour: Of the method in pictures.
    """

    method: str
    title: str
    mean: float
    low: float
    high: float
    endless: bool
    caution: str
    median: float
    middle: float
    improvement: float
    pairs: int
    planned: int
    runs: int
    paper: tuple[int, int] | None
    colour: str


def transfer_table(results: Results) -> list[TableRow]:
    """Sum up every method; the paper's numbers stand beside a repetition of its experiment only."""
    return [_row(results, method) for method in results.methods]


@dataclass(frozen=True)
class SharedTargets:
    """What methods come to on the targets that all of them have, in per cent.

    Attributes:
        targets: In words.
        means: Mean transfer by the method's title.
    """

    targets: tuple[str, ...]
    means: Mapping[str, float]


def shared_targets(results: Results) -> SharedTargets | None:
    """Compare methods where the table's means are of other targets for one than for another.

    Returns:
        None where all have scores on the same targets, or on none together.
    """
    scores: dict[str, dict[str, list[float]]] = {}
    for cell in results.cells:
        if cell.method != SCRATCH and not math.isnan(cell.score):
            scores.setdefault(cell.method, {}).setdefault(cell.target, []).append(cell.score)
    shared = [t for t in results.targets if all(t in targets for targets in scores.values())]
    if not shared or all(len(targets) == len(shared) for targets in scores.values()):
        return None
    titles = results.target_titles
    return SharedTargets(
        tuple(titles[target] for target in shared),
        {
            results.title(method): 100
            * float(np.mean([score for t in shared for score in scores[method][t]]))
            for method in results.methods
            if method in scores
        },
    )


def _row(results: Results, method: str) -> TableRow:
    summary, interval = results.summary(method)
    middle, improvement = results.robust_summary(method)
    if method == SCRATCH:
        interval, improvement = NO_INTERVAL, math.nan
    return TableRow(
        method=method,
        title=results.title(method),
        mean=summary.mean,
        low=interval.low,
        high=interval.high,
        endless=interval.endless,
        caution=interval.caution,
        median=summary.median,
        middle=middle,
        improvement=improvement,
        pairs=summary.pairs,
        planned=summary.pairs + summary.undefined,
        runs=sum(
            cell.areas.size
            for cell in results.cells
            if cell.method == method and not math.isnan(cell.score)
        ),
        paper=method_of(method).transfer.get(results.suite.basis.paper),
        colour=results.colour(method),
    )
