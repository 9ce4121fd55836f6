"""How scores hang on hyperparameters: the pictures of a sweep."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from colonnade.experiments.results.sweep.hyperparameters import (
    BINS,
    Scatter,
    ScatterPanel,
    scatter_panels,
    sorted_panels,
)
from colonnade.experiments.results.sweep.jobs import JobRow
from colonnade.experiments.results.transfer import Results
from colonnade.reports.style import FAINT, INK, plain
from colonnade.reports.transfer.curves import method_legend, panels_of

_CLIP = 4.0
"""Relative areas above this are drawn at this; the axis says so, the table has them as they are."""


def sorted_scores(results: Results, rows: Sequence[JobRow]) -> Figure:
    """Draw, for each target, every method's final scores from the best job to the worst.

    The form is that of Rusu et al. 2017, Fig. 6; the axis is the share of a method's jobs, because
    methods with several sources have more of them.
    """
    found = sorted_panels(results, rows)
    figure, panels = panels_of(max(1, len(found)))
    for axes, panel in zip(panels, found, strict=False):
        axes.set_title(plain(panel.title))
        for line in panel.lines:
            marker = "." * (line.jobs < 9)
            axes.plot(line.share, line.scores, color=results.colour(line.method), marker=marker)
        if not np.isnan(panel.random):
            axes.axhline(panel.random, color=INK, lw=1, ls=":")
        axes.set_xlim(0, 100)
        axes.set_xlabel("% of the jobs, best first")
        axes.set_ylabel("final score")
    drawn = {line.method for panel in found for line in panel.lines}
    method_legend(figure, results, drawn)
    return figure


def score_against(results: Results, rows: Sequence[JobRow]) -> Figure:
    """Draw every job's area, relative to baseline 1's, against each hyperparameter.

    A line joins each method's medians: per value of a grid, or per fifth of a continuous range.
    Where baseline 1 is no measure of anything the areas are drawn as they are.
    """
    found = scatter_panels(results, rows)
    figure, panels = panels_of(max(1, len(found)))
    for axes, panel in zip(panels, found, strict=False):
        axes.set_title(plain(panel.name.replace("_", " ")))
        if panel.logarithmic:
            axes.set_xscale("log")
            axes.set_xlim(0.6 * panel.values[0], panel.values[-1] / 0.6)
        for scatter in panel.scatters:
            place = results.methods.index(scatter.method)
            offset = (place - (len(results.methods) - 1) / 2) * 0.035
            most = _CLIP if panel.relative else math.inf
            _draw(axes, scatter, results.colour(scatter.method), offset, most)
        axes.axhline(1.0 if panel.relative else 0.0, color=FAINT, lw=1, ls=":")
        axes.set_ylabel(_measure(results, panel))
        _mark_values(axes, panel)
    drawn = {scatter.method for panel in found for scatter in panel.scatters}
    method_legend(figure, results, drawn, random=False)
    return figure


def _measure(results: Results, panel: ScatterPanel) -> str:
    """Say what the heights are, and whether some are too great for the picture."""
    if not panel.relative:
        return results.measured
    over = any((scatter.heights > _CLIP).any() for scatter in panel.scatters)
    return f"relative {results.measured}" + f" (above {_CLIP:g}: at {_CLIP:g})" * over


def _draw(axes: Axes, scatter: Scatter, colour: str, offset: float, most: float) -> None:
    """Scatter a method's jobs, a little beside those of the others, and join the medians.

    What lies above `most` is drawn at it.
    """
    values, middles = scatter.values, scatter.middles
    places = np.unique(values)
    if places.size <= BINS and places[0] > 0:
        beside = 10 ** (offset * max(1.0, np.log10(places[-1] / places[0])))
        values, middles = values * beside, middles * beside
    axes.plot(values, np.minimum(scatter.heights, most), ".", color=colour, alpha=0.45, ms=5, mew=0)
    axes.plot(middles, np.minimum(scatter.medians, most), color=colour, marker="o", ms=3.5)


def _mark_values(axes: Axes, panel: ScatterPanel) -> None:
    if 1 < len(panel.values) <= BINS:
        axes.set_xticks(panel.values, [f"{value:g}" for value in panel.values])
        axes.set_xticks([], minor=True)
