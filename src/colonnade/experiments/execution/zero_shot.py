"""How far a first column gets where it has never been, without learning there."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from colonnade.errors import UsageError
from colonnade.learners import Acting
from colonnade.learners.compute import Precision, device_for
from colonnade.methods import ColumnMethod
from colonnade.seeding import derive
from colonnade.tasks.arm import JacoTask, in_every_domain
from colonnade.tasks.frames import to_png
from colonnade.training import Row, evaluate
from colonnade.training.evaluation import EPISODE_LIMIT
from colonnade.types import Method, Task


@dataclass(frozen=True)
class Scoring:
    """How a run plays networks to score them.

    Attributes:
        seed: Of the run.
        device: See `Compute.choose`.
        precision: See `Compute.choose`.
        limit: Steps of an episode, at the most; see `evaluate`.
    """

    seed: int = 0
    device: str = "auto"
    precision: Precision = "auto"
    limit: int = EPISODE_LIMIT


EPISODES = 100
_ENVS = 25
_SHOWN = 3


def zero_shot(
    tasks: Sequence[Task], method: Method, learner: Acting, scoring: Scoring
) -> list[Row]:
    """Score the first column on the last task, which it never learned.

    It is frozen, so that it still is what it was when the run began.
    """
    return [_row("zero-shot", tasks[-1], method, learner, scoring)]


def domains(tasks: Sequence[Task], method: Method, learner: Acting, scoring: Scoring) -> list[Row]:
    """Score the first column in every domain of the arm, and picture each.

    Returns:
        A row for each, of which "picture" is a PNG in base64.
    """
    last = tasks[-1]
    assert isinstance(last, JacoTask)
    return [
        _row("domain", task, method, learner, scoring) | {"picture": _picture(task)}
        for task in in_every_domain(last)
    ]


def check_first_column(method: Method) -> None:
    """Check that a first column is left as it was.

    Raises:
        UsageError: There is none, or it learns itself.
    """
    if not isinstance(method, ColumnMethod) or len(method.network.columns) < 2:
        raise UsageError(
            "The analyses 'zero-shot' and 'domains' score the first of several columns, which only "
            "a run of method 'progressive' with a parent has; leave them out of the others."
        )


def check_arm(tasks: Sequence[Task]) -> None:
    """Check that there are domains.

    Raises:
        UsageError: The last task is none of the arm's.
    """
    if not isinstance(tasks[-1], JacoTask):
        raise UsageError(
            f"The analysis 'domains' is about the arm's domains, but task {tasks[-1].spec.id!r} is "
            "no task of the arm; leave it out."
        )


def _picture(task: JacoTask) -> str:
    """Show how some episodes begin, side by side, as a PNG in base64."""
    envs = replace(task, view="pixels").make_vec(_SHOWN)
    observations, _ = envs.reset(seed=0)
    envs.close()
    pictures = np.concatenate([*observations.transpose(0, 2, 3, 1)], axis=1)
    return base64.b64encode(to_png(pictures)).decode()


def _row(kind: str, task: Task, method: Method, learner: Acting, scoring: Scoring) -> Row:
    assert isinstance(method, ColumnMethod)
    network = method.network.view(0)
    returns = evaluate(
        task,
        network,
        learner=learner,
        episodes=EPISODES,
        num_envs=_ENVS,
        seed=derive(scoring.seed, kind, task.spec.id),
        device=device_for(learner, scoring.device),
        precision=scoring.precision,
        limit=scoring.limit,
    )
    return {
        "kind": kind,
        "task": task.spec.id,
        "policy": kind,
        "episodes": len(returns),
        "return_mean": float(np.mean(returns)),
        "return_std": float(np.std(returns)),
    }
