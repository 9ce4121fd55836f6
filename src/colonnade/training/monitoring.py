"""Looking back while learning: scores of all tasks so far, and stopping before they fall."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from colonnade.learners import Acting, Precision
from colonnade.recognition import TrueLabels
from colonnade.seeding import derive
from colonnade.training.evaluation import EPISODE_LIMIT, evaluate
from colonnade.training.labels import Labels
from colonnade.training.recorder import Recorder, Row
from colonnade.training.schedule import Visit, name_of, so_far
from colonnade.types import DatasetTask, Method, Network, Split, Task


@runtime_checkable
class TrainsMany(Protocol):
    """A method that trains other networks than it will keep, as PathNet's tournaments do."""

    def player_for(self, task: str) -> Network:
        """Return the network to score a task with."""
        ...


_EPISODES = 10
"""Of a played task's validation score, where no test episodes are asked for."""


class Monitor:
    """Scores the tasks so far at the ends of segments; ends a task that only does harm.

    Environments have no parts for testing and validation: episodes with other seeds stand for them.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        schedule: Sequence[Visit],
        method: Method,
        learner: Acting,
        recorder: Recorder,
        *,
        seed: int,
        device: str,
        episodes: int,
        patience: int,
        limit: int = EPISODE_LIMIT,
        labels: Labels | None = None,
        unseen: bool = False,
        precision: Precision = "auto",
    ) -> None:
        """Begin with no score.

        Args:
            tasks: All of them.
            schedule: In which order they are visited.
            method: Whose networks to score.
            learner: How they act.
            recorder: Where the scores go, a row of kind "test" for each task.
            seed: Of the episodes.
            device: A torch device name, or "auto".
            episodes: See `TrainingOptions.test_episodes`.
            patience: See `TrainingOptions.patience`.
            limit: See `evaluate`.
            labels: Say under which id each task is played; by default its own.
            unseen: See `TrainingOptions.test_unseen`.
            precision: See `evaluate`.
        """
        self._tasks = {task.spec.id: task for task in tasks}
        self._names = [name_of(tasks, schedule, number) for number in range(len(schedule))]
        self._schedule = schedule
        self._method = method
        self._learner = learner
        self._recorder = recorder
        self._seed = seed
        self._precision = precision
        self._device = device
        self._episodes = episodes
        self._patience = patience
        self._limit = limit
        self._labels = labels or Labels(TrueLabels(), tasks, seed)
        self._unseen = unseen
        self._best: float | None = None
        self._worse = 0
        self._kept: tuple[dict[str, Tensor], dict[str, Any]] = ({}, {})

    def begin_visit(self, number: int) -> None:
        """Score all tasks so far before a visit, its own included."""
        self._best, self._worse, self._kept = None, 0, ({}, {})
        self._test(number, 0)

    def end_segment(self, number: int, step: int) -> bool:
        """Score all tasks so far, the one in training included, by the networks that are kept.

        Returns:
            Whether to stop: the method is then in the state of its best score, with other
            networks than those that were trained.
        """
        stop = self._patience > 0 and self._validate(number, step)
        if stop:
            self._method.load_state(*self._kept)
        self._test(number, step)
        return stop

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the method's best state in the task, and what is known of it."""
        tensors, meta = self._kept
        return tensors, {"best": self._best, "worse": self._worse, "method": meta}

    def load_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Return to a state that `state` gave."""
        self._best, self._worse = meta["best"], meta["worse"]
        self._kept = tensors, meta["method"]

    def _test(self, number: int, step: int) -> None:
        if not self._episodes:
            return
        places, seen = list(self._tasks), so_far(self._schedule, number)
        for task in places if self._unseen else seen:
            played = self._labels.player_of(self._tasks[task])
            if self._labels.told and task not in seen:
                played = self._schedule[number].task
            scores = self._score(task, "test", played)
            context: Row = {} if self._labels.told else {"context": played}
            self._recorder.append(
                {
                    "kind": "test",
                    **self._names[number],
                    "step": step,
                    "tested": task,
                    "tested_index": places.index(task),
                    **context,
                    "episodes": len(scores),
                    "return_mean": float(scores.mean()),
                    "return_std": float(scores.std()),
                }
            )

    def _validate(self, number: int, step: int) -> bool:
        """Compare with the best so far, as Kirkpatrick et al. 2017 stop early (Table 1)."""
        tasks = so_far(self._schedule, number)
        scores = [float(self._score(task, "validation").mean()) for task in tasks]
        mean = float(np.mean(scores))
        self._recorder.append(
            {
                "kind": "validation",
                **self._names[number],
                "step": step,
                "return_mean": mean,
            }
        )
        if self._best is None or mean >= self._best:
            self._best, self._worse = mean, 0
            tensors, meta = self._method.state()
            # All of it, and copied: what changes later, as a population does, must not change here.
            copied = {name: value.detach().clone() for name, value in tensors.items()}
            self._kept = copied, copy.deepcopy(meta)
            return False
        self._worse += 1
        return self._worse > self._patience

    def _score(
        self, name: str, split: Split, played: str | None = None
    ) -> np.ndarray[Any, np.dtype[np.float64]]:
        method, task = self._method, self._tasks[name]
        player = method.player_for if isinstance(method, TrainsMany) else method.network_for
        return evaluate(
            task,
            player(played or name),
            learner=self._learner,
            episodes=None if isinstance(task, DatasetTask) else self._episodes or _EPISODES,
            seed=derive(self._seed, split, name),
            device=self._device,
            split=split,
            limit=self._limit,
            precision=self._precision,
        )
