"""What tasks that normalise have seen, in checkpoints and beside the weights of a network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

from colonnade.errors import UsageError
from colonnade.learners import A3C, LearnerConfig
from colonnade.tasks.normalization import Normalization
from colonnade.training.options import TrainingOptions
from colonnade.types import Task

_BEFORE = "normalization of "
_END = ": "


def normalization_of(task: Task) -> Normalization | None:
    """Return what a task keeps of what it has seen; None where it normalises nothing."""
    found = getattr(task, "normalization", None)
    return found if isinstance(found, Normalization) else None


def check_normalized(
    tasks: Iterable[Task], learner: LearnerConfig, options: TrainingOptions, *, told: bool
) -> None:
    """Refuse what can't be done with a task that keeps statistics of what it has shown.

    Args:
        tasks: To be learned.
        learner: How.
        options: Of training.
        told: Whether the learner is told which task it is in.

    Raises:
        UsageError: One normalises, and it can't be done.
    """
    named = [task.spec.id for task in tasks if normalization_of(task) is not None]
    why = ""
    if not told:
        why = "nobody says which task is seen, and each has its own; use true labels"
    elif options.patience:
        why = "patience goes back to an earlier network, which has read by earlier ones; leave it"
        why += " out"
    elif isinstance(learner, A3C) or getattr(learner, "workers", 1) > 1:
        why = "workers see a part of it each; use 'a2c', 'dqn' or 'ppo' with one worker"
    if named and why:
        raise UsageError(
            f"Task {named[0]!r} is normalised by statistics of all that was seen of it, but {why}."
        )


def begin_normalizing(tasks: Iterable[Task]) -> None:
    """Forget what tasks have seen in an earlier training, as another begins."""
    for task in tasks:
        if (normalization := normalization_of(task)) is not None:
            normalization.begin()


def normalizations(tasks: Iterable[Task]) -> dict[str, Tensor]:
    """Return what tasks have seen, as tensors that stand beside a method's own."""
    found = {task.spec.id: normalization_of(task) for task in tasks}
    return normalizations_by_id({k: seen for k, seen in found.items() if seen is not None})


def normalizations_by_id(seen: Mapping[str, Normalization]) -> dict[str, Tensor]:
    """Do as `normalizations`, of what tasks of some ids have seen."""
    return {
        f"{_BEFORE}{task}{_END}{name}": value
        for task, normalization in seen.items()
        for name, value in normalization.state().items()
    }


def taken_apart(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return a method's own tensors, and those that `normalizations` put beside them."""
    beside = {name: value for name, value in tensors.items() if name.startswith(_BEFORE)}
    return {name: value for name, value in tensors.items() if name not in beside}, beside


def restore_normalization(task: Task, tensors: Mapping[str, Tensor]) -> None:
    """Give a task back what it had seen.

    Args:
        task: One that normalises; others stay as they are.
        tensors: That `normalizations` are among.

    Raises:
        UsageError: They hold nothing of the task, or of other inputs.
    """
    if (normalization := normalization_of(task)) is not None:
        load_normalization(task.spec.id, normalization, tensors)


def load_normalization(
    task: str, normalization: Normalization, tensors: Mapping[str, Tensor]
) -> None:
    """Do as `restore_normalization`, of the task of an id."""
    lead = f"{_BEFORE}{task}{_END}"
    own = {k.removeprefix(lead): v for k, v in tensors.items() if k.startswith(lead)}
    try:
        normalization.load_state(own)
    except (KeyError, ValueError) as error:
        raise UsageError(
            f"Task {task!r} normalises what it shows, but the file holds no statistics of "
            "it that fit; restore the file, or train the task again."
        ) from error
