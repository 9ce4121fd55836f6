"""A transfer matrix as a picture for papers, and as a table of a page, in the same colours."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure

from colonnade.analysis.transfer import DISPLAY_LIMIT
from colonnade.experiments.results.matrix_and_table import TransferMatrix, matrix_of
from colonnade.experiments.results.transfer import Results
from colonnade.reports.style import FAINT, PAPER, plain

_TRANSFER_COLOURS = LinearSegmentedColormap.from_list(
    "transfer", ["#c8641e", "#f0c9a4", "#f4f4f2", "#a8c8e4", "#1f6fb2"]
)
"""Below 1 orange, above 1 blue."""


@dataclass(frozen=True)
class MatrixCell:
    """A cell as a page shows it.

    Attributes:
        text: The score, or what stands in its place.
        interval: Its interval in words; often nothing.
        paper: Its colour; nothing where there is no score.
        ink: The colour of its text.
        runs: How many runs it stands on.
    """

    text: str
    interval: str
    paper: str
    ink: str
    runs: int


def matrix_rows(matrix: TransferMatrix) -> list[tuple[str, list[MatrixCell]]]:
    """Arrange the matrix for a table: each row's title and cells."""
    return [
        (title, [_cell(matrix, row, column) for column in range(len(matrix.columns))])
        for row, title in enumerate(matrix.rows)
    ]


def _cell(matrix: TransferMatrix, row: int, column: int) -> MatrixCell:
    score, low, high = (float(v[row, column]) for v in (matrix.scores, matrix.low, matrix.high))
    known = not math.isnan(low + high)
    paper = "" if math.isnan(score) else to_hex(_TRANSFER_COLOURS(score / DISPLAY_LIMIT))
    return MatrixCell(
        text=_text(matrix, row, column),
        interval=f"{low:.2f} to {high:.2f}" if known else "",
        paper=paper,
        ink=_ink(score),
        runs=int(matrix.runs[row, column]),
    )


def _text(matrix: TransferMatrix, row: int, column: int) -> str:
    score = float(matrix.scores[row, column])
    if not math.isnan(score):
        return f"{score:.2f}"
    if not matrix.planned[row, column]:
        return ""
    return "?" if matrix.complete[row, column] else "·"


def _ink(score: float) -> str:
    """Choose a number's colour; cells have colours of their own, which follow no theme."""
    if math.isnan(score):
        return FAINT
    cell = luminance(to_hex(_TRANSFER_COLOURS(score / DISPLAY_LIMIT)))
    light, dark = (luminance(ink) for ink in (_LIGHT, _DARK))
    return _LIGHT if (light + 0.05) / (cell + 0.05) > (cell + 0.05) / (dark + 0.05) else _DARK


_LIGHT, _DARK = "#ffffff", "#000000"


def luminance(colour: str) -> float:
    """Return a colour's relative luminance, from 0 to 1 (WCAG 2.1); it is written "#rrggbb"."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


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
        text, colour = _text(matrix, row, column), _ink(float(score))
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
