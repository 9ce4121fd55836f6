"""What a suite found, for somebody who reads one screen of its page."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from colonnade.experiments.plans.plan import SCRATCH
from colonnade.experiments.results.curves import CurveLine, curve_sources, source_panels
from colonnade.experiments.results.matrix_and_table import TableRow, transfer_table
from colonnade.experiments.results.transfer import Results

_END = 10
"""Baseline 1's final return is the mean over one bin in so many, its last ones."""


@dataclass(frozen=True)
class Finding:
    """How a method did against learning from scratch.

    Attributes:
        row: Its row of the table of transfer.
        references: How many runs of baseline 1 it is set against.
        sooner: How many times sooner it came to baseline 1's final return than baseline 1 itself,
            the median over source-target pairs; NaN where it came to it in no more than half.
        pairs: Of how many pairs there is such a number, those that never came to it included.
        ends: The final returns of the method and of baseline 1, where there is one pair; else None.
            Both are means over a run's last tenth of bins.
    """

    row: TableRow
    references: int
    sooner: float
    pairs: int
    ends: tuple[float, float] | None

    @property
    def ratio(self) -> float:
        """Median transfer score over pairs, 1 for as fast as from scratch.

        A mean may be one pair's alone, where scratch has hardly begun to learn.
        """
        return self.row.median / 100

    @property
    def verdict(self) -> str:
        """What may be said: "faster", "slower", "not told apart" or "not known"."""
        if math.isnan(self.row.low + self.row.high):
            return "not known"
        if self.row.low > 100:
            return "faster"
        return "slower" if self.row.high < 100 else "not told apart"


def findings(results: Results) -> list[Finding]:
    """Return what every method but baseline 1 came to, where something is complete."""
    found = []
    counts = [areas.size for areas in results.references.values()]
    for row in transfer_table(results):
        if row.method == SCRATCH or math.isnan(row.mean):
            continue
        pairs = list(_pairs(results, row.method))
        factors = np.array([pair.factor for pair in pairs])
        # What never came to it is later than any that did, by no number to be averaged with one.
        reached = factors.size and np.percentile(factors, 50, method="lower") > 0
        sooner = float(np.median(factors)) if reached else math.nan
        ends = (pairs[0].end, pairs[0].level) if len(pairs) == 1 == row.planned else None
        found.append(Finding(row, min(counts), sooner, factors.size, ends))
    return found


@dataclass(frozen=True)
class _Pair:
    """A source and a target: how many times sooner, 0 for never, and both final returns."""

    factor: float
    end: float
    level: float


def _pairs(results: Results, method: str) -> Iterator[_Pair]:
    """Yield the pairs on which baseline 1 learned something, once all their runs are over.

    Curves of runs that are under way end where the least advanced one is.
    """
    seen = set()
    over = {name for name, run in results.runs.items() if run.over}
    for source in curve_sources(results):
        for panel in source_panels(results, source):
            lines = {line.key: line for line in panel.lines}
            own = results.runs_of(method, source, panel.target)
            pair = (source if own else None, panel.target)
            if method not in lines or SCRATCH not in lines or pair in seen:
                continue
            seen.add(pair)
            reference = lines[SCRATCH]
            if not over.issuperset((*reference.ids, *lines[method].ids)):
                continue
            level = _end(reference)
            if level > panel.random:
                factor = steps_to(reference, level) / steps_to(lines[method], level)
                yield _Pair(factor, _end(lines[method]), level)


def _end(line: CurveLine) -> float:
    return float(line.mean[-max(1, line.mean.size // _END) :].mean())


def steps_to(line: CurveLine, level: float) -> float:
    """Agent steps until a mean curve first comes to a level; infinite where it never does."""
    rounding = 1e-9 * abs(level)  # of a level that is a mean over a plateau
    there = np.flatnonzero(line.mean >= level - rounding)
    return float(line.steps[there[0]]) if there.size else math.inf
