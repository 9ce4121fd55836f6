"""What training asks of a learner's configuration: a trainer, which learns one task bit by bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from colonnade.learners.compute import Compute
from colonnade.types import Batch, Distribution, Episode, Metrics, Network, Penalty, Task

Streams = Callable[[str], int]
"""Gives the seed of each named random stream."""


class Advance(NamedTuple):
    """What a bit of training came to.

    Attributes:
        steps: Agent steps or examples.
        metrics: Of the update.
        episodes: That ended meanwhile.
    """

    steps: int
    metrics: Metrics
    episodes: list[Episode]


class Trainer(Protocol):
    """Learns one task: where experience comes from, and what learns from it; a context."""

    def __enter__(self) -> Trainer:
        """Return the trainer."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close environments and end processes."""
        ...

    def reset(self, streams: Streams) -> None:
        """Begin afresh in all but what was learned: new episodes, newly seeded random streams."""
        ...

    def advance(self) -> Advance:
        """Gather some experience and learn from it."""
        ...

    def samples(self) -> Iterator[Batch]:
        """Yield endless experience without learning; a batch is valid until the next."""
        ...

    def likelihood(self, output: Tensor) -> Distribution:
        """Return what the network's output [..., outputs] means."""
        ...

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return what a checkpoint must keep beside the network: tensors by name, JSON data."""
        ...

    def load_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Return to a state that `state` gave."""
        ...


class LearnerConfig(Protocol):
    """A learner's hyperparameters, and how to train with them."""

    def trainer(
        self,
        task: Task,
        network: Network,
        penalty: Penalty,
        compute: Compute,
        *,
        num_envs: int = 16,
        threads: int = 1,
    ) -> Trainer:
        """Prepare to train the network's parameters that require gradients on a task.

        Args:
            task: What to learn; what kind of task it must be is the learner's choice.
            network: Already on its device.
            penalty: Added, at each gradient step, to the mean loss of a step or example.
            compute: Where and in which precision.
            num_envs: Environments stepped side by side.
            threads: Threads that step them, where they can use several.

        Raises:
            UsageError: The learner can't learn such a task.
        """
        ...
