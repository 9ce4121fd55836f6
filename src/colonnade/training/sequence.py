"""The loop that joins tasks, a method and a learner; it can stop anywhere and go on exactly.

A task is learned in segments, at whose ends there are checkpoints and scores; nothing else happens
there, and nothing that is learned or measured depends on how long they are but those scores and
what is stopped by them. A checkpoint holds all
that training is in the middle of: random streams, optimiser, curve, and the episodes under way
(`colonnade.learners.acting.under_way` has how). Training that was cut off and taken up again goes
through the same numbers as training that never stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from colonnade.errors import UsageError
from colonnade.learners import (
    Compute,
    LearnerConfig,
    Lesson,
    Trainer,
    WorkerDiedError,
    WorkerLostError,
    torch_threads,
    under,
)
from colonnade.seeding import derive, kept_globals, seed_globals
from colonnade.training.monitoring import Monitor
from colonnade.training.options import TrainingOptions
from colonnade.training.recorder import MemoryRecorder, Recorder
from colonnade.training.visit import FORMAT, Checkpoint, Surroundings, Visit
from colonnade.types import Expecting, Method, Network, Task

_LOSSES = 3
"""Times that training returns to the same checkpoint when workers die; one more ends it."""


def train_sequence(
    tasks: Sequence[Task],
    method: Method,
    learner: LearnerConfig,
    *,
    seed: int = 0,
    options: TrainingOptions | None = None,
    recorder: Recorder | None = None,
    env_threads: int | None = None,
) -> None:
    """Learn tasks one after another, or go on where the recorder's checkpoint left off.

    Args:
        tasks: In the order of learning; ids must differ.
        method: How the sequence is learned; it holds the networks afterwards.
        learner: Hyperparameters of how one task is learned.
        seed: Everything random follows from it.
        options: How training runs.
        recorder: Where curves and checkpoints go; by default nowhere.
        env_threads: Threads for environments that can use several, on which no number depends; by
            default as many as for the network.

    Raises:
        Interrupted: The recorder asked to stop.
        DivergedError: A loss or a parameter became NaN or infinite.
        WorkerDiedError: Worker processes died again and again.
    """
    ids = [task.spec.id for task in tasks]
    if not ids or len(set(ids)) < len(ids):
        raise UsageError(f"A sequence needs at least one task, each with its own id; got {ids}.")
    options, recorder = options or TrainingOptions(), recorder or MemoryRecorder()
    monitor = Monitor(
        tasks,
        method,
        learner,
        recorder,
        seed=seed,
        device=options.device,
        episodes=options.test_episodes,
        patience=options.patience,
    )
    around = Surroundings(list(tasks), method, seed, options, recorder, monitor)
    training = _Training(around, learner, env_threads or options.threads)
    with torch_threads(options.threads), kept_globals():
        place = training.restore()
        while place.task < len(tasks):
            place = training.learn(place)


@dataclass(frozen=True)
class _Place:
    """Which task is next, and the checkpoint within it to go on from."""

    task: int = 0
    checkpoint: Checkpoint | None = None


class _Training:
    """One run through a sequence."""

    def __init__(self, around: Surroundings, learner: LearnerConfig, env_threads: int) -> None:
        self._around = around
        self._config = learner
        self._env_threads = env_threads
        self._losses: list[tuple[int, int]] = []

    def restore(self) -> _Place:
        """Return to the newest checkpoint, or to the beginning."""
        recorder, ids = self._around.recorder, [task.spec.id for task in self._around.tasks]
        found = recorder.load_checkpoint()
        if found is None:
            recorder.rewind(0)
            return _Place()
        meta = found[1]
        if meta["tasks"] != ids:
            raise UsageError(
                f"The checkpoint belongs to the tasks {meta['tasks']}, not to {ids}; choose "
                "another output folder."
            )
        if meta.get("format") != FORMAT:
            raise UsageError(
                "The checkpoint was made by an earlier version of Colonnade, which measured "
                "otherwise, so training can't go on from it; choose another output folder."
            )
        return self._return_to(found)

    def learn(self, place: _Place) -> _Place:
        """Learn a task.

        Returns:
            The place of the next one; or, where a worker was lost, the checkpoint to go on from.
        """
        method, task = self._around.method, self._around.tasks[place.task]
        if place.checkpoint is None:
            seed_globals(derive(self._around.seed, "parameters", place.task))
            network = method.begin_task(task.spec, self._config.outputs(task.spec))
        else:
            network = method.network_for(task.spec.id)
        visit = Visit(self._around, place.task, place.checkpoint)
        try:
            with self._trainer(visit, network) as trainer:
                restored = visit.run(trainer)
                if not restored:
                    visit.finish(trainer)
            if restored:  # what was trained is not what is kept
                with self._trainer(visit, method.network_for(task.spec.id)) as trainer:
                    trainer.begin(visit.stream)
                    visit.finish(trainer)
        except WorkerLostError as lost:
            return self._go_back(visit, lost)
        return _Place(place.task + 1)

    def _trainer(self, visit: Visit, network: Network) -> Trainer:
        options, task = self._around.options, visit.task
        seed_globals(visit.stream("constructors"))  # environments may draw while they are made
        compute = Compute.choose(task.spec, options.device, options.precision)
        network.to(compute.device)
        network.train()
        penalty = self._around.method.penalty
        lesson = Lesson(task, network, penalty, compute, options.num_envs, self._env_threads)
        return self._config.trainer(lesson)

    def _go_back(self, visit: Visit, lost: WorkerLostError) -> _Place:
        """Return to the checkpoint before a worker was lost, unless that happens for ever."""
        assert visit.last is not None
        step = visit.last[1]["step"]
        where = visit.last[1]["task"], step
        self._losses = [*(each for each in self._losses if each == where), where]
        if len(self._losses) > _LOSSES:
            raise WorkerDiedError(
                f"{lost} It is the {len(self._losses)}th death of a worker since step {step:,} "
                f"of task {visit.task.spec.id!r}; the last checkpoint is kept. Where memory ran "
                "out, use fewer workers or environments."
            ) from lost
        place = self._return_to(visit.last)
        self._around.recorder.note(
            f"{lost} Training went back to step {step:,} and goes through the same numbers again."
        )
        return place

    def _return_to(self, checkpoint: Checkpoint) -> _Place:
        tensors, meta = checkpoint
        self._around.recorder.rewind(meta["rows"])
        method = self._around.method
        if isinstance(method, Expecting):
            method.expect([task.spec for task in self._around.tasks])
        method.load_state(under("method/", tensors), meta["method"])
        if meta["finished"]:
            return _Place(meta["task"] + 1)
        return _Place(meta["task"], checkpoint)
