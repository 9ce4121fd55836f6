"""What a report says of transfer: the paper's Table 1, the matrix, learning curves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.figure import Figure

from colonnade.analysis.intervals import FEWEST_RUNS
from colonnade.experiments.plans.plan import SCRATCH
from colonnade.experiments.results.cautions import bands_caution
from colonnade.experiments.results.continual import forward_runs
from colonnade.experiments.results.curves import curve_sources, plain_panels, source_panels
from colonnade.experiments.results.matrix_and_table import (
    TableRow,
    matrix_of,
    shared_targets,
    transfer_table,
)
from colonnade.experiments.results.runs import RunResult
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.titles import distinct, slugs, source_title
from colonnade.reports.interactive.chart import Chart
from colonnade.reports.page import Section, render
from colonnade.reports.transfer.chart import curves_chart, plain_chart
from colonnade.reports.transfer.curves import learning_curves, plain_curves, words_of
from colonnade.reports.transfer.matrix import matrix_rows, transfer_matrix

_MOST_TARGETS = 16
"""With more, pictures of each target would say nothing any more."""


@dataclass(frozen=True)
class _TableRow:
    title: str
    colour: str
    mean: str
    interval: str
    caution: str
    median: str
    middle: str
    improvement: str
    pairs: str
    runs: int
    paper: str


class TableSection(Section):
    """The paper's Table 1."""

    def __init__(self, results: Results) -> None:
        super().__init__(results)
        self.applies = results.relative

    def html(self, drawings: Mapping[str, Markup]) -> Markup:
        """Write the table and how its numbers come about."""
        results, rows = self.results, transfer_table(self.results)
        return render(
            "transfer/table.html.jinja",
            table=[_table_row(row) for row in rows],
            endless=any(row.endless for row in rows),
            paper=results.suite.basis.paper if any(row.paper for row in rows) else "",
            seeds_wanted=_seeds_wanted(results),
            measured=results.measured,
            sweep=results.suite.sweep,
            shared=shared_targets(results),
        )


class MatrixSection(Section):
    """The transfer score of every method from every source to every target."""

    def __init__(self, results: Results) -> None:
        super().__init__(results)
        compared = sum(cell.method != SCRATCH for cell in results.cells)
        few = len(results.targets) <= _MOST_TARGETS
        self.applies = compared > 1 and few and results.relative

    def figures(self) -> dict[str, Figure]:
        """Draw the matrix."""
        return {"transfer-matrix": transfer_matrix(self.results)}

    def html(self, drawings: Mapping[str, Markup]) -> Markup:
        """Write the section."""
        matrix = matrix_of(self.results)
        counts = sorted({int(count) for count in matrix.runs[matrix.runs > 0]})
        return render(
            "transfer/matrix.html.jinja",
            columns=matrix.columns,
            rows=matrix_rows(matrix),
            runs=" or ".join(map(str, counts)),
            matrix_caution=matrix.caution,
            measured=self.results.measured,
            sweep=self.results.suite.sweep,
        )


class CurvesSection(Section):
    """Curves by source, or of single runs where nothing is compared."""

    def __init__(self, results: Results) -> None:
        super().__init__(results)
        self._names = _curve_names(results)
        self._plain = [] if results.comparisons else forward_runs(results)
        begun = any(source_panels(results, source) for source in self._names)
        self.applies = bool(self._plain) or (begun and len(results.targets) <= _MOST_TARGETS)

    def figures(self) -> dict[str, Figure]:
        """Draw a picture for each source, or one for all runs."""
        if self._plain:
            return {"curves": plain_curves(self.results, self._plain)}
        drawn = {
            name: learning_curves(self.results, source) for source, (name, _) in self._names.items()
        }
        return {name: figure for name, figure in drawn.items() if figure is not None}

    def charts(self) -> dict[str, Chart]:
        """Show every picture as a chart."""
        if self._plain:
            return {"curves": plain_chart(self.results, self._plain)}
        named = {name: (source, title) for source, (name, title) in self._names.items()}
        return {
            name: curves_chart(self.results, source, title)
            for name, (source, title) in named.items()
            if source_panels(self.results, source)
        }

    def html(self, drawings: Mapping[str, Markup]) -> Markup:
        """Write the section."""
        results = self.results
        runs = self._plain or list(results.runs.values())
        return render(
            "transfer/curves.html.jinja",
            curves=[
                (title, drawings[name])
                for name, title in self._names.values()
                if title and name in drawings
            ],
            plain=drawings.get("curves"),
            early=any(run.learning.early.any() for run in runs),
            about=words_of(runs)[0].removesuffix("."),
            bands_caution=_bands_caution(results, self._plain),
            sweep=results.suite.sweep,
        )


def _curve_names(results: Results) -> dict[str | None, tuple[str, str]]:
    """For each source the name of its picture and its title; none of either where none has one."""
    if curve_sources(results) == [None]:
        return {None: ("curves", "")}
    titles = distinct(results.sources, source_title)
    names = slugs([source.replace(" + ", "-") for source in results.sources])
    return {
        source: (f"curves-{name}", titles[source])
        for source, name in zip(results.sources, names, strict=True)
    }


def _table_row(row: TableRow) -> _TableRow:
    return _TableRow(
        title=row.title,
        colour=row.colour,
        mean=_percent(row.mean),
        interval=_interval(row),
        caution=row.caution,
        median=_percent(row.median),
        middle=_percent(row.middle),
        improvement="" if math.isnan(row.improvement) else f"{row.improvement:.2f}",
        pairs=f"{row.pairs} of {row.planned}",
        runs=row.runs,
        paper=f"{row.paper[0]} / {row.paper[1]}" if row.paper else "",
    )


def _interval(row: TableRow) -> str:
    if row.endless:
        return "no upper end"
    return "" if math.isnan(row.low) else f"{row.low:.0f} to {row.high:.0f}"


def _seeds_wanted(results: Results) -> str:
    """Say what it would take, where runs are too few for an interval."""
    sizes = [cell.areas.size for cell in results.cells]
    if results.top is not None or not sizes or min(sizes) >= FEWEST_RUNS:
        return ""
    words = f"It takes {FEWEST_RUNS} seeds"
    if seeds := results.seeds_wanted():
        words += f", and about {seeds} for mean areas that are sure to within a fifth"
    return f"{words}."


def _percent(value: float) -> str:
    return "?" if math.isnan(value) else f"{value:.0f}"


def _bands_caution(results: Results, plain: Iterable[RunResult]) -> str:
    """What must be said of the bands of curves; those of a sweep are no intervals."""
    if results.top is not None:
        return ""
    compared = [panel for s in curve_sources(results) for panel in source_panels(results, s)]
    panels = compared or plain_panels(results, plain)
    return bands_caution(line for panel in panels for line in panel.lines)
