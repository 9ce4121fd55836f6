"""What a sweep adds to the report of its suite."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from colonnade.analysis.intervals import Interval
from colonnade.experiments.plans.search_space import Choice, Range
from colonnade.experiments.results.sweep.dependence import (
    LEARNED,
    Dependence,
    DependencePanel,
    dependences,
)
from colonnade.experiments.results.sweep.hyperparameters import scatter_panels
from colonnade.experiments.results.sweep.jobs import (
    JobRow,
    ParquetUnavailableError,
    job_rows,
    write_csv,
    write_parquet,
)
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.titles import source_title
from colonnade.reports.interactive.chart import Chart
from colonnade.reports.page import Section, render
from colonnade.reports.sweep.chart import against_chart, sorted_chart
from colonnade.reports.sweep.charts import score_against, sorted_scores

_PICTURES = ("sorted_scores", "score_against")


class SweepSection(Section):
    """Pictures, words and tables of a sweep."""

    def __init__(self, results: Results) -> None:
        super().__init__(results)
        self._suite = results.suite
        self._notes: list[str] = []
        self.applies = results.suite.sweep is not None

    @cached_property
    def rows(self) -> list[JobRow]:
        """The table of jobs."""
        return job_rows(self.results)

    def figures(self) -> dict[str, Figure]:
        """Draw how scores hang on the hyperparameters."""
        return {
            "sorted-scores": sorted_scores(self.results, self.rows),
            "score-against": score_against(self.results, self.rows),
        }

    def charts(self) -> dict[str, Chart]:
        """Show both pictures as charts."""
        return {
            "sorted-scores": sorted_chart(self.results, self.rows),
            "score-against": against_chart(self.results, self.rows),
        }

    def html(self, drawings: Mapping[str, Markup]) -> Markup:
        """Write the section, and the tables of jobs beside the page.

        Raises:
            ColonnadeError: Writing failed.
        """
        self.write_tables()
        pictures = {name: drawings[name.replace("_", "-")] for name in _PICTURES}
        return render("sweep/section.html.jinja", **self.content(), **pictures)

    def write_tables(self) -> None:
        """Write jobs.csv, and jobs.parquet where that is possible.

        Raises:
            ColonnadeError: Writing failed.
        """
        write_csv(self.rows, self._suite.path / "jobs.csv")
        try:
            write_parquet(self.rows, self._suite.path / "jobs.parquet")
        except ParquetUnavailableError as error:
            self._notes.append(str(error))

    def content(self) -> dict[str, Any]:
        """Say what was drawn, chosen and given up."""
        sweep = self._suite.sweep
        assert sweep is not None
        names = [
            name for name in ("jobs.csv", "jobs.parquet") if (self._suite.path / name).exists()
        ]
        runs = self.results.runs.values()
        return {
            "top": sweep.top,
            "gains": self.results.by_gain,
            "relative": any(p.relative for p in scatter_panels(self.results, self.rows)),
            "ranges": _ranges(self._suite),
            "learned": f"{100 * LEARNED:.0f} %",
            "dependences": [
                [self._dependence(panel, line) for line in panel.methods]
                for panel in dependences(self.results, self.rows)
            ],
            "sources": self._sources(),
            "best": self._best(),
            "failures": [(r.spec.label, reason) for r in runs if (reason := r.folder.failure)],
            "stopped": sum(run.stopped for run in runs),
            "tables": names,
            "notes": self._notes,
        }

    def _dependence(self, panel: DependencePanel, line: Dependence) -> dict[str, Any]:
        titles = self.results.target_titles
        return {
            "target": "all targets" if panel.target is None else titles[panel.target],
            "colour": self.results.colour(line.method),
            "title": self.results.title(line.method),
            "jobs": line.jobs,
            "learned": f"{line.learned} of {line.places}",
            "gain": f"{line.gain:.2f}",
            "kept": "" if math.isnan(line.kept) else f"{line.kept:.2f}",
            "ahead": "" if math.isnan(line.ahead) else f"{line.ahead:+.2f}",
            "interval": _interval(line.interval),
        }

    def _sources(self) -> list[tuple[str, str]]:
        found = []
        for selection in self._suite.plan.selections:
            name = self._suite.plan.place(selection.runs[0]).words
            chosen = self._suite.chosen(selection.name)
            if chosen is None:
                found.append((name, "not chosen yet"))
                continue
            folder = self._suite.run(chosen)
            job = self._job(self.results.runs[chosen].spec.seed)
            found.append((name, f"job {job}, final score {folder.score:.2f}"))
        return found

    def _best(self) -> list[tuple[str, str]]:
        found: dict[str, list[str]] = {}
        titles = self.results.target_titles
        for row in sorted(self.rows, key=lambda row: -row.area if row.counts else 0.0):
            if row.counts:
                origin = f" from {source_title(row.source)}" if row.source else ""
                place = f"{self.results.title(row.method)}{origin} to {titles[row.target]}"
                values = ", ".join(
                    f"{name} {value:g}"
                    for name, value in row.hyperparameters.items()
                    if not math.isnan(value)
                )
                found.setdefault(place, []).append(f"{row.job} ({values})")
        return [(place, "; ".join(jobs)) for place, jobs in found.items()]

    def _job(self, seed: int) -> int:
        assert self._suite.sweep is not None
        return self._suite.sweep.number_of(seed)


def _interval(interval: Interval) -> str:
    words = f"{interval.low:+.2f} to {interval.high:+.2f}" if interval.known else ""
    return f"{words} ({interval.caution})" if interval.caution else words


def _ranges(suite: SuiteFolder) -> list[tuple[str, str]]:
    space = suite.basis.space
    assert space is not None
    return [(name, _words(drawn)) for name, drawn in space.ranges.items()]


def _words(drawn: Range) -> str:
    if isinstance(drawn, Choice):
        return "one of " + ", ".join(f"{value:g}" for value in drawn.values)
    return f"log-uniform from {drawn.low:g} to {drawn.high:g}"
