"""Learning a task during one visit, from its beginning or from a checkpoint within it."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from colonnade.errors import NothingPlayedError
from colonnade.learners import Advance, Trainer, prefixed, under
from colonnade.seeding import derive, globals_state, load_globals_state, seed_globals
from colonnade.training.curves import Curve
from colonnade.training.goal import Goal
from colonnade.training.labels import Labels
from colonnade.training.memories import Memories
from colonnade.training.monitoring import Monitor
from colonnade.training.normalizing import normalization_of, normalizations
from colonnade.training.options import TrainingOptions
from colonnade.training.recorder import DivergedError, Interrupted, Progress, Recorder, Row
from colonnade.training.schedule import Visit, name_of
from colonnade.types import Counting, DatasetTask, Episode, Method, Metrics, Task
from colonnade.watching import beat

Checkpoint = tuple[dict[str, Tensor], dict[str, Any]]

FORMAT = 2
"""Of checkpoints; the first cut off the episodes under way and can't be gone on from."""


@dataclass(frozen=True)
class Surroundings:
    """What stays the same through a whole sequence."""

    tasks: tuple[Task, ...]
    schedule: tuple[Visit, ...]
    method: Method
    seed: int
    options: TrainingOptions
    recorder: Recorder
    monitor: Monitor
    memories: Memories
    labels: Labels

    def name_of(self, number: int) -> Row:
        """Return what every row says of a visit; its number only where a task comes back."""
        return name_of(self.tasks, self.schedule, number)


class Learning:
    """One visit to a task.

    Attributes:
        task: Which.
        steps: How many this visit may take.
        all_steps: How many all visits to the task may take together.
        last: The newest checkpoint in memory, where a trainer may have to return to one; its
            task's beginning is the first.
    """

    def __init__(self, around: Surroundings, number: int, checkpoint: Checkpoint | None) -> None:
        """Begin a visit of the schedule, or go on from a checkpoint within it."""
        self._around = around
        self._number = number
        self._index: int = around.name_of(number)["task_index"]
        self.task = around.tasks[self._index]
        self._spec = self.task.spec
        self.steps = around.schedule[number].steps
        own = [visit for visit in around.schedule if visit.task == self._spec.id]
        self.all_steps = sum(visit.steps for visit in own)
        self._returns = any(v.task == self._spec.id for v in around.schedule[number + 1 :])
        self._checkpoint = checkpoint
        self.last = checkpoint
        self._step = 0
        # A stay is a part of a visit that is learned under one id, by one trainer.
        self._stay: int = checkpoint[1].get("stay", 0) if checkpoint else 0
        self._stay_step: int = checkpoint[1].get("stay_step", 0) if checkpoint else 0
        self._labels = around.labels
        options = around.options
        labelled = isinstance(self.task, DatasetTask)
        self._curve = Curve(
            around.name_of(number),
            options.curve_steps,
            self.steps,
            1 if labelled else options.num_envs,
        )
        self._goal = Goal(options.goal_episodes, options.goal_return)
        self._over = False
        self._clock = _Clock()

    def stream(self, name: str) -> int:
        """Seed of a random stream of this visit, or of a later stay in it."""
        later = (self._stay,) if self._stay else ()
        return derive(self._around.seed, name, self._number, *later)

    def run(self, trainer: Trainer) -> bool:
        """Learn until the budget is spent, the goal is reached or the score has fallen.

        Where contexts are recognised, also until another one is; see `leave`.

        Returns:
            Whether the method went back to its best state, with other networks than the trainer's.
        """
        options, monitor = self._around.options, self._around.monitor
        self._begin(trainer)
        while self._step < self.steps and not self._over and not self._labels.switched:
            end = (self._step // options.segment_steps + 1) * options.segment_steps
            while self._step < min(end, self.steps) and not self._over:
                self._advance(trainer)
                if self._labels.switched and self._step < min(end, self.steps):
                    return False
            if self._step >= self.steps or self._over:
                self._append(self._curve.close(self._step), {})
            if monitor.end_segment(self._number, self._step):
                self._append(self._curve.close(self._step), {})
                return True
            if self._step < self.steps and not self._over:
                self._save(trainer)
        return False

    @property
    def over(self) -> bool:
        """Whether the visit's steps are taken."""
        return self._step >= self.steps

    def leave(self, trainer: Trainer) -> None:
        """End what the trainer did: consolidate the context, if another one is recognised.

        What was remembered since the last verdict for it is forgotten first: it may be of another
        task. At the end of the schedule the context that is learned then is consolidated too.
        """
        labels, ended = self._labels, self._labels.current
        last = self.over and self._number == len(self._around.schedule) - 1
        if not labels.switched and not last:
            return
        learned, late = labels.learns, 0
        if labels.switched:
            late = labels.move_on(last=last)
        if labels.current != ended:
            self._around.recorder.append(
                {
                    "kind": "switch",
                    **self._around.name_of(self._number),
                    "step": self._step,
                    "context": labels.current,
                    "before": ended,
                }
            )
        if learned:
            self._around.memories.forget(late)
            self._consolidate(trainer)
        self._around.memories.close()
        self._stay, self._stay_step = self._stay + 1, self._step

    def close(self) -> None:
        """Keep where a visit's end has left everything, where contexts are recognised."""
        self._note_episodes()
        self._append_counts()
        tensors, meta = self._content()
        self._around.recorder.save_checkpoint(tensors, meta | {"finished": True})

    def finish(self, trainer: Trainer) -> None:
        """Let the method consolidate what was learned, and keep that."""
        if self._around.options.goal_episodes:
            self._around.recorder.append(self._goal_row())
        self._note_episodes()
        if (normalization := normalization_of(self.task)) is not None:
            normalization.frozen = True  # with the network that has learned to read it
        self._consolidate(trainer)
        self._around.memories.close(keep=self._returns)
        tensors, meta = self._content()
        self._around.recorder.save_checkpoint(tensors, meta | {"finished": True})

    def _note_episodes(self) -> None:
        if not self._curve.episodes:
            self._around.recorder.note(
                f"No episode of task {self._spec.id!r} ended within its {self._step:,} steps, so "
                "that it has no score; give it more steps, or use fewer environments."
            )

    def _consolidate(self, trainer: Trainer) -> None:
        samples = trainer.samples()
        try:
            self._around.method.end_task(samples, trainer.likelihood)
        except NothingPlayedError as error:
            # A context that was recognised for a moment, and by mistake, ends no run.
            if self._labels.told:
                raise
            self._around.recorder.note(str(error))
        finally:
            samples.close()

    def skip(self) -> None:
        """Pass by a visit in which nothing may move: score the tasks, train nothing."""
        self._around.recorder.note(
            f"Task {self._spec.id!r} came back; it is played as it was learned before, and nothing "
            f"is trained in visit {self._number + 1}."
        )
        self._around.monitor.begin_visit(self._number)
        tensors, meta = self._content()
        self._around.recorder.save_checkpoint(tensors, meta | {"finished": True})

    def _begin(self, trainer: Trainer) -> None:
        seed_globals(self.stream("learning"))
        checkpoint, self._checkpoint = self._checkpoint, None
        if checkpoint is None and not self._stay:
            self._around.monitor.begin_visit(self._number)
            self._remember(trainer, None)
        trainer.begin(self.stream)
        if checkpoint is None or checkpoint[1]["learner"] is None:
            return
        tensors, meta = checkpoint
        self._step = meta["step"]
        self._curve.load_state(meta["curve"])
        self._goal.load_state(meta["goal"])
        self._around.monitor.load_state(under("best/", tensors), meta["monitor"])
        trainer.load_state(under("learner/", tensors), meta["learner"])
        load_globals_state(meta["random"])

    def _advance(self, trainer: Trainer) -> None:
        """Learn a bit, and make sure that it went well."""
        recorder = self._around.recorder
        if recorder.should_stop():
            raise Interrupted(
                f"Stopped at step {self._step:,} of task {self._spec.id!r}; the last checkpoint is "
                "kept, and the same command goes on from it."
            )
        beat()
        advance = trainer.advance()
        self._step += advance.steps
        for note in advance.notes:
            recorder.note(note)
        _check(self._spec.id, self._step, advance)
        episodes = [e._replace(step=e.step + self._stay_step) for e in advance.episodes]
        if self._labels.learns:
            self._tell_method(episodes, advance.steps)
        self._labels.check_watched(trainer)
        for note in self._labels.notes():
            recorder.note(note)
        self._append(self._curve.add(episodes, self._step), advance.metrics)
        self._over = self._goal.reached(episodes)
        if self._clock.due(self._step):
            recorder.progress(self._progress())

    def _tell_method(self, episodes: list[Episode], steps: int) -> None:
        method = self._around.method
        method.on_segment(episodes)
        if isinstance(method, Counting):
            method.on_steps(steps)

    def _append_counts(self) -> None:
        """Write how many verdicts there were for each context since the last time."""
        if counts := self._labels.counts():
            name = self._around.name_of(self._number)
            self._around.recorder.append(
                {"kind": "contexts", **name, "step": self._step, "counts": counts}
            )

    def _append(self, rows: list[Row], metrics: Metrics) -> None:
        losses = {f"loss/{name}": round(float(value), 6) for name, value in metrics.items()}
        for row in rows:
            self._around.recorder.append(row | losses)

    def _save(self, trainer: Trainer) -> None:
        self._append_counts()
        learner, learner_meta = trainer.state()  # first: it may begin episodes, which is remembered
        tensors, meta = self._content()
        best, monitor = self._around.monitor.state()
        tensors |= prefixed("learner/", learner) | prefixed("best/", best)
        meta |= {
            "finished": False,
            "learner": learner_meta,
            "monitor": monitor,
            "goal": self._goal.state(),
            "curve": self._curve.state(),
            "random": globals_state(),
            **({"stay": self._stay, "stay_step": self._stay_step} if self._stay else {}),
        }
        self._around.recorder.save_checkpoint(tensors, meta)
        self._remember(trainer, (tensors, meta))

    def _remember(self, trainer: Trainer, checkpoint: Checkpoint | None) -> None:
        """Keep a copy of a checkpoint, or of the task's beginning, if it may be returned to."""
        if not trainer.may_lose_workers:
            return
        tensors, meta = checkpoint or self._content()
        copied = {name: value.detach().clone() for name, value in tensors.items()}
        meta = copy.deepcopy(meta)
        self.last = copied, meta if checkpoint else meta | {"finished": False, "learner": None}

    def _content(self) -> Checkpoint:
        """Return what every checkpoint holds: the method, and where training stands."""
        tensors, meta = self._around.method.state()
        broken = [name for name, value in tensors.items() if not value.isfinite().all()]
        if broken:
            raise _diverged(self._spec.id, self._step, broken)
        kept, memories = self._around.memories.state()
        labels, contexts = self._labels.state()
        tensors = prefixed("method/", tensors) | prefixed("memory/", kept)
        tensors |= normalizations(self._around.tasks)
        return tensors | prefixed("labels/", labels), {
            "format": FORMAT,
            "tasks": [task.spec.id for task in self._around.tasks],
            "schedule": [[visit.task, visit.steps] for visit in self._around.schedule],
            "visit": self._number,
            "step": self._step,
            "rows": self._around.recorder.rows,
            "method": meta,
            **({"memories": memories} if memories else {}),
            **({"labels": contexts} if contexts else {}),
        }

    def _progress(self) -> Progress:
        return Progress(
            task=self._spec.id,
            task_index=self._index,
            step=self._step,
            total_steps=self.steps,
            steps_per_second=self._clock.rate,
            recent_return=self._curve.recent_return,
            visit=self._number,
        )

    def _goal_row(self) -> Row:
        return {
            "kind": "goal",
            **self._around.name_of(self._number),
            "step": self._step,
            "episodes": self._goal.episodes,
            "return_mean": self._goal.mean,
            "reached": self._over,
        }


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


def _check(task: str, step: int, advance: Advance) -> None:
    metrics = advance.metrics
    if metrics and not bool(torch.stack(list(metrics.values())).isfinite().all()):
        raise _diverged(task, step, [n for n, value in metrics.items() if not math.isfinite(value)])


def _diverged(task: str, step: int, where: list[str]) -> DivergedError:
    return DivergedError(
        f"Training diverged at step {step:,} of task {task!r}: {', '.join(where)} became NaN or "
        "infinite. The last good checkpoint, if there is one, is kept; lower the learning rate or "
        "clip the gradient harder."
    )
