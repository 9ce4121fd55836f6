"""From what layers read and their output gradients to sums of squared per-sample gradients."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from colonnade.ops.fisher.layer_calls import LayerCall

_CACHED = 2**20
"""Numbers of what a layer read that stay in a processor's cache."""

_VECTORS = 12
"""Arrays of the size of the outputs: the distribution, and a vector on its way to the layers."""

_GROUP = 8
"""Vectors to gather before they are multiplied by what a layer read."""


@dataclass
class Plan:
    """Which parameters are reached through layer calls, and which must be repeated.

    Attributes:
        calls: That watched parameters take part in, in order.
        parameters: All that are wanted, by name.
        names: Those that only layer calls use.
        other_results: Numbers that other functions return for a sample.
        layered: The same, with their tensors.
        repeated: All others.
        patches: Memory for what convolutions read, by the call's index.
    """

    calls: list[LayerCall]
    parameters: dict[str, Tensor]
    names: set[str]
    other_results: int = 0
    layered: dict[str, Tensor] = field(init=False)
    repeated: dict[str, Tensor] = field(init=False)
    patches: dict[int, Tensor] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.layered = {n: p for n, p in self.parameters.items() if n in self.names}
        self.repeated = {n: p for n, p in self.parameters.items() if n not in self.names}

    def columns(self, index: int, features: Tensor) -> Tensor:
        """Bring what a layer read [B, ...] to [B, positions, inputs].

        Patches lie in memory that is used again for the next chunk: that many fresh pages would
        take longer to come by than to fill.
        """
        call = self.calls[index]
        if call.convolution is None:
            return features.reshape(len(features), -1, features.shape[-1])
        patches = _patches(call, features.flatten(0, 1))
        kept = self.patches.get(index)
        if kept is None or len(kept) < len(patches):
            kept = self.patches[index] = torch.empty_like(
                patches, memory_format=torch.contiguous_format
            )
        return kept[: len(patches)].copy_(patches).view(len(features), -1, _patch_size(call))

    @property
    def convolutional(self) -> bool:
        """Whether there are convolutions in two dimensions."""
        return any(len(call.out_shape) == 4 for call in self.calls if call.convolution)

    def chunk(self, count: int, outputs: int, max_bytes: int) -> int:
        """How many of the samples that are left to take at once, all chunks being alike.

        Args:
            count: Samples that are left.
            outputs: Numbers that the network puts out for each.
            max_bytes: What they may take.
        """
        per_sample = 3 * sum(parameter.numel() for parameter in self.repeated.values())
        per_sample += 2 * self.other_results + _VECTORS * outputs
        for call in self.calls:
            per_sample += 4 * math.prod(call.out_shape) + 2 * call.features.numel()
            if call.convolution is not None:
                per_sample += _positions(call) * _patch_size(call)
            if call.weight is not None and _positions(call) > 1:
                per_sample += _GROUP * math.prod(call.out_shape)
        width = max(4, *(p.dtype.itemsize for p in self.parameters.values()))
        chunks = math.ceil(count * width * per_sample / max_bytes)
        return math.ceil(count / max(1, min(chunks, count)))


class LayerSquares:
    """The sums of one chunk of samples."""

    def __init__(self, plan: Plan, features: list[Tensor]) -> None:
        self._plan = plan
        self._by_weight: dict[str, list[int]] = {}
        self._by_bias: dict[str, list[int]] = {}
        for index, call in enumerate(plan.calls):
            if call.weight is not None:
                self._by_weight.setdefault(call.weight.name, []).append(index)
            if call.bias is not None:
                self._by_bias.setdefault(call.bias, []).append(index)
        self._columns = {
            name: _join([plan.columns(i, features[i]) for i in used])
            for name, used in self._by_weight.items()
        }
        self._totals: dict[str, Tensor] = {}
        self._waiting: dict[str, list[Tensor]] = {}
        self._outer: dict[str, Tensor] = {}  # sum_r g^2 [B, outputs] where the square factorises

    def add(self, gradients: tuple[Tensor, ...]) -> None:
        """Add the squares of one vector's gradients."""
        calls = self._plan.calls
        rows = [_rows(call, g) for call, g in zip(calls, gradients, strict=False)]
        for name, used in self._by_bias.items():
            own = _join([rows[i] for i in used])
            self._grow(name, (own.sum(1) if own.shape[1] > 1 else own[:, 0]).square().sum(0))
        for name, used in self._by_weight.items():
            own, columns = _join([rows[i] for i in used]), self._columns[name]
            if columns.shape[1] == 1:
                squares = own[:, 0].square()
                self._outer[name] = self._outer[name] + squares if name in self._outer else squares
            else:
                waiting = self._waiting.setdefault(name, [])
                waiting.append(own)
                if len(waiting) == _GROUP:
                    self._multiply(name)
        for name, gradient in zip(self._plan.repeated, gradients[len(calls) :], strict=True):
            self._grow(name, gradient.square().sum(0))

    def totals(self) -> dict[str, Tensor]:
        """Return the sums, shaped as the parameters."""
        for name, waiting in self._waiting.items():
            if waiting:
                self._multiply(name)
        for name, squares in self._outer.items():
            self._grow(name, squares.T @ self._columns[name][:, 0].square())
        return {name: self._as_parameter(name, total) for name, total in self._totals.items()}

    def _multiply(self, name: str) -> None:
        """Form per-sample gradients [outputs, inputs] for the vectors that wait, and add squares.

        A few samples at a time and all the vectors at once: what a layer read, the largest of all
        arrays, then comes out of memory once, and the product has enough rows to be fast.
        """
        waiting, columns = self._waiting[name], self._columns[name]
        size = max(1, _CACHED // math.prod(columns.shape[1:]))
        for begin in range(0, len(columns), size):
            rows = torch.cat([each[begin : begin + size] for each in waiting], dim=2)
            per_sample = torch.bmm(rows.transpose(1, 2), columns[begin : begin + size])
            squares = per_sample.square_().sum(0)
            self._grow(name, squares.unflatten(0, (len(waiting), -1)).sum(0))
        waiting.clear()

    def _grow(self, name: str, squares: Tensor) -> None:
        if name in self._totals:
            self._totals[name] += squares
        else:
            self._totals[name] = squares

    def _as_parameter(self, name: str, total: Tensor) -> Tensor:
        parameter = self._plan.parameters[name]
        if name not in self._by_weight:
            return total.view_as(parameter)
        call = self._plan.calls[self._by_weight[name][0]]
        assert call.weight is not None
        if call.convolution is not None:
            outputs, channels, *_ = parameter.shape
            total = total.view(outputs, -1, channels).transpose(1, 2)
        total = total if call.weight_rows_are_outputs else total.T
        return total.reshape(parameter.shape) * call.weight.scale**2


def _patches(call: LayerCall, features: Tensor) -> Tensor:
    """View maps [N, C, (H,) W] as the patches that a convolution reads.

    Channels come last, here and in the result, [N, height, width, kernel height, kernel width, C]:
    a row of a patch is then one piece of memory, which copies several times as fast as
    `torch.nn.functional.unfold` does.
    """
    assert call.convolution is not None
    stride, padding, dilation = call.convolution
    maps = features if features.dim() == 4 else features.unsqueeze(2)
    if any(padding):
        maps = F.pad(maps, (padding[1], padding[1], padding[0], padding[0]))
    maps = maps.permute(0, 2, 3, 1).contiguous()
    step = maps.stride()
    height, width = (
        (maps.shape[1 + axis] - dilation[axis] * (call.kernel[axis] - 1) - 1) // stride[axis] + 1
        for axis in (0, 1)
    )
    return maps.as_strided(
        (len(maps), height, width, *call.kernel, maps.shape[3]),
        (
            step[0],
            stride[0] * step[1],
            stride[1] * step[2],
            dilation[0] * step[1],
            dilation[1] * step[2],
            step[3],
        ),
    )


def _rows(call: LayerCall, gradient: Tensor) -> Tensor:
    """Bring a layer's output gradient [B, ...] to [B, positions, outputs]."""
    if call.convolution is not None:
        gradient = gradient.movedim(2, -1)
    return gradient.reshape(len(gradient), -1, gradient.shape[-1])


def _join(parts: list[Tensor]) -> Tensor:
    """Put the positions of several layer calls [B, positions, ...] together."""
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)


def _patch_size(call: LayerCall) -> int:
    channels = call.features.shape[1]
    return call.kernel[0] * call.kernel[1] * channels


def _positions(call: LayerCall) -> int:
    return math.prod(call.out_shape) // _outputs(call)


def _outputs(call: LayerCall) -> int:
    return call.out_shape[-1] if call.convolution is None else call.out_shape[1]
