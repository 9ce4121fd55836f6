"""The stages of a column as modules: features from below and from earlier columns in, own out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colonnade.errors import UsageError
from colonnade.networks.factories import (
    check_new,
    checked_output,
    held,
    let_learn,
    make_module,
    try_out,
)
from colonnade.networks.initialisation import Initialiser, check_room, room
from colonnade.networks.progressive.laterals import Laterals, build_laterals
from colonnade.networks.progressive.spec import ColumnSpec
from colonnade.networks.progressive.task_gains import TaskGains
from colonnade.networks.stage import (
    ACTIVATIONS,
    Conv,
    Custom,
    Dense,
    Join,
    LateralKind,
)
from colonnade.types import Shape


class Stage(nn.Module):
    """What all stages share: a shape, laterals, and freezing that lasts.

    Attributes:
        out_shape: Shape of the features, without the batch axis.
        lateral: The connections from earlier columns, or None.
        frozen: Whether the stage is frozen; set it by `freeze` and `unfreeze`.
        gains: What each task has of its own here, or None.
        held: Names of parameters that never learn, since a user's own module came so.
    """

    bias: nn.Parameter
    gains: TaskGains | None

    def __init__(self, out_shape: Shape, lateral: Laterals | None) -> None:
        super().__init__()
        self.out_shape = out_shape
        self.lateral = lateral
        self.frozen = False
        self.gains = None
        self.held: frozenset[str] = frozenset()

    def give_gains(self, units: int, rows: int) -> None:
        """Give each of `rows` tasks gains and biases of its own for `units` units or maps."""
        self.gains = TaskGains(units)
        for _ in range(rows - 1):
            self.gains.add_row()

    def learn_row(self, row: int) -> None:
        """Let the gains and biases of one task learn, if the stage learns, and of no other."""
        if self.gains is None or self.frozen:
            return
        self.gains.learn(row)
        if isinstance(getattr(self, "bias", None), nn.Parameter):
            self.bias.requires_grad_(False)

    def of_task(self, total: Tensor, row: int) -> Tensor:
        """Apply a task's gains and biases to pre-activations, if there are any."""
        if self.gains is None:
            return total
        scaled: Tensor = self.gains(total, row)
        return scaled

    def freeze(self) -> None:
        """Stop everything that could change the features: gradients, dropout and statistics."""
        self.frozen = True
        self.requires_grad_(False)
        self.eval()

    def unfreeze(self) -> None:
        """Let the stage learn again."""
        self.frozen = False
        let_learn(self, but=self.held)
        self.train()

    def train(self, mode: bool = True) -> Stage:
        """Set training mode; a frozen stage stays in evaluation mode."""
        super().train(mode and not self.frozen)
        return self


class ConvStage(Stage):
    """A convolution, laterals, and the activation."""

    def __init__(
        self,
        stage: Conv,
        in_shape: Shape,
        source_shapes: Sequence[Shape],
        spec: ColumnSpec,
        first: bool,
    ) -> None:
        out_shape = _conv_out_shape(stage, in_shape)
        initialise = Initialiser(spec.init, first=first)

        def make_transfer(shape: Shape) -> nn.Module:
            if _conv_out_shape(stage, shape) != out_shape:
                raise UsageError(
                    f"its own features have shape {out_shape}, but the same convolution of a "
                    f"source of shape {shape} gives {_conv_out_shape(stage, shape)}"
                )
            check_room(stage.maps, shape[0], stage.kernel, stage.kernel)
            transfer = nn.Conv2d(
                shape[0], stage.maps, stage.kernel, stage.stride, stage.padding, bias=False
            )
            initialise(transfer.weight)
            return transfer

        kind = spec.laterals_of(stage)
        lateral = build_laterals(
            kind, source_shapes, in_shape, make_transfer, False, spec, width=stage.adapter
        )
        super().__init__(out_shape, lateral)
        self.stride, self.padding = stage.stride, stage.padding
        self.activation = ACTIVATIONS[spec.activation]
        self.weight = nn.Parameter(room(stage.maps, in_shape[0], *[stage.kernel] * 2))
        self.bias = nn.Parameter(room(stage.maps))
        initialise(self.weight, self.bias)

    def forward(
        self,
        features: Tensor,
        sources: Sequence[Tensor],
        scale: float | None = None,
        row: int = 0,
    ) -> Tensor:
        """Map [B, C, H, W], times `scale`, and the sources' features to [B, maps, H', W'].

        The weights take the scale, since they are far fewer than the pixels of a batch.
        """
        weight: Tensor = self.weight
        bias: Tensor = self.bias
        folds = self.folds
        if folds and self.gains is not None:
            weight, bias = self.gains.folded(weight, bias, row)
        weight = weight if scale is None else weight * scale
        total = F.conv2d(features, weight, bias, self.stride, self.padding)
        if self.lateral is not None:
            total = total + self.lateral(sources)
        return self.activation(total if folds else self.of_task(total, row))

    @property
    def folds(self) -> bool:
        """Whether a task's gains and biases go into the weights now: see `task_gains.folded`."""
        alone = self.gains is not None and self.lateral is None
        return alone and torch.is_autocast_enabled(self.bias.device.type)


class DenseStage(Stage):
    """A fully connected layer, laterals, and the activation."""

    def __init__(
        self, stage: Dense, in_shape: Shape, source_shapes: Sequence[Shape], spec: ColumnSpec
    ) -> None:
        initialise = Initialiser(spec.init)
        lateral = linear_laterals_into(
            stage.units,
            spec.laterals_of(stage),
            in_shape,
            source_shapes,
            spec,
            initialise,
            width=stage.adapter,
        )
        super().__init__((stage.units,), lateral)
        self.activation = ACTIVATIONS[spec.activation]
        self.weight = nn.Parameter(room(stage.units, math.prod(in_shape)))
        self.bias = nn.Parameter(room(stage.units))
        initialise(self.weight, self.bias)

    def forward(self, features: Tensor, sources: Sequence[Tensor], row: int = 0) -> Tensor:
        """Map [B, ...] and the sources' features to [B, units]."""
        total = F.linear(features.flatten(1), self.weight, self.bias)
        if self.lateral is not None:
            total = total + self.lateral(sources)
        return self.activation(self.of_task(total, row))


class CustomStage(Stage):
    """A user's module, laterals through further modules of the same kind, and the activation."""

    def __init__(
        self, stage: Custom, in_shape: Shape, source_shapes: Sequence[Shape], spec: ColumnSpec
    ) -> None:
        kind = spec.laterals_of(stage)
        make = partial(make_module, stage.factory)
        lateral = build_laterals(kind, source_shapes, in_shape, make, False, spec)
        super().__init__(stage.out_shape, lateral)
        self.activation = ACTIVATIONS[spec.activation]
        self.module = make(in_shape)
        check_new(self.module, [] if lateral is None else [lateral])
        self.held = held(self)

        def run(zeros: Tensor) -> None:
            self(zeros, [zeros.new_zeros(2, *shape) for shape in source_shapes])

        try_out(self, in_shape, run)

    def forward(self, features: Tensor, sources: Sequence[Tensor], row: int = 0) -> Tensor:
        """Map [B, ...] and the sources' features to [B, *out_shape]."""
        total: Tensor = self._checked(self.module(features), "module")
        if self.lateral is not None:
            total = total + self._checked(self.lateral(sources), "lateral")
        return self.activation(self.of_task(total, row))

    def _checked(self, value: Tensor, what: str) -> Tensor:
        return checked_output(value, self.out_shape, what)


class JoinStage(Stage):
    """Another input, encoded and concatenated to the flattened features."""

    def __init__(self, stage: Join, in_shape: Shape, joined_shape: Shape, spec: ColumnSpec) -> None:
        super().__init__((math.prod(in_shape) + stage.units,), None)
        self.input = stage.input
        self.activation = ACTIVATIONS[spec.activation]
        self.weight = nn.Parameter(room(stage.units, math.prod(joined_shape)))
        self.bias = nn.Parameter(room(stage.units))
        Initialiser(spec.init)(self.weight, self.bias)

    def forward(self, features: Tensor, joined: Tensor, row: int = 0) -> Tensor:
        """Map features [B, ...] and the joined input [B, ...] to [B, features + units]."""
        total = F.linear(joined.flatten(1), self.weight, self.bias)
        encoded = self.activation(self.of_task(total, row))
        return torch.cat([features.flatten(1).to(encoded.dtype), encoded], 1)


class OutputStage(Stage):
    """The output layer: policy logits and value, or scores; linear, in the weights' precision.

    It runs in full precision under autocast too, since a value of 20 in bfloat16 is good to 0.06
    only. The bias comes last in the sum, so that a layer started by copying the previous column's
    gives the same output bit for bit.
    """

    def __init__(
        self, outputs: int, in_shape: Shape, source_shapes: Sequence[Shape], spec: ColumnSpec
    ) -> None:
        initialise = Initialiser(spec.init, spec.output_gain)
        lateral = linear_laterals_into(
            outputs,
            spec.output_laterals_kind,
            in_shape,
            source_shapes,
            spec,
            initialise,
            precise=True,
            width=spec.output_adapter,
        )
        super().__init__((outputs,), lateral)
        self.weight = nn.Parameter(room(outputs, math.prod(in_shape)))
        self.bias = nn.Parameter(room(outputs))
        initialise(self.weight, self.bias)

    def forward(self, features: Tensor, sources: Sequence[Tensor], row: int = 0) -> Tensor:
        """Map [B, ...] and the sources' features to [B, outputs]."""
        total = in_full(features.flatten(1), self.weight)
        if self.lateral is not None:
            total = total + self.lateral(sources)
        return self.of_task(total + self.bias, row)


def in_full(features: Tensor, weight: Tensor) -> Tensor:
    """Multiply [B, inputs] by weights [outputs, inputs] in their precision, under autocast too."""
    kind = weight.device.type
    if not torch.is_autocast_enabled(kind):
        return F.linear(features, weight)
    with torch.autocast(kind, enabled=False):
        return F.linear(features.to(weight.dtype), weight)


def linear_laterals_into(
    units: int,
    kind: LateralKind,
    in_shape: Shape,
    source_shapes: Sequence[Shape],
    spec: ColumnSpec,
    initialise: Initialiser,
    precise: bool = False,
    width: int | None = None,
) -> Laterals | None:
    """Make laterals into `units` pre-activations of a stage that flattens its input."""

    def make_transfer(shape: Shape) -> nn.Module:
        check_room(units, shape[0])
        transfer = nn.Linear(shape[0], units, bias=False)
        initialise(transfer.weight)
        return transfer

    return build_laterals(kind, source_shapes, in_shape, make_transfer, True, spec, precise, width)


def _conv_out_shape(stage: Conv, in_shape: Shape) -> Shape:
    if len(in_shape) != 3:
        raise UsageError(
            f"a convolution reads maps of shape (C, H, W), but its input has shape {in_shape}"
        )
    height, width = (side + 2 * stage.padding for side in in_shape[1:])
    if stage.kernel > min(height, width):
        raise UsageError(
            f"its kernel of {stage.kernel}x{stage.kernel} is larger than the map of "
            f"{height}x{width} it reads; use a smaller kernel or fewer convolutions"
        )
    return (
        stage.maps,
        (height - stage.kernel) // stage.stride + 1,
        (width - stage.kernel) // stage.stride + 1,
    )
