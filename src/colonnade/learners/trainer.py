"""What is asked of a learner: how its networks act, what they mean, and to train one of them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from colonnade.learners.compute import Compute
from colonnade.types import (
    Batch,
    Distribution,
    Episode,
    Inputs,
    Metrics,
    Network,
    Penalty,
    State,
    Task,
    TaskSpec,
)

Streams = Callable[[str], int]
"""Gives the seed of each named random stream."""


class Decision(NamedTuple):
    """What a policy does at one step of N environments."""

    actions: Tensor
    """[N, A] int64, or float32 where they are numbers."""
    log_probs: Tensor
    """[N]."""
    values: Tensor
    """[N]."""
    state: State


Policy = Callable[[Inputs, State], Decision]


class Acted(NamedTuple):
    """What a policy does at one step of N environments, before it is judged."""

    actions: Tensor
    """[N, A] int64, or float32 where they are numbers."""
    output: Tensor
    """[N, K], by which they can be judged."""
    state: State


@runtime_checkable
class Deferring(Protocol):
    """A `Policy` that can act first and judge many steps at once later, with the same numbers."""

    def __call__(self, inputs: Inputs, state: State) -> Decision:
        """Act and judge."""
        ...

    def act(self, inputs: Inputs, state: State) -> Acted:
        """Act; to be called without a graph being kept, as `judge` is."""
        ...

    def judge(self, output: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Return log-probabilities and values [...] of outputs [..., K] and actions [..., A]."""
        ...


Watch = Callable[[Any], None]
"""Sees what one environment shows: an array, or several by name, valid until the next step."""


class Acting(Protocol):
    """What is asked of a learner by all who hold its networks: evaluation, analysis, workers."""

    def outputs(self, spec: TaskSpec) -> int:
        """Say how wide a network's output must be."""
        ...

    def policy(
        self,
        network: Network,
        spec: TaskSpec,
        compute: Compute,
        generator: torch.Generator,
        greedy: bool = False,
    ) -> Policy:
        """Make the policy by which a network acts.

        Args:
            network: On the generator's device.
            spec: The task.
            compute: Where and in which precision.
            generator: Of what is random about the actions.
            greedy: Whether to take the best action, and nothing by chance.
        """
        ...

    def likelihood(self, output: Tensor, spec: TaskSpec) -> Distribution:
        """Return what an output [..., outputs] means: the distribution of actions or targets."""
        ...


class Advance(NamedTuple):
    """What a bit of training came to.

    Attributes:
        steps: Agent steps or examples.
        metrics: Of the update.
        episodes: That ended meanwhile, in the order of their ends.
        notes: What the user should know of what happened.
    """

    steps: int
    metrics: Metrics
    episodes: list[Episode]
    notes: Sequence[str] = ()


class Stateful(Protocol):
    """What training that was cut off goes on with."""

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return all that a checkpoint must keep of it: tensors by name, JSON data."""
        ...

    def load_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Go on from a state that `state` gave."""
        ...


class Memory(Stateful, Protocol):
    """What a learner keeps of a task from visit to visit; training owns it, learners fill it."""

    def __len__(self) -> int:
        """Steps that it holds, of all environments."""
        ...

    def drop_newest(self, steps: int) -> None:
        """Forget the last `steps` steps of each environment, which were another task's."""
        ...


@dataclass(frozen=True)
class Lesson:
    """What is to be learned, and by what.

    Attributes:
        task: What kind of task it must be is the learner's choice.
        network: Already on its device.
        penalty: Added, at each gradient step, to the mean loss of a step or example.
        compute: Where and in which precision.
        num_envs: Environments stepped side by side.
        threads: Threads that step them, where they can use several.
        steps: Of this visit, over which learning rates are annealed; None is the task's budget.
        all_steps: Of all visits to the task together; None where there is this one alone.
        memory: What the learner kept of the task so far (`Remembering`); None is nothing.
        told: Whether somebody says when tasks change. Else the memory must do for `samples`: a
            change is noticed when the task's environments are gone.
        watch: To be called with what the first environment shows after each step.
    """

    task: Task
    network: Network
    penalty: Penalty
    compute: Compute
    num_envs: int = 16
    threads: int = 1
    steps: int | None = None
    all_steps: int | None = None
    memory: Memory | None = None
    told: bool = True
    watch: Watch | None = None

    @property
    def spec(self) -> TaskSpec:
        """The task's, with the budget of this visit."""
        return replace(self.task.spec, steps=self.steps) if self.steps else self.task.spec


class Trainer(Stateful, Protocol):
    """Learns one task: where experience comes from, and what learns from it; a context.

    Its state is the optimiser, the random streams, and the experience under way, so that where
    checkpoints are taken changes nothing; it is loaded after `begin`, and after the state of the
    lesson's memory, which is no part of it.

    Attributes:
        may_lose_workers: Whether `advance` and `state` may raise `WorkerLostError`, after which
            training goes on from its last checkpoint with a new trainer.
    """

    @property
    def may_lose_workers(self) -> bool:
        """See above."""
        ...

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

    def begin(self, streams: Streams) -> None:
        """Begin the task: first episodes, seeded random streams. `load_state` may follow."""
        ...

    def advance(self) -> Advance:
        """Gather some experience and learn from it."""
        ...

    def samples(self) -> Generator[Batch]:
        """Yield endless experience of the network as it is, without learning.

        Of environments, steps drawn from whole episodes; see `sampling.whole_episodes`. A batch is
        valid until the next; closing the generator frees what it took.
        """
        ...

    def likelihood(self, output: Tensor) -> Distribution:
        """Return what the network's output [..., outputs] means."""
        ...


class RolloutConfig(Acting, Protocol):
    """A learner from rollouts of its own policy."""

    @property
    def rollout_steps(self) -> int:
        """Steps between updates."""
        ...


class LearnerConfig(Acting, Protocol):
    """A learner's hyperparameters, how its networks act, and how to train with it."""

    def trainer(self, lesson: Lesson) -> Trainer:
        """Prepare to train a network's parameters that require gradients on a task.

        Raises:
            UsageError: The learner can't learn such a task.
        """
        ...


@runtime_checkable
class Remembering(Protocol):
    """A learner that keeps something of a task from visit to visit, as a replay and its clock."""

    def memory(self, lesson: Lesson) -> Memory | None:
        """Make an empty memory for a task, or return None where nothing is to be kept of it.

        Training keeps it under the task's id, hands it in as `Lesson.memory` at every visit, and
        keeps it in checkpoints.

        Raises:
            UsageError: The computer's memory will not do for it, or the task does not suit.
        """
        ...


@runtime_checkable
class Demanding(Protocol):
    """A learner that not every budget and not every machine will do for."""

    def check(self, spec: TaskSpec, num_envs: int) -> None:
        """Refuse a task before anything is trained.

        Args:
            spec: Its steps are those of all visits together.
            num_envs: Environments stepped side by side.

        Raises:
            UsageError: The task does not suit; the message says why and what to do.
        """
        ...

    def memory_bytes(self, spec: TaskSpec, num_envs: int) -> int:
        """Return the bytes that are kept of a task's experience."""
        ...


@runtime_checkable
class Fitting(Protocol):
    """A learner that not every network will do for."""

    def check_network(self, network: Network, num_envs: int) -> None:
        """Refuse a network before it plays.

        Args:
            network: That is to learn.
            num_envs: Environments stepped side by side.

        Raises:
            UsageError: It does not suit; the message says why and what to do.
        """
        ...


def prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Put a prefix before the names of tensors."""
    return {prefix + name: value for name, value in tensors.items()}


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Choose the tensors whose names have a prefix, and name them without it."""
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
