"""The loop that joins tasks, a method and a learner; it can stop anywhere and go on exactly.

A task is learned in segments, at whose ends there are checkpoints and scores; nothing else happens
there, and nothing that is learned or measured depends on how long they are but those scores and
what is stopped by them. A checkpoint holds all
that training is in the middle of: random streams, optimiser, curve, and the episodes under way
(`colonnade.learners.acting.under_way` has how). Training that was cut off and taken up again goes
through the same numbers as training that never stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

from colonnade.allocation import keep_memory
from colonnade.checks import ANY, having, whole
from colonnade.errors import UsageError
from colonnade.learners import (
    Compute,
    Demanding,
    LearnerConfig,
    Lesson,
    Trainer,
    WorkerDiedError,
    WorkerLostError,
    torch_threads,
    under,
)
from colonnade.learners.compute import device_for
from colonnade.methods import ColumnMethod, PathMethod
from colonnade.networks.initialisation import undrawn
from colonnade.recognition import RecogniserConfig, TrueLabels
from colonnade.records import shown
from colonnade.seeding import derive, kept_globals, seed_globals
from colonnade.training.evaluation import EPISODE_LIMIT
from colonnade.training.labels import FIRST, Labels, check_alike, contexts_held
from colonnade.training.learning import FORMAT, Checkpoint, Learning, Surroundings
from colonnade.training.memories import Memories
from colonnade.training.monitoring import Monitor
from colonnade.training.normalizing import (
    begin_normalizing,
    check_normalized,
    restore_normalization,
)
from colonnade.training.options import TrainingOptions
from colonnade.training.playing import Playing
from colonnade.training.recorder import MemoryRecorder, Recorder
from colonnade.training.schedule import Visit, check_tasks, checked, so_far
from colonnade.types import (
    DatasetTask,
    Expecting,
    Method,
    Network,
    Revisiting,
    Task,
    TaskSpec,
    has_split,
)

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
    schedule: Sequence[Visit] | None = None,
    evaluation_limit: int = EPISODE_LIMIT,
    labels: RecogniserConfig | None = None,
) -> Callable[[Task], str]:
    """Learn tasks one after another, or go on where the recorder's checkpoint left off.

    Args:
        tasks: In the order of learning, if there is no schedule; ids must differ.
        method: How the sequence is learned; it holds the networks afterwards.
        learner: Hyperparameters of how one task is learned.
        seed: Everything random follows from it.
        options: How training runs.
        recorder: Where curves and checkpoints go; by default nowhere.
        env_threads: Threads for environments that can use several, on which no number depends; by
            default as many as for the network.
        schedule: Visits to the tasks, which may come back: what a method does then is its
            `revisit`. By default each task is visited once, for its own budget.
        evaluation_limit: Agent steps that an episode may last where `test_episodes` and `patience`
            ask for scores.
        labels: How the learner knows which task it is in; by default it is told (`TrueLabels`).
            Otherwise contexts that are recognised (`ForgetMeNot`) take the place of task ids, and
            nothing of when tasks change is told.

    Returns:
        What says under which id a method plays a task (`network_for`): its own; where contexts are
        recognised, the one that the task's pictures are taken for.

    Raises:
        UsageError: The tasks or the schedule can't be learned.
        Interrupted: The recorder asked to stop.
        DivergedError: A loss or a parameter became NaN or infinite.
        WorkerDiedError: Worker processes died again and again.
    """
    where = "of train_sequence"
    check_tasks(tasks, where)
    having(f"method {where}", method, "a method", "begin_task", "network_for", "state")
    having(f"learner {where}", learner, "a learner's configuration", "trainer", "outputs")
    seed = whole(f"seed {where}", seed, ANY)
    evaluation_limit = whole(f"evaluation_limit {where}", evaluation_limit)
    if env_threads is not None:
        env_threads = whole(f"env_threads {where}", env_threads)
    if not isinstance(options, TrainingOptions | None):
        raise UsageError(f"options {where} must be TrainingOptions; got {shown(options)}.")
    if recorder is not None:
        kind = "a recorder, such as MemoryRecorder()"
        having(f"recorder {where}", recorder, kind, "append", "save_checkpoint", "load_checkpoint")
    if labels is not None:
        having(f"labels {where}", labels, "a recogniser's configuration", "build")
    visits = checked(schedule, tasks, method)
    options, recorder = options or TrainingOptions(), recorder or MemoryRecorder()
    contexts = Labels(labels or TrueLabels(), tasks, seed)
    if not contexts.told:
        _check_untold(method, options)
    if isinstance(learner, Demanding):
        for task in tasks:
            steps = sum(visit.steps for visit in visits if visit.task == task.spec.id)
            learner.check(replace(task.spec, steps=steps), options.num_envs)
    check_normalized(tasks, learner, options, told=contexts.told)
    if options.patience:
        for task in tasks:
            if isinstance(task, DatasetTask) and not has_split(task, "validation"):
                raise UsageError(
                    f"Early stopping (patience) goes by validation examples, and task "
                    f"{task.spec.id!r} has none; give DataTask(validation=...)."
                )
    if options.test_unseen:
        check_alike(tasks, "Where tasks are tested before they are visited")
    if contexts.told:
        _check_beginnings(tasks, visits, method, learner)
    monitor = Monitor(
        tasks,
        visits,
        method,
        learner,
        recorder,
        seed=seed,
        device=device_for(learner, options.device),
        episodes=options.test_episodes,
        patience=options.patience,
        limit=evaluation_limit,
        labels=contexts,
        unseen=options.test_unseen,
        precision=options.precision,
    )
    memories = Memories(learner)
    around = Surroundings(
        tuple(tasks), visits, method, seed, options, recorder, monitor, memories, contexts
    )
    training = _Training(around, learner, env_threads or options.threads)
    keep_memory()
    with torch_threads(options.threads), kept_globals():
        place = training.restore()
        while place.visit < len(visits):
            place = training.learn(place)
    return contexts.player_of


def _check_beginnings(
    tasks: Sequence[Task], visits: Sequence[Visit], method: Method, learner: LearnerConfig
) -> None:
    """Let a copy of the method begin all tasks, so that none is learned before another is refused.

    A method that is none of ours may do more than that when a task begins, and is left alone.

    Raises:
        UsageError: The networks do not fit a task.
    """
    specs = {task.spec.id: task.spec for task in tasks}
    order = dict.fromkeys(visit.task for visit in visits)
    if len(order) < 2 or not isinstance(method, ColumnMethod | PathMethod):
        return
    with undrawn(), kept_globals():
        try:
            copied = deepcopy(method)
        except Exception:  # a module of a user's own need not bear it
            return
        for name in order:
            copied.begin_task(specs[name], learner.outputs(specs[name]))


def _check_untold(method: Method, options: TrainingOptions) -> None:
    """Refuse what can't be done where nobody says when tasks change."""
    if not isinstance(method, Revisiting):
        raise UsageError(
            f"A context may come back at any time, but {type(method).__name__} does not say what "
            "it does then; give it a method `revisit(spec)` (`colonnade.types.Revisiting`), or use "
            "true labels."
        )
    held = (getattr(method, name, None) or () for name in ("columns", "tasks"))
    if any(FIRST in tasks for tasks in held):
        raise contexts_held(type(method).__name__)
    for name in ("patience", "goal_episodes"):
        if getattr(options, name):
            raise UsageError(
                f"{name} ends a task early, but where contexts are recognised nobody says which "
                "task it is; leave it out, or use true labels."
            )


@dataclass(frozen=True)
class _Place:
    """Which visit is next, and the checkpoint within it to go on from."""

    visit: int = 0
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
        begin_normalizing(self._around.tasks)
        names = [visit.task for visit in self._around.schedule]
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
        if [name for name, _ in meta.get("schedule", zip(ids, ids, strict=True))] != names:
            raise UsageError(
                "The checkpoint belongs to another schedule of the same tasks; choose another "
                "output folder."
            )
        if bool(meta.get("labels")) == self._around.labels.told:
            raise UsageError(
                "The checkpoint belongs to training with "
                + ("recognised" if meta.get("labels") else "true")
                + " labels; choose another output folder."
            )
        if meta.get("format") != FORMAT:
            raise UsageError(
                "The checkpoint was made by an earlier version of Colonnade, which measured "
                "otherwise, so training can't go on from it; choose another output folder."
            )
        return self._return_to(found)

    def learn(self, place: _Place) -> _Place:
        """Go through a visit.

        Returns:
            The place of the next one; or, where a worker was lost, the checkpoint to go on from.
        """
        learning = Learning(self._around, place.visit, place.checkpoint)
        if not self._around.labels.told:
            return self._follow(learning, place)
        network = self._network(place, learning.task.spec)
        try:
            if network is None:
                learning.skip()
                return _Place(place.visit + 1)
            with self._trainer(learning, network) as trainer:
                restored = learning.run(trainer)
                if not restored:
                    learning.finish(trainer)
            if restored:  # what was trained is not what is kept
                kept = self._around.method.network_for(learning.task.spec.id)
                with self._trainer(learning, kept) as trainer:
                    trainer.begin(learning.stream)
                    learning.finish(trainer)
        except WorkerLostError as lost:
            return self._go_back(learning, lost)
        return _Place(place.visit + 1)

    def _follow(self, learning: Learning, place: _Place) -> _Place:
        """Go through a visit of which nobody tells, learning whatever context is recognised."""
        while not learning.over:
            network = self._context(learning)
            with self._trainer(learning, network) as trainer:
                learning.run(trainer)
                learning.leave(trainer)
        learning.close()
        return _Place(place.visit + 1)

    def _context(self, learning: Learning) -> Network:
        """Return the network of the current context, which begins or comes back if it is new."""
        method, labels = self._around.method, self._around.labels
        spec = replace(learning.task.spec, id=labels.current)
        if not labels.entered:
            labels.entered = True
            seed_globals(learning.stream("parameters"))
            if spec.id in labels.begun:
                assert isinstance(method, Revisiting)
                labels.learns = method.revisit(spec) is not None
            else:
                labels.begun.append(spec.id)
                labels.learns = True
                return method.begin_task(spec, self._config.outputs(spec))
        return method.network_for(spec.id)

    def _network(self, place: _Place, spec: TaskSpec) -> Network | None:
        """Return what a visit trains, or None where nothing may move any more."""
        around = self._around
        if place.checkpoint is not None:
            return around.method.network_for(spec.id)
        seed_globals(derive(around.seed, "parameters", place.visit))
        if spec.id not in so_far(around.schedule, place.visit - 1):
            return around.method.begin_task(spec, self._config.outputs(spec))
        assert isinstance(around.method, Revisiting)  # as `checked` made sure
        return around.method.revisit(spec)

    def _trainer(self, learning: Learning, network: Network) -> Trainer:
        options, task = self._around.options, learning.task
        seed_globals(learning.stream("constructors"))  # environments may draw while they are made
        device = device_for(self._config, options.device)
        compute = Compute.choose(task.spec, device, options.precision)
        network.to(compute.device)
        network.train()
        penalty, labels = self._around.method.penalty, self._around.labels
        lesson = Lesson(
            task,
            network,
            penalty,
            compute,
            options.num_envs,
            self._env_threads,
            learning.steps,
            learning.all_steps,
            told=labels.told,
            watch=labels.watch(task),
        )
        if not labels.learns:
            return Playing(self._config, lesson)
        if not labels.told:  # how long a context will last, nobody knows
            every = sum(visit.steps for visit in self._around.schedule)
            lesson = replace(lesson, steps=every, all_steps=every)
        memory = self._around.memories.of(labels.id_of(task), lesson)
        return self._config.trainer(replace(lesson, memory=memory))

    def _go_back(self, learning: Learning, lost: WorkerLostError) -> _Place:
        """Return to the checkpoint before a worker was lost, unless that happens for ever."""
        assert learning.last is not None
        step = learning.last[1]["step"]
        where = learning.last[1]["visit"], step
        self._losses = [*(each for each in self._losses if each == where), where]
        if len(self._losses) > _LOSSES:
            raise WorkerDiedError(
                f"{lost} It is the {len(self._losses)}th death of a worker since step {step:,} "
                f"of task {learning.task.spec.id!r}; the last checkpoint is kept. Where memory ran "
                "out, use fewer workers or environments."
            ) from lost
        place = self._return_to(learning.last)
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
        for task in self._around.tasks:
            restore_normalization(task, tensors)
        self._around.memories.load_state(under("memory/", tensors), meta.get("memories", {}))
        self._around.labels.load_state(under("labels/", tensors), meta.get("labels", {}))
        visit = meta["visit"] if "visit" in meta else meta["task"]  # before tasks could come back
        return _Place(visit + 1) if meta["finished"] else _Place(visit, checkpoint)
