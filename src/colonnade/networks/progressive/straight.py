"""Gradients of columns of dense layers alone, written out: small layers wait long for a graph."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from colonnade.networks.progressive.column import Column
from colonnade.networks.progressive.stages import DenseStage, OutputStage
from colonnade.types import Backward

_THROUGH: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "relu": lambda gradient, result: torch.ops.aten.threshold_backward(gradient, result, 0),
    "tanh": lambda gradient, result: torch.ops.aten.tanh_backward(gradient, result),
}
"""Of an activation: the gradient by what went in, of that by what came out."""


def writes_out(column: Column) -> bool:
    """Whether `run` may take autograd's place: all layers learn, and nobody hooks into them."""
    layers = (*column.hidden, column.output)
    return (
        column.straight
        and column.spec.activation in _THROUGH
        and all(type(layer) in (DenseStage, OutputStage) and _plain(layer) for layer in layers)
    )


@torch.no_grad()
def run(column: Column, features: Tensor) -> tuple[Tensor, Backward]:
    """Run a column for which `writes_out` holds.

    Every product and sum is the one that autograd would take, so that the numbers are its own.

    Args:
        column: The column.
        features: Its input [B, ...].

    Returns:
        The output [B, outputs], and what sets the gradients.
    """
    read: list[Tensor] = []
    for stage in column.hidden:
        read.append(features)
        features = stage(features, ())
    read.append(features)
    output: Tensor = column.output(features, ())
    through = _THROUGH[column.spec.activation]

    @torch.no_grad()
    def backward(gradient: Tensor) -> None:
        layers = [*column.hidden, column.output]
        for place in reversed(range(len(layers))):
            layer, below = layers[place], read[place]
            weight = layer.get_parameter("weight")
            weight.grad = gradient.t().mm(below.flatten(1))
            layer.bias.grad = gradient.sum(0)
            if place:
                gradient = through(gradient.mm(weight), below)

    return output, backward


def _plain(layer: nn.Module) -> bool:
    heard = (layer._forward_hooks, layer._forward_pre_hooks, layer._backward_hooks)
    return not any(heard) and all(
        p.requires_grad and not p._backward_hooks and not p._post_accumulate_grad_hooks
        for p in layer.parameters()
    )
