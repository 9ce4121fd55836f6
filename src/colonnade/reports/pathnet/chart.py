"""PathNet as charts: the numbers and colours of `charts`."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from colonnade.experiments.method_titles import FALLBACK_COLOURS
from colonnade.experiments.results.pathnet.generations import GenerationRow
from colonnade.experiments.results.pathnet.paths import Moment, Reuse
from colonnade.experiments.titles import distinct
from colonnade.experiments.words import run_count
from colonnade.reports.interactive.chart import Chart, Line, Look, Panel, Series
from colonnade.reports.pathnet.charts import FROZEN, POPULATION

_SPREAD = 0.18
"""Of the runs of a row, up and down."""


def moments_chart(found: Sequence[Sequence[Moment]]) -> Chart:
    """Show some moments of each task of a run, a panel each; see `draw_moments`."""
    titles = distinct(row[0].task for row in found)
    return Chart(
        title="Paths through the modules",
        description="How much of the population uses each module, at some moments of each task.",
        x="layer",
        y="module",
        series=[
            Series("population", "the population's paths", POPULATION),
            Series("frozen", "frozen by earlier tasks", FROZEN),
            Series("best", "the best path in the end", FROZEN),
        ],
        panels=[
            Panel(
                f"{titles[moment.task]}, {moment.when}",
                _moment_lines(moment),
                x_names=[str(n + 1) for n in range(moment.uses.shape[0])],
                y_names=[str(n + 1) for n in range(moment.uses.shape[1])],
            )
            for row in found
            for moment in row
        ],
    )


def _moment_lines(moment: Moment) -> list[Line]:
    by_share: dict[float, list[tuple[int, int, int]]] = defaultdict(list)
    for edge, share in moment.edges.items():
        by_share[share].append(edge)
    lines = [
        _edges("population", edges, Look(width=5 * share, opacity=0.1 + 0.7 * share, quiet=True))
        for share, edges in sorted(by_share.items())
    ]
    if moment.best is not None:
        lines.append(_edges("best", moment.best_edges, Look(width=1.6, quiet=True)))
    layers, modules = (places.ravel() for places in np.indices(moment.uses.shape))
    shares = moment.uses.ravel()
    lines.append(
        Line(
            "population",
            layers.astype(np.float64),
            modules.astype(np.float64),
            joined=False,
            labels=[f"in {share:.0%} of the paths" for share in shares],
            look=Look(size=12, opacity=shares),
        )
    )
    frozen = [(layer, m) for layer, own in enumerate(moment.frozen) for m in sorted(set(own))]
    if frozen:
        x, y = np.array(frozen, np.float64).T
        words = [f"in {moment.uses[place]:.0%} of the paths" for place in frozen]
        look = Look(size=13, opacity=0.0, ring=FROZEN)
        lines.append(Line("frozen", x, y, joined=False, labels=words, look=look))
    return lines


def _edges(series: str, edges: Sequence[tuple[int, int, int]], look: Look) -> Line:
    return Line(
        series,
        np.array([(layer, layer + 1, math.nan) for layer, _, _ in edges]).ravel(),
        np.array([(a, b, math.nan) for _, a, b in edges], np.float64).ravel(),
        look=look,
    )


def generations_chart(rows: Sequence[GenerationRow]) -> Chart:
    """Show every run as a dot, and each method's mean with its interval; see `draw_generations`."""
    lines = []
    for place, row in enumerate(rows):
        count = row.generations.size
        spread = np.linspace(-_SPREAD, _SPREAD, count) if count > 1 else np.zeros(1)
        words = f"mean of {run_count(count)}"
        if row.interval.known:
            words += f", 95 % {row.interval.low:.0f} to {row.interval.high:.0f}"
            ends = np.array([row.interval.low, row.interval.high])
            look = Look(width=6, opacity=0.5, quiet=True)
            lines.append(Line(row.method, ends, np.full(2, float(place)), look=look))
        lines.append(
            Line(
                row.method,
                row.generations,
                place + spread,
                joined=False,
                labels=[f"{value:.0f}, one run" for value in row.generations],
                look=Look(size=5, opacity=0.45),
            )
        )
        mean = float(row.generations.mean())
        lines.append(
            Line(
                row.method,
                np.array([mean]),
                np.array([float(place)]),
                joined=False,
                labels=[f"{mean:.0f}, {words}"],
                look=Look(size=11),
            )
        )
    return Chart(
        title="Generations to the goal",
        description="Generations until the goal, of every run, and each method's mean.",
        x="generations to the goal",
        y="",
        series=[Series(row.method, row.title, row.colour) for row in rows],
        panels=[Panel("", lines, y_names=[row.title for row in rows])],
    )


def reuse_chart(rows: Sequence[Reuse]) -> Chart:
    """Show each run's speedup against the overlap of its paths; see `draw_reuse`."""
    targets = distinct(row.run.spec.target for row in rows)
    series = {target: str(n) for n, target in enumerate(targets)}
    return Chart(
        title="Reuse and speedup",
        description="Each run's speedup over the de novo path against how far its two best "
        "paths overlap.",
        x="overlap of the second task's best path with the first's",
        y="speedup over the de novo path",
        series=[
            Series(series[target], title, FALLBACK_COLOURS[n % len(FALLBACK_COLOURS)])
            for n, (target, title) in enumerate(targets.items())
        ],
        panels=[
            Panel(
                "",
                [
                    Line(
                        series[target],
                        np.array([row.overlap for row in own]),
                        np.array([row.speedup for row in own]),
                        joined=False,
                        labels=[row.run.spec.label for row in own],
                    )
                    for target in targets
                    if (own := [row for row in rows if row.run.spec.target == target])
                ],
                levels=[(1.0, "as the de novo path")],
            )
        ],
    )
