"""An analysis as charts: the numbers and colours of `charts`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from colonnade.analysis.policies.perturbation import PerturbationCurves
from colonnade.experiments.method_titles import FALLBACK_COLOURS
from colonnade.experiments.titles import distinct
from colonnade.experiments.trained.analysis import RunAnalysis
from colonnade.experiments.trained.comparison import column_title
from colonnade.networks import Feature
from colonnade.reports.interactive.chart import Chart, Line, Panel, Series
from colonnade.reports.sensitivity.charts import (
    count_colours,
    episode_bands,
    level_colours,
    spectrum_lines,
)


def noise_chart(analysis: RunAnalysis) -> Chart:
    """Show score against noise, a panel per column and a line per level; see `noise_curves`."""
    curves = analysis.curves
    assert curves is not None
    clean = float(curves.clean.mean())
    levels = [
        (clean, "no noise"),
        ((clean + curves.floor) / 2, "half"),
        (curves.floor, "random policy"),
    ]
    panels = []
    for column, task in enumerate(analysis.columns):
        lines = [
            _line(name, curves, feature)
            for name, features in zip(analysis.level_names, analysis.levels, strict=True)
            for feature in features
            if feature.column == column
        ]
        new = "new" if column == analysis.newest else "frozen"
        panels.append(Panel(f"Noise in {column_title(task)} ({new})", lines, levels))
    return Chart(
        title="Score under noise",
        description="Mean return while one layer of one column is disturbed.",
        x="noise, in each feature's standard deviations",
        y="mean return",
        series=[Series(name, name, c) for name, c in level_colours(analysis.level_names).items()],
        panels=panels,
        log_x=True,
    )


def agreement_chart(analyses: Sequence[RunAnalysis]) -> Chart:
    """Show APS against AFS for every layer of every column; see `agreement`."""
    names = list(dict.fromkeys(name for each in analyses for name in each.level_names))
    lines = []
    for each in analyses:
        if each.curves is None:
            continue
        aps = each.curves.aps()
        for name, level in zip(each.level_names, each.levels, strict=True):
            known = [
                f
                for f in level
                if not math.isnan(aps[f].value) and not math.isnan(each.layer_afs[f])
            ]
            lines.append(
                Line(
                    name,
                    np.array([each.layer_afs[f] for f in known]),
                    np.array([aps[f].value for f in known]),
                    joined=False,
                    labels=[
                        f"{each.label}, {'new' if f.column == each.newest else 'earlier'} column, "
                        f"95 % {aps[f].low:.2f} to {aps[f].high:.2f}"
                        for f in known
                    ],
                )
            )
    return Chart(
        title="APS against AFS",
        description="The share of the noise precision against that of the Fisher sensitivity.",
        x="AFS: share of the Fisher sensitivity",
        y="APS: share of the noise precision",
        series=[Series(name, name, c) for name, c in level_colours(names).items()],
        panels=[Panel("", lines)],
    )


def spectra_chart(analyses: Sequence[RunAnalysis]) -> Chart:
    """Show sorted sensitivities of single features, per number of columns; see `spectra`."""
    counts = sorted({len(each.columns) for each in analyses})
    names = list(dict.fromkeys(name for each in analyses for name in each.level_names))
    panels = []
    for of_sources in (True, False):
        where = "earlier columns" if of_sources else "new column"
        for name in names:
            lines = [
                Line(str(count), np.linspace(0, 100, values.size), values)
                for count, values in spectrum_lines(analyses, name, of_sources=of_sources)
                if not np.isnan(values).all()
            ]
            if lines:
                panels.append(Panel(f"{name}, {where}", lines))
    return Chart(
        title="How much capacity is used",
        description="Sensitivities of single features, sorted, as shares of their sum.",
        x="features, sorted (%)",
        y="share of sensitivity",
        series=[
            Series(str(count), f"{count} columns", colour)
            for count, colour in count_colours(counts).items()
        ],
        panels=panels,
    )


def sweet_spot_chart(points: Sequence[tuple[float, float, str, int]]) -> Chart:
    """Show transfer scores against how much new vision was learned; see `sweet_spot`."""
    titles = distinct(target for *_, target, _ in points)
    lines = []
    for target in titles:
        own = [point for point in points if point[2] == target]
        lines.append(
            Line(
                target,
                np.array([x for x, *_ in own]),
                np.array([score for _, score, *_ in own]),
                joined=False,
                labels=[f"{columns} columns" for *_, columns in own],
            )
        )
    return Chart(
        title="Transfer and new vision",
        description="Transfer score against the new column's share of sensitivity, by network.",
        x="mean AFS of the new column's convolutions (new vision)",
        y="transfer score",
        series=[
            Series(target, title, FALLBACK_COLOURS[n % len(FALLBACK_COLOURS)])
            for n, (target, title) in enumerate(titles.items())
        ],
        panels=[Panel("", lines, levels=[(1.0, "from scratch")])],
    )


def _line(series: str, curves: PerturbationCurves, feature: Feature) -> Line:
    """Show the mean return at every noise level, and intervals [S] where it was played."""
    returns = curves.returns[feature]
    episodes = curves.episodes(feature)
    low, high = episode_bands(returns)
    return Line(
        series,
        np.asarray(curves.noise, np.float64),
        curves.means(feature),
        low,
        high,
        marked=episodes > 0,
        labels=[f"{count} episodes" if count else "follows from the others" for count in episodes],
    )
