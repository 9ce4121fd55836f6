"""A sweep as charts: the numbers and colours of `charts`, each job named."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from colonnade.experiments.results.sweep.hyperparameters import scatter_panels, sorted_panels
from colonnade.experiments.results.sweep.jobs import JobRow
from colonnade.experiments.results.transfer import Results
from colonnade.reports.interactive.chart import Chart, Line, Panel, Series


def sorted_chart(results: Results, rows: Sequence[JobRow]) -> Chart:
    """Show every method's final scores from the best job to the worst; see `sorted_scores`."""
    found = sorted_panels(results, rows)
    return Chart(
        title="Final scores of all jobs, sorted",
        description="Final scores from the best job to the worst, of each method on each target.",
        x="% of the jobs, best first",
        y="final score",
        series=_series(results, results.methods),
        panels=[
            Panel(
                panel.title,
                [Line(line.method, line.share, line.scores) for line in panel.lines],
                levels=[(panel.random, "random policy")],
            )
            for panel in found
        ],
    )


def against_chart(results: Results, rows: Sequence[JobRow]) -> Chart:
    """Show every job's area against each hyperparameter; see `score_against`."""
    found = scatter_panels(results, rows)
    relative = any(panel.relative for panel in found)
    return Chart(
        title=f"{results.measured.capitalize()}s against hyperparameters",
        description=(
            f"Each job's {results.measured} against what was drawn for it; lines join medians."
        ),
        x="value drawn",
        y=f"relative {results.measured}" if relative else results.measured,
        series=_series(results, results.methods),
        panels=[
            Panel(
                panel.name.replace("_", " "),
                [
                    line
                    for scatter in panel.scatters
                    for line in (
                        Line(
                            scatter.method,
                            scatter.values,
                            scatter.heights,
                            joined=False,
                            labels=[f"job {job}" for job in scatter.jobs],
                        ),
                        Line(scatter.method, scatter.middles, scatter.medians),
                    )
                ],
                levels=[(1.0, "baseline 1") if panel.relative else (0.0, "")],
            )
            for panel in found
        ],
        log_x=all(panel.logarithmic for panel in found),
    )


def _series(results: Results, methods: Iterable[str]) -> list[Series]:
    return [Series(key, results.title(key), results.colour(key)) for key in methods]
