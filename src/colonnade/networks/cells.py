"""LSTM cells, whatever feeds their gates (Hochreiter & Schmidhuber 1997; Gers et al. 2000)."""

from __future__ import annotations

import torch
from torch import Tensor

from colonnade.networks.initialisation import Initialiser
from colonnade.networks.stage import LSTM


def cell_step(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Take one step of cells [..., H].

    Args:
        gates: Pre-activations [..., 4H], in the order input, forget, output, candidate.
        cell: What the cells hold before the step.

    Returns:
        Their output and what they hold after it, each [..., H].
    """
    units = cell.shape[-1]
    opened, candidate = gates.split((3 * units, units), -1)
    write, keep, show = opened.sigmoid().chunk(3, -1)
    cell = keep * cell + write * candidate.tanh()
    return show * cell.tanh(), cell


def initialise_cells(
    weight: Tensor, recurrent: Tensor, bias: Tensor, stage: LSTM, initialise: Initialiser
) -> None:
    """Draw the weights of cells in place.

    Args:
        weight: [4H, in], of what is read.
        recurrent: [4H, H], of the cells' own last output.
        bias: [4H].
        stage: Says where the forget gates start.
        initialise: Draws the rest.
    """
    initialise(weight, bias)
    initialise(recurrent)
    with torch.no_grad():
        bias[stage.units : 2 * stage.units] += stage.forget_bias
