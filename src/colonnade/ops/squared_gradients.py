"""Squared per-sample gradients of a module's output, summed over samples, in bounded memory.

For samples b with outputs o_b, and vectors s_rb on these, this computes for every parameter

    sum_b sum_r ((d o_b / d theta)^T s_rb)^2

One sample never sees another: the module runs under `torch.func.vmap` on batches of one. Linear
maps and convolutions get a perturbation of zeros on their result, whose gradient g, with what the
layer read, x, gives the weight's gradient: where a map is applied once per sample its square
factorises, (g x^T)^2 = g^2 (x^2)^T, so that no per-sample gradient is ever formed. All other
parameters are repeated for each sample, which gives their per-sample gradients by themselves.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.utils._pytree import tree_leaves, tree_map

from colonnade.ops.layer_calls import Discovery, LayerCall, Perturbation

How = Literal["auto", "layers", "vmap", "loop"]
"""How per-sample gradients come about: "layers" as above; "vmap" repeats every parameter; "loop"
takes one sample after another, which any module bears; "auto" is the first of these that works."""

Scores = Callable[[Tensor, Tensor | None], Iterable[Tensor]]
"""The vectors s_r, each as the outputs [B, ...] that are given, detached, with their labels."""


class SquaredGradients:
    """Sums squared per-sample gradients over batches.

    Attributes:
        sums: By parameter name, as the parameter; zero at first.
    """

    def __init__(
        self,
        network: nn.Module,
        names: Iterable[str],
        run: Callable[[nn.Module, Any], Tensor],
        how: How = "auto",
        max_bytes: int = 128 * 2**20,
    ) -> None:
        """Prepare for a module in evaluation mode.

        Args:
            network: Whose parameters.
            names: Which of them.
            run: Calls the module on one sample, whose tensors have no axis over samples, and
                returns its output [...].
            how: See `How`.
            max_bytes: About how much memory to use for one chunk of samples.
        """
        self._module = _Runner(network, run)
        found = dict(network.named_parameters())
        self._parameters = {f"network.{name}": found[name] for name in names}
        self.sums = {name: torch.zeros_like(found[name]) for name in names}
        self._how = how
        self._max_bytes = max_bytes
        self._plan: _Plan | None = None

    def add(self, samples: Any, labels: Tensor | None, scores: Scores) -> None:
        """Add the squared gradients of B samples.

        Args:
            samples: Tensors [B, ...], nested in tuples, lists and dicts.
            labels: [B, ...], handed to `scores` with the outputs they belong to.
            scores: Gives the vectors s_r for the outputs [B, ...] of some of the samples.
        """
        with torch.enable_grad():
            begin, count = 0, len(tree_leaves(samples)[0])
            if self._how != "loop" and count:
                self._plan = self._plan or self._discover(_part(samples, 0, 1))
            while begin < count:
                plan = None if self._how == "loop" else self._plan
                end = min(count, begin + (1 if plan is None else plan.chunk(self._max_bytes)))
                part, own = _part(samples, begin, end), _part(labels, begin, end)
                if plan is None:
                    self._add_one(part, own, scores)
                elif not self._try(plan, part, own, scores):
                    continue
                begin = end

    def add_mean(self, samples: Any, labels: Tensor | None, scores: Scores) -> None:
        """Add the squares of the B samples' mean gradient, which are no per-sample squares.

        Arguments are those of `add`.
        """
        with torch.enable_grad():
            count = len(tree_leaves(samples)[0])
            outputs = torch.stack(
                [self._module(_only(_part(samples, i, i + 1))) for i in range(count)]
            )
            entries = outputs[..., 0].numel()
            for score in scores(outputs.detach(), labels):
                self._square(outputs, score / entries)

    def _discover(self, samples: Any) -> _Plan:
        """Run one sample to see which parameters only layer calls use."""
        watch = Discovery({k: p for k, p in self._parameters.items() if self._how != "vmap"})
        with watch:
            self._module(_only(samples))
        ways: dict[str, tuple[bool, float]] = {}
        for call in watch.calls:
            if (weight := call.weight) is not None:
                way = (call.weight_rows_are_outputs, weight.scale)
                if ways.setdefault(weight.name, way) != way:
                    watch.elsewhere.add(weight.name)  # as a decoder that is its encoder transposed
        calls = [call.without(watch.elsewhere) for call in watch.calls]
        calls = [call for call in calls if call.watched]
        layered = {n for c in calls for n in (c.weight and c.weight.name, c.bias) if n is not None}
        return _Plan(calls, self._parameters, layered)

    def _try(self, plan: _Plan, samples: Any, labels: Tensor | None, scores: Scores) -> bool:
        """Add a chunk, or go over to the loop if the module is beyond vmap."""
        try:
            outputs, leaves, features = self._run(plan, samples)
        except (RuntimeError, NotImplementedError) as error:
            if self._how != "auto":
                raise
            reason = str(error).strip().splitlines()[0]
            warnings.warn(
                "The per-sample gradients are computed one by one, which is slow, because "
                f"torch.func.vmap can't run this module: {reason}",
                stacklevel=2,
            )
            self._how = "loop"
            return False
        squares = _Squares(plan, features)
        for score in scores(outputs.detach(), labels):
            gradients = torch.autograd.grad(
                outputs, leaves, score, retain_graph=True, materialize_grads=True
            )
            squares.add(gradients)
        for name, total in squares.totals().items():
            self.sums[name.removeprefix("network.")] += total
        return True

    def _run(self, plan: _Plan, samples: Any) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Run B samples; return outputs, what to differentiate by, and what the layers read."""
        count = len(tree_leaves(samples)[0])
        place = next(iter(self._parameters.values()))
        samples = tree_map(_channels_last, samples) if plan.convolutional else samples
        perturbations = [
            _channels_last(
                torch.zeros(count, *call.out_shape, device=place.device, dtype=place.dtype)
            )
            for call in plan.calls
        ]
        repeated = {
            name: parameter.detach().expand(count, *parameter.shape)
            for name, parameter in plan.repeated.items()
        }
        leaves = [leaf.requires_grad_() for leaf in (*perturbations, *repeated.values())]
        fixed = {name: parameter.detach() for name, parameter in plan.layered.items()}

        def one(sample: Any, perturbations: list[Tensor], repeated: dict[str, Tensor]) -> Any:
            with Perturbation(fixed, perturbations) as watch:
                output = functional_call(self._module, {**fixed, **repeated}, (sample,))
            return output, watch.features

        # Modules that draw random numbers even in evaluation mode draw them for each sample.
        outputs, features = vmap(one, randomness="different")(samples, perturbations, repeated)
        return outputs, leaves, [x.detach() for x in features]

    def _add_one(self, samples: Any, labels: Tensor | None, scores: Scores) -> None:
        """Add one sample (an axis of one), by plain backward passes."""
        output = self._module(_only(samples)).unsqueeze(0)
        for score in scores(output.detach(), labels):
            self._square(output, score)

    def _square(self, outputs: Tensor, score: Tensor) -> None:
        parameters = list(self._parameters.values())
        gradients = torch.autograd.grad(
            outputs, parameters, score, retain_graph=True, allow_unused=True
        )
        for total, gradient in zip(self.sums.values(), gradients, strict=True):
            if gradient is not None:
                total += gradient.square()


def _part(samples: Any, begin: int, end: int) -> Any:
    return tree_map(lambda x: None if x is None else x[begin:end], samples)


def _only(samples: Any) -> Any:
    return tree_map(lambda x: x[0], samples)


class _Runner(nn.Module):
    """The module and how it is called, so that its parameters can be replaced for a call."""

    def __init__(self, network: nn.Module, run: Callable[[nn.Module, Any], Tensor]) -> None:
        super().__init__()
        self.network = network
        self._call = run

    def forward(self, sample: Any) -> Tensor:
        return self._call(self.network, sample)


@dataclass
class _Plan:
    """Which parameters are reached through layer calls, and which must be repeated."""

    calls: list[LayerCall]
    parameters: dict[str, nn.Parameter]
    names: set[str]
    layered: dict[str, nn.Parameter] = field(init=False)
    repeated: dict[str, nn.Parameter] = field(init=False)
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

    def chunk(self, max_bytes: int) -> int:
        """How many samples to take at once."""
        per_sample = 3 * sum(parameter.numel() for parameter in self.repeated.values())
        for call in self.calls:
            per_sample += 4 * math.prod(call.out_shape) + 2 * call.features.numel()
            if call.convolution is not None:
                per_sample += _positions(call) * _patch_size(call)
            if call.weight is not None and _positions(call) > 1:
                per_sample += 2 * self.parameters[call.weight.name].numel()
        return max(1, max_bytes // (4 * per_sample + 1))


class _Squares:
    """The sums of one chunk of samples."""

    def __init__(self, plan: _Plan, features: list[Tensor]) -> None:
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
                per_sample = torch.bmm(own.transpose(1, 2), columns)
                self._grow(name, per_sample.square_().sum(0))
        for name, gradient in zip(self._plan.repeated, gradients[len(calls) :], strict=True):
            self._grow(name, gradient.square().sum(0))

    def totals(self) -> dict[str, Tensor]:
        """Return the sums, shaped as the parameters."""
        for name, squares in self._outer.items():
            self._grow(name, squares.T @ self._columns[name][:, 0].square())
        return {name: self._as_parameter(name, total) for name, total in self._totals.items()}

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


def _channels_last(value: Tensor) -> Tensor:
    """Lay maps [..., C, H, W] out so that convolutions run fast; the values stay."""
    if value.dim() < 4:
        return value
    return value.movedim(-3, -1).contiguous().movedim(-1, -3)


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
    outputs = call.out_shape[-1] if call.convolution is None else call.out_shape[1]
    return math.prod(call.out_shape) // outputs
