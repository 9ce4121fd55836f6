"""Pictures of streams (Kirkpatrick et al. 2017, Fig. 3A and 3B), and of recognised contexts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from colonnade.experiments.method_titles import FALLBACK_COLOURS
from colonnade.experiments.results.recognised import Recognised
from colonnade.experiments.results.stream import (
    Curve,
    Stream,
    StreamRun,
)
from colonnade.experiments.words import short_number
from colonnade.reports.style import FAINT, INK, draw_mean, plain

_WIDTH = 9.4
_COUNTS = LinearSegmentedColormap.from_list("counts", ["#f4f4f2", "#a8c8e4", "#1f6fb2"])


def schedule(run: StreamRun, titles: Mapping[str, str]) -> Figure:
    """Draw which task is visited when, a row for each (Fig. 3A)."""
    count = len(run.tasks)
    figure = Figure(figsize=(_WIDTH, 0.28 * count + 0.9), layout="constrained")
    axes = figure.subplots()
    for visit, task in enumerate(run.visited):
        begin, end = run.begins[visit], run.begins[visit + 1]
        colour = FALLBACK_COLOURS[task % len(FALLBACK_COLOURS)]
        axes.broken_barh([(begin, end - begin)], (task - 0.38, 0.76), color=colour)
    axes.set_yticks(range(count), [plain(titles[task]) for task in run.tasks])
    axes.set_ylim(count - 0.5, -0.5)
    axes.set_xlim(0, run.begins[-1])
    axes.grid(visible=False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("agent steps")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: short_number(x)))
    return figure


def totals(stream: Stream) -> Figure:
    """Draw the sum of all tasks' scores over time, of each curve and of the ceiling (Fig. 3B)."""
    figure = Figure(figsize=(_WIDTH, 4.2), layout="constrained")
    axes = figure.subplots()
    for curve in stream.curves:
        if (line := curve.line) is not None:
            draw_mean(axes, line, **style_of(curve))
    if (line := stream.ceiling_line) is not None:
        draw_mean(axes, line, INK, ls=(0, (5, 4)), label="Single tasks")
    axes.axhline(1, color=FAINT, lw=0.9, ls=(0, (2, 3)))
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.set_xlim(left=0)
    axes.set_xlabel("agent steps")
    axes.set_ylabel(f"sum of scores, of {len(stream.tasks) - len(stream.unscored)} tasks")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: short_number(x)))
    figure.legend(loc="outside lower left", ncols=4)
    return figure


def contexts(found: Recognised, tasks: Sequence[str]) -> Figure:
    """Draw the verdicts of each context (down) in each task (across), a panel for each part."""
    parts, rows, columns = found.table.shape
    size = (_WIDTH, 0.3 * rows + 0.1 * max(map(len, tasks)) + 1.1)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, parts, squeeze=False)[0]
    most = found.table.sum(1).max() or 1
    for number, axes in enumerate(panels):
        axes.grid(visible=False)
        axes.imshow(found.table[number], cmap=_COUNTS, vmin=0, vmax=most, aspect="auto")
        for (row, column), value in np.ndenumerate(found.table[number]):
            if value:
                ink = "#ffffff" if value > 0.7 * most else "#202124"
                axes.text(
                    column, row, f"{value:.0f}", ha="center", va="center", fontsize=7, color=ink
                )
        axes.set_xticks(range(columns), [plain(task) for task in tasks], rotation=90)
        axes.set_yticks(range(rows), [str(n) for n in range(rows)] if not number else [""] * rows)
        axes.tick_params(length=0)
        axes.set_title(f"part {number + 1}")
        for spine in axes.spines.values():
            spine.set_visible(False)
    panels[0].set_ylabel("context")
    return figure


def style_of(curve: Curve) -> dict[str, Any]:
    """Say how a curve looks: a method has its colour, and inferred contexts a dash."""
    ls = "--" if curve.inferred else "-"
    return {"colour": curve.colour, "ls": ls, "label": plain(curve.title)}
