"""Columns of dense layers alone in few calls: small layers wait long for modules and graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colonnade.networks.progressive.stages import DenseStage, OutputStage
from colonnade.networks.stage import ACTIVATIONS


def _through_relu(gradient: Tensor, result: Tensor) -> Tensor:
    through: Tensor = torch.ops.aten.threshold_backward(gradient, result, 0)
    return through


def _through_tanh(gradient: Tensor, result: Tensor) -> Tensor:
    through: Tensor = torch.ops.aten.tanh_backward(gradient, result)
    return through


_BACK = {"relu": _through_relu, "tanh": _through_tanh}
"""Of an activation: the gradient by what went in, of that by what came out and of what came out."""


class Straight:
    """Dense layers one upon the other, without laterals, and the output layer.

    Every product and sum is the one that the layers, or autograd, would take, so that the numbers
    are theirs.

    Args:
        hidden: The layers, lowest first.
        output: The output layer.
        activation: Its name.
    """

    def __init__(self, hidden: Sequence[DenseStage], output: OutputStage, activation: str) -> None:
        self._layers: list[DenseStage | OutputStage] = [*hidden, output]
        self._activation = ACTIVATIONS[activation]
        self._back = _BACK.get(activation)

    @property
    def plain(self) -> bool:
        """Whether a layer's call is its arithmetic alone: no hooks, no parametrization."""
        for layer in self._layers:
            if type(layer) is not DenseStage and type(layer) is not OutputStage:
                return False
            if layer._forward_hooks or layer._forward_pre_hooks:
                return False
            if layer._backward_hooks or layer._backward_pre_hooks:
                return False
        return not torch.is_autocast_enabled(self._layers[-1].bias.device.type)

    @property
    def writes_out(self) -> bool:
        """Whether `backward` may take autograd's place: all of it learns, and nobody listens."""
        parameters = [p for layer in self._layers for p in layer.parameters()]
        return (
            self._back is not None
            and self.plain
            and all(p.requires_grad for p in parameters)
            and not any(p._backward_hooks or p._post_accumulate_grad_hooks for p in parameters)
        )

    def forward(self, features: Tensor, read: list[Tensor] | None = None) -> Tensor:
        """Run the layers, where they are `plain`.

        Args:
            features: Their input [B, ...].
            read: What each layer reads is appended to it, for `backward`.

        Returns:
            The output [B, outputs].
        """
        if features.dim() != 2:
            features = features.flatten(1)
        *hidden, last = self._layers
        for layer in hidden:
            if read is not None:
                read.append(features)
            features = self._activation(F.linear(features, *_held(layer)))
        if read is not None:
            read.append(features)
        weight, bias = _held(last)
        return F.linear(features, weight) + bias  # which comes last, as in `OutputStage`

    @torch.no_grad()
    def backward(self, gradient: Tensor, read: Sequence[Tensor]) -> None:
        """Set `grad` of all parameters, where it `writes_out`, without a graph.

        Args:
            gradient: Of a loss by the output, [B, outputs].
            read: As `forward` filled it.
        """
        assert self._back is not None
        for place in reversed(range(len(read))):
            weight, bias = _held(self._layers[place])
            weight.grad, bias.grad = gradient.t().mm(read[place]), gradient.sum(0)
            if place:
                gradient = self._back(gradient.mm(weight), read[place])


def _held(layer: nn.Module) -> tuple[nn.Parameter, nn.Parameter]:
    """Return weight and bias, for which a module would ask itself many questions."""
    held = cast("dict[str, nn.Parameter]", layer._parameters)
    return held["weight"], held["bias"]
