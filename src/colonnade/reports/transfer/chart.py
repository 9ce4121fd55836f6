"""Learning curves as charts: numbers and colours of `curves`, every run behind its mean."""

from __future__ import annotations

import itertools
from collections.abc import Collection

from colonnade.experiments.method_titles import FALLBACK_COLOURS
from colonnade.experiments.results.curves import (
    CurveLine,
    CurvePanel,
    plain_panels,
    source_panels,
)
from colonnade.experiments.results.runs import RunResult
from colonnade.experiments.results.transfer import Results
from colonnade.reports.interactive.chart import Chart, Line, Panel, Series, mean_of
from colonnade.reports.transfer.curves import words_of


def curves_chart(results: Results, source: str | None, title: str) -> Chart:
    """Show, for each target begun from a source, all methods' curves; see `learning_curves`."""
    panels, (about, x, y) = source_panels(results, source), words_of(results.runs.values())
    return Chart(
        title=f"Learning curves{f' from {title}' if title else ''}",
        description=about,
        x=x,
        y=y,
        series=[
            Series(method, results.title(method), results.colour(method))
            for method in results.methods
        ],
        panels=[_panel(results, panel) for panel in panels],
    )


def plain_chart(results: Results, runs: Collection[RunResult]) -> Chart:
    """Show the curves of runs that are not compared; see `plain_curves`."""
    panels, (about, x, y) = plain_panels(results, runs), words_of(runs)
    colours: dict[str, str] = {}
    for panel in panels:
        shades = itertools.cycle(FALLBACK_COLOURS)
        colours |= {line.key: next(shades) for line in panel.lines}
    return Chart(
        title="Learning curves",
        description=about,
        x=x,
        y=y,
        series=[Series(key, key, colour) for key, colour in colours.items()],
        panels=[_panel(results, panel) for panel in panels],
    )


def names_of(results: Results, seeds: tuple[int, ...]) -> list[str]:
    """Call runs by what tells them apart: their seed, or their number in a sweep."""
    sweep = results.suite.sweep
    if sweep is None:
        return [f"seed {seed}" for seed in seeds]
    return [f"job {sweep.number_of(seed)}" for seed in seeds]


def _panel(results: Results, panel: CurvePanel) -> Panel:
    return Panel(
        title=panel.title,
        lines=[_line(results, line) for line in panel.lines],
        levels=[(panel.random, "random policy")],
        plays={
            (run, len(results.runs[run].spec.tasks) - 1) for line in panel.lines for run in line.ids
        },
    )


def _line(results: Results, line: CurveLine) -> Line:
    return mean_of(
        line.key, line, names_of(results, line.seeds), seconds=line.seconds, marked=line.early
    )
