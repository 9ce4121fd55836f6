"""What methods that keep their columns in one progressive network have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor

from colonnade.errors import UsageError
from colonnade.networks import ColumnSpec, ProgressiveNetwork, default_column
from colonnade.types import Batch, Episode, Likelihood, Network, TaskSpec

ColumnChoice = ColumnSpec | Callable[[TaskSpec, int], ColumnSpec] | None
"""A column for every task; or a function of the task and the column's index; or None for a
default that suits the task's observations."""


class ColumnMethod(ABC):
    """A progressive network, and which of its columns plays which task.

    Attributes:
        network: All columns so far.
        columns: Index of the column that plays each task, by task id.
    """

    def __init__(self, column: ColumnChoice = None) -> None:
        """Begin with no column; `column` says what later ones look like."""
        self.network = ProgressiveNetwork()
        self.columns: dict[str, int] = {}
        self._column = column

    @abstractmethod
    def begin_task(self, spec: TaskSpec) -> Network:
        """Prepare for a task and return the network to train on it."""

    def column_for(self, spec: TaskSpec) -> ColumnSpec:
        """Say what the next column looks like, if it is for this task."""
        if callable(self._column):
            return self._column(spec, len(self.network.columns))
        return self._column or default_column(spec.input_shapes)

    def add_column(self, spec: TaskSpec, column: ColumnSpec) -> Network:
        """Add a column for a task, freezing all earlier ones."""
        index = self.network.add_column(column, spec.input_shapes, spec.outputs)
        return self.assign(spec, index)

    def move_on(self, spec: TaskSpec) -> Network:
        """Take the newest column on to a task, all of it unfrozen, or add the first column.

        Raises:
            UsageError: The task needs another output width than the column has.
        """
        if not self.network.columns:
            return self.add_column(spec, self.column_for(spec))
        index = len(self.network.columns) - 1
        column = self.network.column(index)
        if column.outputs != spec.outputs:
            what = "its actions and a value" if spec.value else "one for each label"
            raise UsageError(
                f"Task {spec.id!r} needs {spec.outputs} outputs ({what}) but the column that moves "
                f"on has {column.outputs}; give all tasks the same actions (Atari: "
                "full_action_space), or use the progressive method, whose columns may differ."
            )
        self.network.unfreeze()
        return self.assign(spec, index)

    def assign(self, spec: TaskSpec, index: int) -> Network:
        """Let a column play a task."""
        self.columns[spec.id] = index
        return self.network.view(index)

    def penalty(self) -> Tensor | None:
        """Return None: columns are kept apart by structure, not by a penalty."""
        return None

    def on_segment(self, episodes: list[Episode]) -> None:
        """Ignore the episodes."""

    def end_task(self, samples: Iterator[Batch], likelihood: Likelihood) -> None:
        """Do nothing: the next `begin_task` freezes what must not move."""

    def network_for(self, task: str) -> Network:
        """Return the network that plays `task`; never adds or changes a parameter."""
        if task not in self.columns:
            known = ", ".join(self.columns) or "none yet"
            raise UsageError(f"No column plays task {task!r}; tasks begun so far: {known}.")
        return self.network.view(self.columns[task])

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the network's weights, its layout and which column plays which task."""
        newest = self.network.newest
        meta = {
            "network": self.network.spec_dict(),
            "tasks": self.columns,
            "features_frozen": all(newest.stage(i).frozen for i in range(len(newest.stages))),
        }
        return dict(self.network.state_dict()), meta

    def load_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Return to a state that `state` of any column method gave."""
        self.network = ProgressiveNetwork.from_spec(meta["network"])
        # Names with a slash are what other methods keep beside the network.
        weights = {name: value for name, value in tensors.items() if "/" not in name}
        self.network.load_state_dict(weights)
        self.columns = dict(meta["tasks"])
        if meta["features_frozen"]:
            self.network.freeze_features()
