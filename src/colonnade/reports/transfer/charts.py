"""The pictures of a report: learning curves and the transfer matrix."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from colonnade.analysis.transfer import DISPLAY_LIMIT
from colonnade.experiments.methods import FALLBACK_COLOURS, method_of
from colonnade.experiments.results.curves import CurvePanel, plain_panels, source_panels
from colonnade.experiments.results.table import matrix_of
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.words import short_number
from colonnade.reports.style import FAINT, INK, PAPER, plain

_WIDTH = 9.4
"""Of a row of panels, in inches."""

_TRANSFER_COLOURS = LinearSegmentedColormap.from_list(
    "transfer", ["#c8641e", "#f0c9a4", "#f4f4f2", "#a8c8e4", "#1f6fb2"]
)
"""Below 1 orange, above 1 blue."""


def learning_curves(results: Results, source: str) -> Figure | None:
    """Draw, for each target begun from a source, all methods' mean curves with their intervals.

    Returns:
        The figure; None where no run from that source has begun.
    """
    found = source_panels(results, source)
    if not found:
        return None
    figure, panels = panels_of(len(found))
    for axes, panel in zip(panels, found, strict=True):
        colours = {line.key: method_of(line.key).colour for line in panel.lines}
        _draw_panel(axes, panel, colours)
    method_legend(figure, results, {line.key for panel in found for line in panel.lines})
    return figure


def plain_curves(results: Results) -> Figure:
    """Draw the curves of runs that are not compared: a panel per task, a line per run."""
    found = plain_panels(results)
    figure, panels = panels_of(len(found))
    for axes, panel in zip(panels, found, strict=True):
        shades = itertools.cycle(FALLBACK_COLOURS)
        _draw_panel(axes, panel, {line.key: next(shades) for line in panel.lines}, labelled=True)
        if panel.lines:
            axes.legend(fontsize=8)
    return figure


def transfer_matrix(results: Results) -> Figure:
    """Draw the transfer scores, a row for each method and source, a column for each target."""
    matrix = matrix_of(results)
    height = 0.42 if np.isnan(matrix.low).all() else 0.52
    figure = Figure(figsize=(3.2 + 0.85 * len(matrix.columns), 1.0 + height * len(matrix.rows)))
    axes = figure.subplots()
    axes.grid(visible=False)
    axes.imshow(
        np.clip(matrix.scores, 0, DISPLAY_LIMIT),
        cmap=_TRANSFER_COLOURS,
        vmin=0,
        vmax=DISPLAY_LIMIT,
        aspect="auto",
    )
    for edge in range(1, len(matrix.columns)):
        axes.axvline(edge - 0.5, color=PAPER, lw=2)
    for edge in range(1, len(matrix.rows)):
        axes.axhline(edge - 0.5, color=PAPER, lw=2)
    for (row, column), score in np.ndenumerate(matrix.scores):
        if not matrix.planned[row, column]:
            continue
        text = f"{score:.2f}"
        if math.isnan(score):
            text = "?" if matrix.complete[row, column] else "·"
        strong = not math.isnan(score) and abs(np.clip(score, 0, 2) - 1) > 0.7
        # Numbers stand on coloured cells, whose colours do not follow the page's theme.
        colour = FAINT if math.isnan(score) else "#ffffff" if strong else "#202124"
        low, high = matrix.low[row, column], matrix.high[row, column]
        known = not math.isnan(low + high)
        level = row - 0.13 if known else row
        axes.text(column, level, text, ha="center", va="center", color=colour, fontsize=9)
        if known:
            text = f"{low:.2f} to {high:.2f}"
            axes.text(column, row + 0.24, text, ha="center", va="center", color=colour, fontsize=6)
    axes.set_xticks(range(len(matrix.columns)), list(map(plain, matrix.columns)))
    axes.set_yticks(range(len(matrix.rows)), list(map(plain, matrix.rows)))
    axes.tick_params(length=0)
    axes.xaxis.tick_top()
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


def method_legend(
    figure: Figure, results: Results, drawn: set[str], *, random: bool = True
) -> None:
    """Name the methods that were drawn, below all panels."""
    handles = [
        Line2D([], [], color=method_of(method).colour, label=results.title(method))
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
    axes: Axes, panel: CurvePanel, colours: Mapping[str, str], *, labelled: bool = False
) -> None:
    axes.set_title(plain(panel.title))
    for line in panel.lines:
        colour = colours[line.key]
        if line.banded:
            axes.fill_between(line.steps, line.low, line.high, color=colour, alpha=0.16, lw=0)
        axes.plot(
            line.steps,
            line.mean,
            color=colour,
            marker="o" if line.steps.size == 1 else "",
            label=plain(line.key) if labelled else None,
        )
        if line.early.any():
            # Short episodes reach these bins first.
            axes.plot(line.steps[line.early], line.mean[line.early], "|", color=colour, ms=7)
    if not math.isnan(panel.random):
        axes.axhline(panel.random, color=INK, lw=1, ls=":")
    axes.set_xlim(left=0)
    axes.set_xlabel("agent steps")
    axes.set_ylabel("mean return")
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda steps, _: short_number(steps)))
