"""Pictures of continual learning, after Kirkpatrick et al. 2017, Fig. 2."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from colonnade.analysis.continual import Floats
from colonnade.experiments.method_titles import FALLBACK_COLOURS
from colonnade.experiments.results.continual import (
    Contender,
    TaskSequence,
    score_range,
    score_text,
    single_scores,
)
from colonnade.experiments.results.mean_lines import MeanLine
from colonnade.experiments.results.overlaps import by_layer
from colonnade.experiments.titles import distinct
from colonnade.experiments.words import run_count, short_number
from colonnade.reports.style import FAINT, INK, PAPER, draw_mean, plain

_WIDTH = 9.4
_SCORES = LinearSegmentedColormap.from_list("scores", ["#f4f4f2", "#a8c8e4", "#1f6fb2"])


def score_curves(sequence: TaskSequence, words: Mapping[str, str]) -> Figure:
    """Draw the score on each task over the whole sequence, a panel for each task (Fig. 2A).

    Args:
        sequence: The tasks and methods.
        words: How scores and steps are called: "score" and "steps".
    """
    count = len(sequence.tasks)
    figure = Figure(figsize=(_WIDTH, 1.5 * count + 1.1), layout="constrained")
    panels = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
    shown, starts = sequence.learners_of_all, sequence.starts
    titles = distinct(sequence.ids)
    names = [titles[task] for task in sequence.ids]
    for tested, axes in enumerate(panels):
        if starts is not None:
            for switch in starts[1:-1]:
                axes.axvline(switch, color=FAINT, lw=0.9, ls=(0, (2, 3)))
            axes.set_xlim(0, starts[-1])
        for contender in shown:
            _draw_contender(axes, contender.line(tested), contender)
        axes.set_title(plain(names[tested]))
        axes.set_ylabel(words["score"])
        if words["score"] == "accuracy":
            axes.set_ylim(0, 1.02)
    panels[-1].set_xlabel(words["steps"])
    panels[-1].xaxis.set_major_formatter(FuncFormatter(lambda x, _: short_number(x)))
    for place, (start, end) in enumerate(pairwise(starts if starts is not None else ())):
        panels[0].annotate(
            plain(f"learns {names[place]}"),
            ((start + end) / 2, 1.0),
            xycoords=("data", "axes fraction"),
            ha="center",
            va="bottom",
            color=FAINT,
            fontsize=8.5,
        )
    _legend(figure, shown)
    return figure


def average_curves(sequence: TaskSequence, words: Mapping[str, str]) -> Figure:
    """Draw the average score on all tasks so far against their number (Fig. 2B)."""
    figure = Figure(figsize=(7.0, 4.2), layout="constrained")
    axes = figure.subplots()
    shown = [c for c in sequence.learners_of_all if c.done]
    numbers = np.arange(1.0, len(sequence.tasks) + 1)
    for contender in shown:
        _draw_contender(axes, contender.average_line, contender, marker="o")
    singles = single_scores(sequence)
    for learner, single in singles.items():
        name = f"single task ({learner})" if len(singles) > 1 else "single task"
        axes.axhline(single, color=INK, lw=1.1, ls=(0, (5, 4)))
        axes.annotate(name, (numbers[-1], single), ha="right", va="bottom", color=INK, fontsize=8.5)
    axes.set_xlabel("tasks learned so far")
    axes.set_ylabel(f"{words['score']}, averaged over them")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _legend(figure, shown)
    return figure


def matrices(sequence: TaskSequence, words: Mapping[str, str]) -> Figure:
    """Draw the score on each task (across) after each task (down), a panel for each method."""
    shown = [c for c in sequence.learners_of_all if c.done]
    count = len(sequence.tasks)
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(_WIDTH, 3.3 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    values = [c.matrix for c in shown]
    low, high = score_range(values, words)
    for unused in panels[len(shown) :]:
        unused.remove()
    for axes, contender, matrix in zip(panels, shown, values, strict=False):
        axes.grid(visible=False)
        axes.imshow(matrix, cmap=_SCORES, vmin=low, vmax=high)
        for (row, column), score in np.ndenumerate(matrix):
            if np.isnan(score):
                continue
            strong = (score - low) > 0.7 * (high - low)
            text = score_text(score, words)
            # Numbers stand on coloured cells, whose colours do not follow the page's theme.
            axes.text(
                column,
                row,
                text,
                ha="center",
                va="center",
                fontsize=8.5 if count <= 6 else 6.5,
                color="#ffffff" if strong else "#202124",
            )
        runs = len(contender.done)
        axes.set_title(f"{plain(contender.title)}, {run_count(runs)}")
        axes.set_xticks(range(count), [str(n + 1) for n in range(count)])
        axes.set_yticks(range(count), [str(n + 1) for n in range(count)])
        axes.set_xlabel("tested on task")
        axes.set_ylabel("after task")
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
    return figure


def overlap_curves(overlaps: Mapping[str, Sequence[Floats]]) -> Figure:
    """Draw the Fisher overlap of two tasks by layer (Fig. 2C).

    Args:
        overlaps: By how much the tasks differ, in words, each run's overlaps [L], from the input.
    """
    figure = Figure(figsize=(7.0, 3.8), layout="constrained")
    axes = figure.subplots()
    shades = itertools.chain((FAINT, INK), itertools.cycle(FALLBACK_COLOURS))
    for (words, runs), colour in zip(overlaps.items(), shades, strict=False):
        line = by_layer(runs)
        _draw(axes, line, colour, marker="o", label=plain(words))
    axes.set_xlabel("layer, from the input to the output")
    axes.set_ylabel("overlap of the Fishers")
    axes.set_ylim(0, 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside lower left", ncols=3)
    return figure


def _draw_contender(
    axes: Axes, line: MeanLine | None, contender: Contender, marker: str = ""
) -> None:
    if line is not None:
        _draw(axes, line, contender.colour, marker, dash=dash_of(contender))


def _draw(
    axes: Axes,
    line: MeanLine,
    colour: str,
    marker: str,
    label: str | None = None,
    dash: str = "-",
) -> None:
    draw_mean(
        axes,
        line,
        colour,
        linestyle=dash,
        marker=marker if line.steps.size > 1 else "o",
        markersize=4,
        markeredgecolor=PAPER,
        markeredgewidth=0.6,
        label=label,
    )


def dash_of(contender: Contender) -> str:
    """Tell contenders of one method and several learners apart."""
    return ("-", "--", ":", "-.")[contender.variant % 4]


def _legend(figure: Figure, contenders: Sequence[Contender]) -> None:
    handles = [
        Line2D([], [], color=c.colour, ls=dash_of(c), label=plain(c.title)) for c in contenders
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=4)
