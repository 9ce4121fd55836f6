"""What runs that look back at old tasks have shown, grouped by what they learn."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np

from colonnade.analysis.continual import (
    Floats,
    average_scores,
    backward_transfer,
    forgetting,
    forward_transfer,
    learned_scores,
    score_matrix,
)
from colonnade.experiments.method_titles import in_order, method_of, sequence_title
from colonnade.experiments.plans.plan import SCRATCH
from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.results.mean_lines import MeanLine, mean_line
from colonnade.experiments.results.overlaps import overlap_rows
from colonnade.experiments.results.runs import RunResult
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.titles import learner_title, slugs
from colonnade.parts.part import Said
from colonnade.training import Row


@dataclass(frozen=True)
class SequenceRun:
    """A run through a sequence of tasks.

    Attributes:
        run: The run.
        rows: Its metrics of kind "test".
    """

    run: RunResult
    rows: Sequence[Row]

    @property
    def spec(self) -> RunSpec:
        """The run's spec."""
        return self.run.spec

    @cached_property
    def matrix(self) -> Floats:
        """R [T, T]; see `analysis.continual`."""
        return score_matrix(self.rows, len(self.spec.tasks))[0]

    @cached_property
    def before(self) -> Floats:
        """Score [T] on each task just before it was learned."""
        return score_matrix(self.rows, len(self.spec.tasks))[1]

    @cached_property
    def chance(self) -> Floats:
        """Score [T] of guessing, or of the random policy; NaN while the run is not complete."""
        rows = [row for row in self.run.result.get("scores", ()) if row["policy"] == "random"]
        if len(rows) == len(self.spec.tasks):  # tasks are scored in their order
            return np.array([row["return_mean"] for row in rows], dtype=np.float64)
        known = [
            [row["return_mean"] for row in rows if task.is_called(row["task"])] or [np.nan]
            for task in self.spec.tasks
        ]
        return np.array([scores[0] for scores in known])

    @property
    def validation(self) -> float:
        """Final score averaged over all tasks, on examples that are neither learned nor tested.

        Environments have no such examples; there it is that of the final evaluation.
        """
        scores = self.run.result.get("scores", ())
        for policy in ("validation", "trained"):
            found = [row["return_mean"] for row in scores if row["policy"] == policy]
            if found:
                return float(np.mean(found))
        return float("nan")

    @property
    def starts(self) -> tuple[int, ...]:
        """Steps [T + 1] at which each task begins, and the last ends, by their budgets."""
        return tuple(accumulate((task.steps for task in self.spec.tasks), initial=0))

    def curve(self, tested: int) -> tuple[Floats, Floats]:
        """Score on a task from when it begins to be learned on.

        Returns:
            Steps since the sequence began [B], by the tasks' budgets, and scores [B].
        """
        points = {
            self.starts[row["task_index"]] + row["step"]: row["return_mean"]
            for row in self.rows
            if row["tested_index"] == tested
        }
        steps = sorted(points)
        return np.array(steps, dtype=np.float64), np.array([points[step] for step in steps])


@dataclass(frozen=True)
class Contender:
    """One method with one learner on one sequence.

    Attributes:
        method: Its name.
        learner: Name of the learner.
        title: Both in words, as far as they tell contenders apart.
        variant: Number of the learner among those of the sequence.
        runs: All seeds of the configuration that validated best.
        configurations: How many there were to choose from.
        colour: Of the method in pictures.
    """

    method: str
    learner: str
    title: str
    variant: int
    runs: tuple[SequenceRun, ...]
    configurations: int
    colour: str

    @property
    def done(self) -> list[SequenceRun]:
        """The runs that are complete."""
        return [run for run in self.runs if run.run.done]

    @property
    def matrix(self) -> Floats:
        """R [T, T], the mean over the complete runs."""
        matrix: Floats = np.mean([run.matrix for run in self.done], axis=0)
        return matrix

    @property
    def averages(self) -> Floats:
        """Score [R, T] averaged over all tasks so far, after each task, of each complete run."""
        return np.array([average_scores(run.matrix) for run in self.done])

    def line(self, tested: int) -> MeanLine | None:
        """Average the runs' scores on a task over the sequence, as far as all have come."""
        return mean_line([run.curve(tested) for run in self.runs if not run.run.failed])

    @property
    def average_line(self) -> MeanLine | None:
        """The average score on all tasks so far, by their number."""
        numbers = np.arange(1.0, len(self.runs[0].spec.tasks) + 1)
        return mean_line([(numbers, averages) for averages in self.averages])


@dataclass(frozen=True)
class TaskSequence:
    """All methods on one sequence of tasks.

    Attributes:
        tasks: Names.
        ids: What tells the tasks apart where their names are the same.
        slug: Names its pictures; no other sequence of the folder has it.
        labelled: Whether labels are learned, and not policies.
        contenders: In the order of tables.
        learners: Titles of their learners, by name.
    """

    tasks: tuple[str, ...]
    ids: tuple[str, ...]
    slug: str
    labelled: bool
    contenders: tuple[Contender, ...]
    learners: Mapping[str, str]

    @property
    def learners_of_all(self) -> list[Contender]:
        """The contenders but for those whose networks learn one task each."""
        return [c for c in self.contenders if c.method != SCRATCH]

    @property
    def starts(self) -> Floats | None:
        """Steps [T + 1] at which tasks begin, and the last ends; None where contenders differ."""
        found = {run.starts for c in self.contenders if c.method != SCRATCH for run in c.runs}
        return np.array(found.pop(), dtype=np.float64) if len(found) == 1 else None


@dataclass(frozen=True)
class Measured:
    """A row of the table: what the complete runs of a contender came to, seed by seed.

    Attributes:
        contender: Whose runs.
        average: [R] score averaged over all tasks, in the end.
        learned: [R] score on each task when it ended, averaged.
        forgetting: [R] best score so far minus the final one, averaged over all tasks but the last.
        backward: [R] final score minus that when the task ended.
        forward: [R] score just before a task is learned, above chance.
    """

    contender: Contender
    average: Floats
    learned: Floats
    forgetting: Floats
    backward: Floats
    forward: Floats


def measured(sequence: TaskSequence) -> list[Measured]:
    """Sum up every contender that has complete runs."""
    rows = []
    for contender in sequence.contenders:
        done = contender.done
        if done:
            rows.append(
                Measured(
                    contender,
                    average=np.array([average_scores(run.matrix)[-1] for run in done]),
                    learned=np.array([learned_scores(run.matrix).mean() for run in done]),
                    forgetting=np.array([forgetting(run.matrix) for run in done]),
                    backward=np.array([backward_transfer(run.matrix) for run in done]),
                    forward=np.array([forward_transfer(run.before, run.chance) for run in done]),
                )
            )
    return rows


def single_scores(sequence: TaskSequence) -> dict[str, float]:
    """Average score of networks that learned one task each, by the learner's title."""
    return {
        sequence.learners[c.learner]: float(
            np.mean([learned_scores(run.matrix).mean() for run in c.done])
        )
        for c in sequence.contenders
        if c.method == SCRATCH and c.done
    }


def sequences(results: Results) -> list[TaskSequence]:
    """Group the runs that score old tasks: by the tasks and their order, then by the method."""
    grouped: dict[_Key, dict[tuple[str, str], dict[str, list[SequenceRun]]]] = {}
    for run in results.runs.values():
        spec = run.spec
        if not _scores_old(run):
            continue
        rows = [row for row in run.folder.metrics() if row.get("kind") == "test"]
        key = tuple(task.key for task in spec.tasks)
        of_method = grouped.setdefault(key, {}).setdefault((spec.method, spec.learner), {})
        configuration = results.suite.plan.configuration(spec)
        of_method.setdefault(configuration, []).append(SequenceRun(run, rows))
    names = slugs([f"{len(key)}-{key[0][0].partition('/')[0]}" for key in grouped])
    return [
        _sequence(key, slug, methods, results.own)
        for (key, methods), slug in zip(grouped.items(), names, strict=True)
    ]


_Key = tuple[tuple[str, str], ...]
"""Each task's name and options."""


def _ids(key: _Key, runs: Iterable[SequenceRun]) -> tuple[str, ...]:
    """Call each task as its user does, or as the scores on it do."""
    shown = {row["tested_index"]: row["tested"] for run in runs for row in run.rows}
    own = (json.loads(options).get("name") for _, options in key)
    return tuple(str(name or shown.get(place, key[place][0])) for place, name in enumerate(own))


def _sequence(
    key: _Key,
    slug: str,
    methods: dict[tuple[str, str], dict[str, list[SequenceRun]]],
    own: Sequence[Said],
) -> TaskSequence:
    learners = list(dict.fromkeys(learner for _, learner in methods))
    labelled = all(
        each.run.labelled for found in methods.values() for runs in found.values() for each in runs
    )
    order = in_order((method for method, _ in methods), own)
    places = sorted(methods, key=lambda place: order.index(place[0]))
    contenders = []
    for method, learner in places:
        found = methods[method, learner]
        title = sequence_title(method, own, labelled=labelled)
        if len(learners) > 1:
            title += f" ({learner_title(learner, own)})"
        runs = max(found.values(), key=_validation)
        variant = learners.index(learner)
        colour = method_of(method, own).colour
        contenders.append(
            Contender(method, learner, title, variant, tuple(runs), len(found), colour)
        )
    ids = _ids(key, (run for c in contenders for run in c.runs))
    tasks = tuple(name for name, _ in key)
    titles = {name: learner_title(name, own) for name in learners}
    return TaskSequence(tasks, ids, slug, labelled, tuple(contenders), titles)


def _validation(runs: list[SequenceRun]) -> float:
    scores = [run.validation for run in runs if run.run.done]
    return float(np.mean(scores)) if scores else -np.inf


def looks_back(results: Results) -> bool:
    """Whether any run has scored old tasks while it learned new ones, or measured their overlap."""
    return any(
        overlap_rows(run)
        or (_scores_old(run) and any(row.get("kind") == "test" for row in run.folder.metrics()))
        for run in results.runs.values()
    )


def forward_runs(results: Results) -> list[RunResult]:
    """List the runs whose learning curves a page shows where nothing is compared.

    Where runs look back at old tasks, the curve of the last one alone says little of them, and
    pictures of their own show more, as of streams; those of the others that have begun are left.
    """
    runs = list(results.runs.values())
    if not looks_back(results):
        return runs
    return [
        run
        for run in runs
        if run.reached and not (run.spec.visits or _scores_old(run) or overlap_rows(run))
    ]


def _scores_old(run: RunResult) -> bool:
    several = len(run.spec.tasks) > 1 and run.foreign is None and not run.spec.visits
    return several and bool(run.training.get("test_episodes"))


def score_range(matrices: Sequence[Floats], words: Mapping[str, str]) -> tuple[float, float]:
    """Return the lowest and the highest score that a picture of matrices [T, T] shades."""
    if words["score"] == "accuracy":
        return 0.0, 1.0
    return min(float(np.nanmin(m)) for m in matrices), max(float(np.nanmax(m)) for m in matrices)


def score_text(score: float, words: Mapping[str, str]) -> str:
    """Write a score of a matrix: an accuracy in per cent."""
    return f"{100 * score:.0f}" if words["score"] == "accuracy" else f"{score:.1f}"
