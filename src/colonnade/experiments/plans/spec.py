"""The frozen description of a run, its JSON form and the id derived from it.

Two runs with the same spec are the same run: the id is a hash of the spec's content, so that a
suite can name a source column in several places and it is trained once.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias

from colonnade.checks import ABOVE_0, AT_LEAST_1, check_fields
from colonnade.errors import UsageError, unknown_name
from colonnade.records import LATER, read, shown, write

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

DEFAULT_COLUMN = "default"
"""As `RunSpec.column`: a column that suits each task's observations."""

KINDS = {"learner": "learner_options", "training": "training_options", "column": "column"}
"""The field of a spec for each kind of option; options of a method have its name for their kind."""

BUNDLED = "bundled:"
"""Prefix of a `RunSpec.parent` that names a column shipped with Colonnade instead of a run."""

FILE = "file:"
"""Prefix of a `RunSpec.parent` that names a run's folder of another output folder, or a file that
`TrainedPolicy.save` wrote; it is copied where the folder is begun, and is then one `KEPT`."""

KEPT = "kept:"
"""Prefix of a `RunSpec.parent` that is in the output folder itself, named by what is in it."""

FOREIGN = (BUNDLED, FILE, KEPT)
"""Prefixes of parents that are no runs of the plan."""

BEST = "best:"
"""Prefix of a `RunSpec.parent` or `learner_from` that names a `plan.Selection`, of whose runs the
best is taken."""


@dataclass(frozen=True)
class TaskBudget:
    """A task of a run's sequence, by name.

    Attributes:
        name: As `colonnade.tasks.task_from_name` knows it, e.g. "pong-soup/h-flip".
        steps: Budget in agent steps, at least 1.
        options: Fields of the task that differ from its defaults, e.g. `full_action_space`.
    """

    name: str
    steps: int
    options: dict[str, Json] = field(default_factory=dict, metadata=LATER)

    def __post_init__(self) -> None:
        check_fields(self, {"steps": AT_LEAST_1})
        object.__setattr__(self, "options", _copied("options", self.options))

    @property
    def key(self) -> tuple[str, str]:
        """Name and options, as JSON: what is played, and how it is called in its sequence."""
        return self.name, _canonical(self.options)

    def is_called(self, task: str) -> bool:
        """Say whether a task's id, under which networks and scores know it, is this task's."""
        own = self.options.get("name")
        if own is not None or task == self.name:
            return task == (self.name if own is None else own)
        return task == self._id

    @cached_property
    def _id(self) -> str:
        from colonnade.tasks.names import id_of_name

        return id_of_name(self.name, self.options)

    def id_among(self, tasks: Iterable[str]) -> str:
        """Find the task's id among those of what a run has learned; the last one if none is."""
        known = list(tasks)
        return next((task for task in known if self.is_called(task)), known[-1])


@dataclass(frozen=True)
class TaskVisit:
    """A stay at a task of a run's sequence; tasks may come back.

    Attributes:
        task: Name or id of one of the run's tasks.
        steps: Of this stay, at least 1.
    """

    task: str
    steps: int

    def __post_init__(self) -> None:
        check_fields(self, {"steps": AT_LEAST_1})


@dataclass(frozen=True)
class RunSpec:
    """Everything that decides what a run computes; plain names and numbers only.

    Attributes:
        label: What a person calls the run, e.g. "finetune pong to zoom, seed 0".
        method: Name of the method, e.g. "progressive".
        tasks: The sequence of tasks, in order.
        learner: Name of the learner, e.g. "a2c".
        column: What columns look like; see `build.build_column`. By default what suits each task's
            observations, as where a method is made without one.
        seed: Of every random stream of the run.
        method_options: Keyword options of the method.
        learner_options: Hyperparameters that differ from the learner's defaults.
        training_options: Fields of `TrainingOptions` that differ from the defaults.
        evaluation_episodes: How many episodes score the random and the final policy.
        parent: Id of the run whose final method state this one starts from; or "bundled:NAME"; or
            "best:NAME", the best run of a selection of the plan; or "file:PATH", a run's folder
            elsewhere or a file of `TrainedPolicy.save`.
        analyses: Names of what is measured of the networks in the end; see `analyses.ANALYSES`.
        evaluation_limit: Agent steps that an episode may last where a policy is scored; a longer
            one ends the run with an error, for the random policy before anything is trained.
        visits: Stays at the tasks, which may come back; by default each task is visited once, for
            its own budget, which with visits counts for nothing.
        labels: How the learner knows which task it is in: a "kind" of `recognition.RECOGNISERS` and
            its options, as in {"kind": "forget-me-not"}; by default it is told.
        learner_from: "best:NAME", a selection of the plan whose best run's hyperparameters are
            taken instead of `learner_options`: those that did best where trying costs little.
        column_too: Whether that run's column is taken as well, and the options of its method where
            that is the same, as where alpha or EWC's lambda was drawn with the hyperparameters.
        evaluation_error: Standard error of a mean score that suffices, so that fewer episodes than
            `evaluation_episodes` are played where they are enough; None plays all.
        parents: Instead of a parent: several, each as `parent`, trained independently, whose
            columns stand side by side and are all read by the new one.

    Raises:
        UsageError: There is no task, a value has the wrong type or is out of range, or parent and
            parents are both given.
    """

    label: str
    method: str
    tasks: tuple[TaskBudget, ...]
    learner: str
    column: str | dict[str, Json] = DEFAULT_COLUMN
    seed: int = 0
    method_options: dict[str, Json] = field(default_factory=dict)
    learner_options: dict[str, Json] = field(default_factory=dict)
    training_options: dict[str, Json] = field(default_factory=dict)
    evaluation_episodes: int = 30
    parent: str | None = None
    analyses: tuple[str, ...] = field(default=(), metadata=LATER)
    evaluation_limit: int = field(default=100_000, metadata=LATER)
    visits: tuple[TaskVisit, ...] = field(default=(), metadata=LATER)
    labels: dict[str, Json] = field(default_factory=dict, metadata=LATER)
    learner_from: str | None = field(default=None, metadata=LATER)
    parents: tuple[str, ...] = field(default=(), metadata=LATER)
    evaluation_error: float | None = field(default=None, metadata=LATER)
    column_too: bool = field(default=False, metadata=LATER)

    def __post_init__(self) -> None:
        counts = dict.fromkeys(("evaluation_episodes", "evaluation_limit"), AT_LEAST_1)
        check_fields(self, counts | {"evaluation_error": ABOVE_0})
        if self.parents and (self.parent is not None or len(set(self.parents)) < 2):
            raise UsageError(
                "'parents' are two or more different runs, instead of a 'parent'; got "
                f"{shown(self.parents)} and the parent {self.parent!r}."
            )
        if self.column_too and self.learner_from is None:
            raise UsageError(
                "'column_too' takes the column of the run that 'learner_from' chooses, but "
                "there is no 'learner_from'; give both or none."
            )
        if not self.tasks:
            raise UsageError("'tasks' is empty; a run needs at least one task.")
        for name in ("column", "method_options", "learner_options", "training_options", "labels"):
            object.__setattr__(self, name, _copied(name, getattr(self, name)))

    @cached_property
    def id(self) -> str:
        """Readable label and content hash, fit for a folder name."""
        label = re.sub(r"[^a-z0-9]+", "-", self.label.lower()).strip("-")[:60]
        digest = hashlib.sha256(_canonical(self.to_json()).encode()).hexdigest()[:8]
        return f"{label or 'run'}-{digest}"

    @property
    def origins(self) -> tuple[str, ...]:
        """What it starts from: its parents, or its parent, or nothing."""
        return self.parents or (() if self.parent is None else (self.parent,))

    @property
    def visited(self) -> tuple[int, ...]:
        """Number [V] of the task of each visit.

        Raises:
            UsageError: A visit is to none of the run's tasks.
        """
        return tuple(self._number_of(visit.task) for visit in self.visits)

    def _number_of(self, name: str) -> int:
        called = [number for number, task in enumerate(self.tasks) if task.is_called(name)]
        # It may be what one task is called, and the name of another that has one of its own.
        named = [number for number, task in enumerate(self.tasks) if task.name == name]
        if not called + named:
            raise unknown_name("task in 'visits'", name, [task.name for task in self.tasks])
        return (called + named)[0]

    @property
    def steps(self) -> int:
        """Agent steps of the whole sequence."""
        return sum(part.steps for part in self.visits or self.tasks)

    @property
    def may_end_early(self) -> bool:
        """Whether a task can be over before its budget: at a goal, or where nothing gets better."""
        return any(self.training_options.get(name) for name in ("goal_episodes", "patience"))

    @property
    def target(self) -> str:
        """Name of the last task, the one a transfer experiment asks about.

        Networks and scores may know it by another id; see `TaskBudget.id_among`.
        """
        return self.tasks[-1].name

    def with_options(self, changes: Iterable[tuple[str, str, Json]]) -> RunSpec:
        """Change some options.

        Args:
            changes: For each the kind, the name and the value; the kind is one of `KINDS`, or a
                method, whose runs alone change.

        Raises:
            UsageError: A field of the column changes, but the spec names none.
        """
        changed: dict[str, Any] = {}
        for kind, name, value in changes:
            if kind not in (*KINDS, self.method):
                continue
            field = KINDS.get(kind, "method_options")
            options = changed.get(field, getattr(self, field))
            if options == DEFAULT_COLUMN:
                raise UsageError(
                    f"To change column.{name} takes a spec or suite that names its column; run "
                    f"{self.label!r} takes the one that suits its task."
                )
            before = {"preset": options} if isinstance(options, str) else options
            changed[field] = {**before, name: value}
        return replace(self, **changed)

    def option(self, kind: str, name: str) -> Json:
        """Return what `with_options` changes; None where it says nothing."""
        options = getattr(self, KINDS.get(kind, "method_options"))
        known = isinstance(options, dict) and kind in (*KINDS, self.method)
        return options.get(name) if known else None

    def to_json(self) -> dict[str, Json]:
        """Write the spec as a JSON object that `from_json` reads back."""
        return write(self)

    @classmethod
    def from_json(cls, value: object, where: str = "") -> RunSpec:
        """Read a spec.

        Args:
            value: As `to_json` wrote it.
            where: How messages name the spec, e.g. a file's name.

        Raises:
            UsageError: A key is unknown or missing, or a value has the wrong type.
        """
        return read(cls, value, where)


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _copied(name: str, value: Any) -> Any:
    """Copy through JSON: later changes of the caller's dict do not reach the spec."""
    try:
        return json.loads(_canonical(value))
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name!r} holds what JSON cannot: {error}.") from None
