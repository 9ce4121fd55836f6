"""What a learner promises: that all that may move learns, and nothing else does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from colonnade.learners import LearnerConfig, Remembering
from colonnade.methods import Finetune, Progressive
from colonnade.networks import ColumnSpec, Conv, Dense
from colonnade.testing.contract import (
    OPTIONS,
    TASKS,
    Interrupting,
    copied,
    demand,
    differing,
    timeless,
)
from colonnade.training import MemoryRecorder, TrainingOptions, Visit, train_sequence
from colonnade.types import Network, Task, TaskSpec

COLUMN = ColumnSpec((Conv(4, 4, 2), Dense(8)))


class _Pulled(Progressive):
    """Notes what was there when a task began; pulls all that learns by a penalty, if asked."""

    def __init__(self, column: ColumnSpec, pull: float = 0.0) -> None:
        super().__init__(column)
        self.begun: dict[str, Tensor] = {}
        self._pull = pull

    def begin_task(self, spec: TaskSpec, outputs: int | None = None) -> Network:
        network = super().begin_task(spec, outputs)
        self.begun = copied(dict(self.network.named_parameters()))
        return network

    def penalty(self) -> Tensor | None:
        if not self._pull:
            return None
        squares = [p.square().sum() for p in self.network.parameters() if p.requires_grad]
        return self._pull * torch.stack(squares).sum()


def check_learner(
    learner: LearnerConfig,
    *,
    tasks: Sequence[Task] = TASKS,
    column: ColumnSpec = COLUMN,
    options: TrainingOptions = OPTIONS,
    exact: bool = True,
) -> None:
    """Check that a learner trains what may move, and goes on exactly where it was stopped.

    Args:
        learner: Its hyperparameters; small, so that a task of 320 steps has several updates.
        tasks: Two that it can learn, short. By default two looks of MiniPong.
        column: Of the progressive network that it trains.
        options: How training runs; several segments a task.
        exact: Whether the same seed gives the same numbers; of processes that do not wait for each
            other it need not.

    Raises:
        ContractError: A frozen parameter moved or a free one did not, a penalty has no effect, or
            the same seed or a resumed run gives other numbers, also where a task comes back and
            what the learner kept of it (`Remembering`) with it.
    """

    def train(pull: float = 0.0, recorder: MemoryRecorder | None = None) -> _Pulled:
        method = _Pulled(column, pull)
        train_sequence(tasks, method, learner, seed=3, options=options, recorder=recorder)
        return method

    whole = MemoryRecorder()
    method = train(recorder=whole)
    for name, parameter in method.network.named_parameters():
        moved = not torch.equal(parameter, method.begun[name])
        demand(
            moved == parameter.requires_grad,
            f"Parameter {name} "
            + ("may learn but did not move." if not moved else "is frozen but moved."),
        )
    weights = copied(method.state()[0])
    if not exact:
        return
    demand(
        not differing(weights, train().state()[0]), "The same seed should give the same weights."
    )
    demand(
        bool(differing(weights, train(pull=10.0).state()[0])),
        "The method's penalty should be added to the loss, but changes nothing.",
    )
    recorder, made = Interrupting(), list[_Pulled]()

    def life(cut: Any) -> None:
        made.append(_Pulled(column))
        train_sequence(tasks, made[-1], learner, seed=3, options=options, recorder=cut)

    recorder.go_on(life)
    demand(
        not differing(weights, made[-1].state()[0])
        and timeless(recorder.history) == timeless(whole.history),
        "Training that was cut off should go on exactly, but weights or curves differ.",
    )
    if isinstance(learner, Remembering):
        _check_returns(learner, tasks, column, options)


class _Undisturbed(Interrupting):
    """Keeps checkpoints, and never asks to stop."""

    def should_stop(self) -> bool:
        return False


def _check_returns(
    learner: LearnerConfig, tasks: Sequence[Task], column: ColumnSpec, options: TrainingOptions
) -> None:
    """Check that what is kept of a task is there at its return, wherever training was cut off."""
    schedule = [Visit(task.spec.id, task.spec.steps) for task in (*tasks[:2], tasks[0])]

    def life(recorder: Any) -> None:
        train_sequence(
            tasks[:2],
            Finetune(column),
            learner,
            seed=3,
            options=options,
            recorder=recorder,
            schedule=schedule,
        )

    ends = []
    for recorder in (_Undisturbed(), Interrupting()):
        recorder.go_on(life)
        kept = recorder.load_checkpoint()
        assert kept is not None
        ends.append((kept[0], timeless(recorder.history)))
    (whole, rows), (resumed, others) = ends
    demand(
        not differing(whole, resumed) and rows == others,
        "Training that was cut off where a task comes back should go on exactly, but weights, "
        "curves or what is kept of tasks differ; `state` of a memory must give all of it.",
    )
