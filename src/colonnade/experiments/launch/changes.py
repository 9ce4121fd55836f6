"""Changes to the fields of every run of a plan, as in "learner.learning_rate=1e-3"."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from colonnade.errors import UsageError, unknown_name
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.spec import KINDS, Json


def with_changes(plan: Plan, given: Sequence[str]) -> Plan:
    """Change every run of a plan; what the runs start from and are compared with stays.

    Args:
        plan: Of a suite.
        given: Each KIND.NAME=VALUE. The kind is learner, training or column, or the name of a
            method, whose runs alone change; the value is JSON, or else a text.

    Raises:
        UsageError: One can't be read, or it makes two runs the same.
    """
    changes = [_parsed(text) for text in given]
    kinds = {*KINDS, *(spec.method for spec in plan.runs)}
    for kind, _, _ in changes:
        if kind not in kinds:
            raise unknown_name("kind of option in --set", kind, kinds)
    _check_drawn(plan, changes)
    names: dict[str, str] = {}  # of runs and selections, before and after
    runs, selections = [], []
    for spec in plan.runs:
        for choice in map(plan.selection, (*spec.origins, spec.learner_from)):
            if choice is not None and choice.name not in names:
                renamed = replace(choice, runs=tuple(names[run] for run in choice.runs))
                names[choice.name] = renamed.name
                selections.append(renamed)
        parent = spec.parent if spec.parent is None else names.get(spec.parent, spec.parent)
        model = names[spec.learner_from] if spec.learner_from else None
        parents = tuple(names.get(each, each) for each in spec.parents)
        moved = replace(spec, parent=parent, parents=parents, learner_from=model)
        changed = moved.with_options(changes)
        if changed.id in names.values():
            raise UsageError(
                f"--set {' '.join(given)} makes run {spec.label!r} the same as another; what tells "
                "them apart can't be set."
            )
        names[spec.id] = changed.id
        runs.append(changed)
    compared = tuple(replace(entry, run=names[entry.run]) for entry in plan.comparisons)
    return Plan(tuple(runs), compared, tuple(selections))


def _check_drawn(plan: Plan, changes: Sequence[tuple[str, str, Json]]) -> None:
    """Refuse to change what a plan's tries were made to choose."""
    for choice in plan.selections:
        tries = plan.tries.intersection(choice.runs)
        runs = [spec for spec in plan.runs if spec.id in tries]
        for kind, name, _ in changes:
            if len({repr(spec.option(kind, name)) for spec in runs}) > 1:
                raise UsageError(
                    f"--set changes {name}, which is drawn for each try, as for "
                    f"{runs[0].label!r}, to choose the best by; leave it out, or run a suite that "
                    "draws none."
                )


def check_learner(plan: Plan, learner: str | None) -> None:
    """Refuse a learner that a suite has no use for.

    Raises:
        UsageError: No run is learned with it, though it was asked for.
    """
    used = sorted({spec.learner for spec in plan.runs})
    if learner is not None and learner not in used:
        raise UsageError(
            f"The suite is always learned with {' and '.join(map(repr, used))}, but --learner "
            f"{learner} came; leave it out."
        )


def check_games(plan: Plan, games: int | None) -> None:
    """Refuse a number of tasks for a suite that draws none from a pool.

    Raises:
        UsageError: No run is a stream, though it was asked for.
    """
    if games is not None and not any(spec.visits for spec in plan.runs):
        raise UsageError(
            f"The suite draws its tasks from no pool, but --games {games} came; leave it out."
        )


def changed_names(given: Sequence[str]) -> set[str]:
    """Names of what the changes change, as a sweep calls them: methods' options with the method."""
    return {name if kind in KINDS else f"{kind}.{name}" for kind, name, _ in map(_parsed, given)}


def _parsed(text: str) -> tuple[str, str, Json]:
    path, equals, value = text.partition("=")
    kind, dot, name = path.partition(".")
    if not (equals and dot and name and value):
        raise UsageError(
            f"--set is KIND.NAME=VALUE, as in learner.learning_rate=1e-3, but {text!r} came."
        )
    try:
        return kind, name, json.loads(value)
    except ValueError:
        return kind, name, value
