"""A column as a module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral

import torch
from torch import nn

from colonnade.checks import whole
from colonnade.errors import UsageError, unknown_name
from colonnade.networks.factories import FactoryError, check_new
from colonnade.networks.progressive.alignment import Feature, aligned, levels
from colonnade.networks.progressive.laterals import LinearLaterals
from colonnade.networks.progressive.recurrent import LSTMStage
from colonnade.networks.progressive.spec import ColumnSpec
from colonnade.networks.progressive.stages import (
    ConvStage,
    CustomStage,
    DenseStage,
    JoinStage,
    OutputStage,
)
from colonnade.networks.progressive.straight import Straight
from colonnade.networks.stage import LSTM, Conv, Dense, Join, StageSpec
from colonnade.records import shown
from colonnade.types import OBSERVATION, Shape

HiddenStage = ConvStage | DenseStage | CustomStage | JoinStage | LSTMStage


@dataclass(frozen=True, order=True)
class Projection:
    """The hidden units of the adapter that feeds a stage: `s(V a h)` in Eq. 2 of Rusu et al. 2016.

    Attributes:
        column: Index of the column that the adapter belongs to.
        stage: The stage it feeds; the number of stages stands for the output layer.
    """

    column: int
    stage: int


Site = Feature | Projection
"""Somewhere activations pass: the features of a stage, or the projections within an adapter."""


class Column(nn.Module):
    """One column: its stages, its output layer, and what they read.

    Columns are aligned from the top: the output layer reads the last hidden features of each
    earlier column, the stage below it what their last hidden stages read, and so on, so that
    columns of equal depth meet as in Rusu et al. 2016. A first stage reads the raw input only.

    Args:
        spec: What to build.
        input_shapes: Shape of each named input of the task.
        outputs: Width of the output layer.
        earlier: The columns before this one.
        sources: Indices of those that it may read; None is all.

    Raises:
        UsageError: A shape or a name does not fit.

    Attributes:
        stages: The stages, lowest first.
        output: The output layer.
        input: Name of the input the first stage reads.
        reads: For each stage, the earlier columns' features that enter it, oldest first.
        output_reads: The same for the output layer.
        sources: Indices of the earlier columns that it may read; None is all.
        rows: Tasks that may have gains and biases of their own (`ColumnSpec.task_gains`).
        straight: Its layers in few calls, where they are convolutions and dense layers, one upon
            the other, and read nothing else; or None.
    """

    def __init__(
        self,
        spec: ColumnSpec,
        input_shapes: Mapping[str, Shape],
        outputs: int,
        earlier: Sequence[Column],
        sources: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.sources = None if sources is None else tuple(sources)
        self.index = len(earlier)
        self.input_shapes = {n: checked_shape(n, s) for n, s in input_shapes.items()}
        self.outputs = whole("A column's output width", outputs)
        self.input = starting_input(spec, self.input_shapes)
        self.rows = 1
        self.reads: list[tuple[Feature, ...]] = []
        self.stages = nn.ModuleList()
        self._built: list[HiddenStage] = []  # the same; a module's own lists answer slowly
        shape = self.input_shapes[self.input]
        for position, stage in enumerate(spec.stages):
            reads = self._aligned(position, earlier)
            module = self._build(position, stage, shape, reads, earlier)
            if spec.task_gains:
                module.give_gains(_units(stage, module), self.rows)
            self.reads.append(reads)
            self.stages.append(module)
            self._built.append(module)
            shape = module.out_shape
        self.output_reads = self._aligned(len(spec.stages), earlier)
        self.output_in_shape = shape
        self.output = self._build_output(earlier)
        self.straight = self._straightened()
        _to_channels_last(self)

    def stage(self, position: int) -> HiddenStage:
        """Return the hidden stage at `position`."""
        return self._built[position]

    def silent(self, position: int) -> bool:
        """Whether the stage at `position` computes nothing, its features being zero."""
        return bool(getattr(self.spec.stages[position], "silent", False))

    def out_shape(self, position: int) -> Shape:
        """Shape of the features of the stage at `position`, or of the raw input for -1."""
        return self.input_shapes[self.input] if position < 0 else self.stage(position).out_shape

    @property
    def levels(self) -> list[Feature]:
        """The features that stand for each level of the column, lowest first, joins included."""
        return [Feature(self.index, above - 1) for above in levels(self.spec)[1:]]

    def freeze(self) -> None:
        """Freeze every stage and the output layer for good."""
        self.freeze_features()
        self.output.freeze()

    def freeze_features(self) -> None:
        """Freeze every stage but the output layer."""
        for position in range(len(self.stages)):
            self.stage(position).freeze()

    def unfreeze(self) -> None:
        """Let every stage and the output layer learn."""
        for position in range(len(self.stages)):
            self.stage(position).unfreeze()
        self.output.unfreeze()
        self.train(self.training)

    def add_row(self) -> int:
        """Add gains and biases of another task to every layer; return the row's number.

        Raises:
            UsageError: The column has none.
        """
        if not self.spec.task_gains:
            raise UsageError(
                "The column has no gains and biases of single tasks; make it with task_gains=True."
            )
        for module in (*self.hidden, self.output):
            assert module.gains is not None
            module.gains.add_row()
        self.rows += 1
        return self.rows - 1

    def learn_row(self, row: int) -> None:
        """Let the gains and biases of one task learn and freeze those of all others."""
        for module in (*self.hidden, self.output):
            module.learn_row(row)

    @property
    def hidden(self) -> list[HiddenStage]:
        """The stages, lowest first."""
        return self._built

    def replace_output(self, outputs: int, earlier: Sequence[Column]) -> None:
        """Start a new output layer of another width, as random as the spec says."""
        device, dtype = self.output.weight.device, self.output.weight.dtype
        self.outputs = whole("A column's output width", outputs)
        self.output = self._build_output(earlier).to(device, dtype)
        self.straight = self._straightened()

    def leave_out(self, dropout: float, input_dropout: float) -> None:
        """Learn with dropout from now on, of hidden units and of inputs; see `ColumnSpec`."""
        self.spec = replace(self.spec, dropout=dropout, input_dropout=input_dropout)
        self.straight = self._straightened()

    @torch.no_grad()
    def widen_output(self, outputs: int, earlier: Sequence[Column]) -> None:
        """Add outputs at the end, as random as the spec says; the others stay as they are.

        Raises:
            UsageError: The output layer is wider than that.
        """
        if outputs < self.outputs:
            raise UsageError(
                f"An output layer of width {self.outputs} can't be widened to {outputs}; ask for "
                "more."
            )
        old, frozen = self.output, self.output.frozen
        self.replace_output(outputs, earlier)
        self.output.train(old.training)
        # All that differs in shape has an output on each entry of its first axis.
        new = self.output.state_dict()
        for name, value in old.state_dict().items():
            part = new[name] if new[name].shape == value.shape else new[name][: len(value)]
            part.copy_(value)
        if frozen:
            self.output.freeze()

    @torch.no_grad()
    def copy_output_of(self, previous: Column) -> None:
        """Start the output layer as a copy of the previous column's (Rusu et al. 2017).

        The laterals take over its weights and its own laterals, the bias is copied, and this
        column's own weights start at zero, so that the outputs are identical.

        Raises:
            UsageError: The widths differ, or the previous output layer has adapters.
        """
        place = f'Column {self.index} with output_init="copy"'
        if previous.outputs != self.outputs:
            raise UsageError(
                f"{place} needs the previous column's output width of {previous.outputs}, "
                f"but has {self.outputs}."
            )
        inherited = previous.output.lateral
        if not isinstance(inherited, LinearLaterals | None):
            raise UsageError(
                f"{place} cannot copy the adapters that feed column {previous.index}'s output "
                'layer; give that column output_laterals="linear" or "none".'
            )
        lateral = self.output.lateral
        if not isinstance(lateral, LinearLaterals):
            raise UsageError(f"{place} finds no hidden features in column {previous.index}.")
        weights = {Feature(previous.index, len(previous.stages) - 1): previous.output.weight}
        if inherited is not None:
            for feature, transfer in zip(previous.output_reads, inherited.transfers, strict=True):
                weights[feature] = transfer.get_parameter("weight")
        for feature, transfer in zip(self.output_reads, lateral.transfers, strict=True):
            own = transfer.get_parameter("weight")
            own.copy_(weights[feature]) if feature in weights else own.zero_()
        self.output.weight.zero_()
        self.output.bias.copy_(previous.output.bias)

    def _straightened(self) -> Straight | None:
        own = self.spec
        layers = [stage for stage in self._built if isinstance(stage, ConvStage | DenseStage)]
        silent = any(self.silent(position) for position in range(len(self._built)))
        other = len(layers) < len(self._built) or silent or any(self.reads) or self.output_reads
        if own.dropout or own.input_dropout or other:
            return None
        return Straight(layers, self.output, own.activation)

    def _build(
        self,
        position: int,
        stage: StageSpec,
        shape: Shape,
        reads: Sequence[Feature],
        earlier: Sequence[Column],
    ) -> HiddenStage:
        sources = self._shapes(reads, earlier)
        try:
            match stage:
                case Conv():
                    return ConvStage(stage, shape, sources, self.spec, first=position == 0)
                case Dense():
                    return DenseStage(stage, shape, sources, self.spec)
                case LSTM():
                    return LSTMStage(stage, shape, sources, self.spec)
                case Join():
                    if stage.input not in self.input_shapes:
                        raise unknown_name("input", stage.input, self.input_shapes)
                    return JoinStage(stage, shape, self.input_shapes[stage.input], self.spec)
                case _:
                    custom = CustomStage(stage, shape, sources, self.spec)
                    check_new(custom, [*earlier, *self.stages])
                    return custom
        except UsageError as error:
            place = f"Column {self.index}, stage {position} ({type(stage).__name__})"
            shapes = bool(sources) and not isinstance(error, FactoryError)
            hint = ' Make the shapes equal or set laterals="none" for it.' if shapes else ""
            raise UsageError(f"{place}: {str(error).rstrip('.')}.{hint}") from error.__cause__

    def _build_output(self, earlier: Sequence[Column]) -> OutputStage:
        sources = self._shapes(self.output_reads, earlier)
        output = OutputStage(self.outputs, self.output_in_shape, sources, self.spec)
        if self.spec.task_gains:
            output.give_gains(self.outputs, self.rows)
        return output

    def _aligned(self, position: int, earlier: Sequence[Column]) -> tuple[Feature, ...]:
        """Find what the stage at `position` (the number of stages: the output layer) reads."""
        return aligned(self.spec, position, [column.spec for column in earlier], self.sources)

    @staticmethod
    def _shapes(features: Sequence[Feature], earlier: Sequence[Column]) -> list[Shape]:
        return [earlier[feature.column].out_shape(feature.stage) for feature in features]


def check_sources(sources: Sequence[int] | None, columns: int) -> None:
    """Check the columns that a new one may read.

    Raises:
        UsageError: They are no indices of earlier columns.
    """
    if sources is None:
        return
    listed = isinstance(sources, Sequence) and not isinstance(sources, str)
    indices = listed and all(isinstance(source, Integral) for source in sources)
    if not indices or any(source not in range(columns) for source in sources):
        known = f"among 0 to {columns - 1}" if columns else "of which there are none yet"
        raise UsageError(
            f"sources of a column must be a list of indices of earlier columns, {known}; got "
            f"{shown(sources)}."
        )


def checked_shape(name: str, shape: Sequence[int]) -> Shape:
    """Return the shape of an input as a tuple of whole numbers.

    Raises:
        UsageError: It is something else.
    """
    if not isinstance(shape, Sequence) or isinstance(shape, str):
        raise UsageError(
            f"The shape of the input {name!r} should be as (4, 84, 84), but came as {shape!r}."
        )
    return tuple(whole(f"Each side of the input {name!r}", side) for side in shape)


def _units(stage: StageSpec, module: HiddenStage) -> int:
    """Count the units or maps of a stage that have a gain each."""
    return stage.units if isinstance(stage, Join) else module.out_shape[0]


def _to_channels_last(module: nn.Module) -> None:
    for parameter in module.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


def starting_input(spec: ColumnSpec, input_shapes: Mapping[str, Sequence[int]]) -> str:
    """Name the input that a column's first stage reads.

    Raises:
        UsageError: There is no such input, or several to choose among.
    """
    if spec.input is not None:
        if spec.input not in input_shapes:
            raise unknown_name("input", spec.input, input_shapes)
        return spec.input
    if OBSERVATION in input_shapes:
        return OBSERVATION
    if len(input_shapes) == 1:
        return next(iter(input_shapes))
    raise UsageError(
        f"The task has the inputs {', '.join(sorted(input_shapes)) or 'none'}; "
        "say with ColumnSpec(input=...) which one the column starts from."
    )
