"""Lateral connections: what a stage reads from earlier columns, added to its pre-activation.

Rusu et al. 2016 (arXiv 1606.04671): `LinearLaterals` is the sum in Eq. 1, `AdapterLaterals` the
second term of Eq. 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colonnade.errors import UsageError
from colonnade.networks.initialisation import Initialiser, check_room
from colonnade.networks.progressive.spec import ColumnSpec
from colonnade.networks.stage import ACTIVATIONS, LateralKind
from colonnade.types import Shape

TransferFactory = Callable[[Shape], nn.Module]
"""Makes U, in the form of the stage's own operation and without a bias, for an input shape."""


class LinearLaterals(nn.Module):
    """Eq. 1: `sum_j U^{k:j} h_{i-1}^{(j)}`.

    Args:
        source_shapes: Shape of each source's features, oldest column first.
        make_transfer: Makes U for a source.
        flat: Flatten the features before U, as dense stages do.
        precise: Apply U in its own precision under autocast too.
    """

    def __init__(
        self,
        source_shapes: Sequence[Shape],
        make_transfer: TransferFactory,
        flat: bool,
        precise: bool = False,
    ) -> None:
        super().__init__()
        self.flat = flat
        self.precise = precise
        self.transfers = nn.ModuleList(
            make_transfer((math.prod(shape),) if flat else shape) for shape in source_shapes
        )

    def forward(self, sources: Sequence[Tensor]) -> Tensor:
        """Map the sources' features, each [B, ...], to a term of the pre-activation.

        The sum runs from the oldest column to the newest, so that a copied output layer adds the
        same numbers in the same order as the layer it was copied from.
        """
        terms = [
            _transfer(transfer, source.flatten(1) if self.flat else source, self.precise)
            for transfer, source in zip(self.transfers, sources, strict=True)
        ]
        total: Tensor = terms[0]
        for term in terms[1:]:
            total = total + term
        return total


class AdapterLaterals(nn.Module):
    """Eq. 2: `U s(V [a_j h_{i-1}^{(j)}]_{j<k})`, the sources side by side.

    V is a 1x1 convolution where every source is maps of the stage's own map size, and a dense
    projection of the flattened features otherwise; it has a bias and projects to the width of the
    stage's own input. The learned scalars `a` are folded into V's weights, which is the same
    product at a fraction of the memory traffic.

    Args:
        source_shapes: Shape of each source's features, oldest column first.
        in_shape: Shape of the stage's own input.
        make_transfer: Makes U.
        flat: Flatten V's output before U, as dense stages do.
        spec: Of the column, for `alpha`, `scale_per`, `activation` and `init`.
        precise: Apply U in its own precision under autocast too.
        width: How many maps or units V projects to; as many as the stage's own input if None.

    Raises:
        UsageError: A source does not fit `in_shape` and may not be flattened.
    """

    def __init__(
        self,
        source_shapes: Sequence[Shape],
        in_shape: Shape,
        make_transfer: TransferFactory,
        flat: bool,
        spec: ColumnSpec,
        precise: bool = False,
        width: int | None = None,
    ) -> None:
        super().__init__()
        maps = len(in_shape) == 3 and all(
            len(shape) == 3 and shape[1:] == in_shape[1:] for shape in source_shapes
        )
        if not maps and not flat and len(in_shape) > 1:
            raise UsageError(
                f"its own input has shape {in_shape}, so an adapter needs sources of map size "
                f"{in_shape[1:]}, but theirs are {', '.join(map(str, source_shapes))}"
            )
        self.flat = flat
        self.precise = precise
        self.activation = ACTIVATIONS[spec.activation]
        self.project: nn.Conv2d | nn.Linear
        if maps:
            widths = [shape[0] for shape in source_shapes]
            in_shape = (width or in_shape[0], *in_shape[1:])
            check_room(in_shape[0], sum(widths))
            self.project = nn.Conv2d(sum(widths), in_shape[0], kernel_size=1)
            make_shape = (math.prod(in_shape),) if flat else in_shape
        else:
            widths = [math.prod(shape) for shape in source_shapes]
            make_shape = (width or math.prod(in_shape),)
            check_room(make_shape[0], sum(widths))
            self.project = nn.Linear(sum(widths), make_shape[0])
        Initialiser(spec.init)(self.project.weight, self.project.bias)
        self.transfer = make_transfer(make_shape)
        scalars = len(widths) if spec.scale_per == "source" else 1
        self.scales = nn.Parameter(torch.full((scalars,), float(spec.alpha)))
        owner = torch.repeat_interleave(torch.arange(len(widths)), torch.tensor(widths))
        self.owner: Tensor
        self.register_buffer("owner", owner.clamp(max=scalars - 1), persistent=False)

    def forward(self, sources: Sequence[Tensor]) -> Tensor:
        """Map the sources' features, each [B, ...], to a term of the pre-activation."""
        scale = self.scales[self.owner]
        if isinstance(self.project, nn.Conv2d):
            features = torch.cat(list(sources), 1)
            weight = self.project.weight * scale.view(1, -1, 1, 1)
            projected = F.conv2d(features, weight, self.project.bias)
        else:
            features = torch.cat([source.flatten(1) for source in sources], 1)
            projected = F.linear(features, self.project.weight * scale, self.project.bias)
        projected = self.activation(projected)
        flattened_or_maps = projected.flatten(1) if self.flat else projected
        return _transfer(self.transfer, flattened_or_maps, self.precise)


Laterals = LinearLaterals | AdapterLaterals


def _transfer(transfer: nn.Module, features: Tensor, precise: bool) -> Tensor:
    result: Tensor
    if not precise:
        result = transfer(features)
        return result
    weight = transfer.weight  # no Parameter while torch.func stands a tensor in for it
    assert isinstance(weight, Tensor)
    with torch.autocast(features.device.type, enabled=False):
        result = transfer(features.to(weight.dtype))
    return result


def build_laterals(
    kind: LateralKind,
    source_shapes: Sequence[Shape],
    in_shape: Shape,
    make_transfer: TransferFactory,
    flat: bool,
    spec: ColumnSpec,
    precise: bool = False,
    width: int | None = None,
) -> Laterals | None:
    """Make the laterals into one stage, or None where it reads no earlier column.

    Args:
        kind: Eq. 2, Eq. 1 or none.
        source_shapes: Shape of each source's features, oldest column first.
        in_shape: Shape of the stage's own input.
        make_transfer: Makes U for an input shape.
        flat: Whether the stage works on flattened features.
        spec: Of the column.
        precise: Apply U in its own precision under autocast too.
        width: Of an adapter's projection.

    Raises:
        UsageError: The sources' shapes do not fit; the sentence wants a place put before it.
    """
    if kind == "none" or not source_shapes:
        return None
    if kind == "linear":
        return LinearLaterals(source_shapes, make_transfer, flat, precise)
    return AdapterLaterals(source_shapes, in_shape, make_transfer, flat, spec, precise, width)
