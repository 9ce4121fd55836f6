"""Progressive networks (Rusu et al. 2016), and the baselines that share their columns."""

from __future__ import annotations

from dataclasses import replace

from colonnade.checks import whole
from colonnade.methods.columns import ColumnChoice, ColumnMethod
from colonnade.networks import ColumnSpec, Join
from colonnade.types import Network, TaskSpec


class Progressive(ColumnMethod):
    """A new column for each task, with laterals from all frozen earlier ones."""

    def begin_task(self, spec: TaskSpec, outputs: int | None = None) -> Network:
        """Freeze the columns so far and add one."""
        return self.add_column(spec, self.column_for(spec), outputs)


class Scratch(ColumnMethod):
    """A new column for each task that knows nothing of the others (baseline 1)."""

    def begin_task(self, spec: TaskSpec, outputs: int | None = None) -> Network:
        """Add a column without laterals."""
        return self.add_column(spec, _alone(self.column_for(spec)), outputs)


class RandomColumn(Progressive):
    """A progressive network whose first columns were never trained (baseline 4)."""

    def __init__(self, column: ColumnChoice = None, random_columns: int = 1) -> None:
        """Begin with no column; `random_columns` frozen ones precede the first task's."""
        super().__init__(column)
        self._random_columns = whole("random_columns of RandomColumn", random_columns)

    def begin_task(self, spec: TaskSpec, outputs: int | None = None) -> Network:
        """Add the random columns, if they are not there yet, and one to train."""
        if not self.columns:
            for _ in range(self._random_columns):
                column = self.column_for(spec)
                self.network.add_column(column, spec.input_shapes, outputs or spec.outputs)
        return super().begin_task(spec, outputs)


def _alone(column: ColumnSpec) -> ColumnSpec:
    """Return the column as it stands first in a network: reading no other, not even to copy."""
    stages = tuple(
        stage if isinstance(stage, Join) else replace(stage, laterals=None)
        for stage in column.stages
    )
    return replace(
        column, stages=stages, laterals="none", output_laterals="none", output_init="random"
    )
