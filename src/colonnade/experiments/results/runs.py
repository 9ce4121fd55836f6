"""What a run has shown so far, from its folder."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.store.folders import RunFolder
from colonnade.experiments.store.measures import (
    LearningCurve,
    learning_curve,
    of_all_visits,
    version_of,
)
from colonnade.experiments.store.run_folder import learns_labels
from colonnade.training import Row

Floats = NDArray[np.float64]


def steps_taken(spec: RunSpec, result: Mapping[str, Any]) -> int:
    """Agent steps of a complete run, of all tasks: fewer than the budgets where a goal ended one.

    Args:
        spec: The run.
        result: Content of its result.json.
    """
    trained = (row["step"] for row in result.get("scores", ()) if row["policy"] == "trained")
    return sum(trained) or spec.steps


@dataclass(frozen=True)
class RunResult:
    """What a run has shown so far.

    Attributes:
        spec: The run.
        folder: Where it lies.
        done: Whether it is complete.
        stopped: Whether it was stopped early as hopeless; its curve ends there.
        learning: The curve of the last task.
        taken: Agent steps that its curves show, of all tasks.
        training: The options of training, those of its spec and those that its folder names.
        result: Content of result.json; empty unless complete.
        foreign: The version of its measures where that is not the folder's: nothing of it is read,
            and it counts as missing.
    """

    spec: RunSpec
    folder: RunFolder
    done: bool
    stopped: bool
    learning: LearningCurve
    taken: int
    training: Mapping[str, Any]
    result: dict[str, Any]
    foreign: int | None = None

    @property
    def curve(self) -> Floats:
        """[B] mean return per bin of the last task; see `LearningCurve.returns`."""
        return self.learning.returns

    @property
    def over(self) -> bool:
        """Whether nothing more is to come of it: it is taken to go on as it was."""
        return self.done or self.stopped

    @property
    def failed(self) -> bool:
        """Whether it failed and nobody has asked to try again: its curve ends, and says nothing."""
        return self.folder.failure is not None

    @property
    def reached(self) -> int:
        """Agent steps taken in the last task."""
        return self.learning.reached

    @property
    def steps(self) -> int:
        """Agent steps taken, of all tasks: fewer than the budgets where a goal ended one."""
        return steps_taken(self.spec, self.result) if self.done else self.taken

    @property
    def labelled(self) -> bool:
        """Whether it learns from labels; see `learns_labels`."""
        return learns_labels(self.spec, self.result)

    @property
    def looks_back(self) -> bool:
        """Whether it is scored on its earlier tasks too, so that what it forgets counts."""
        return len(self.spec.tasks) > 1 and bool(self.training.get("test_episodes"))

    @property
    def gain(self) -> float:
        """Final score above the random policy's, averaged over all tasks; NaN unless complete."""
        return self.average_score("trained") - self.average_score("random")

    def average_score(self, policy: str) -> float:
        """Return the mean evaluation of a policy over all tasks; NaN where there is none."""
        rows = [row for row in self.result.get("scores", ()) if row["policy"] == policy]
        return float(np.mean([row["return_mean"] for row in rows])) if rows else math.nan

    @property
    def final_score(self) -> float:
        """Mean return of the trained policy; of its last bin where the run was stopped early."""
        if row := self.score("trained"):
            return float(row["return_mean"])
        known = self.curve[~np.isnan(self.curve)] if self.stopped else np.empty(0)
        return float(known[-1]) if known.size else math.nan

    def score(self, policy: str, task: int = -1) -> Row | None:
        """Return the evaluation of the "random" or the "trained" policy on one of the run's tasks.

        There is none of a network that was pruned for others alone.
        """
        rows = [row for row in self.result.get("scores", ()) if row["policy"] == policy]
        own = [row for row in rows if self.spec.tasks[task].is_called(row["task"])]
        if not own and "pruning" not in self.result:
            # Tasks are scored in their order, whatever they are called.
            own = rows if task == -1 else rows[task : task + 1]
        return dict(own[-1]) if own else None


def read_run(
    folder: RunFolder, spec: RunSpec, training: Mapping[str, Any], measures: int
) -> RunResult:
    """Read what a run has shown so far.

    Args:
        folder: The run's.
        spec: Of the run.
        training: Options of training where the spec names none; `Basis.training`.
        measures: The version that the folder's numbers have; `Basis.measures`.

    Raises:
        ColonnadeError: A file of the run is damaged.
    """
    done, last = folder.done, len(spec.tasks) - 1
    result = folder.result() if done else {}
    options = {**training, **spec.training_options, **result.get("training", {})}
    width, steps = int(options["curve_steps"]), spec.tasks[-1].steps
    rows: Sequence[Row] = folder.metrics()
    if spec.visits:
        steps = sum(v.steps for n, v in zip(spec.visited, spec.visits, strict=True) if n == last)
        rows = of_all_visits(rows, spec)
    own = result.get("measures", 1) if done else version_of(rows)
    if own not in (None, measures):
        nothing = learning_curve([], last, steps, width)
        return RunResult(spec, folder, False, False, nothing, 0, options, {}, own)
    learning = learning_curve(rows, last, steps, width, folder.metrics_path)
    taken: dict[int, int] = {}
    for row in rows:
        if row.get("kind") == "curve":
            taken[row["task_index"]] = max(row["step"], taken.get(row["task_index"], 0))
    return RunResult(
        spec=spec,
        folder=folder,
        done=done,
        stopped=folder.stopped is not None,
        learning=learning,
        taken=sum(taken.values()),
        training=options,
        result=result,
    )
