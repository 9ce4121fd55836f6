"""The loop that joins tasks, a method and a learner; it can stop anywhere and go on exactly.

A task is learned in segments. Each begins with fresh episodes and random streams seeded by the
segment's number, and ends with a checkpoint: training that was cut off and taken up again goes
through the same numbers as training that never stopped, with any environment, even one whose
state can't be saved. The price is one unfinished episode per environment and segment, which is
trained on but counts for no score.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from colonnade.errors import UsageError
from colonnade.learners import (
    Advance,
    Compute,
    LearnerConfig,
    Precision,
    Trainer,
    torch_threads,
)
from colonnade.seeding import derive
from colonnade.training.curves import Curve
from colonnade.training.goal import Goal
from colonnade.training.monitoring import Monitor
from colonnade.training.recorder import (
    DivergedError,
    Interrupted,
    MemoryRecorder,
    Progress,
    Recorder,
    Row,
)
from colonnade.types import Expecting, Method, Metrics, Task, TaskSpec


@dataclass(frozen=True)
class TrainingOptions:
    """How training runs; what is learned does not depend on these but by chance."""

    num_envs: int = 16
    """Environments stepped side by side."""
    threads: int = 1
    """Threads for the network and, where they can use several, for the environments; more than
    one pays for images in large batches."""
    segment_steps: int = 250_000
    """Agent steps between checkpoints."""
    curve_steps: int = 10_000
    """Width of a learning curve's bins in agent steps."""
    device: str = "auto"
    """A torch device name; "auto" takes a GPU where there is one."""
    precision: Precision = "auto"
    """Precision of matrix products; "auto" is bfloat16 for images where that is fast."""
    test_episodes: int = 0
    """Episodes that score every task so far, before a task is learned and at the ends of its
    segments; of a data set any number above 0 stands for all test examples. 0 scores nothing."""
    patience: int = 0
    """End a task once the validation score, averaged over the tasks so far, has been below its best
    for more than this many segments in a row, and return to the best weights; 0 never does."""
    goal_episodes: int = 0
    """Episodes, or minibatches, whose mean return ends a task early; 0 spends every budget."""
    goal_return: float = 0.0
    """The mean return at which they do."""

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        for name in ("num_envs", "threads", "segment_steps", "curve_steps"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1; got {getattr(self, name)}.")
        for name in ("test_episodes", "patience", "goal_episodes"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} must be at least 0; got {getattr(self, name)}.")


def train_sequence(
    tasks: Sequence[Task],
    method: Method,
    learner: LearnerConfig,
    *,
    seed: int = 0,
    options: TrainingOptions | None = None,
    recorder: Recorder | None = None,
) -> None:
    """Learn tasks one after another, or go on where the recorder's checkpoint left off.

    Args:
        tasks: In the order of learning; ids must differ.
        method: How the sequence is learned; it holds the networks afterwards.
        learner: Hyperparameters of how one task is learned.
        seed: Everything random follows from it.
        options: How training runs.
        recorder: Where curves and checkpoints go; by default nowhere.

    Raises:
        Interrupted: The recorder asked to stop.
        DivergedError: A loss or a parameter became NaN or infinite.
    """
    ids = [task.spec.id for task in tasks]
    if not ids or len(set(ids)) < len(ids):
        raise UsageError(f"A sequence needs at least one task, each with its own id; got {ids}.")
    options, recorder = options or TrainingOptions(), recorder or MemoryRecorder()
    training = _Training(tasks, method, learner, seed, options, recorder)
    with torch_threads(options.threads), torch.random.fork_rng(devices=[]):
        place = training.restore()
        for index in range(place.task, len(tasks)):
            training.learn(place if index == place.task else _Place(index))


@dataclass
class _Place:
    """Where in the sequence training stands."""

    task: int = 0
    segment: int = 0
    step: int = 0
    trainer: tuple[dict[str, torch.Tensor], dict[str, Any]] | None = None
    goal: dict[str, Any] | None = None

    @property
    def begun(self) -> bool:
        return self.trainer is not None


class _Training:
    """One run through a sequence."""

    def __init__(
        self,
        tasks: Sequence[Task],
        method: Method,
        learner: LearnerConfig,
        seed: int,
        options: TrainingOptions,
        recorder: Recorder,
    ) -> None:
        self._tasks = tasks
        self._ids = [task.spec.id for task in tasks]
        self._method = method
        self._config = learner
        self._seed = seed
        self._options = options
        self._recorder = recorder
        self._monitor = Monitor(
            tasks,
            method,
            recorder,
            seed=seed,
            device=options.device,
            episodes=options.test_episodes,
            patience=options.patience,
        )

    def restore(self) -> _Place:
        """Return to the newest checkpoint, or to the beginning."""
        found = self._recorder.load_checkpoint()
        if found is None:
            self._recorder.rewind(0)
            return _Place()
        tensors, meta = found
        if meta["tasks"] != self._ids:
            raise UsageError(
                f"The checkpoint belongs to the tasks {meta['tasks']}, not to {self._ids}; choose "
                "another output folder."
            )
        self._recorder.rewind(meta["rows"])
        if isinstance(self._method, Expecting):
            self._method.expect([task.spec for task in self._tasks])
        self._method.load_state(_under("method/", tensors), meta["method"])
        if meta["finished"]:
            return _Place(meta["task"] + 1)
        trainer = (_under("learner/", tensors), meta["learner"])
        if meta.get("monitor"):
            self._monitor.load_state(_under("best/", tensors), meta["monitor"])
        return _Place(meta["task"], meta["segment"], meta["step"], trainer, meta.get("goal"))

    def learn(self, place: _Place) -> None:
        """Learn one task, from its beginning or from a checkpoint within it."""
        task, options = self._tasks[place.task], self._options
        spec = task.spec
        compute = Compute.choose(spec, options.device, options.precision)
        if place.begun:
            network = self._method.network_for(spec.id)
        else:
            torch.manual_seed(derive(self._seed, "parameters", place.task))
            network = self._method.begin_task(spec)
        network.to(compute.device)
        network.train()
        curve = Curve(spec.id, place.task, options.curve_steps, place.step)
        clock = _Clock()
        goal = Goal(options.goal_episodes, options.goal_return)
        if place.goal is not None:
            goal.load_state(place.goal)
        over = False
        with self._config.trainer(
            task,
            network,
            self._method.penalty,
            compute,
            num_envs=options.num_envs,
            threads=options.threads,
        ) as trainer:
            if place.trainer is not None:
                trainer.load_state(*place.trainer)
            else:
                self._monitor.begin_task(place.task)
            while place.step < spec.steps and not over:
                trainer.reset(partial(self._stream, place.task, place.segment))
                end = min(spec.steps, (place.segment + 1) * options.segment_steps)
                while place.step < end and not over:
                    advance = self._advance(spec, place, trainer)
                    row = curve.add(advance.episodes, place.step)
                    over = goal.reached(advance.episodes)
                    if (place.step >= end or over) and row is None:
                        row = curve.close(place.step)
                    if row is not None:
                        self._recorder.append(row | _losses(advance.metrics))
                    if clock.due(place.step):
                        self._recorder.progress(_progress(spec, place, clock, curve))
                place.segment += 1
                place.goal = goal.state()
                if self._monitor.end_segment(place.task, place.step):
                    break
                if place.step < spec.steps and not over:
                    self._checkpoint(place, trainer, finished=False)
            if options.goal_episodes:
                self._recorder.append(_goal_row(spec, place, goal, over))
            self._method.end_task(trainer.samples(), trainer.likelihood)
            self._checkpoint(place, trainer, finished=True)

    def _stream(self, task: int, segment: int, name: str) -> int:
        """Seed of a random stream of a segment."""
        return derive(self._seed, name, task, segment)

    def _advance(self, spec: TaskSpec, place: _Place, trainer: Trainer) -> Advance:
        """Learn a bit, and make sure that it went well."""
        if self._recorder.should_stop():
            raise Interrupted(
                f"Stopped at step {place.step:,} of task {spec.id!r}; the last checkpoint is kept, "
                "and the same command goes on from it."
            )
        advance = trainer.advance()
        place.step += advance.steps
        metrics = advance.metrics
        if not bool(torch.stack(list(metrics.values())).isfinite().all()):
            losses = [name for name, value in metrics.items() if not math.isfinite(value)]
            raise _diverged(spec.id, place.step, losses)
        self._method.on_segment(advance.episodes)
        return advance

    def _checkpoint(self, place: _Place, trainer: Trainer, *, finished: bool) -> None:
        method_tensors, method_meta = self._method.state()
        broken = [name for name, value in method_tensors.items() if not value.isfinite().all()]
        if broken:
            raise _diverged(self._ids[place.task], place.step, broken)
        learner_tensors, learner_meta = trainer.state()
        monitor_meta: dict[str, Any] = {}
        tensors = {f"method/{name}": value for name, value in method_tensors.items()}
        if not finished:
            tensors |= {f"learner/{name}": value for name, value in learner_tensors.items()}
            best, monitor_meta = self._monitor.state()
            tensors |= {f"best/{name}": value for name, value in best.items()}
        meta = {
            "tasks": self._ids,
            "task": place.task,
            "segment": place.segment,
            "step": place.step,
            "finished": finished,
            "goal": place.goal,
            "rows": self._recorder.rows,
            "method": method_meta,
            "learner": learner_meta,
            "monitor": monitor_meta,
        }
        self._recorder.save_checkpoint(tensors, meta)


class _Clock:
    """Steps per second of late, and when to say so."""

    def __init__(self) -> None:
        self._time = time.perf_counter()
        self._step: int | None = None
        self.rate = 0.0

    def due(self, step: int) -> bool:
        now = time.perf_counter()
        if self._step is not None and now - self._time < 1.0:
            return False
        if self._step is not None:
            latest = (step - self._step) / (now - self._time)
            self.rate = latest if not self.rate else 0.8 * self.rate + 0.2 * latest
        self._time, self._step = now, step
        return True


def _progress(spec: TaskSpec, place: _Place, clock: _Clock, curve: Curve) -> Progress:
    return Progress(
        task=spec.id,
        task_index=place.task,
        step=place.step,
        total_steps=spec.steps,
        steps_per_second=clock.rate,
        recent_return=curve.recent_return,
    )


def _goal_row(spec: TaskSpec, place: _Place, goal: Goal, reached: bool) -> Row:
    return {
        "kind": "goal",
        "task": spec.id,
        "task_index": place.task,
        "step": place.step,
        "episodes": goal.episodes,
        "return_mean": goal.mean,
        "reached": reached,
    }


def _under(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def _losses(metrics: Metrics) -> dict[str, float]:
    return {f"loss/{name}": round(float(value), 6) for name, value in metrics.items()}


def _diverged(task: str, step: int, where: list[str]) -> DivergedError:
    return DivergedError(
        f"Training diverged at step {step:,} of task {task!r}: {', '.join(where)} became NaN or "
        "infinite. The last good checkpoint, if there is one, is kept; lower the learning rate or "
        "clip the gradient harder."
    )
