"""How scores hang on hyperparameters: the pictures of a sweep."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from colonnade.experiments.charts import panels_of, task_title
from colonnade.experiments.plan import METHOD_TITLES
from colonnade.experiments.results import Results
from colonnade.experiments.style import FAINT, INK, METHOD_COLOURS
from colonnade.experiments.sweep_table import JobRow

_CLIP = 4.0
"""Relative areas above this are drawn at this; the table has them as they are."""

_BINS = 5
"""Into how many parts a continuous hyperparameter is divided for its median line."""


def sorted_scores(results: Results, rows: Sequence[JobRow]) -> Figure:
    """Draw, for each target, every method's final scores from the best job to the worst.

    The form is that of Rusu et al. 2017, Fig. 6; the axis is the share of a method's jobs, because
    methods with several sources have more of them.
    """
    targets = [target for target in results.targets if _finished(rows, target)]
    figure, panels = panels_of(max(1, len(targets)))
    drawn: list[str] = []
    for axes, target in zip(panels, targets, strict=False):
        axes.set_title(task_title(target))
        for method in results.methods:
            scores = [row.final_score for row in rows if row.at(method, target)]
            known = -np.sort(-np.array([s for s in scores if not math.isnan(s)]))
            if known.size:
                drawn.append(method)
                # Jobs that failed or never ended leave the end of the line out.
                share = 100 * (np.arange(known.size) + 0.5) / len(scores)
                axes.plot(
                    share, known, color=METHOD_COLOURS[method], marker="." * (len(scores) < 9)
                )
        if target in results.random_scores:
            axes.axhline(results.random_scores[target][0], color=INK, lw=1, ls=":")
        axes.set_xlim(0, 100)
        axes.set_xlabel("% of the jobs, best first")
        axes.set_ylabel("final score")
    _legend(figure, drawn, random=True)
    return figure


def score_against(results: Results, rows: Sequence[JobRow], names: Sequence[str]) -> Figure:
    """Draw every job's area, relative to baseline 1's, against each hyperparameter.

    A line joins each method's medians: per value of a grid, or per fifth of a continuous range.
    Where baseline 1 is no measure of anything the areas are drawn as they are.
    """
    relative = any(not math.isnan(row.transfer) for row in rows)
    figure, panels = panels_of(max(1, len(names)))
    drawn: list[str] = []
    for axes, name in zip(panels, names, strict=False):
        axes.set_title(name.replace("_", " "))
        values = sorted({row.hyperparameters[name] for row in rows})
        axes.set_xscale("log")
        axes.set_xlim(0.6 * values[0], values[-1] / 0.6)
        for place, method in enumerate(results.methods):
            points = [
                (row.hyperparameters[name], height)
                for row in rows
                if row.method == method
                and not math.isnan(height := row.transfer if relative else row.area)
            ]
            if points:
                drawn.append(method)
                offset = (place - (len(results.methods) - 1) / 2) * 0.035
                _draw_points(axes, np.array(points), METHOD_COLOURS[method], offset)
        axes.axhline(1.0 if relative else 0.0, color=FAINT, lw=1, ls=":")
        axes.set_ylabel("relative area" if relative else "area")
        _mark_values(axes, values)
    _legend(figure, drawn, random=False)
    return figure


def _draw_points(axes: Axes, points: np.ndarray, colour: str, offset: float) -> None:
    """Scatter a method's jobs, a little beside those of the others, and join the medians."""
    values, scores = points.T
    places = np.unique(values)
    if places.size > _BINS:
        edges = np.quantile(np.log(values), np.linspace(0, 1, _BINS + 1))
        bins = np.clip(np.searchsorted(edges, np.log(values), side="right") - 1, 0, _BINS - 1)
        groups = [bins == number for number in np.unique(bins)]
    else:
        groups = [values == place for place in places]
        values = values * 10 ** (offset * max(1.0, np.log10(places[-1] / places[0])))
    axes.plot(values, np.clip(scores, None, _CLIP), ".", color=colour, alpha=0.45, ms=5, mew=0)
    middle = [math.exp(np.log(values[group]).mean()) for group in groups]
    medians = [min(_CLIP, float(np.median(scores[group]))) for group in groups]
    axes.plot(middle, medians, color=colour, marker="o", ms=3.5)


def _mark_values(axes: Axes, values: list[float]) -> None:
    if 1 < len(values) <= _BINS:
        axes.set_xticks(values, [f"{value:g}" for value in values])
        axes.set_xticks([], minor=True)


def _legend(figure: Figure, drawn: Sequence[str], *, random: bool) -> None:
    methods = [method for method in METHOD_TITLES if method in drawn]
    handles = [Line2D([], [], color=METHOD_COLOURS[m], label=METHOD_TITLES[m]) for m in methods]
    if random:
        handles.append(Line2D([], [], color=INK, lw=1, ls=":", label="Random policy"))
    figure.legend(handles=handles, loc="outside lower left", ncols=3)


def _finished(rows: Sequence[JobRow], target: str) -> bool:
    return any(row.target == target and not math.isnan(row.final_score) for row in rows)
