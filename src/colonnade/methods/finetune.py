"""Finetuning: one column that moves from task to task (baselines 2 and 3 of Rusu et al. 2016)."""

from __future__ import annotations

from colonnade.methods.columns import ColumnMethod
from colonnade.types import Network, TaskSpec


class Finetune(ColumnMethod):
    """Go on training the newest column, all of it (baseline 3); earlier tasks are forgotten."""

    def begin_task(self, spec: TaskSpec) -> Network:
        """Take over the newest column, or add the first one."""
        first = not self.network.columns
        network = self.move_on(spec)
        if not first:
            self.release()
        return network

    def release(self) -> None:
        """Say which parameters of the newest column move."""


class OutputOnly(Finetune):
    """Go on training the output layer alone (baseline 2); all features stay as they were."""

    def release(self) -> None:
        """Let only the output layer move."""
        self.network.freeze_features()
