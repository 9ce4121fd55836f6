"""Tasks by name, as specs and command lines hold them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import gymnasium

from colonnade.checks import text
from colonnade.errors import ColonnadeError, UsageError, unknown_name
from colonnade.parts.finding import find, own_names, parameters
from colonnade.records import shown
from colonnade.tasks.arm.domains import DOMAINS, domain
from colonnade.tasks.arm.task import JacoTask
from colonnade.tasks.atari import AtariTask, game_name, games
from colonnade.tasks.gym.ids import is_known, unknown_id
from colonnade.tasks.gym.sources import origin_of
from colonnade.tasks.gym.task import GymTask
from colonnade.tasks.images.names import DATA_FAMILIES, data_task_from_name, data_task_names
from colonnade.tasks.mazes.doom.labyrinth import DoomLabyrinthTask
from colonnade.tasks.mazes.labyrinth import LabyrinthTask
from colonnade.tasks.mazes.paper_levels import LEVELS, level_from_name
from colonnade.tasks.mazes.t_maze import TMazeTask, corridor_length
from colonnade.tasks.pong.mini import MiniPongTask
from colonnade.tasks.pong.soup import PongSoupTask
from colonnade.tasks.pong.variants import VARIANTS, check_variant
from colonnade.types import Task, TaskSpec

_TASKS: dict[str, tuple[type[Any], Callable[[str], object]]] = {
    "atari": (AtariTask, game_name),
    "doom-labyrinth": (DoomLabyrinthTask, level_from_name),
    "gym": (GymTask, origin_of),
    "labyrinth": (LabyrinthTask, level_from_name),
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
        *(f"labyrinth/{level}" for level in LEVELS),
        *(f"doom-labyrinth/{level}" for level in LEVELS),
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
            "labyrinth/maze-y", "labyrinth/PATH.json" for a level of your own,
            "doom-labyrinth/maze-y", "jaco/reach", "gym/CartPole-v1", or a bare Gymnasium id;
            "gym/my_package.envs:make" for a function that makes an environment; of data sets
            "digits/all", "digits/pair-3-5", "permuted-digits/3", "permuted-mnist/8x8-1",
            "split-cifar-10/0" and the like; or of a family of one's own (`colonnade.parts`).
        steps: Budget in agent steps or examples; None for the family's default.
        **options: Fields of the task's class, such as `name`, by which the same environment appears
            twice in a sequence. For Gymnasium ids anything else goes to the
            environment's constructor.

    Raises:
        UsageError: The family, the rest of the name or an option is unknown; the nearest name is
            suggested.
    """
    family, _, rest = text("The name of a task", name).partition("/")
    if family in own_names("tasks"):
        return _own_task(name, {**options, **_given(steps)})
    if family in DATA_FAMILIES:
        return data_task_from_name(family, rest, **options, **_given(steps))
    if family not in _TASKS:
        if ":" not in name and not is_known(name):
            known = [*task_names(), *own_names("tasks"), *gymnasium.registry]
            raise unknown_id("task", name, known)
        family, rest = "gym", name
    task_class, check = _TASKS[family]
    check(rest)
    options |= _given(steps)
    own = [field.name for field in fields(task_class)][1:]
    if task_class is GymTask:
        if not isinstance(options.get("options", {}), Mapping):
            raise UsageError(
                f"'options' of task {name!r} are arguments of its environment by their names, but "
                f"{shown(options['options'])} came."
            )
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


def _own_task(name: str, options: dict[str, Any]) -> Task:
    """Make a task of a user's own family; see docs/plugins.md for what its maker takes."""
    family, slash, rest = name.partition("/")
    make: Any = find("tasks", family, dict.fromkeys((*_TASKS, *DATA_FAMILIES)))
    known = parameters(f"Task {family!r}", make)
    for key in options:
        if key not in known and not any(p.kind is p.VAR_KEYWORD for p in known.values()):
            raise unknown_name(f"option of {family!r} tasks", key, known)
    try:
        task = make(*([rest] if slash else []), **options)
    except ColonnadeError:
        raise
    except Exception as error:
        kind = "" if isinstance(error, TypeError) else f"{type(error).__name__}: "
        said = " ".join(f"{kind}{error}".split())
        raise UsageError(f"Task {name!r} cannot be made with {options}: {said}.") from error
    spec = getattr(task, "spec", None)
    if not isinstance(spec, TaskSpec):
        raise UsageError(
            f"Task {name!r} must have a TaskSpec as its 'spec', but {type(task).__name__} has "
            f"{shown(spec)}."
        )
    called = options.get("name") or name
    if spec.id != called:
        raise UsageError(
            f"Task {name!r} must have the id {called!r}, which its networks and scores are found "
            f"by, but has {spec.id!r}."
        )
    made: Task = task
    return made


def id_of_name(name: str, options: Mapping[str, Any] | None = None) -> str:
    """Return the id of the task that a name stands for, whose user gave it no name of its own.

    >>> id_of_name("atari/MsPacman"), id_of_name("t-maze/010"), id_of_name("CartPole-v1")
    ('atari/ms_pacman', 't-maze/10', 'gym/CartPole-v1')
    >>> id_of_name("permuted-digits/03")
    'permuted-digits/3'

    A name that no task has is returned as it is.

    Args:
        name: As in `task_from_name`.
        options: Of the task; the noise of a pair of labels is in its id.
    """
    family, _, rest = name.partition("/")
    if family in own_names("tasks"):
        return name
    try:
        if family in DATA_FAMILIES:
            return data_task_from_name(family, rest, **(options or {})).spec.id
        if family in ("atari", "t-maze"):
            return f"{family}/{_TASKS[family][1](rest)}"
        if family in ("labyrinth", "doom-labyrinth"):
            return f"{family}/{level_from_name(rest).name}"
    except UsageError:
        return name
    return name if family in _TASKS else f"gym/{name}"


def _given(steps: int | None) -> dict[str, int]:
    return {} if steps is None else {"steps": steps}
