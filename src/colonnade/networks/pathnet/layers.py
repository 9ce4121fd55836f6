"""Layers of modules without a memory, computed along one path or another one for each row.

Each module has parameters of its own, so that those of modules no row uses get no gradient at all
and no optimiser moves them, whatever its momentum. What is computed at once is joined at once.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colonnade.errors import UsageError
from colonnade.memory_layout import take
from colonnade.networks.factories import (
    check_new,
    checked_output,
    make_module,
    try_out,
)
from colonnade.networks.initialisation import Initialiser, room
from colonnade.networks.pathnet.bank import ModularLayer, Routes, scaled
from colonnade.networks.pathnet.spec import ModularSpec
from colonnade.networks.stage import ACTIVATIONS, Conv, Custom, Dense
from colonnade.types import Shape

_PER_ELEMENT = 80.0
"""Cost of moving an element to and from a module's rows, in multiply-adds (measured)."""

_PER_MODULE = 5e5
"""Cost of one more operation, in multiply-adds (measured)."""


class AffineModule(nn.Module):
    """One module's weights and bias; the layer computes with them."""

    def __init__(self, weight_shape: Shape, initialise: Initialiser) -> None:
        super().__init__()
        self.weight = nn.Parameter(room(*weight_shape))
        self.bias = nn.Parameter(room(weight_shape[0]))
        self._initialise = initialise
        self.reinitialise()

    def reinitialise(self) -> None:
        """Draw new weights."""
        self._initialise(self.weight, self.bias)


class _AffineLayer(ModularLayer):
    """Modules that are one linear operation each, which are computed side by side as one."""

    def __init__(
        self,
        weight_shape: Shape,
        in_shape: Shape,
        out_shape: Shape,
        spec: ModularSpec,
        first: bool = False,
    ) -> None:
        initialise = Initialiser(spec.init, summing_gain(spec.active), first)
        bank = [AffineModule(weight_shape, initialise) for _ in range(spec.modules)]
        super().__init__(bank, in_shape, out_shape)
        self.activation = ACTIVATIONS[spec.activation]
        self._latest: tuple[Sequence[int], list[dict[str, nn.Parameter | None]]] | None = None

    def reinitialise(self, module: int) -> None:
        affine = self.bank[module]
        assert isinstance(affine, AffineModule)
        affine.reinitialise()

    def along(self, features: Tensor, active: Sequence[int], scale: float | None) -> Tensor:
        joined = self._side_by_side(features, active, scale)
        return joined if len(active) == 1 else self._summed(joined, len(active))

    def mixed(self, features: Tensor, routes: Routes, scale: float | None) -> Tensor:
        if self._cheaper_by_module(len(features), routes):
            return self._by_module(features, routes, scale)
        joined = self._side_by_side(features, routes.used, scale)
        return self._chosen(joined, routes)

    def _side_by_side(self, features: Tensor, active: Sequence[int], scale: float | None) -> Tensor:
        """Activated outputs of some modules, one after another along axis 1."""
        # A path is followed for many batches, and looking modules up takes as long as joining. Not
        # the parameters are kept but where they stand: torch.func puts tensors in their places.
        if self._latest is None or self._latest[0] is not active:
            self._latest = active, [self.bank[module]._parameters for module in active]
        places = self._latest[1]
        weight = torch.cat([cast("Tensor", place["weight"]) for place in places])
        bias = torch.cat([cast("Tensor", place["bias"]) for place in places])
        return self.activation(self._apply_weights(features, scaled(weight, scale), bias))

    def _by_module(self, features: Tensor, routes: Routes, scale: float | None) -> Tensor:
        """Bring together the rows of each module, and their outputs back to the rows."""
        parts = take(features, 0, routes.rows).split(routes.counts)
        outputs = []
        for part, module in zip(parts, routes.used, strict=True):
            weight, bias = self._affine(module)
            outputs.append(self._apply_weights(part, scaled(weight, scale), bias))
        joined = _channels_last(self.activation(torch.cat(outputs)))
        total = joined.new_zeros(len(features), *joined.shape[1:])
        return _channels_first(total.index_add(0, routes.rows, joined))

    def _cheaper_by_module(self, rows: int, routes: Routes) -> bool:
        pairs = sum(routes.counts)
        weights = math.prod(self._affine(0)[0].shape[1:])
        work = math.prod(self.out_shape) * weights
        moved = math.prod(self.in_shape) + math.prod(self.out_shape)
        by_module = pairs * (work + _PER_ELEMENT * moved) + len(routes.used) * _PER_MODULE
        return by_module < rows * len(routes.used) * work

    def _affine(self, module: int) -> tuple[Tensor, Tensor]:
        affine = self.bank[module]
        assert isinstance(affine, AffineModule)
        return affine.weight, affine.bias

    @abstractmethod
    def _apply_weights(self, features: Tensor, weight: Tensor, bias: Tensor) -> Tensor: ...

    @abstractmethod
    def _summed(self, joined: Tensor, count: int) -> Tensor: ...

    @abstractmethod
    def _chosen(self, joined: Tensor, routes: Routes) -> Tensor: ...


class DenseLayer(_AffineLayer):
    """Fully connected modules over flattened features."""

    def __init__(self, stage: Dense, in_shape: Shape, spec: ModularSpec) -> None:
        flat = math.prod(in_shape)
        super().__init__((stage.units, flat), (flat,), (stage.units,), spec)

    def flat(self, features: Tensor) -> Tensor:
        """Flatten features [R, ...]."""
        return features.flatten(1)

    def _apply_weights(self, features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return F.linear(features, weight, bias)

    def _summed(self, joined: Tensor, count: int) -> Tensor:
        total: Tensor = joined.view(len(joined), count, -1).sum(1)
        return total

    def _chosen(self, joined: Tensor, routes: Routes) -> Tensor:
        chosen = routes.chosen(joined.dtype).unsqueeze(2)
        total: Tensor = (joined.unflatten(1, (len(routes.used), -1)) * chosen).sum(1)
        return total


class ConvLayer(_AffineLayer):
    """Convolutions over maps in channels-last memory."""

    def __init__(self, stage: Conv, in_shape: Shape, spec: ModularSpec, first: bool) -> None:
        if len(in_shape) != 3 or stage.kernel > min(in_shape[1:]) + 2 * stage.padding:
            raise UsageError(
                f"A convolution of {stage.kernel}x{stage.kernel} reads maps (C, H, W) at least as "
                f"large, but its input has shape {in_shape}; use smaller kernels or fewer layers."
            )
        sides = (
            (side + 2 * stage.padding - stage.kernel) // stage.stride + 1 for side in in_shape[1:]
        )
        weight = (stage.maps, in_shape[0], stage.kernel, stage.kernel)
        super().__init__(weight, in_shape, (stage.maps, *sides), spec, first)
        self.stride, self.padding = stage.stride, stage.padding

    def _apply_weights(self, features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return F.conv2d(features, weight, bias, self.stride, self.padding)

    def _summed(self, joined: Tensor, count: int) -> Tensor:
        pixels = _channels_last(joined)
        if joined.dtype == torch.bfloat16:
            # A product with stacked identity matrices, much quicker there than a sum.
            total = pixels @ self._identities(count, joined)
        else:
            total = pixels.unflatten(3, (count, -1)).sum(3)
        return _channels_first(total)

    def _chosen(self, joined: Tensor, routes: Routes) -> Tensor:
        pixels = _channels_last(joined)
        identities = self._identities(len(routes.used), joined).unflatten(0, (len(routes.used), -1))
        choice = routes.chosen(joined.dtype)[:, :, None, None] * identities
        total = torch.bmm(pixels.flatten(1, 2), choice.flatten(1, 2))
        return _channels_first(total.unflatten(1, pixels.shape[1:3]))

    def _identities(self, count: int, like: Tensor) -> Tensor:
        return torch.eye(self.out_shape[0], dtype=like.dtype, device=like.device).repeat(count, 1)


class CustomLayer(ModularLayer):
    """A user's own modules, which give the pre-activation; computed one after another."""

    def __init__(self, stage: Custom, in_shape: Shape, spec: ModularSpec) -> None:
        bank = [make_module(stage.factory, in_shape) for _ in range(spec.modules)]
        for index, module in enumerate(bank):
            check_new(module, bank[:index])
        super().__init__(bank, in_shape, stage.out_shape)
        self._factory = stage.factory
        self.activation = ACTIVATIONS[spec.activation]
        try_out(self, in_shape, lambda zeros: self.along(zeros, range(spec.modules), None))

    def reinitialise(self, module: int) -> None:
        """Let the factory make the module anew, on the same device."""
        old = self.bank[module]
        fresh = make_module(self._factory, self.in_shape).train(old.training)
        like = next(iter(old.parameters()), None)
        check_new(fresh, self.bank)
        self.bank[module] = fresh if like is None else fresh.to(like.device, like.dtype)
        try_out(self, self.in_shape, lambda zeros: self.along(zeros, [module], None))

    def along(self, features: Tensor, active: Sequence[int], scale: float | None) -> Tensor:
        """Map features [R, *in_shape], times `scale`, to the sum over the active modules."""
        features = scaled(features, scale)
        return torch.stack([self._one(module, features) for module in active]).sum(0)

    def mixed(self, features: Tensor, routes: Routes, scale: float | None) -> Tensor:
        """Do the same where each row has its own active modules."""
        features = scaled(features, scale)
        parts = take(features, 0, routes.rows).split(routes.counts)
        outputs = [self._one(m, part) for m, part in zip(routes.used, parts, strict=True)]
        joined = torch.cat(outputs)
        total = joined.new_zeros(len(features), *joined.shape[1:])
        return total.index_add(0, routes.rows, joined)

    def _one(self, module: int, features: Tensor) -> Tensor:
        return self.activation(checked_output(self.bank[module](features), self.out_shape))


class Head(nn.Module):
    """A task's own output layer; linear, in the weights' precision under autocast too."""

    def __init__(self, in_shape: Shape, outputs: int, spec: ModularSpec) -> None:
        super().__init__()
        features = torch.Size(in_shape).numel()
        self.weight = nn.Parameter(room(outputs, features))
        self.bias = nn.Parameter(room(outputs))
        Initialiser(spec.init, spec.output_gain)(self.weight, self.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Map features [R, ...] to [R, outputs]."""
        features = features.flatten(1).to(self.weight.dtype)
        if not torch.is_autocast_enabled(features.device.type):
            return F.linear(features, self.weight, self.bias)
        with torch.autocast(features.device.type, enabled=False):
            return F.linear(features, self.weight, self.bias)


def summing_gain(active: int) -> float:
    """Gain with which a sum of N ReLU modules keeps the mean square of its input.

    For unit normal pre-activations a ReLU has mean square 1/2 and mean 1 / sqrt(2 pi); the sum of
    N independent ones has mean square N / 2 + N (N - 1) / (2 pi). For N = 1 it is sqrt 2.
    """
    return 1 / math.sqrt(active / 2 + active * (active - 1) / (2 * math.pi))


def _channels_last(maps: Tensor) -> Tensor:
    """View maps [R, C, H, W] as [R, H, W, C]; other features pass."""
    return maps.permute(0, 2, 3, 1) if maps.dim() == 4 else maps


def _channels_first(maps: Tensor) -> Tensor:
    """View maps [R, H, W, C] as [R, C, H, W]; other features pass."""
    return maps.permute(0, 3, 1, 2) if maps.dim() == 4 else maps
