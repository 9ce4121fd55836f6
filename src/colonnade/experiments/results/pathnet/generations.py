"""How many generations a second task took: PathNet's measure where tasks end at a goal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from colonnade.analysis.intervals import NO_INTERVAL, Floats, Interval, mean_interval
from colonnade.experiments.method_titles import METHODS, method_of
from colonnade.experiments.plans.plan import SCRATCH
from colonnade.experiments.results.runs import RunResult
from colonnade.experiments.results.transfer import Results
from colonnade.methods.pathnet.evolved import EPISODES


@dataclass(frozen=True)
class GenerationRow:
    """One method's way to the goal of its last task, over all complete runs.

    Of a sweep those of the best few jobs at each place count, which took the fewest generations.

    Attributes:
        method: The row of the table; see `methods.METHODS`.
        title: The same for people, as the folder names it.
        generations: [R]. A generation of PathNet is a tournament, two evaluations of as many
            minibatches each as it has `episodes`; one of a control is one evaluation of its path,
            as many minibatches as the goal is measured over.
        minibatches: [R] gradient steps.
        reached: How many of them reached the goal within their budget; the rest count as that.
        interval: Of the mean generations; NaN where runs are too few, and of a sweep's best jobs.
        colour: Of the method in pictures.
    """

    method: str
    title: str
    generations: Floats
    minibatches: Floats
    reached: int
    interval: Interval
    colour: str


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
    minibatches = int(run.training["goal_episodes"])
    if run.spec.method == "pathnet":
        own: Any = run.spec.method_options.get("episodes", EPISODES)
        minibatches = 2 * int(own)
    return float(row["episodes"]) / minibatches


def generation_rows(results: Results) -> list[GenerationRow]:
    """Sum up each method; empty where tasks have no goal."""
    rows = []
    counting = _counting(results)
    for method in results.methods:
        found = [
            (count, row)
            for entry in results.comparisons
            if entry.method == method
            and entry.run in counting
            and (row := goal_row(results.runs[entry.run])) is not None
            and (count := generations_of(results.runs[entry.run])) is not None
        ]
        if found:
            generations = np.array([value for value, _ in found])
            rows.append(
                GenerationRow(
                    method=method,
                    title=generation_title(results, method),
                    colour=results.colour(method),
                    generations=generations,
                    minibatches=np.array([float(row["episodes"]) for _, row in found]),
                    reached=sum(bool(row["reached"]) for _, row in found),
                    interval=NO_INTERVAL if results.top else mean_interval(generations),
                )
            )
    return rows


def _counting(results: Results) -> set[str]:
    """Find the runs that count: all, or those of a sweep's fastest jobs at each place.

    The best of few are no match for many's: a job that is to come at the control doesn't count yet.
    """
    if results.top is None:
        return set(results.runs)
    found: set[str] = set()
    for place in {entry.place for entry in results.comparisons}:
        controls = results.runs_of(SCRATCH, None, place.target)
        over = {r.spec.seed for r in controls if r.over or r.folder.failure is not None}
        counts = {
            run.spec.id: count
            for run in results.runs_of(*place)
            if (count := generations_of(run)) is not None
            and (run.spec.seed in over or not controls)
        }
        found.update(sorted(counts, key=counts.__getitem__)[: results.top])
    return found


def generation_title(results: Results, method: str) -> str:
    """Name a method as the folder does; baseline 1 by the name it has among paths."""
    title = results.title(method)
    plain = method == SCRATCH and title == method_of(SCRATCH).title
    return METHODS["path-de-novo"].title if plain else title
