"""Tasks by name, as specs and command lines hold them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import gymnasium

from colonnade.errors import UsageError, unknown_name
from colonnade.tasks.arm.domains import DOMAINS, domain
from colonnade.tasks.arm.task import JacoTask
from colonnade.tasks.atari import AtariTask, game_name, games
from colonnade.tasks.data_names import DATA_FAMILIES, data_task_from_name, data_task_names
from colonnade.tasks.gym_task import GymTask, check_id
from colonnade.tasks.mini_pong import MiniPongTask
from colonnade.tasks.pong_soup import PongSoupTask
from colonnade.tasks.t_maze import TMazeTask, corridor_length
from colonnade.tasks.variants import VARIANTS, check_variant
from colonnade.types import Task

_TASKS: dict[str, tuple[type[Any], Callable[[str], object]]] = {
    "atari": (AtariTask, game_name),
    "gym": (GymTask, check_id),
    "jaco": (JacoTask, domain),
    "mini-pong": (MiniPongTask, check_variant),
    "pong-soup": (PongSoupTask, check_variant),
    "t-maze": (TMazeTask, corridor_length),
}
"""By the family that begins a name: the task's class, and what checks the rest of the name."""


def task_names() -> tuple[str, ...]:
    """List task names: all but Gymnasium's ids; of data sets and T-mazes, examples."""
    return (
        "t-maze/10",
        *(f"mini-pong/{variant}" for variant in VARIANTS),
        *(f"pong-soup/{variant}" for variant in VARIANTS),
        *(f"jaco/{name}" for name in DOMAINS),
        *(f"atari/{game}" for game in games()),
        *data_task_names(),
    )


def task_from_name(name: str, /, *, steps: int | None = None, **options: Any) -> Task:
    """Make the task that a name stands for.

    >>> task_from_name("mini-pong/h-flip", steps=1000).spec.id
    'mini-pong/h-flip'

    Args:
        name: "atari/seaquest", "pong-soup/h-flip", "mini-pong/zoom", "t-maze/10",
            "jaco/reach", "gym/CartPole-v1", or a bare Gymnasium id; of data sets "digits/all",
            "digits/pair-3-5", "permuted-digits/3", "permuted-mnist/8x8-1", "split-cifar-10/0" and
            the like.
        steps: Budget in agent steps or examples; None for the family's default.
        **options: Fields of the task's class, such as `name`, by which the same environment appears
            twice in a sequence. For Gymnasium ids anything else goes to the
            environment's constructor.

    Raises:
        UsageError: The family, the rest of the name or an option is unknown; the nearest name is
            suggested.
    """
    family, _, rest = name.partition("/")
    if family in DATA_FAMILIES:
        return data_task_from_name(family, rest, **options, **_given(steps))
    if family not in _TASKS:
        if name not in gymnasium.registry and ":" not in name:
            raise unknown_name("task", name, [*task_names(), *gymnasium.registry])
        family, rest = "gym", name
    task_class, check = _TASKS[family]
    check(rest)
    options |= _given(steps)
    own = [field.name for field in fields(task_class)][1:]
    if task_class is GymTask:
        constructor = {key: options.pop(key) for key in list(options) if key not in own}
        options["options"] = {**options.get("options", {}), **constructor}
    for key in options:
        if key not in own:
            raise unknown_name(f"option of {family!r} tasks", key, own)
    try:
        task: Task = task_class(rest, **options)
    except TypeError as error:
        raise UsageError(f"Task {name!r} cannot be made with {options}: {error}.") from None
    return task


def _given(steps: int | None) -> dict[str, int]:
    return {} if steps is None else {"steps": steps}
