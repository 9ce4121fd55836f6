"""The pictures of a report: learning curves and the transfer matrix."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from colonnade.analysis.intervals import FEWEST_RUNS, band
from colonnade.analysis.transfer import DISPLAY_LIMIT, carry_forward
from colonnade.experiments.plan import METHOD_TITLES
from colonnade.experiments.results import Results, RunResult
from colonnade.experiments.style import FAINT, FALLBACK_COLOURS, INK, METHOD_COLOURS, PAPER

_WIDTH = 9.4
"""Of a row of panels, in inches."""

_TRANSFER_COLOURS = LinearSegmentedColormap.from_list(
    "transfer", ["#c8641e", "#f0c9a4", "#f4f4f2", "#a8c8e4", "#1f6fb2"]
)
"""Below 1 orange, above 1 blue."""


def task_title(name: str) -> str:
    """Write a task's name for people.

    "pong-soup/vh-flip" becomes "VH-flip", and "digits/pair-4-9-noise-50" "4 or 9, 50 % noise".
    """
    if pair := re.search(r"/pair-(\d+)-(\d+)(?:-noise-(\d+))?$", name):
        first, second, noise = pair.groups()
        return f"{first} or {second}" + (f", {noise} % noise" if noise else "")
    word = name.rpartition("/")[2].replace("_", " ")
    first, dash, rest = word.partition("-")
    return (first.upper() if len(first) <= 2 else first.capitalize()) + dash + rest


def source_title(source: str) -> str:
    """Write a source for people: "pong + h-flip" becomes "Pong + H-flip"."""
    return " + ".join(task_title(part) for part in source.split(" + "))


def learning_curves(results: Results, source: str) -> Figure | None:
    """Draw, for each target begun from a source, all methods' mean curves with their bands.

    Returns:
        The figure; None where no run from that source has begun.
    """
    begun = [
        entry.target
        for entry in results.comparisons
        if entry.source == source and results.runs[entry.run].reached
    ]
    if not begun:
        return None
    targets = list(dict.fromkeys(begun))
    figure, panels = panels_of(len(targets))
    methods: list[str] = []
    for axes, target in zip(panels, targets, strict=True):
        axes.set_title(task_title(target))
        for method in results.methods:
            runs = results.counting(method, source, target) or results.counting(
                method, None, target
            )
            if _draw_curve(axes, results, target, runs, METHOD_COLOURS[method]):
                methods.append(method)
        _finish(axes, results, target)
    titles = {method: METHOD_TITLES[method] for method in METHOD_TITLES if method in methods}
    handles = [Line2D([], [], color=METHOD_COLOURS[key], label=titles[key]) for key in titles]
    handles.append(Line2D([], [], color=INK, lw=1, ls=":", label="Random policy"))
    figure.legend(handles=handles, loc="outside lower left", ncols=3)
    return figure


def plain_curves(results: Results) -> Figure:
    """Draw the curves of runs that are not compared: a panel per task, a line per run."""
    targets = list(dict.fromkeys(run.spec.target for run in results.runs.values()))
    figure, panels = panels_of(len(targets))
    for axes, target in zip(panels, targets, strict=True):
        axes.set_title(task_title(target))
        runs = [run for run in results.runs.values() if run.spec.target == target]
        for number, run in enumerate(runs):
            colour = FALLBACK_COLOURS[number % len(FALLBACK_COLOURS)]
            if _draw_curve(axes, results, target, [run], colour):
                axes.lines[-1].set_label(run.spec.label)
        _finish(axes, results, target)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8)
    return figure


def transfer_matrix(results: Results) -> Figure:
    """Draw the transfer scores, a row for each method and source, a column for each target."""
    rows = list(dict.fromkeys((cell.method, cell.source) for cell in results.cells))
    order = list(METHOD_TITLES)
    rows = sorted((row for row in rows if row[0] != "scratch"), key=lambda r: order.index(r[0]))
    targets = results.targets
    scores = np.full((len(rows), len(targets)), math.nan)
    intervals = np.full((*scores.shape, 2), math.nan)
    planned, complete = np.zeros((2, *scores.shape), dtype=bool)
    for cell in results.cells:
        if (cell.method, cell.source) in rows:
            place = rows.index((cell.method, cell.source)), targets.index(cell.target)
            scores[place], planned[place], intervals[place] = cell.score, True, [*cell.interval]
            complete[place] = cell.areas.size > 0
    spread = not np.isnan(intervals).all()
    height = 0.52 if spread else 0.42
    figure = Figure(figsize=(3.2 + 0.85 * len(targets), 1.0 + height * len(rows)))
    axes = figure.subplots()
    axes.grid(visible=False)
    axes.imshow(
        np.clip(scores, 0, DISPLAY_LIMIT),
        cmap=_TRANSFER_COLOURS,
        vmin=0,
        vmax=DISPLAY_LIMIT,
        aspect="auto",
    )
    for edge in range(1, len(targets)):
        axes.axvline(edge - 0.5, color=PAPER, lw=2)
    for edge in range(1, len(rows)):
        axes.axhline(edge - 0.5, color=PAPER, lw=2)
    for (row, column), score in np.ndenumerate(scores):
        if not planned[row, column]:
            continue
        text = f"{score:.2f}"
        if math.isnan(score):
            text = "?" if complete[row, column] else "·"
        strong = not math.isnan(score) and abs(np.clip(score, 0, 2) - 1) > 0.7
        # Numbers stand on coloured cells, whose colours do not follow the page's theme.
        colour = FAINT if math.isnan(score) else "#ffffff" if strong else "#202124"
        known = not np.isnan(intervals[row, column]).any()
        level = row - 0.13 if known else row
        axes.text(column, level, text, ha="center", va="center", color=colour, fontsize=9)
        if known:
            low, high = intervals[row, column]
            text = f"{low:.2f} to {high:.2f}"
            axes.text(column, row + 0.24, text, ha="center", va="center", color=colour, fontsize=6)
    axes.set_xticks(range(len(targets)), [task_title(target) for target in targets])
    axes.set_yticks(range(len(rows)), [_row_title(*row) for row in rows])
    axes.tick_params(length=0)
    axes.xaxis.tick_top()
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


def _row_title(method: str, source: str | None) -> str:
    origin = f" from {source_title(source)}" if source else ""
    return METHOD_TITLES[method].partition(" (")[0] + origin


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


def _draw_curve(
    axes: Axes, results: Results, target: str, runs: Sequence[RunResult], colour: str
) -> bool:
    """Draw the mean of the runs as far as all that have begun have come; False if none has."""
    begun = [run for run in runs if not np.isnan(run.curve).all()]
    if not begun:
        return False
    width = begun[0].bin_steps
    bins = min(max(1, round(run.reached / width)) for run in begun)
    start = results.random_scores.get(target, (math.nan, 0.0))[0]
    curves = carry_forward([run.curve[:bins] for run in begun], start)
    steps = width * np.arange(1, curves.shape[1] + 1)
    if len(begun) >= (FEWEST_RUNS if results.top is None else 2):
        # The best few are no sample of anything, so there is no interval of their mean.
        low, high = band(curves) if results.top is None else (curves.min(0), curves.max(0))
        axes.fill_between(steps, low, high, color=colour, alpha=0.16, lw=0)
    axes.plot(steps, curves.mean(axis=0), color=colour, marker="o" if steps.size == 1 else "")
    return True


def _finish(axes: Axes, results: Results, target: str) -> None:
    if target in results.random_scores:
        axes.axhline(results.random_scores[target][0], color=INK, lw=1, ls=":")
    axes.set_xlim(left=0)
    axes.set_xlabel("agent steps")
    axes.set_ylabel("mean return")
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda steps, _: short_number(steps)))


def short_number(value: float) -> str:
    """Write 250000 as "250 k" and 1500000 as "1.5 M"."""
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= limit:
            return f"{value / limit:g}{unit}"
    return f"{value:g}"
