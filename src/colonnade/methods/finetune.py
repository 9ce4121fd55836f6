"""Finetuning: one column that moves from task to task (baselines 2 and 3 of Rusu et al. 2016)."""

from __future__ import annotations

from colonnade.errors import UsageError
from colonnade.methods.columns import ColumnMethod
from colonnade.types import Network, TaskSpec


class Finetune(ColumnMethod):
    """Go on training the newest column, all of it (baseline 3); earlier tasks are forgotten."""

    def begin_task(self, spec: TaskSpec) -> Network:
        """Take over the newest column, or add the first one."""
        if not self.network.columns:
            return self.add_column(spec, self.column_for(spec))
        index = len(self.network.columns) - 1
        self._check_fit(spec, index)
        self.release()
        return self.assign(spec, index)

    def release(self) -> None:
        """Say which parameters of the newest column move."""
        self.network.unfreeze()

    def _check_fit(self, spec: TaskSpec, index: int) -> None:
        column = self.network.column(index)
        if column.outputs != spec.outputs:
            raise UsageError(
                f"Task {spec.id!r} needs {spec.outputs} outputs (its actions and a value) but the "
                f"column to finetune has {column.outputs}; give all tasks the same actions (Atari: "
                "full_action_space) or use the progressive method, whose columns may differ."
            )


class OutputOnly(Finetune):
    """Go on training the output layer alone (baseline 2); all features stay as they were."""

    def release(self) -> None:
        """Let only the output layer move."""
        self.network.unfreeze()
        self.network.freeze_features()
