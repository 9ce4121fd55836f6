"""What runs that look back at old tasks have shown, grouped by what they learn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from colonnade.analysis.continual import Floats, score_matrix
from colonnade.experiments.results import Results, RunResult
from colonnade.experiments.spec import RunSpec
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
        found = {
            row["task"]: row["return_mean"]
            for row in self.run.result.get("scores", ())
            if row["policy"] == "random"
        }
        return np.array([found.get(task.name, np.nan) for task in self.spec.tasks])

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

    def curve(self, tested: int) -> tuple[Floats, Floats]:
        """Score on a task from when it begins to be learned on.

        Returns:
            Steps since the sequence began [B], by the tasks' budgets, and scores [B].
        """
        starts = np.cumsum([0, *(task.steps for task in self.spec.tasks)])
        points = {
            int(starts[row["task_index"]] + row["step"]): row["return_mean"]
            for row in self.rows
            if row["tested_index"] == tested
        }
        steps = sorted(points)
        return np.array(steps, dtype=np.float64), np.array([points[step] for step in steps])


@dataclass(frozen=True)
class Contender:
    """One method on one sequence.

    Attributes:
        method: Its name.
        runs: All seeds of the configuration that validated best.
        configurations: How many there were to choose from.
    """

    method: str
    runs: tuple[SequenceRun, ...]
    configurations: int

    @property
    def done(self) -> list[SequenceRun]:
        """The runs that are complete."""
        return [run for run in self.runs if run.run.done]


@dataclass(frozen=True)
class TaskSequence:
    """All methods on one sequence of tasks.

    Attributes:
        tasks: Names.
        contenders: One for each method.
    """

    tasks: tuple[str, ...]
    contenders: tuple[Contender, ...]


def sequences(results: Results) -> list[TaskSequence]:
    """Group the runs that score old tasks, by the tasks and by the method."""
    grouped: dict[tuple[str, ...], dict[str, dict[str, list[SequenceRun]]]] = {}
    for run in results.runs.values():
        spec = run.spec
        if not spec.training_options.get("test_episodes") or len(spec.tasks) < 2:
            continue
        rows = [row for row in run.folder.metrics() if row.get("kind") == "test"]
        names = tuple(task.name for task in spec.tasks)
        of_method = grouped.setdefault(names, {}).setdefault(spec.method, {})
        of_method.setdefault(_configuration(spec), []).append(SequenceRun(run, rows))
    return [
        TaskSequence(names, tuple(_contender(name, found) for name, found in methods.items()))
        for names, methods in grouped.items()
    ]


def _configuration(spec: RunSpec) -> str:
    """Everything but the seed that decides how a run goes."""
    options = (spec.column, spec.method_options, spec.learner_options, spec.training_options)
    return json.dumps([*options, [task.steps for task in spec.tasks]], sort_keys=True)


def _contender(method: str, found: dict[str, list[SequenceRun]]) -> Contender:
    def validation(runs: list[SequenceRun]) -> float:
        scores = [run.validation for run in runs if run.run.done]
        return float(np.mean(scores)) if scores else -np.inf

    best = max(found.values(), key=validation)
    return Contender(method, tuple(best), len(found))
