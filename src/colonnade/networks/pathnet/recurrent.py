"""A layer of LSTM modules, each of which remembers for every environment by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colonnade.networks.cells import begins, cell_step, initialise_cells
from colonnade.networks.initialisation import Initialiser, room
from colonnade.networks.pathnet.bank import ModularLayer, Routes, scaled
from colonnade.networks.pathnet.spec import ModularSpec
from colonnade.networks.stage import LSTM
from colonnade.types import Shape


class LSTMModule(nn.Module):
    """One module's cells, with weights as those of a column's LSTM; the layer computes with them.

    Gates are in the order input, forget, output, candidate.
    """

    def __init__(self, stage: LSTM, inputs: int, spec: ModularSpec) -> None:
        super().__init__()
        gates = 4 * stage.units
        self.weight = nn.Parameter(room(gates, inputs))
        self.recurrent_weight = nn.Parameter(room(gates, stage.units))
        self.bias = nn.Parameter(room(gates))
        self._stage, self._initialise = stage, Initialiser(spec.init, gain=1.0)
        self.reinitialise()

    def reinitialise(self) -> None:
        """Draw new weights."""
        initialise_cells(
            self.weight, self.recurrent_weight, self.bias, self._stage, self._initialise
        )


class LSTMLayer(ModularLayer):
    """LSTM modules over flattened features, whose outputs are summed over those that are active.

    A module's memory is moved on where it is active and is zero elsewhere.
    """

    def __init__(self, stage: LSTM, in_shape: Shape, spec: ModularSpec) -> None:
        flat = math.prod(in_shape)
        bank = [LSTMModule(stage, flat, spec) for _ in range(spec.modules)]
        super().__init__(bank, (flat,), (stage.units,))

    def reinitialise(self, module: int) -> None:
        """Draw new weights for a module."""
        self._module(module).reinitialise()

    def flat(self, features: Tensor) -> Tensor:
        """Flatten features [R, ...]."""
        return features.flatten(1)

    def initial_memory(self, batch: int) -> Tensor:
        """Return what modules remember at the start of an episode: zeros [batch, M, H]."""
        return self._module(0).weight.new_zeros(batch, len(self.bank), *self.out_shape)

    def along(self, features: Tensor, active: Sequence[int], scale: float | None) -> Tensor:
        """Map features [R, in], each the first of an episode, to the sum over active modules."""
        zeros = self.initial_memory(len(features))
        return self._sequence(features, active, None, scale, zeros, zeros, None)[0]

    def mixed(self, features: Tensor, routes: Routes, scale: float | None) -> Tensor:
        """Do the same where each row has its own active modules."""
        zeros = self.initial_memory(len(features))
        return self.remember(features, routes, scale, zeros, zeros)[0]

    def remember(
        self,
        features: Tensor,
        routes: Routes | Sequence[int],
        scale: float | None,
        hidden: Tensor,
        cell: Tensor,
        starts: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Take T steps of N sequences; R = T x N, time outermost.

        Args:
            features: [R, in].
            routes: Of each row, or the modules that are active in all.
            scale: A factor on the features.
            hidden: [N, M, H] outputs before the first step.
            cell: [N, M, H] cell states before the first step.
            starts: [T, N] bool; where True, memories return to zero before the step.

        Returns:
            The sum over active modules [R, H], and `hidden` and `cell` after the last step.
        """
        if not isinstance(routes, Routes):
            return self._sequence(features, routes, None, scale, hidden, cell, starts)
        if routes.uniform is not None:
            return self._sequence(features, routes.uniform, None, scale, hidden, cell, starts)
        chosen = routes.chosen(cell.dtype)
        return self._sequence(features, routes.used, chosen, scale, hidden, cell, starts)

    def _sequence(
        self,
        features: Tensor,
        used: Sequence[int],
        chosen: Tensor | None,
        scale: float | None,
        hidden: Tensor,
        cell: Tensor,
        starts: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As `remember`, with U used modules side by side; `chosen` [R, U] says which count."""
        modules, count = [self._module(index) for index in used], len(hidden)
        weight = torch.cat([module.weight for module in modules])
        bias = torch.cat([module.bias for module in modules])
        read = F.linear(features, scaled(weight, scale), bias)
        places = torch.tensor(used, device=hidden.device)
        outputs = []
        with torch.autocast(features.device.type, enabled=False):
            recurrent = torch.stack([module.recurrent_weight for module in modules])
            recurrent = recurrent.transpose(1, 2).to(cell.dtype)
            # [T, U, N, 4H], and the memories as [U, N, H].
            steps = read.to(cell.dtype).unflatten(0, (-1, count)).unflatten(2, (len(used), -1))
            h, c = (part.index_select(1, places).transpose(0, 1) for part in (hidden, cell))
            active = None
            if chosen is not None:
                active = chosen.unflatten(0, (-1, count)).transpose(1, 2).unsqueeze(3)
            begun = begins(starts, len(steps))
            for t, step in enumerate(steps.transpose(1, 2).unbind(0)):
                if starts is not None and begun[t]:
                    start = starts[t].unsqueeze(1)
                    h, c = h.masked_fill(start, 0), c.masked_fill(start, 0)
                h, c = cell_step(torch.baddbmm(step, h, recurrent), c)
                if active is not None:
                    h, c = h * active[t], c * active[t]
                outputs.append(h.sum(0))
            hidden, cell = (
                torch.zeros_like(part).index_copy(1, places, new.transpose(0, 1))
                for part, new in ((hidden, h), (cell, c))
            )
        return torch.cat(outputs), hidden, cell

    def _module(self, index: int) -> LSTMModule:
        return cast("LSTMModule", self.bank[index])


def memory_keys(layer: int) -> tuple[str, str]:
    """Names of a layer's outputs and cells in a network's state."""
    return f"layer{layer}/h", f"layer{layer}/c"
