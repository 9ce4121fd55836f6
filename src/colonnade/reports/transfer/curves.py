"""Learning curves, a panel for each task."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from colonnade.experiments.method_titles import FALLBACK_COLOURS
from colonnade.experiments.results.curves import CurvePanel, plain_panels, source_panels
from colonnade.experiments.results.runs import RunResult
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.words import short_number
from colonnade.reports.style import INK, draw_mean, plain

_WIDTH = 9.4
"""Of a row of panels, in inches."""


_ABOUT = "Mean return of the episodes that ended in each bin of agent steps."
_LABELLED = "Training accuracy in each bin of training examples."


def words_of(runs: Collection[RunResult]) -> tuple[str, str, str]:
    """Say what curves show, and name their axes; returns on labels are accuracies."""
    if runs and all(run.labelled for run in runs):
        return _LABELLED, "training examples", "accuracy"
    return _ABOUT, "agent steps", "mean return"


def learning_curves(results: Results, source: str | None) -> Figure | None:
    """Draw, for each target begun from a source, all methods' mean curves with their intervals.

    Returns:
        The figure; None where no run from that source has begun.
    """
    found = source_panels(results, source)
    if not found:
        return None
    figure, panels = panels_of(len(found))
    for axes, panel in zip(panels, found, strict=True):
        colours = {line.key: results.colour(line.key) for line in panel.lines}
        _draw_panel(axes, panel, colours, words_of(results.runs.values()))
    method_legend(figure, results, {line.key for panel in found for line in panel.lines})
    return figure


def plain_curves(results: Results, runs: Collection[RunResult]) -> Figure:
    """Draw the curves of runs that are not compared: a panel per task, a line per run."""
    found = plain_panels(results, runs)
    figure, panels = panels_of(len(found))
    for axes, panel in zip(panels, found, strict=True):
        shades = itertools.cycle(FALLBACK_COLOURS)
        colours = {line.key: next(shades) for line in panel.lines}
        _draw_panel(axes, panel, colours, words_of(runs), labelled=True)
        if panel.lines:
            axes.legend(fontsize=8)
    return figure


def method_legend(
    figure: Figure, results: Results, drawn: set[str], *, random: bool = True
) -> None:
    """Name the methods that were drawn, below all panels."""
    handles = [
        Line2D([], [], color=results.colour(method), label=plain(results.title(method)))
        for method in results.methods
        if method in drawn
    ]
    if random:
        handles.append(Line2D([], [], color=INK, lw=1, ls=":", label="Random policy"))
    figure.legend(handles=handles, loc="outside lower left", ncols=3)


def panels_of(count: int) -> tuple[Figure, Sequence[Axes]]:
    """Make a figure with so many panels of equal size."""
    columns = {1: 1, 2: 2, 4: 2}.get(count, 3)
    rows = max(1, -(-count // columns))
    height = {1: 4.2, 2: 2.9, 3: 2.4}[columns]
    figure = Figure(figsize=(_WIDTH if columns > 1 else 7.0, rows * height), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for unused in panels[count:]:
        unused.remove()
    return figure, list(panels[:count])


def _draw_panel(
    axes: Axes,
    panel: CurvePanel,
    colours: Mapping[str, str],
    words: tuple[str, str, str],
    *,
    labelled: bool = False,
) -> None:
    axes.set_title(plain(panel.title))
    for line in panel.lines:
        colour = colours[line.key]
        draw_mean(
            axes,
            line,
            colour,
            marker="o" if line.steps.size == 1 else "",
            label=plain(line.key) if labelled else None,
        )
        if line.early.any():
            # Short episodes reach these bins first.
            axes.plot(line.steps[line.early], line.mean[line.early], "|", color=colour, ms=7)
    if not math.isnan(panel.random):
        axes.axhline(panel.random, color=INK, lw=1, ls=":")
    axes.set_xlim(left=0)
    _, x, y = words
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda steps, _: short_number(steps)))
