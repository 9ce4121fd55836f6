"""In which order tasks are learned: a schedule is a list of visits, and a task may come back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from colonnade.checks import AT_LEAST_1, check_fields, having, whole
from colonnade.errors import UsageError, unknown_name
from colonnade.records import shown
from colonnade.seeding import derive
from colonnade.training.recorder import Row
from colonnade.types import Method, Revisiting, Task, TaskSpec


@dataclass(frozen=True)
class Visit:
    """A stay at a task.

    Attributes:
        task: Id of the task.
        steps: Its budget in agent steps, or in examples.
    """

    task: str
    steps: int

    def __post_init__(self) -> None:
        """Refuse a budget that makes no sense."""
        check_fields(self, {"steps": AT_LEAST_1})


def check_tasks(tasks: Any, where: str) -> None:
    """Refuse what is no list of tasks.

    Args:
        tasks: What came.
        where: Whose argument it is, as in "of train_sequence".

    Raises:
        UsageError: It is none.
    """
    if not isinstance(tasks, Sequence):
        raise UsageError(f"tasks {where} must be a list of tasks; got {shown(tasks)}.")
    for task in tasks:
        having(f"A task {where}", task, "a task", "spec")
        if not isinstance(task.spec, TaskSpec):  # an environment of Gymnasium has one of its own
            raise UsageError(
                f"A task {where} must have a TaskSpec as its spec, but {shown(task)} came; make "
                "an environment a task by GymTask(ID, steps=...), or of a function that makes one."
            )


def each_once(tasks: Sequence[Task]) -> tuple[Visit, ...]:
    """Visit every task once, for its own budget."""
    return tuple(Visit(task.spec.id, task.spec.steps) for task in tasks)


def in_random_order(tasks: Sequence[Task], rounds: int, seed: int = 0) -> tuple[Visit, ...]:
    """Visit every task `rounds` times, an equal share of its budget each, in random order.

    No task follows itself where there are several (Kirkpatrick et al. 2017, section 2.2: games are
    switched at random). Each round is a permutation of all tasks.

    Args:
        tasks: Their budgets are what all visits of each together may take.
        rounds: How often each is visited.
        seed: Of the order.

    Raises:
        UsageError: There is no list of tasks, or the number of rounds makes no sense.
    """
    check_tasks(tasks, "of in_random_order")
    whole("rounds of a schedule", rounds, AT_LEAST_1)
    rng = np.random.default_rng(derive(seed, "schedule"))
    order: list[int] = []
    for _ in range(rounds):
        places = rng.permutation(len(tasks))
        while len(tasks) > 1 and order and places[0] == order[-1]:
            places = rng.permutation(len(tasks))
        order += places.tolist()
    specs = [tasks[place].spec for place in order]
    return tuple(Visit(spec.id, max(1, spec.steps // rounds)) for spec in specs)


def name_of(tasks: Sequence[Task], schedule: Sequence[Visit], number: int) -> Row:
    """Return what every row says of a visit; its number only where tasks come back."""
    task = schedule[number].task
    index = [each.spec.id for each in tasks].index(task)
    counted = {} if schedule == each_once(tasks) else {"visit": number}
    return {"task": task, "task_index": index} | counted


def so_far(schedule: Sequence[Visit], number: int) -> list[str]:
    """Ids of the tasks visited up to a visit, itself included, in the order of first visits."""
    return list(dict.fromkeys(visit.task for visit in schedule[: number + 1]))


def checked(
    schedule: Sequence[Visit] | None, tasks: Sequence[Task], method: Method
) -> tuple[Visit, ...]:
    """Return the schedule, each task once if there is none, and refuse what can't be learned.

    Raises:
        UsageError: A task has no id of its own or is never visited, a visit is of no task, or a
            task comes back to a method that does not say what it does then.
    """
    ids = [task.spec.id for task in tasks]
    if not ids or len(set(ids)) < len(ids):
        raise UsageError(f"A sequence needs at least one task, each with its own id; got {ids}.")
    if schedule is None:
        return each_once(tasks)
    for visit in schedule:
        if not isinstance(visit, Visit):
            raise UsageError(f"A schedule is a list of Visit(task, steps); got {shown(visit)}.")
    names = [visit.task for visit in schedule]
    for name in names:
        if name not in ids:
            raise unknown_name("task in the schedule", name, ids)
    if left := [name for name in ids if name not in names]:
        raise UsageError(
            f"The schedule never visits task {left[0]!r}; visit it, or leave it out of the tasks."
        )
    returned = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if returned is not None and not isinstance(method, Revisiting):
        raise UsageError(
            f"Task {returned!r} comes back in the schedule, but {type(method).__name__} does not "
            "say what it does then; give it a method `revisit(spec)` (`colonnade.types.Revisiting`)"
            ", or visit every task once."
        )
    return tuple(schedule)
