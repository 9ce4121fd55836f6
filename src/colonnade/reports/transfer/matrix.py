"""The picture of a transfer matrix."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from colonnade.analysis.transfer import DISPLAY_LIMIT
from colonnade.experiments.results.matrix_and_table import matrix_of
from colonnade.experiments.results.transfer import Results
from colonnade.reports.style import FAINT, PAPER, plain

_TRANSFER_COLOURS = LinearSegmentedColormap.from_list(
    "transfer", ["#c8641e", "#f0c9a4", "#f4f4f2", "#a8c8e4", "#1f6fb2"]
)
"""Below 1 orange, above 1 blue."""


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
