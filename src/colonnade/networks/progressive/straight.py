"""Columns of layers alone in few calls: small layers wait long for modules and graphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colonnade.networks.progressive.stages import ConvStage, DenseStage, OutputStage, in_full
from colonnade.networks.progressive.task_gains import folded, scaled
from colonnade.networks.stage import ACTIVATIONS


def _through_relu(gradient: Tensor, result: Tensor) -> Tensor:
    through: Tensor = torch.ops.aten.threshold_backward(gradient, result, 0)
    return through


def _through_tanh(gradient: Tensor, result: Tensor) -> Tensor:
    through: Tensor = torch.ops.aten.tanh_backward(gradient, result)
    return through


_BACK = {"relu": _through_relu, "tanh": _through_tanh}
"""Of an activation: the gradient by what went in, of that by what came out and of what came out."""

_PLAIN = ConvStage, DenseStage, OutputStage
"""Stages whose call is written out here; classes derived from them may do otherwise."""

Values = Mapping[str, Tensor]
"""Weights of a layer, by the names that they have in its module."""


class Straight:
    """Convolutions and dense layers one upon the other, without laterals, and the output layer.

    Every product and sum is the one that the layers, or autograd, would take, so that the numbers
    are theirs.

    Args:
        hidden: The layers, lowest first.
        output: The output layer.
        activation: Its name.
    """

    def __init__(
        self, hidden: Sequence[ConvStage | DenseStage], output: OutputStage, activation: str
    ) -> None:
        self._layers: list[ConvStage | DenseStage | OutputStage] = [*hidden, output]
        self._activation = ACTIVATIONS[activation]
        self._back = _BACK.get(activation)
        self._dense = all(isinstance(layer, DenseStage) for layer in hidden)
        self.convolves_first = isinstance(self._layers[0], ConvStage)

    @property
    def plain(self) -> bool:
        """Whether a layer's call is its arithmetic alone: no hooks, no parametrization."""
        for layer in self._layers:
            if type(layer) not in _PLAIN:
                return False
            if layer._forward_hooks or layer._forward_pre_hooks:
                return False
            if layer._backward_hooks or layer._backward_pre_hooks:
                return False
        return True

    @property
    def writes_out(self) -> bool:
        """Whether `backward` may take autograd's place: all of it learns, and nobody listens."""
        parameters = [p for layer in self._layers for p in layer.parameters()]
        return (
            self._back is not None
            and self._dense
            and all(layer.gains is None for layer in self._layers)
            and self.plain
            and not torch.is_autocast_enabled(self._layers[-1].bias.device.type)
            and all(p.requires_grad for p in parameters)
            and not any(p._backward_hooks or p._post_accumulate_grad_hooks for p in parameters)
        )

    def forward(
        self,
        features: Tensor,
        read: list[Tensor] | None = None,
        *,
        scale: float | None = None,
        row: int = 0,
    ) -> Tensor:
        """Run the layers, where they are `plain`.

        Args:
            features: Their input [B, ...].
            read: What each layer reads is appended to it, for `backward`.
            scale: Of the input of a first convolution, by its weights.
            row: Whose gains and biases to compute with, where there are some of each task.

        Returns:
            The output [B, outputs].
        """
        for place, layer in enumerate(self._layers):
            values = _folded(layer, _held(layer, row), row)
            total = self._total(place, features, values, scale if place == 0 else None, read)
            features = self._after(place, total, values, row)
        return features

    def twofold(
        self,
        features: Tensor,
        others: Sequence[Values],
        *,
        scale: float | None = None,
        row: int = 0,
    ) -> tuple[Tensor, Tensor]:
        """Run the layers with their own values and with others, where they are `plain`.

        First convolutions are one: two of 12 maps leave a quarter of a vector empty each, and read
        the pixels twice. Of each map the sums are those that it has by itself.

        Args:
            features: Their input [B, ...].
            others: Of each layer, lowest first, what takes the place of its own.
            scale: See `forward`.
            row: See `forward`.

        Returns:
            Two outputs [B, outputs]: with the own values, and with the others.
        """
        own: list[Values] = [_held(layer, row) for layer in self._layers]
        kept, replaced = (
            [
                _folded(layer, {**values, **instead}, row)
                for layer, values, instead in zip(self._layers, own, replacing, strict=True)
            ]
            for replacing in ([{}] * len(own), others)
        )
        totals: tuple[Tensor, Tensor]
        if self.convolves_first:
            names = "weight", "bias"
            joined = {name: torch.cat([kept[0][name], replaced[0][name]]) for name in names}
            maps = len(kept[0]["bias"])
            both = self._total(0, features, joined, scale)
            totals = both[:, :maps], both[:, maps:]
            if self._activation is not torch.relu or _gain(row) in kept[0]:
                # Apart, since elsewhere kernels compute e^x for lone numbers by other means.
                apart = partial(torch.clone, memory_format=torch.channels_last)
                totals = apart(totals[0]), apart(totals[1])
        else:
            totals = self._total(0, features, kept[0]), self._total(0, features, replaced[0])
        results = []
        for total, layers in zip(totals, (kept, replaced), strict=True):
            result = self._after(0, total, layers[0], row)
            for place in range(1, len(layers)):
                total = self._total(place, result, layers[place])
                result = self._after(place, total, layers[place], row)
            results.append(result)
        return results[0], results[1]

    def _total(
        self,
        place: int,
        features: Tensor,
        values: Values,
        scale: float | None = None,
        read: list[Tensor] | None = None,
    ) -> Tensor:
        """Return what a layer adds up of its input; the output's bias comes last, as there."""
        layer, weight = self._layers[place], values["weight"]
        if isinstance(layer, ConvStage):
            weight = weight if scale is None else weight * scale
            return F.conv2d(features, weight, values["bias"], layer.stride, layer.padding)
        if features.dim() != 2:
            features = features.flatten(1)
        if read is not None:
            read.append(features)
        if place < len(self._layers) - 1:
            return F.linear(features, weight, values["bias"])
        return in_full(features, weight) + values["bias"]

    def _after(self, place: int, total: Tensor, values: Values, row: int) -> Tensor:
        """Apply a task's gains and biases, and the activation below the output."""
        if (gain := values.get(_gain(row))) is not None:
            total = scaled(total, gain, values[_bias(row)])
        return self._activation(total) if place < len(self._layers) - 1 else total

    @torch.no_grad()
    def backward(self, gradient: Tensor, read: Sequence[Tensor]) -> None:
        """Set `grad` of all parameters, where it `writes_out`, without a graph.

        Args:
            gradient: Of a loss by the output, [B, outputs].
            read: As `forward` filled it.
        """
        assert self._back is not None
        for place in reversed(range(len(read))):
            held = cast("dict[str, nn.Parameter]", self._layers[place]._parameters)
            weight, bias = held["weight"], held["bias"]
            weight.grad, bias.grad = gradient.t().mm(read[place]), gradient.sum(0)
            if place:
                gradient = self._back(gradient.mm(weight), read[place])


def _held(layer: ConvStage | DenseStage | OutputStage, row: int) -> Values:
    """Return the layer's values, for which a module would ask itself many questions."""
    own = cast("dict[str, Tensor]", layer._parameters)
    if (gains := layer.gains) is None:
        return own
    key = str(row)
    gain, bias = gains.gains._parameters[key], gains.biases._parameters[key]
    return own | cast("dict[str, Tensor]", {_gain(row): gain, _bias(row): bias})


def _gain(row: int) -> str:
    return f"gains.gains.{row}"


def _bias(row: int) -> str:
    return f"gains.biases.{row}"


def _folded(layer: ConvStage | DenseStage | OutputStage, values: Values, row: int) -> Values:
    """Return the layer's values with a task's gains and biases brought in, where it folds them."""
    if not (isinstance(layer, ConvStage) and layer.folds):
        return values
    gain, bias = values[_gain(row)], values[_bias(row)]
    weight, own = folded(values["weight"], values["bias"], gain, bias)
    return {"weight": weight, "bias": own}
