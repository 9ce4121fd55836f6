"""Finetuning: one column that moves from task to task (baselines 2 and 3 of Rusu et al. 2016)."""

from __future__ import annotations

from dataclasses import replace

from colonnade.checks import BELOW_1, flag, real
from colonnade.methods.columns import ColumnChoice, ColumnMethod
from colonnade.networks import ColumnSpec
from colonnade.types import Network, TaskSpec


class Finetune(ColumnMethod):
    """Go on training the newest column, all of it (baseline 3); earlier tasks are forgotten."""

    def __init__(self, column: ColumnChoice = None, fresh_output: bool = False) -> None:
        """Begin with no column.

        Args:
            column: What the column looks like.
            fresh_output: Whether each later task begins with an output layer that knows nothing,
                all heads of it, as that of a progressive network's new column does. The papers'
                baselines keep it, and with it the policy of the task before.
        """
        super().__init__(column)
        self._fresh_output = flag("fresh_output of finetuning", fresh_output)

    def begin_task(self, spec: TaskSpec, outputs: int | None = None) -> Network:
        """Take over the newest column, or add the first one."""
        first = not self.network.columns
        network = self.move_on(spec, outputs)
        if not first:
            if self._fresh_output:
                self.network.replace_output(self.network.newest.outputs)
                self.network.learn_row(self.rows.get(spec.id, 0))
            self.release()
        return network

    def release(self) -> None:
        """Say which parameters of the newest column move."""


class OutputOnly(Finetune):
    """Go on training the output layer alone (baseline 2); all features stay as they were."""

    def release(self) -> None:
        """Let only the output layer move."""
        self.network.freeze_features()


class Dropout(ColumnMethod):
    """Finetuning with dropout, which alone holds on to little (Kirkpatrick et al. 2017, Fig. 2B).

    Units are left out in learning alone: actors and evaluators see the whole network.
    """

    def __init__(
        self, column: ColumnChoice = None, dropout: float = 0.5, input_dropout: float = 0.2
    ) -> None:
        """Begin with no column; the defaults are those of Goodfellow et al. 2014.

        Args:
            column: What the column looks like, but for its dropout.
            dropout: Probability that a hidden unit is left out.
            input_dropout: The same for an input.
        """
        super().__init__(column)
        self._dropout = real("dropout of Dropout", dropout, BELOW_1)
        self._input_dropout = real("input_dropout of Dropout", input_dropout, BELOW_1)

    def column_for(self, spec: TaskSpec) -> ColumnSpec:
        """Say what the column looks like."""
        column = super().column_for(spec)
        return replace(column, dropout=self._dropout, input_dropout=self._input_dropout)

    def begin_task(self, spec: TaskSpec, outputs: int | None = None) -> Network:
        """Take over the newest column, or add the first one."""
        network = self.move_on(spec, outputs)
        # That of a parent may have been trained without.
        self.network.newest.leave_out(self._dropout, self._input_dropout)
        return network
