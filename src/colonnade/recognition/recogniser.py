"""What training asks of a recogniser.

A context is a task id: methods keep columns, paths and penalties by id and never learn where ids
come from. The loop that joins them is in outline::

    recogniser = config.build([task.spec for task in tasks])  # refuses tasks it can't tell apart
    while stepping:                                           # every agent step:
        found = recogniser.observe(newest_of_environment_0, task.spec.id)
        if found not in (None, context):                      # None: no verdict in this step
            ...                                               # `context` ends and `found` begins

and where an episode is only played, `recogniser.identify(frames, task.spec.id)` says which network
should play it, without learning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray
from torch import Tensor

from colonnade.types import TaskSpec

Observation = Mapping[str, Any] | NDArray[Any] | Tensor
"""What one environment shows in one step, without an axis N: one array, or several by name."""


class Recogniser(Protocol):
    """Says which context an agent is in.

    Until its first verdict everything is learned under "context-0": where the first task is to be
    learned without a break, that is the name of the context which is found first.

    Attributes:
        contexts: Known so far, in the order in which they were found.
        current: Of the last verdict; None before the first.
        notes: What a user should know of what happened, one sentence each.
    """

    notes: list[str]

    @property
    def contexts(self) -> tuple[str, ...]:
        """See above."""
        ...

    @property
    def current(self) -> str | None:
        """See above."""
        ...

    def observe(self, observation: Observation, true: str) -> str | None:
        """Look at what one environment shows after a step, and learn from it.

        Always of the same environment, once an agent step.

        Args:
            observation: Of one environment; of a stack of frames the newest counts.
            true: The task's own id, which only true labels read.

        Returns:
            The context, where there is a verdict; None in most steps.
        """
        ...

    def identify(self, observations: Sequence[Observation], true: str) -> str | None:
        """Say which known context observations come from, and learn nothing.

        Args:
            observations: Of one environment, one or more.
            true: As for `observe`.

        Returns:
            The context; None where none is known yet.
        """
        ...

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return all that a checkpoint must keep: tensors by name, and JSON data."""
        ...

    def load_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Go on exactly where `state` was called."""
        ...


class RecogniserConfig(Protocol):
    """How contexts are told apart."""

    def build(self, specs: Sequence[TaskSpec]) -> Recogniser:
        """Make a recogniser for a run's tasks.

        Raises:
            UsageError: It can't tell such tasks apart.
        """
        ...
