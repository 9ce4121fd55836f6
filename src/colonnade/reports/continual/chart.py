"""Continual learning as charts: the numbers and colours of `charts`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from colonnade.analysis.continual import Floats
from colonnade.experiments.method_titles import FALLBACK_COLOURS
from colonnade.experiments.results.continual import (
    Contender,
    TaskSequence,
    score_range,
    score_text,
    single_scores,
)
from colonnade.experiments.results.overlaps import by_layer
from colonnade.experiments.titles import distinct
from colonnade.experiments.words import run_count
from colonnade.reports.interactive.chart import (
    Chart,
    Panel,
    Series,
    cells_of,
    mean_of,
    seeds_of,
)

_DASHES = ("solid", "dash", "dot", "dashdot")


def score_chart(sequence: TaskSequence, words: Mapping[str, str]) -> Chart:
    """Show the score on each task over the whole sequence; see `score_curves`."""
    titles = distinct(sequence.ids)
    names = [titles[task] for task in sequence.ids]
    starts = sequence.starts if sequence.starts is not None else ()
    begun = [(begin, f"learns {n}") for (begin, _), n in zip(pairwise(starts), names, strict=False)]
    return Chart(
        title=f"{words['score'].capitalize()} on each task",
        description=f"{words['score'].capitalize()} on each task while all are learned in turn.",
        x=words["steps"],
        y=words["score"],
        series=_series(sequence),
        panels=[
            Panel(
                title=name,
                lines=[
                    mean_of(
                        _key(c),
                        line,
                        seeds_of(run.run for run in c.runs if run.curve(tested)[0].size),
                    )
                    for c in sequence.learners_of_all
                    if (line := c.line(tested)) is not None
                ],
                plays={(run.spec.id, tested) for c in sequence.learners_of_all for run in c.runs},
                switches=begun if tested == 0 else [(begin, "") for begin, _ in begun],
            )
            for tested, name in enumerate(names)
        ],
        wide=True,
    )


def _seeds(contender: Contender, tested: int) -> list[str]:
    """Name the runs that a mean on a task is of: those that have been scored on it."""
    return seeds_of(run.run for run in contender.runs if run.curve(tested)[0].size)


def average_chart(sequence: TaskSequence, words: Mapping[str, str]) -> Chart:
    """Show the average score on all tasks so far against their number; see `average_curves`."""
    singles = single_scores(sequence)
    several = len(singles) > 1
    return Chart(
        title=f"Average {words['score']}",
        description=f"{words['score'].capitalize()}, averaged over all tasks learned so far.",
        x="tasks learned so far",
        y=f"{words['score']}, averaged over them",
        series=_series(sequence),
        panels=[
            Panel(
                title="",
                lines=[
                    mean_of(_key(c), line, seeds_of(run.run for run in c.done))
                    for c in sequence.learners_of_all
                    if c.done and (line := c.average_line) is not None
                ],
                levels=[
                    (score, f"single task ({learner})" if several else "single task")
                    for learner, score in singles.items()
                ],
            )
        ],
    )


def matrices_chart(sequence: TaskSequence, words: Mapping[str, str]) -> Chart:
    """Show the score on each task after each task, a panel for each method; see `matrices`."""
    shown = [c for c in sequence.learners_of_all if c.done]
    low, high = score_range([c.matrix for c in shown], words)
    titles = distinct(sequence.ids)
    names = [titles[task] for task in sequence.ids]
    numbers = [str(n + 1) for n in range(len(names))]
    panels = []
    for contender in shown:
        matrix, runs = contender.matrix, len(contender.done)
        places = np.argwhere(~np.isnan(matrix))
        panels.append(
            Panel(
                f"{contender.title}, {run_count(runs)}",
                [
                    cells_of(
                        "scores",
                        matrix,
                        (matrix - low) / ((high - low) or 1.0),
                        [score_text(matrix[row, column], words) for row, column in places],
                        [
                            f"{score_text(matrix[row, column], words)} on {names[column]}, after "
                            f"{names[row]}"
                            for row, column in places
                        ],
                    )
                ],
                x_names=numbers,
                y_names=numbers,
            )
        )
    return Chart(
        title=f"{words['score'].capitalize()} on every task after every task",
        description=f"Mean {words['score']} over seeds on each task after each task was learned.",
        x="tested on task",
        y="after task",
        series=[Series("scores", words["score"], "#1f6fb2")],
        panels=panels,
    )


def overlap_chart(overlaps: Mapping[str, Sequence[Floats]]) -> Chart:
    """Show the Fisher overlap of two tasks by layer; see `overlap_curves`."""
    shades = itertools.chain(("#8b8f98", "#1a1b1e"), itertools.cycle(FALLBACK_COLOURS))
    return Chart(
        title="Which layers two tasks share",
        description="Overlap of the diagonal Fishers of two tasks, layer by layer.",
        x="layer, from the input to the output",
        y="overlap of the Fishers",
        series=[
            Series(words, words, shade) for words, shade in zip(overlaps, shades, strict=False)
        ],
        panels=[
            Panel(
                title="",
                lines=[
                    mean_of(words, by_layer(runs), [f"run {n + 1}" for n in range(len(runs))])
                    for words, runs in overlaps.items()
                ],
            )
        ],
    )


def _key(contender: Contender) -> str:
    return f"{contender.method} {contender.learner}"


def _series(sequence: TaskSequence) -> list[Series]:
    return [
        Series(_key(c), c.title, c.colour, _DASHES[c.variant % len(_DASHES)])
        for c in sequence.learners_of_all
    ]
