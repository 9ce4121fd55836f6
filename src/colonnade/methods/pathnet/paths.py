"""What methods that learn along paths of modular networks have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from colonnade.errors import UsageError
from colonnade.networks import (
    ModularNetwork,
    ModularSpec,
    Path,
    atari_modules,
    load_weights,
    mini_modules,
    mnist_modules,
    vector_modules,
)
from colonnade.records import read, shown, write
from colonnade.types import Batch, Episode, Likelihood, Network, TaskSpec

ModularChoice = ModularSpec | Callable[[TaskSpec], ModularSpec] | None
"""A modular network for every sequence; or a function of its first task; or None for a default
that suits that task's observations."""


@dataclass(frozen=True)
class TaskPath:
    """How a task is played.

    Attributes:
        network: Index of the modular network.
        head: Index of its head.
        path: The modules.
        forced: Modules that are active besides.
    """

    network: int
    head: int
    path: Path
    forced: Path


class PathMethod(ABC):
    """Modular networks, and which path and head of which plays which task.

    Attributes:
        networks: All modular networks, oldest first; most methods need one only.
        tasks: How each task is played, in the order of learning.
    """

    def __init__(self, network: ModularChoice = None) -> None:
        """Begin without a network; `network` says what it will look like.

        Raises:
            UsageError: It is neither a `ModularSpec` nor a function that gives one.
        """
        module = isinstance(network, nn.Module | type)
        spec = network is None or isinstance(network, ModularSpec)
        if not spec and (module or not callable(network)):
            own = "; put modules of your own into a Custom layer of one" if module else ""
            raise UsageError(
                "network of a path method must be a ModularSpec, such as mini_modules(), or a "
                f"function of a task that gives one; got {shown(network)}{own}."
            )
        self.networks: list[ModularNetwork] = []
        self.tasks: dict[str, TaskPath] = {}
        self._choice = network
        self._expected: tuple[TaskSpec, ...] = ()

    @property
    def network(self) -> ModularNetwork:
        """The newest modular network."""
        if not self.networks:
            raise UsageError("There is no network yet; begin a task first.")
        return self.networks[-1]

    @abstractmethod
    def begin_task(self, spec: TaskSpec, outputs: int | None = None) -> Network:
        """Prepare for a task and return the network to train on it."""

    def revisit(self, spec: TaskSpec) -> Network | None:
        """Let a task be played along its path, which is frozen or as good as that."""
        return None

    def penalty(self) -> Tensor | None:
        """Return None: paths are kept apart by structure, not by a penalty."""
        return None

    def on_segment(self, episodes: list[Episode]) -> None:
        """Ignore the episodes."""

    def end_task(self, samples: Iterator[Batch], likelihood: Likelihood) -> None:
        """Do nothing: the next `begin_task` freezes what must not move."""

    def network_for(self, task: str) -> Network:
        """Return the network that plays `task`; never adds or changes a parameter.

        Raises:
            UsageError: The task, by its id, has not begun.
        """
        if task not in self.tasks:
            known = ", ".join(self.tasks) or "none yet"
            raise UsageError(f"No path plays task {task!r}; tasks begun so far: {known}.")
        play = self.tasks[task]
        return self.networks[play.network].view(play.path, play.head, play.forced)

    def spec_for(self, spec: TaskSpec) -> ModularSpec:
        """Say what a modular network for this task looks like."""
        if callable(self._choice):
            return self._choice(spec)
        return self._choice or _default_modules(spec)

    def last_play(self) -> TaskPath:
        """Return how the task begun last is played."""
        return next(reversed(self.tasks.values()))

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the weights, the networks' layout and which path plays which task."""
        tensors = {
            f"{index}.{name}": value
            for index, network in enumerate(self.networks)
            for name, value in network.state_dict().items()
        }
        meta = {
            "network": {"modular": [network.spec_dict() for network in self.networks]},
            "tasks": {task: play.head for task, play in self.tasks.items()},
            "paths": {task: write(play) for task, play in self.tasks.items()},
            "order": list(self.tasks),  # which files do not keep
        }
        return tensors, meta

    def expect(self, specs: Sequence[TaskSpec]) -> None:
        """Take note of the tasks to come, before `load_state`; see `ColumnMethod.expect`."""
        self._expected = tuple(specs)

    def load_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Return to a state that `state` of any path method gave.

        Raises:
            UsageError: The state is of another kind of method, or a `Custom` layer's factory is
                missing or makes modules with other weights.
        """
        layouts = meta["network"].get("modular")
        if layouts is None:
            raise UsageError(
                "The state to go on from holds no modular network; start from a run of a PathNet "
                "method."
            )
        own = self._own_networks()
        self.networks = [ModularNetwork.from_spec(layout, own) for layout in layouts]
        for index, network in enumerate(self.networks):
            lead = f"{index}."
            weights = {n.removeprefix(lead): t for n, t in tensors.items() if n.startswith(lead)}
            load_weights(network, weights)
        plays = {task: read(TaskPath, data) for task, data in meta["paths"].items()}
        in_turn = sorted(plays, key=lambda task: (plays[task].network, plays[task].head))
        self.tasks = {task: plays[task] for task in meta.get("order", in_turn)}
        for play in self.tasks.values():  # the last one of each network is the one that learns
            self.networks[play.network].learn_head(play.head)

    def _add_network(self, spec: TaskSpec, modular: ModularSpec) -> int:
        self.networks.append(ModularNetwork(modular, spec.input_shapes))
        return len(self.networks) - 1

    def _own_networks(self) -> list[ModularSpec]:
        """List the specs that are the user's own: they may hold code, which no state does."""
        own = [network.spec for network in self.networks]
        if isinstance(self._choice, ModularSpec):
            return [self._choice, *own]
        return own if self._choice is None else [*own, *map(self._choice, self._expected)]


def check_inputs(spec: TaskSpec, network: ModularNetwork) -> None:
    """Refuse a task that modules which are there can't read.

    Raises:
        UsageError: Its inputs have another shape.
    """
    shape = spec.input_shapes.get(network.input)
    if shape != network.input_shape:
        raise UsageError(
            f"Task {spec.id!r} gives {network.input!r} of shape {shape}, but the modules were "
            f"made for {network.input_shape}; give all tasks the same inputs."
        )


def _default_modules(spec: TaskSpec) -> ModularSpec:
    """Choose by the task: the paper's for Atari and for data, or small ones."""
    if spec.labelled:
        return mnist_modules()
    # The small modules' convolutions need 8 pixels a side.
    shapes = spec.input_shapes.values()
    images = [shape for shape in shapes if len(shape) == 3 and min(shape[1:]) >= 8]
    if not images:
        return vector_modules()
    return atari_modules() if min(images[0][1:]) >= 64 else mini_modules()
