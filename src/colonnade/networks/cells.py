"""LSTM cells, whatever feeds their gates (Hochreiter & Schmidhuber 1997; Gers et al. 2000)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

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


class Recurrence:
    """What cells make of their own last output, step by step.

    The gradient by the recurrent weights is a sum over steps. Taken step by step, as automatic
    differentiation does, it passes through all weights once a step; here it is one product in the
    end, of all steps' gradients and outputs.

    Args:
        weight: [4H, H], of the cells' last output.
        read: [R, 4H], what else the gates' pre-activations are made of, step after step.

    Attributes:
        read: The same, to be handed to `gates` row by row, every row once.
    """

    def __init__(self, weight: Tensor, read: Tensor) -> None:
        self.read = read
        self._weight = weight.t()
        self._before: list[Tensor] | None = None
        if _differentiated_plainly(weight):
            self._before = []
            self._weight = weight.detach().t()
            apply: Any = _ByRecurrentWeight.apply
            self.read = apply(read, weight, self._before)

    def gates(self, step: Tensor, before: Tensor) -> Tensor:
        """Return the gates' pre-activations [N, 4H], of rows of `read` and the outputs [N, H]."""
        if self._before is not None:
            self._before.append(before.detach())
        return torch.addmm(step, before, self._weight)


class _ByRecurrentWeight(torch.autograd.Function):
    """Nothing; but the gradient by the recurrent weights comes with that by what passes."""

    @staticmethod
    def forward(ctx: Any, read: Tensor, weight: Tensor, before: list[Tensor]) -> Tensor:
        ctx.before = before  # filled after this
        return read.view_as(read)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> Any:
        gradient = grad_outputs[0]
        return gradient, gradient.t() @ torch.cat(ctx.before), None


def _differentiated_plainly(weight: Tensor) -> bool:
    """Whether backpropagation is all that is done with a weight: nobody watches or replaces it."""
    learns = isinstance(weight, nn.Parameter) and weight.requires_grad
    return learns and torch.is_grad_enabled() and not torch._C._len_torch_function_stack()


def begins(starts: Tensor | None, steps: int) -> list[bool]:
    """Say at which steps an episode begins; at which it may, where `torch.func` hides that.

    Args:
        starts: [T, N] bool; None where none does.
        steps: T.
    """
    if starts is None:
        return [False] * steps
    if torch._C._functorch.is_batchedtensor(starts):
        return [True] * steps
    found: list[bool] = starts.any(1).tolist()
    return found


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
