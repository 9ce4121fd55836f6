"""The one place where the names in a spec become objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

from colonnade.errors import UsageError
from colonnade.experiments.plans.spec import DEFAULT_COLUMN, RunSpec, TaskBudget
from colonnade.learners import LearnerConfig, learner_from_name
from colonnade.methods import ColumnMethod, PathMethod, follows_paths, method_from_name
from colonnade.networks import (
    ColumnSpec,
    ModularSpec,
    column_preset,
    factories_named,
    modular_preset,
)
from colonnade.recognition import RecogniserConfig, recogniser_from_name
from colonnade.records import read, write
from colonnade.tasks import task_from_name
from colonnade.tasks.gym.wrappers import modules_of
from colonnade.training import TrainingOptions, Visit
from colonnade.types import Task

_Spec = TypeVar("_Spec", ColumnSpec, ModularSpec)


def build_task(budget: TaskBudget) -> Task:
    """Make a task.

    Raises:
        UsageError: No task has that name.
    """
    options: dict[str, Any] = budget.options
    if "steps" in options:
        raise UsageError(f"Task {budget.name!r} has its steps beside its options, not among them.")
    return task_from_name(budget.name, steps=budget.steps, **options)


def named_code(specs: Iterable[RunSpec]) -> list[str]:
    """List what is imported because specs name it: modules of tasks, and columns' factories."""
    found: dict[str, None] = {}
    for spec in specs:
        for task in spec.tasks:
            module, colon, _ = task.name.removeprefix("gym/").rpartition(":")
            if colon:
                found[module] = None
            wrappers = task.options.get("wrappers")
            if isinstance(wrappers, list):
                found |= dict.fromkeys(modules_of(wrappers))
        found |= dict.fromkeys(sorted(factories_named(spec.column)))
    return list(found)


def build_tasks(spec: RunSpec) -> list[Task]:
    """Make the tasks of a run, in order.

    Raises:
        UsageError: No task has one of the names.
    """
    return [build_task(budget) for budget in spec.tasks]


def build_column(column: str | dict[str, Any]) -> ColumnSpec | None:
    """Make the column that a spec names or describes.

    Args:
        column: Name of a preset; a preset with some fields changed, as in
            `{"preset": "tiny", "alpha": 1.0}`; a column as `ColumnSpec.to_dict` writes it; or
            `DEFAULT_COLUMN`.

    Returns:
        The column; None stands for the default.

    Raises:
        UsageError: No preset has that name, or the description is wrong.
    """
    return _described(ColumnSpec, column_preset, column)


def build_modules(column: str | dict[str, Any]) -> ModularSpec | None:
    """Make the modular network of a path method's run, as `build_column` makes a column."""
    return _described(ModularSpec, modular_preset, column)


def _described(
    cls: type[_Spec], preset: Callable[[str], _Spec], column: str | dict[str, Any]
) -> _Spec | None:
    if column == DEFAULT_COLUMN:
        return None
    if isinstance(column, str):
        return preset(column)
    changes = dict(column)
    if "preset" not in changes:
        return read(cls, changes)
    known = preset(str(changes.pop("preset")))
    changed = read(cls, write(known) | changes)
    # What stays is the preset's itself: data can't hold all of it, such as a lambda.
    return replace(known, **{name: getattr(changed, name) for name in changes})


def build_method(spec: RunSpec) -> ColumnMethod | PathMethod:
    """Make the method of a run, before its first task.

    Raises:
        UsageError: The method, one of its options or the column is unknown.
    """
    for name in ("column", "network"):
        if name in spec.method_options:
            raise UsageError(
                f"{name!r} is no method option; what networks look like has a field of its own in "
                "the spec, 'column'."
            )
    if follows_paths(spec.method):
        modules = build_modules(spec.column)
        return method_from_name(spec.method, network=modules, **spec.method_options)
    return method_from_name(spec.method, column=build_column(spec.column), **spec.method_options)


def build_learner(spec: RunSpec) -> LearnerConfig:
    """Make the learner's configuration.

    Raises:
        UsageError: The learner or one of its options is unknown.
    """
    return learner_from_name(spec.learner, **spec.learner_options)


def build_visits(spec: RunSpec) -> list[Visit] | None:
    """Make the schedule of a run; None where each task is visited once.

    Raises:
        UsageError: A visit is to none of the run's tasks.
    """
    if not spec.visits:
        return None
    tasks = build_tasks(spec)
    return [
        Visit(tasks[number].spec.id, visit.steps)
        for number, visit in zip(spec.visited, spec.visits, strict=True)
    ]


def build_labels(spec: RunSpec) -> RecogniserConfig:
    """Make what says which task the learner is in.

    Raises:
        UsageError: Its kind or an option is unknown.
    """
    options: dict[str, Any] = {"kind": "true", **spec.labels}
    return recogniser_from_name(str(options.pop("kind")), **options)


def build_training_options(spec: RunSpec) -> TrainingOptions:
    """Make the options of training.

    Raises:
        UsageError: An option is unknown or has the wrong type.
    """
    return read(TrainingOptions, spec.training_options)
