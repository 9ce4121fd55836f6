"""Under which task id everything is learned: the true one, or the context that is recognised.

A context is a task id. Where a recogniser finds contexts, it looks at what the first environment
shows after each step; between two updates training asks whether its verdict has changed, ends the
context that was learned until then and begins, or goes on with, the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

import numpy as np
from torch import Tensor

from colonnade.errors import UsageError
from colonnade.learners import Watch
from colonnade.recognition import RecogniserConfig, TrueLabels
from colonnade.seeding import derive, generator, kept_globals
from colonnade.types import DatasetTask, EnvironmentTask, Task, environments_of

FIRST = "context-0"
"""Under this id learning begins, before there is a verdict."""

_PROBE, _PROBE_EVERY = 64, 4
"""Random steps by whose pictures a test says what it is in, and how many lie between two."""


def contexts_held(what: str) -> UsageError:
    """Say that contexts would be taken for those of an earlier run, which have the same ids.

    Args:
        what: What holds those of the earlier one.
    """
    return UsageError(
        f"{what} holds {FIRST!r} already, a context that an earlier run recognised; which task it "
        "stands for isn't known to this run. Start from a run whose tasks were told, or use true "
        "labels."
    )


class Labels:
    """Says under which id is learned and played.

    Attributes:
        told: Whether the true ids are given, so that everything below stands still.
        current: The context that is learned.
        begun: All contexts that a method has begun, in order.
        learns: Whether anything may move in the current one; else it is only played.
        entered: Whether the method was told of the current one.
    """

    def __init__(self, config: RecogniserConfig, tasks: Sequence[Task], seed: int) -> None:
        """Begin before the first verdict.

        Raises:
            UsageError: The recogniser can't tell such tasks apart, or contexts of such tasks can't
                stand for each other.
        """
        self.told = isinstance(config, TrueLabels)
        self._seed = seed
        self.current = FIRST
        self.begun: list[str] = []
        self.learns, self.entered = True, False
        self._verdict = FIRST
        self._late = 0  # steps since the last verdict for the current context
        self._seen = 0
        self._counts: dict[str, int] = {}
        if not self.told:
            check_alike(tasks, "Where contexts are recognised")
        self._recogniser = config.build([task.spec for task in tasks])

    def id_of(self, task: Task) -> str:
        """Return the id under which a task is learned now."""
        return task.spec.id if self.told else self.current

    def watch(self, task: Task) -> Watch | None:
        """Return what looks at each step's observation of the first environment."""
        if self.told:
            return None
        true = task.spec.id

        def look(observation: Any) -> None:
            self._seen += 1
            self._late += 1
            verdict = self._recogniser.observe(observation, true)
            if verdict is None:
                return
            self._counts[verdict] = self._counts.get(verdict, 0) + 1
            self._verdict = verdict
            if verdict == self.current:
                self._late = 0

        return look

    def check_watched(self, learner: object) -> None:
        """Refuse a learner that shows nobody what its environments show."""
        if not self.told and not self._seen:
            raise UsageError(
                f"The learner {type(learner).__name__} does not call its lesson's `watch`, so that "
                "contexts can't be recognised; call it after each step, or use true labels."
            )

    @property
    def switched(self) -> bool:
        """Whether the last verdict is another context than the one that is learned."""
        return not self.told and self._verdict != self.current

    def move_on(self, *, last: bool = False) -> int:
        """Take the last verdict's context for the current one.

        Args:
            last: Whether nothing will be learned any more, so that a context that no method has
                begun never will be: the current one then stays.

        Returns:
            Steps of each environment since the last verdict for the old one: the newest of what it
            remembers, which may be of another task.
        """
        late, self._late = self._late, 0
        if not last or self._verdict in self.begun:
            self.current, self.entered = self._verdict, False
        return late

    def counts(self) -> dict[str, int]:
        """Return how many verdicts there were for each context since the last call."""
        counts, self._counts = self._counts, {}
        return counts

    def notes(self) -> list[str]:
        """Return what a user should know, once."""
        notes, self._recogniser.notes = list(self._recogniser.notes), []
        return notes

    def player_of(self, task: Task) -> str:
        """Return the id under which a task is played; of pictures alone, learning nothing."""
        if self.told:
            return task.spec.id
        found = self._recogniser.identify(_probe(task, self._seed), task.spec.id)
        return found if found in self.begun else self.current

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return all that a checkpoint must keep; nothing where the true ids are given."""
        if self.told:
            return {}, {}
        tensors, recogniser = self._recogniser.state()
        return tensors, {
            "recogniser": recogniser,
            "current": self.current,
            "begun": list(self.begun),
            "learns": self.learns,
            "entered": self.entered,
            "verdict": self._verdict,
            "late": self._late,
            "seen": self._seen,
            "counts": dict(self._counts),
        }

    def load_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Return to a state that `state` gave."""
        if self.told:
            return
        self._recogniser.load_state(tensors, meta["recogniser"])
        self.current, self.begun = meta["current"], list(meta["begun"])
        self.learns, self.entered = meta["learns"], meta["entered"]
        self._verdict, self._late, self._seen = meta["verdict"], meta["late"], meta["seen"]
        self._counts = dict(meta["counts"])


def check_alike(tasks: Sequence[Task], where: str) -> None:
    """Refuse tasks of which one's network can't play another.

    Raises:
        UsageError: They have no environments, or other actions or observations.
    """
    first = tasks[0].spec
    for task in tasks:
        spec = task.spec
        if isinstance(task, DatasetTask):
            raise UsageError(
                f"{where}, tasks need environments, but task {spec.id!r} is a data set; leave it "
                "out, or use true labels."
            )
        if (spec.action_space, spec.input_shapes) != (first.action_space, first.input_shapes):
            raise UsageError(
                f"{where}, they need the same actions and observations, but {first.id!r} has "
                f"{first.action_space} and {first.input_shapes}, and {spec.id!r} "
                f"{spec.action_space} and {spec.input_shapes}; bring them to one form (Atari: "
                "full_action_space)."
            )


def _probe(task: Task, seed: int) -> list[Any]:
    """Play at random in an environment of its own, and return some of what it shows."""
    one: EnvironmentTask = environments_of(task)
    stream = derive(seed, "probe", task.spec.id)
    draw, actions = generator(stream), task.spec.actions
    shown = []
    with kept_globals(derive(stream, "globals")), closing(one.make_vec(1)) as envs:
        envs.reset(seed=stream)
        for step in range(1, _PROBE + 1):
            chosen = actions.random(1, draw).numpy()
            observations = envs.step(actions.sent(chosen))[0]
            if step % _PROBE_EVERY == 0:
                shown.append(first_of(observations))
    return shown


def first_of(observations: Any) -> Any:
    """Return a copy of what the first of several environments shows."""
    if isinstance(observations, dict):
        return {name: np.array(value[0]) for name, value in observations.items()}
    return np.array(observations[0])
