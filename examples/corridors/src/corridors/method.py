"""A method: finetuning that is held to where it began, with what it must remember of that."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from colonnade.methods import Finetune
from colonnade.networks import ColumnSpec
from colonnade.parts import Part
from colonnade.types import Network, TaskSpec


class Tethered(Finetune):
    """Finetuning with the penalty strength / 2 |w - w0|^2 (Li et al. 2018, L2-SP, eq. 2).

    w0 are the weights that a task begins with; the first task is learned freely.
    """

    def __init__(self, column: ColumnSpec | None = None, strength: float = 0.1) -> None:
        """Begin with no column.

        Args:
            column: What the column looks like.
            strength: Weight of the penalty.
        """
        super().__init__(column)
        self._strength = strength
        self._began: dict[str, Tensor] = {}

    def begin_task(self, spec: TaskSpec, outputs: int | None = None) -> Network:
        """Take over the column, and remember it as it is."""
        first = not self.network.columns
        network = super().begin_task(spec, outputs)
        self._began = {} if first else self._weights()
        return network

    def revisit(self, spec: TaskSpec) -> Network | None:
        """Go on with a task that was learned before, held to where this visit begins."""
        network = super().revisit(spec)
        self._began = self._weights()
        return network

    def penalty(self) -> Tensor | None:
        """Pull all weights back to where the task began."""
        if not self._began:
            return None
        far = [
            (weight - self._began[name].to(weight)).square().sum()
            for name, weight in self.network.named_parameters()
        ]
        return self._strength / 2 * torch.stack(far).sum()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the network's state, and beside it the weights that the task began with."""
        tensors, meta = super().state()
        return tensors | {f"began/{name}": value for name, value in self._began.items()}, meta

    def load_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Return to a state, which may be another method's that a run starts from."""
        super().load_state(tensors, meta)
        began = {name: value for name, value in tensors.items() if name.startswith("began/")}
        self._began = {name.removeprefix("began/"): value for name, value in began.items()}

    def _weights(self) -> dict[str, Tensor]:
        return {name: w.detach().clone() for name, w in self.network.named_parameters()}


TETHERED = Part(
    "methods", "tethered", Tethered, title="Tethered", colour="#117733", after="finetune"
)
