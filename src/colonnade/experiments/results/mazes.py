"""How the mazes of a folder look, from above and from within."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from colonnade.errors import UsageError
from colonnade.experiments.results.transfer import Results
from colonnade.tasks.mazes import (
    LabyrinthVectorEnv,
    Level,
    draw_plan,
    level_from_name,
    plan_edges,
)
from colonnade.tasks.mazes.labyrinth import first_layout
from colonnade.tasks.mazes.levels import Layout

FAMILIES = ("labyrinth", "doom-labyrinth")
_SEED = 0
_SCALE = 16  # pixels a metre

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Plan:
    """A level from above.

    Attributes:
        picture: [H, W, 3], north up.
        left: x of its left edge, in metres.
        top: y of its top edge, in metres.
    """

    picture: Picture
    left: float
    top: float

    def pixels(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where places [..., 2] in metres are in the picture: columns and rows."""
        return np.stack(
            ((places[..., 0] - self.left) * _SCALE, (self.top - places[..., 1]) * _SCALE), axis=-1
        )


def plan_of(task: str, begin: Layout) -> Plan | None:
    """Draw the level of a task as an episode began; None where a file of the user's is gone."""
    try:
        level = level_from_name(task.partition("/")[2])
        picture = draw_plan(level, _SCALE, begin)
    except (UsageError, ValueError):  # gone, or not the level that it was
        return None
    low, high = plan_edges(level)
    return Plan(picture, float(low[0]), float(high[1]))


@dataclass(frozen=True)
class MazePicture:
    """A level as its first episode of seed 0 begins.

    Attributes:
        task: The first task that is played in it, by name.
        plan: From above, [H, W, 3].
        view: What the player sees, as the ray caster draws it, [84, 84, 3].
    """

    task: str
    plan: Picture
    view: Picture


def maze_tasks(results: Results) -> dict[str, str]:
    """Return the name of each level that is played in a folder, and its first task's."""
    names = (task.name for run in results.runs.values() for task in run.spec.tasks)
    return _levels(names)


def maze_pictures(tasks: dict[str, str]) -> list[MazePicture]:
    """Draw the levels that `maze_tasks` gave; a file of the user's that is gone is left out."""
    pictures = []
    for name, task in tasks.items():
        try:
            level = level_from_name(name)
        except UsageError:
            continue
        pictures.append(_picture(level, task))
    return pictures


def _levels(names: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        family, _, level = name.partition("/")
        if family in FAMILIES:
            found.setdefault(level, name)
    return found


def _picture(level: Level, task: str) -> MazePicture:
    env = LabyrinthVectorEnv(level, 1)
    views, _ = env.reset(seed=_SEED)
    env.close()
    plan = draw_plan(level, _SCALE, first_layout(level, _SEED))
    return MazePicture(task, plan, np.ascontiguousarray(views[0].transpose(1, 2, 0)))
