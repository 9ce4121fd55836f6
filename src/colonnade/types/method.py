"""How a sequence of tasks is learned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from colonnade.types.experience import Batch, Episode
from colonnade.types.network import Likelihood, Network
from colonnade.types.task import TaskSpec

Metrics = dict[str, Tensor]
"""Named scalars of an update, left on their device so that reading them is the caller's choice."""

Penalty = Callable[[], Tensor | None]
"""What a method adds to a learner's mean loss of a step or an example, or None for nothing."""


class Method(Protocol):
    """How a sequence of tasks is learned: which parameters exist, which move, what holds them."""

    def begin_task(self, spec: TaskSpec, outputs: int | None = None) -> Network:
        """Prepare for a task and return the `Network` to train on it.

        Args:
            spec: The task.
            outputs: How wide an output its learner needs; by default `spec.outputs`.
        """
        ...

    def penalty(self) -> Tensor | None:
        """Return what to add to the mean loss of a step or example now, or None for nothing."""
        ...

    def on_segment(self, episodes: list[Episode]) -> None:
        """Take note of the episodes that ended since the last call, between two updates."""
        ...

    def end_task(self, samples: Iterator[Batch], likelihood: Likelihood) -> None:
        """Consolidate what was learned.

        Args:
            samples: Endless fresh experience of the task just ended, collected as it is asked
                for; of a data set, its training examples again and again. A batch is valid until
                the next one is asked for.
            likelihood: What the output of the task's network means.
        """
        ...

    def network_for(self, task: str) -> Network:
        """Return the `Network` that plays `task`; never adds or changes a parameter."""
        ...

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return all that a checkpoint must keep: tensors by name, and JSON data."""
        ...

    def load_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Return to a state that `state` gave."""
        ...


@runtime_checkable
class Revisiting(Protocol):
    """A method that can go on with a task which it has learned before."""

    def revisit(self, spec: TaskSpec) -> Network | None:
        """Prepare to learn a task again, as `begin_task` does.

        Returns:
            The network to train; None where the task is played as it is, since nothing of what
            plays it may move any more.
        """
        ...


@runtime_checkable
class Counting(Protocol):
    """A method for which it matters how long a task has been learned."""

    def on_steps(self, steps: int) -> None:
        """Take note of agent steps, or examples, that were learned from since the last call."""
        ...


@runtime_checkable
class Expecting(Protocol):
    """A method that wants to know the tasks of the sequence before it returns to a state."""

    def expect(self, specs: Sequence[TaskSpec]) -> None:
        """Take note of the tasks to come."""
        ...
