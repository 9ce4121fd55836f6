"""An LSTM stage whose gates can be fed by earlier columns."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colonnade.networks.cells import Recurrence, begins, cell_step, initialise_cells
from colonnade.networks.initialisation import Initialiser, room
from colonnade.networks.progressive.spec import ColumnSpec
from colonnade.networks.progressive.stages import Stage, linear_laterals_into
from colonnade.networks.stage import LSTM
from colonnade.types import Shape


class LSTMStage(Stage):
    """LSTM cells (Hochreiter & Schmidhuber 1997; forget gates after Gers et al. 2000).

    One bias vector of 4H, gates in the order input, forget, output, candidate. Laterals enter the
    gates' pre-activation, as Rusu et al. 2017 (arXiv 1610.04286) count them: from the features the
    source column's aligned stage reads and, where that stage is an LSTM too, from its output. The
    recurrence runs in the state's precision under autocast too, so that errors do not build up.
    """

    def __init__(
        self, stage: LSTM, in_shape: Shape, source_shapes: Sequence[Shape], spec: ColumnSpec
    ) -> None:
        gates, initialise = 4 * stage.units, Initialiser(spec.init, gain=1.0)
        kind = spec.laterals_of(stage)
        lateral = linear_laterals_into(
            gates, kind, in_shape, source_shapes, spec, initialise, width=stage.adapter
        )
        super().__init__((stage.units,), lateral)
        self.units = stage.units
        self.weight = nn.Parameter(room(gates, math.prod(in_shape)))
        self.recurrent_weight = nn.Parameter(room(gates, stage.units))
        self.bias = nn.Parameter(room(gates))
        initialise_cells(self.weight, self.recurrent_weight, self.bias, stage, initialise)

    def forward(
        self,
        features: Tensor,
        sources: Sequence[Tensor],
        hidden: Tensor,
        cell: Tensor,
        starts: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Take T steps of N sequences; B = T x N, time outermost.

        Args:
            features: [B, ...].
            sources: Features of earlier columns, each [B, ...].
            hidden: [N, H] output before the first step.
            cell: [N, H] cell state before the first step.
            starts: [T, N] bool; where True, the state returns to zero before the step.

        Returns:
            Outputs [B, H], and the hidden and cell state [N, H] after the last step.
        """
        total = F.linear(features.flatten(1), self.weight, self.bias)
        if self.lateral is not None:
            total = total + self.lateral(sources)
        outputs = []
        with torch.autocast(features.device.type, enabled=False):
            recurrence = Recurrence(self.recurrent_weight, total.to(cell.dtype))
            steps = recurrence.read.view(-1, cell.shape[0], total.shape[1]).unbind(0)
            begun = begins(starts, len(steps))
            for t, step in enumerate(steps):
                if starts is not None and begun[t]:
                    start = starts[t].unsqueeze(1)
                    hidden, cell = hidden.masked_fill(start, 0), cell.masked_fill(start, 0)
                hidden, cell = cell_step(recurrence.gates(step, hidden), cell)
                outputs.append(hidden)
        return torch.cat(outputs), hidden, cell
