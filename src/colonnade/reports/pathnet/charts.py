"""How many generations a second task took: PathNet's measure where tasks end at a goal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from colonnade.analysis.intervals import Floats, Interval, mean_interval
from colonnade.experiments.methods import method_of
from colonnade.experiments.plans.plan import SCRATCH
from colonnade.experiments.results.transfer import Results, RunResult
from colonnade.reports.style import plain

GENERATIONS = "pathnet-generations"
"""Name of the picture."""

_CONTROL = "De novo path"
"""What baseline 1 is called here, unless its folder has a title of its own for it."""


@dataclass(frozen=True)
class GenerationRow:
    """One method's way to the goal of its last task, over all complete runs.

    Attributes:
        method: The row of the table; see `methods.METHODS`.
        title: The same for people, as the folder names it.
        generations: [R]. A generation of PathNet is a tournament, two evaluations of T minibatches
            each; one of a control is one evaluation of its path.
        minibatches: [R] gradient steps.
        reached: How many of them reached the goal within their budget; the rest count as that.
        interval: Of the mean generations; NaN where runs are too few.
    """

    method: str
    title: str
    generations: Floats
    minibatches: Floats
    reached: int
    interval: Interval


def goal_row(run: RunResult) -> dict[str, Any] | None:
    """Return what a run's metrics say of the goal of its last task."""
    if not run.done or not run.training.get("goal_episodes"):
        return None
    last = len(run.spec.tasks) - 1
    rows = [r for r in run.folder.metrics() if r["kind"] == "goal" and r["task_index"] == last]
    return dict(rows[-1]) if rows else None


def generations_of(run: RunResult) -> float | None:
    """Return the generations a run's last task took; None where tasks have no goal."""
    row = goal_row(run)
    if row is None:
        return None
    evaluation = int(run.training["goal_episodes"])
    contestants = 2 if run.spec.method == "pathnet" else 1
    return float(row["episodes"]) / evaluation / contestants


def generation_rows(results: Results) -> list[GenerationRow]:
    """Sum up each method; empty where tasks have no goal."""
    rows = []
    for method in results.methods:
        found = [
            (count, row)
            for entry in results.comparisons
            if entry.method == method
            and (row := goal_row(results.runs[entry.run])) is not None
            and (count := generations_of(results.runs[entry.run])) is not None
        ]
        if found:
            generations = np.array([value for value, _ in found])
            rows.append(
                GenerationRow(
                    method=method,
                    title=generation_title(results, method),
                    generations=generations,
                    minibatches=np.array([float(row["episodes"]) for _, row in found]),
                    reached=sum(bool(row["reached"]) for _, row in found),
                    interval=mean_interval(generations),
                )
            )
    return rows


def generation_title(results: Results, method: str) -> str:
    """Name a method as the folder does; baseline 1 by the name it has among paths."""
    title = results.title(method)
    return _CONTROL if method == SCRATCH and title == method_of(SCRATCH).title else title


def draw_generations(rows: list[GenerationRow]) -> Figure:
    """Draw every run as a dot, and each method's mean with its interval."""
    figure = Figure(figsize=(7.4, 0.8 + 0.62 * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    for place, row in enumerate(reversed(rows)):
        colour = method_of(row.method).colour
        spread = np.linspace(-0.18, 0.18, row.generations.size)
        axes.scatter(row.generations, place + spread, s=12, color=colour, alpha=0.45, lw=0)
        axes.plot(list(row.interval), [place, place], color=colour, lw=5, alpha=0.5)
        axes.scatter([row.generations.mean()], [place], s=60, color=colour, zorder=3)
    axes.set_yticks(range(len(rows)), [plain(row.title) for row in reversed(rows)])
    axes.set_xlim(left=0)
    axes.set_xlabel("generations to the goal")
    return figure
