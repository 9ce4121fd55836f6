"""Pictures of PathNet: paths through modules, generations to a goal, reuse against speedup."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from colonnade.experiments.method_titles import FALLBACK_COLOURS
from colonnade.experiments.results.pathnet.generations import GenerationRow
from colonnade.experiments.results.pathnet.paths import Moment, Reuse
from colonnade.experiments.titles import task_title
from colonnade.reports.style import FAINT, INK, plain
from colonnade.reports.style import PAPER as BACKGROUND

POPULATION, FROZEN = "#0072b2", "#d55e00"


def draw_moments(found: Sequence[Sequence[Moment]]) -> Figure:
    """Draw four moments of each task of a run."""
    figure = Figure(figsize=(9.4, 2.5 * len(found)), layout="constrained")
    rows = figure.subplots(len(found), len(found[0]), squeeze=False)
    for panels, row in zip(rows, found, strict=True):
        for column, (axes, moment) in enumerate(zip(panels, row, strict=True)):
            _draw_paths(axes, moment)
            title = "" if column else plain(task_title(moment.task))
            axes.set_title(f"{title}\n{moment.when}")
    return figure


def _draw_paths(axes: Axes, moment: Moment) -> None:
    """Draw the grid of modules with a population's paths."""
    layers, modules = moment.uses.shape
    for (layer, a, b), share in moment.edges.items():
        axes.plot([layer, layer + 1], [a, b], color=POPULATION, lw=3 * share,
                  alpha=0.1 + 0.7 * share, zorder=1)  # fmt: skip
    for layer, a, b in moment.best_edges:
        axes.plot([layer, layer + 1], [a, b], color=FROZEN, lw=1.2, zorder=2)
    for layer, uses in enumerate(moment.uses):
        rings = [FROZEN if m in moment.frozen[layer] else FAINT for m in range(modules)]
        widths = [2.4 if m in moment.frozen[layer] else 0.7 for m in range(modules)]
        place = [layer] * modules, range(modules)
        dot = min(90, 900 / modules)
        axes.scatter(*place, s=dot, color=BACKGROUND, zorder=3)
        shades = [to_rgba(POPULATION, share) for share in uses]
        axes.scatter(*place, s=dot, c=shades, zorder=4, lw=0)
        axes.scatter(*place, s=dot, facecolors="none", edgecolors=rings, lw=widths, zorder=5)
    axes.set_axis_off()
    axes.set_xlim(-0.3, layers - 0.7)
    axes.set_ylim(modules - 0.4, -0.6)


def draw_generations(rows: list[GenerationRow]) -> Figure:
    """Draw every run as a dot, and each method's mean with its interval."""
    figure = Figure(figsize=(7.4, 0.8 + 0.62 * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    for place, row in enumerate(reversed(rows)):
        colour = row.colour
        spread = np.linspace(-0.18, 0.18, row.generations.size)
        axes.scatter(row.generations, place + spread, s=12, color=colour, alpha=0.45, lw=0)
        axes.plot(list(row.interval), [place, place], color=colour, lw=5, alpha=0.5)
        axes.scatter([row.generations.mean()], [place], s=60, color=colour, zorder=3)
    axes.set_yticks(range(len(rows)), [plain(row.title) for row in reversed(rows)])
    axes.set_xlim(left=0)
    axes.set_xlabel("generations to the goal")
    return figure


def draw_reuse(rows: list[Reuse]) -> Figure:
    """Draw each run's speedup against the overlap of its paths."""
    figure = Figure(figsize=(6.2, 3.6), layout="constrained")
    axes = figure.subplots()
    targets = list(dict.fromkeys(row.run.spec.target for row in rows))
    for number, target in enumerate(targets):
        own = [row for row in rows if row.run.spec.target == target]
        label = plain(task_title(target)) if len(targets) <= 8 else None
        axes.scatter([row.overlap for row in own], [row.speedup for row in own], s=34, label=label,
                     color=FALLBACK_COLOURS[number % 6 if label else 0])  # fmt: skip
    axes.axhline(1, color=INK, lw=1, ls=":")
    axes.set_xlabel("overlap of the second task's best path with the first's")
    axes.set_ylabel("speedup over the de novo path")
    if len(targets) <= 8:
        axes.legend(fontsize=8)
    return figure
