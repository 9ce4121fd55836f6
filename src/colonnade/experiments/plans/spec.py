"""The frozen description of a run, its JSON form and the id derived from it.

Two runs with the same spec are the same run: the id is a hash of the spec's content, so that a
suite can name a source column in several places and it is trained once.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias, cast

from colonnade.errors import UsageError, unknown_name

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

BUNDLED = "bundled:"
"""Prefix of a `RunSpec.parent` that names a column shipped with Colonnade instead of a run."""

BEST = "best:"
"""Prefix of a `RunSpec.parent` that names a `plan.Selection`, of whose runs the best is taken."""


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
    options: dict[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _require("name", self.name, str, "a task's name")
        _require_count("steps", self.steps)
        _require_options("options", self.options)
        object.__setattr__(self, "options", json.loads(_canonical(self.options)))

    @property
    def key(self) -> tuple[str, str]:
        """Name and options, as JSON: what is played, and how it is called in its sequence."""
        return self.name, _canonical(self.options)

    def is_called(self, task: str) -> bool:
        """Say whether a task's id, under which networks and scores know it, is this task's."""
        own = self.options.get("name")
        if own is not None or task == self.name:
            return task == (self.name if own is None else own)
        from colonnade.tasks.names import id_of_name

        return task == id_of_name(self.name)

    def id_among(self, tasks: Iterable[str]) -> str:
        """Find the task's id among those of what a run has learned; the last one if none is."""
        known = list(tasks)
        return next((task for task in known if self.is_called(task)), known[-1])

    def to_json(self) -> dict[str, Json]:
        """Write the task as a JSON object that `from_json` reads back."""
        # Left out where empty: the ids of runs do not change with what they do not use.
        options: dict[str, Json] = {"options": self.options} if self.options else {}
        return {"name": self.name, "steps": self.steps, **options}

    @classmethod
    def from_json(cls, value: object) -> TaskBudget:
        """Read a task, e.g. `{"name": "pong-soup/zoom", "steps": 1000000}`."""
        given = _object(value, "A task", ["name", "steps", "options"])
        return cls(
            name=cast("str", given.get("name")),
            steps=cast("int", given.get("steps")),
            options=cast("Any", given.get("options", {})),
        )


@dataclass(frozen=True)
class RunSpec:
    """Everything that decides what a run computes; plain names and numbers only.

    Attributes:
        label: What a person calls the run, e.g. "finetune pong to zoom, seed 0".
        method: Name of the method, e.g. "progressive".
        tasks: The sequence of tasks, in order.
        learner: Name of the learner, e.g. "a2c".
        column: What columns look like; see `build.build_column`.
        seed: Of every random stream of the run.
        method_options: Keyword options of the method.
        learner_options: Hyperparameters that differ from the learner's defaults.
        training_options: Fields of `TrainingOptions` that differ from the defaults.
        evaluation_episodes: How many episodes score the random and the final policy.
        parent: Id of the run whose final method state this one starts from; or "bundled:NAME"; or
            "best:NAME", the best run of a selection of the plan.
        analyses: Names of what is measured of the networks in the end; see `analyses.ANALYSES`.
        evaluation_limit: Agent steps that an episode may last where a policy is scored; a longer
            one ends the run with an error, for the random policy before anything is trained.
    """

    label: str
    method: str
    tasks: tuple[TaskBudget, ...]
    learner: str
    column: str | dict[str, Json]
    seed: int = 0
    method_options: dict[str, Json] = field(default_factory=dict)
    learner_options: dict[str, Json] = field(default_factory=dict)
    training_options: dict[str, Json] = field(default_factory=dict)
    evaluation_episodes: int = 30
    parent: str | None = None
    analyses: tuple[str, ...] = ()
    evaluation_limit: int = 100_000

    def __post_init__(self) -> None:
        for name in ("label", "method", "learner"):
            _require(name, getattr(self, name), str, "a text")
        _require("tasks", self.tasks, tuple, "a sequence of tasks")
        if not self.tasks:
            raise UsageError("'tasks' is empty; a run needs at least one task.")
        if not isinstance(self.column, str):
            _require_options("column", self.column)
        _require("seed", self.seed, int, "a whole number")
        for name in ("method_options", "learner_options", "training_options"):
            _require_options(name, getattr(self, name))
        _require_count("evaluation_episodes", self.evaluation_episodes)
        _require_count("evaluation_limit", self.evaluation_limit)
        if self.parent is not None:
            _require("parent", self.parent, str, "the id of a run")
        for name in ("column", "method_options", "learner_options", "training_options"):
            # A copy through JSON: later changes of the caller's dict do not reach the spec.
            object.__setattr__(self, name, json.loads(_canonical(getattr(self, name))))

    @property
    def id(self) -> str:
        """Readable label and content hash, fit for a folder name."""
        label = re.sub(r"[^a-z0-9]+", "-", self.label.lower()).strip("-")[:60]
        digest = hashlib.sha256(_canonical(self.to_json()).encode()).hexdigest()[:8]
        return f"{label or 'run'}-{digest}"

    @property
    def steps(self) -> int:
        """Agent steps of the whole sequence."""
        return sum(task.steps for task in self.tasks)

    @property
    def target(self) -> str:
        """Name of the last task, the one a transfer experiment asks about.

        Networks and scores may know it by another id; see `TaskBudget.id_among`.
        """
        return self.tasks[-1].name

    def to_json(self) -> dict[str, Json]:
        """Write the spec as a JSON object that `from_json` reads back."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values["tasks"] = [task.to_json() for task in self.tasks]
        values["analyses"] = list(self.analyses)
        if not self.analyses:  # as in the specs of runs from before there were analyses
            del values["analyses"]
        if self.evaluation_limit == RunSpec.evaluation_limit:
            del values["evaluation_limit"]
        return values

    @classmethod
    def from_json(cls, value: object, where: str = "The spec") -> RunSpec:
        """Read a spec.

        Args:
            value: As `to_json` wrote it.
            where: How messages name the spec, e.g. a file's name.

        Raises:
            UsageError: A key is unknown or missing, or a value has the wrong type.
        """
        given = _object(value, where, [f.name for f in fields(cls)])
        missing = sorted({"label", "method", "tasks", "learner", "column"} - given.keys())
        if missing:
            raise UsageError(f"{where} lacks {', '.join(map(repr, missing))}; add it.")
        tasks = given.pop("tasks")
        if not isinstance(tasks, list):
            raise UsageError(f"{where}: 'tasks' is a list of tasks, but {tasks!r} came.")
        analyses = given.pop("analyses", [])
        if not isinstance(analyses, list):
            raise UsageError(f"{where}: 'analyses' is a list of names, but {analyses!r} came.")
        try:
            return cls(
                tasks=tuple(map(TaskBudget.from_json, tasks)),
                analyses=tuple(map(str, analyses)),
                **cast("Any", given),
            )
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from None


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _object(value: object, where: str, keys: Iterable[str]) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise UsageError(f"{where} is a JSON object, but {value!r} came.")
    known = list(keys)
    for key in value:
        if key not in known:
            raise unknown_name(f"key in {where[0].lower()}{where[1:]}:", str(key), known)
    return dict(value)


def _require(name: str, value: object, kind: type, words: str) -> None:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
        raise UsageError(f"{name!r} is {words}, but {value!r} came.")


def _require_count(name: str, value: object) -> None:
    _require(name, value, int, "a whole number")
    if cast("int", value) < 1:
        raise UsageError(f"{name!r} is at least 1, but {value} came.")


def _require_options(name: str, value: object) -> None:
    _require(name, value, dict, "an object of options")
    try:
        _canonical(value)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name!r} holds what JSON cannot: {error}.") from None
