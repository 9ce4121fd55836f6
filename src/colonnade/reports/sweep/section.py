"""What a sweep adds to the report of its suite."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from matplotlib.figure import Figure

from colonnade.experiments.plans.space import Choice, Range
from colonnade.experiments.results.jobs import (
    JobRow,
    ParquetUnavailableError,
    job_rows,
    write_csv,
    write_parquet,
)
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.titles import distinct, source_title
from colonnade.reports.sweep.charts import score_against, sorted_scores


@dataclass(frozen=True)
class SweepContent:
    """What the page says of a sweep.

    Attributes:
        jobs: How many draws.
        top: How many of the best count.
        ranges: Each hyperparameter with what it was drawn from, in words.
        sources: Each source column with the job it came from, in words.
        best: Each cell with its best jobs' hyperparameters, in words.
        failures: Failed runs and why.
        stopped: How many runs were stopped early.
        tables: Names of the table files.
        notes: What else should be known.
    """

    jobs: int
    top: int
    ranges: list[tuple[str, str]]
    sources: list[tuple[str, str]]
    best: list[tuple[str, str]]
    failures: list[tuple[str, str]]
    stopped: int
    tables: list[str]
    notes: list[str]


class SweepReport:
    """Pictures, words and tables of a sweep.

    Args:
        results: Of the sweep's folder.
    """

    def __init__(self, results: Results) -> None:
        self._results = results
        self._suite = results.suite
        self._notes: list[str] = []

    @cached_property
    def rows(self) -> list[JobRow]:
        """The table of jobs."""
        return job_rows(self._results)

    def figures(self) -> dict[str, Figure]:
        """Draw how scores hang on the hyperparameters."""
        return {
            "sorted-scores": sorted_scores(self._results, self.rows),
            "score-against": score_against(self._results, self.rows),
        }

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

    def content(self) -> SweepContent:
        """Say what was drawn, chosen and given up."""
        sweep = self._suite.sweep
        assert sweep is not None
        names = [
            name for name in ("jobs.csv", "jobs.parquet") if (self._suite.path / name).exists()
        ]
        runs = self._results.runs.values()
        return SweepContent(
            jobs=sweep.total,
            top=sweep.top,
            ranges=_ranges(self._suite),
            sources=self._sources(),
            best=self._best(),
            failures=[(r.spec.label, reason) for r in runs if (reason := r.folder.failure)],
            stopped=sum(run.stopped for run in runs),
            tables=names,
            notes=self._notes,
        )

    def _sources(self) -> list[tuple[str, str]]:
        found = []
        for selection in self._suite.plan.selections:
            first = self._results.runs[selection.runs[0]].spec
            name = first.label.rpartition(", ")[0]
            chosen = self._suite.chosen(selection.name)
            if chosen is None:
                found.append((name, "not chosen yet"))
                continue
            folder = self._suite.run(chosen)
            job = self._job(self._results.runs[chosen].spec.seed)
            found.append((name, f"job {job}, final score {folder.score:.2f}"))
        return found

    def _best(self) -> list[tuple[str, str]]:
        found: dict[str, list[str]] = {}
        titles = distinct(self._results.targets)
        for row in sorted(self.rows, key=lambda row: -row.area if row.counts else 0.0):
            if row.counts:
                origin = f" from {source_title(row.source)}" if row.source else ""
                place = f"{self._results.title(row.method)}{origin} to {titles[row.target]}"
                values = ", ".join(f"{value:g}" for value in row.hyperparameters.values())
                found.setdefault(place, []).append(f"{row.job} ({values})")
        return [(place, "; ".join(jobs)) for place, jobs in found.items()]

    def _job(self, seed: int) -> int:
        assert self._suite.sweep is not None
        return self._suite.sweep.number_of(seed)


def _ranges(suite: SuiteFolder) -> list[tuple[str, str]]:
    space = suite.basis.space
    assert space is not None
    ranges = {**space.learner, **space.column}
    return [(name, _words(ranges[name])) for name in ranges]


def _words(drawn: Range) -> str:
    if isinstance(drawn, Choice):
        return "one of " + ", ".join(f"{value:g}" for value in drawn.values)
    return f"log-uniform from {drawn.low:g} to {drawn.high:g}"
