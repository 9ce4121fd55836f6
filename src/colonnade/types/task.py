"""What is learned: environments, data sets, and what methods need to know of them."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol, TypeGuard, runtime_checkable

import gymnasium
import numpy as np

from colonnade.checks import ABOVE_0, AT_LEAST_1, check_fields
from colonnade.errors import UsageError
from colonnade.types.actions import Actions
from colonnade.types.experience import Examples
from colonnade.types.network import OBSERVATION, Shape


@dataclass(frozen=True)
class TaskSpec:
    """What a method and a learner need to know of a task.

    Attributes:
        id: A name that is unique within a sequence of tasks.
        observation_space: A Box, or a Dict of Boxes; images are channels-first (C, H, W) uint8.
        action_space: Discrete, MultiDiscrete or a Box; of a data set, its labels.
        steps: The budget in agent steps (an agent step is one action; Atari repeats it 4 frames),
            or in examples.
        reward_clip: Rewards are clipped to [-reward_clip, reward_clip] for learning, never for
            reporting; None leaves them as they are.
        labelled: Whether it is a data set, whose actions are labels; else it has environments.
        head: Which part of the output layer is this task's own, counted from 0.
        heads: Into how many such parts of equal width the output layer is divided, 1 where tasks
            share it; or the width of each part, of which later tasks may add more.

    Raises:
        UsageError: There is no such head, or it has another width than the labels need; or
            observations are bytes of other bounds than a pixel's.
    """

    id: str
    observation_space: gymnasium.Space[object]
    action_space: gymnasium.Space[object]
    steps: int
    reward_clip: float | None = None
    labelled: bool = False
    head: int = 0
    heads: int | tuple[int, ...] = 1

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense, and a head that is not there."""
        check_heads(self.id, self.head, self.heads)
        check_fields(self, {"steps": AT_LEAST_1, "reward_clip": ABOVE_0})
        _check_pixels(self.id, self.observation_space)
        if self.heads == 1:
            return
        if self.head_widths[self.head] != sum(self.action_sizes):
            raise UsageError(
                f"Head {self.head} of task {self.id!r} has the width {self.head_widths[self.head]} "
                f"in heads={self.heads}, but the task has {sum(self.action_sizes)} labels; make "
                "them equal."
            )
        if not self.labelled and len(self.head_widths) > 1:
            raise UsageError(
                f"Task {self.id!r} has {len(self.head_widths)} heads and environments; only "
                "data sets have several heads."
            )

    @property
    def input_shapes(self) -> dict[str, Shape]:
        """Shape of each named input of a network for this task."""
        space = self.observation_space
        if isinstance(space, gymnasium.spaces.Dict):
            return {name: tuple(sub.shape or ()) for name, sub in space.items()}
        return {OBSERVATION: tuple(space.shape or ())}

    @cached_property
    def actions(self) -> Actions:
        """What actions are to a policy, and to the environments."""
        return Actions(self.id, self.action_space)

    @property
    def action_sizes(self) -> tuple[int, ...]:
        """Number of choices of each action component; Discrete(n) is (n,), and a Box has none."""
        return self.actions.sizes

    @property
    def head_widths(self) -> tuple[int, ...]:
        """Width of each part of the output layer, without what no action or label has."""
        if isinstance(self.heads, tuple):
            return tuple(int(width) for width in self.heads)
        return (self.actions.parameters,) * int(self.heads)

    @property
    def outputs(self) -> int:
        """Width of a classifier's output, or an actor-critic's: its policy, then a value."""
        return sum(self.head_widths) + (not self.labelled)


def _check_pixels(task: str, space: gymnasium.Space[Any]) -> None:
    """Refuse bytes that networks would take for pixels, and divide by 255."""
    parts = space.spaces.values() if isinstance(space, gymnasium.spaces.Dict) else (space,)
    for part in parts:
        if not isinstance(part, gymnasium.spaces.Box) or part.dtype != np.uint8:
            continue
        if part.low.min() != 0 or part.high.max() != 255:
            raise UsageError(
                f"Task {task!r} has uint8 observations from {part.low.min()} to {part.high.max()}; "
                "bytes are read as pixels from 0 to 255, so give numbers as int16 or float32."
            )


def check_heads(task: str, head: object, heads: object) -> None:
    """Check that a task's head is one of the heads of an output layer; see `TaskSpec`.

    Args:
        task: Its id, for the message.
        head: Which, counted from 0.
        heads: How many there are, or the width of each.

    Raises:
        UsageError: It is not.
    """
    widths = heads if isinstance(heads, tuple) else (heads,)
    if not widths or not all(_is_whole(width) and width > 0 for width in widths):
        raise UsageError(
            f"heads of task {task!r} should be how many there are, or a tuple of their widths, in "
            f"whole numbers of 1 or more; got {heads!r}."
        )
    count = len(heads) if isinstance(heads, tuple) else widths[0]
    if not _is_whole(head) or not 0 <= head < count:
        raise UsageError(
            f"head of task {task!r} is counted from 0, so that with heads={heads} it should be "
            + (f"from 0 to {count - 1}" if count > 1 else "0")
            + f"; got {head!r}."
        )


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


class Task(Protocol):
    """Something to learn."""

    @property
    def spec(self) -> TaskSpec:
        """What methods and learners need to know."""
        ...


@runtime_checkable
class EnvironmentTask(Task, Protocol):
    """A task to learn by acting in its environments."""

    def make_vec(self, num_envs: int, threads: int = 1) -> gymnasium.vector.VectorEnv:
        """Make `num_envs` copies that reset in the same step (`AutoresetMode.SAME_STEP`).

        Seeds are given at `reset(seed=...)`. `info["final_obs"]` holds the last observation of
        every episode that ended in a step. Where `info["lives_on"]` [N] is True, a step that
        terminated ended something to learn from, a life, but no episode: there was no reset.

        Training that was cut off goes on in the middle of the episodes under way. What comes back
        here may help with that, in one of two ways; without either, everything since the task's
        beginning is played again, which is exact wherever environments follow from their seeds:

        - `StatefulEnvironments`: its state can be had and given back.
        - `SeededEpisodes`: each episode follows from a seed of its own and its actions.
        """
        ...


@runtime_checkable
class StatefulEnvironments(Protocol):
    """A vector environment whose state can be saved."""

    def state(self) -> dict[str, Any]:
        """Return all that the environments are, as arrays by name."""
        ...

    def load_state(self, state: dict[str, Any]) -> None:
        """Return to what `state` gave."""
        ...


@runtime_checkable
class SeededEpisodes(Protocol):
    """A vector environment of which an episode follows from its seed and its actions alone.

    A seed may last over several episodes, where giving one is dear; then `steps_since_seed`, [N]
    int64, which is optional, says how many steps each environment took since its seed was set, and
    all of them follow from it and from their actions. What else episodes are played under may be
    offered as `seeded_sources`, [N] int64: a checkpoint keeps it, and it is set before they are
    played again.

    Attributes:
        episode_seeds: [N] int64, the seed of each environment's episode under way.
    """

    @property
    def episode_seeds(self) -> Any:
        """[N] int64, the seed of each environment's episode under way."""
        ...

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        """Begin episodes.

        Args:
            seed: [N], those of the episodes; one number seeds all environments differently.
            options: `{"reset_mask": mask}`, a bool array [N], leaves the others as they are; their
                observations come back too.
        """
        ...


def environments_of(task: Task) -> EnvironmentTask:
    """Return the task if it has environments.

    Raises:
        UsageError: It has none.
    """
    if isinstance(task, EnvironmentTask):
        return task
    raise UsageError(
        f"Task {task.spec.id!r} has no environments to act in; a data set is learned with the "
        "learner 'supervised'."
    )


Split = Literal["train", "validation", "test"]


@runtime_checkable
class DatasetTask(Task, Protocol):
    """A task to learn from labelled examples."""

    def examples(self, split: Split) -> Examples:
        """Return a part of the data set, always in the same order."""
        ...


def has_split(task: DatasetTask, split: Split) -> bool:
    """Whether a data set has a part; one that does not say which (`splits`) has all."""
    return split in getattr(task, "splits", (split,))


class Reader(Protocol):
    """Reads the examples of a part of a data set, pass by pass."""

    def read(
        self, size: int, seed: int, *, shuffle: bool = True, skip: int = 0
    ) -> Generator[Examples]:
        """Read through all examples once.

        Args:
            size: Examples in a minibatch; what comes in minibatches already keeps its own.
            seed: The order and everything random about the examples follow from it.
            shuffle: Whether in an order of the seed's, where the reader may choose the order.
            skip: Leave out so many minibatches at the beginning; the others stay as they were.

        Yields:
            Minibatches, on the host; closing the generator frees what it took.
        """
        ...


@runtime_checkable
class ReadTask(DatasetTask, Protocol):
    """A data set of which parts are read anew in each pass, as random augmentation needs."""

    def reader(self, split: Split) -> Reader | None:
        """Return what reads a part; None where it lies in memory, as `examples` gives it."""
        ...
