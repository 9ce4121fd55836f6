"""How features are computed: on demand, each once, from cached features where there are any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from colonnade.errors import UsageError, unknown_name
from colonnade.networks.precision import to_compute_dtype
from colonnade.networks.progressive.alignment import Feature
from colonnade.networks.progressive.column import Column
from colonnade.networks.progressive.recurrent import LSTMStage
from colonnade.networks.progressive.stages import ConvStage, JoinStage, Stage
from colonnade.networks.progressive.straight import Straight
from colonnade.types import Backward, Differentiated, Inputs, Shape, State


class Evaluation:
    """One step, or T steps at once, of the columns of a network.

    Args:
        columns: The columns, oldest first.
        inputs: Raw inputs and cached features, each [N, ...], or [T, N, ...] with `starts`.
        state: The LSTMs' state before the first step.
        starts: [T, N] bool, where episodes start; None for one step.
        row: Whose gains and biases the last column computes with, where it has some of each task.

    Attributes:
        state: The state after the last step, once the features have been asked for.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        inputs: Inputs,
        state: State,
        starts: Tensor | None = None,
        row: int = 0,
    ) -> None:
        self.columns = columns
        self._row = row
        self.inputs = inputs
        self.state = dict(state)
        self.starts = starts
        self._raw: dict[str, Tensor] = {}
        self._features: dict[Feature, Tensor] = {}

    def output(self, index: int) -> Tensor:
        """Compute the output of a column, [B, outputs]; B is N, or T x N."""
        column = self.columns[index]
        if (straight := self._straight(column)) is not None:
            # Nothing but layer after layer: what is looked up below takes longer than small layers.
            features, scale = self._first(column, straight)
            return straight.forward(features, scale=scale, row=self._row_of(column))
        features = self._below(column, len(column.stages))
        sources = self._all(column.output_reads)
        result: Tensor = column.output(features, sources, self._row_of(column))
        return result

    def twofold(self, others: Mapping[str, Tensor]) -> tuple[Tensor, Tensor] | None:
        """Compute the output of the last column with its own values and with others.

        Args:
            others: Named as by a network's `named_parameters`.

        Returns:
            Two outputs [B, outputs], or None where the column is not `Straight`, or elsewhere than
            on a processor.
        """
        column = self.columns[-1]
        straight = self._straight(column)
        if straight is None or not column.output.weight.is_cpu:
            return None
        features, scale = self._first(column, straight)
        stages = [f"columns.{column.index}.stages.{place}." for place in range(len(column.stages))]
        parts = [
            {name.removeprefix(home): v for name, v in others.items() if name.startswith(home)}
            for home in (*stages, f"columns.{column.index}.output.")
        ]
        return straight.twofold(features, parts, scale=scale, row=self._row_of(column))

    def _straight(self, column: Column) -> Straight | None:
        straight = column.straight
        learns = not column.hidden[0].frozen and column.input in self.inputs
        return straight if straight is not None and learns and straight.plain else None

    def _first(self, column: Column, straight: Straight) -> tuple[Tensor, float | None]:
        """Return what a straight column reads, and what its weights scale it by."""
        if straight.convolves_first:
            return self._unscaled(column, column.input), self._scale(column.input)
        return self.input_of(column), None

    def input_of(self, column: Column) -> Tensor:
        """Return what a column's first stage reads, [B, ...]."""
        return self._input(column, column.input)

    def feature(self, feature: Feature) -> Tensor:
        """Compute the features of a stage, [B, ...]; B is N, or T x N."""
        if feature not in self._features:
            cached = self.inputs.get(feature.key)
            if cached is None:
                value = self._compute(feature)
            else:  # perhaps by an actor in half precision
                dtype = self.columns[feature.column].output.weight.dtype
                value = to_compute_dtype(self._flat(cached), dtype)
            self._features[feature] = value
        return self._features[feature]

    def _compute(self, feature: Feature) -> Tensor:
        column = self.columns[feature.column]
        stage = column.stage(feature.stage)
        if column.silent(feature.stage):
            return self._silence(column, stage.out_shape)
        if feature.stage == 0 and isinstance(stage, ConvStage):
            return self._first_convolution(column, stage)
        features = self._below(column, feature.stage)
        if isinstance(stage, JoinStage):
            joined: Tensor = stage(features, self._input(column, stage.input), self._row_of(column))
            return joined
        sources = self._all(column.reads[feature.stage])
        if isinstance(stage, LSTMStage):
            hidden, cell = state_keys(feature)
            try:
                before = self.state[hidden], self.state[cell]
            except KeyError as error:
                raise UsageError(
                    f"The network's state lacks {error}; start from `initial_state(batch)`."
                ) from None
            outputs: Tensor
            outputs, self.state[hidden], self.state[cell] = stage(
                features, sources, *before, self.starts
            )
            return outputs
        result: Tensor = stage(features, sources, row=self._row_of(column))
        return _drop(result, column.spec.dropout, stage)

    def _silence(self, column: Column, shape: Shape) -> Tensor:
        given = next(iter(self.inputs.values()))
        count = given.shape[0] if self.starts is None else self.starts.numel()
        like = to_compute_dtype(
            torch.zeros((), dtype=torch.uint8, device=given.device), column.output.weight.dtype
        )
        zeros = like.new_zeros(count, *shape)
        maps = len(shape) == 3
        return zeros.contiguous(memory_format=torch.channels_last) if maps else zeros

    def _first_convolution(self, column: Column, stage: ConvStage) -> Tensor:
        pixels = self._unscaled(column, column.input)
        pixels = _drop(pixels, column.spec.input_dropout, stage)
        features: Tensor = stage(pixels, (), self._scale(column.input), self._row_of(column))
        return _drop(features, column.spec.dropout, stage)

    def _row_of(self, column: Column) -> int:
        return self._row if column is self.columns[-1] else 0

    def _below(self, column: Column, position: int) -> Tensor:
        if position == 0:
            features = self.input_of(column)
            return _drop(features, column.spec.input_dropout, column.stage(0))
        return self.feature(Feature(column.index, position - 1))

    def _all(self, features: Sequence[Feature]) -> list[Tensor]:
        return [self.feature(feature) for feature in features]

    def _input(self, column: Column, name: str) -> Tensor:
        scale = self._scale(name)
        value = self._unscaled(column, name)
        return value if scale is None else value * scale

    def _scale(self, name: str) -> float | None:
        value = self.inputs.get(name)
        return 1 / 255 if value is not None and value.dtype == torch.uint8 else None

    def _unscaled(self, column: Column, name: str) -> Tensor:
        if name not in self._raw:
            value = self.inputs.get(name)
            if value is None:
                raise UsageError(
                    f"The network reads the input {name!r}, but was given only "
                    f"{', '.join(map(repr, self.inputs)) or 'none'}."
                )
            self._raw[name] = to_compute_dtype(
                self._flat(value, name, column.input_shapes[name]), column.output.weight.dtype
            )
        return self._raw[name]

    def _flat(self, value: Tensor, name: str = "", shape: Shape | None = None) -> Tensor:
        axes = 1 if self.starts is None else 2
        if shape is not None and (value.dim() < axes or tuple(value.shape[axes:]) != shape):
            lead = "N" if axes == 1 else "T, N"
            raise UsageError(
                f"The input {name!r} should be [{', '.join([lead, *map(str, shape)])}], "
                f"but came as {list(value.shape)}."
            )
        value = value if self.starts is None else value.flatten(0, 1)
        value = value.unsqueeze(-1) if shape == () else value  # a lone number is a feature
        return value.contiguous(memory_format=torch.channels_last) if value.dim() == 4 else value


def differentiated(columns: Sequence[Column]) -> Differentiated | None:
    """Return how the last column's gradients are written out, where it `Straight.writes_out`."""
    newest = columns[-1]
    straight = newest.straight
    if straight is None or not straight.writes_out:
        return None

    @torch.no_grad()
    def run(inputs: Inputs, starts: Tensor) -> tuple[Tensor, Backward]:
        read: list[Tensor] = []
        features = Evaluation(columns, inputs, {}, starts).input_of(newest)
        return straight.forward(features, read), partial(straight.backward, read=read)

    return run


def _drop(features: Tensor, probability: float, stage: Stage) -> Tensor:
    """Leave features out at random while their stage learns (Srivastava et al. 2014)."""
    if not (probability and stage.training and torch.is_grad_enabled()):
        return features
    return torch.nn.functional.dropout(features, probability)


def state_keys(feature: Feature) -> tuple[str, str]:
    """Names of an LSTM stage's output and cell in the network's state."""
    return f"{feature.key}/h", f"{feature.key}/c"


def reachable(columns: Sequence[Column], index: int) -> list[Feature]:
    """List the features that a column's output depends on."""
    found: dict[Feature, None] = {}
    waiting = output_reads(columns[index])
    while waiting:
        feature = waiting.pop()
        if feature not in found:
            found[feature] = None
            waiting += feature_reads(columns, feature)
    return list(found)


def frontier(columns: Sequence[Column], index: int) -> tuple[list[Feature], list[str]]:
    """List what the unfrozen part of a column reads: frozen features, and names of raw inputs.

    A feature is frozen if its stage is and everything it reads is. The output layer counts as
    unfrozen, so that a frozen network's frontier is what its output layer reads.
    """
    frozen: dict[Feature, bool] = {}

    def is_frozen(feature: Feature) -> bool:
        if feature not in frozen:
            stage = columns[feature.column].stage(feature.stage)
            frozen[feature] = stage.frozen and all(map(is_frozen, feature_reads(columns, feature)))
        return frozen[feature]

    cached: dict[Feature, None] = {}
    names: dict[str, None] = {}
    seen: set[Feature] = set()
    waiting = output_reads(columns[index])
    while waiting:
        feature = waiting.pop()
        if feature in seen:
            continue
        seen.add(feature)
        if is_frozen(feature):
            cached[feature] = None
        else:
            waiting += feature_reads(columns, feature)
            names.update(dict.fromkeys(raw_reads(columns, feature)))
    return list(cached), list(names)


def output_reads(column: Column) -> list[Feature]:
    """List the features a column's output layer reads."""
    return [Feature(column.index, len(column.stages) - 1), *column.output_reads]


def aligned_levels(columns: Sequence[Column]) -> list[tuple[Feature, ...]]:
    """List the features of each level, lowest level first, oldest column first.

    Columns are aligned from the top, as laterals are: shallow columns have no features at the
    lowest levels of deep ones.
    """
    stacks = [column.levels for column in columns]
    depth = max(map(len, stacks))
    return [
        tuple(stack[height - depth] for stack in stacks if depth - height <= len(stack))
        for height in range(depth)
    ]


def feature_reads(columns: Sequence[Column], feature: Feature) -> list[Feature]:
    """List the features a stage reads, of its own column and of others."""
    if columns[feature.column].silent(feature.stage):
        return []
    own = [Feature(feature.column, feature.stage - 1)] if feature.stage > 0 else []
    return [*own, *columns[feature.column].reads[feature.stage]]


def raw_reads(columns: Sequence[Column], feature: Feature) -> list[str]:
    """List the names of the raw inputs a stage reads."""
    column = columns[feature.column]
    if column.silent(feature.stage):
        return []
    stage = column.stage(feature.stage)
    first = [column.input] if feature.stage == 0 else []
    return [*first, stage.input] if isinstance(stage, JoinStage) else first


def raw_readers(columns: Sequence[Column], index: int) -> Iterator[tuple[Column, str]]:
    """List who reads a raw input on the way to a column's output, and the input's name."""
    for feature in reachable(columns, index):
        for name in raw_reads(columns, feature):
            yield columns[feature.column], name


def check_raw_inputs(columns: Sequence[Column]) -> None:
    """Check that the last column's task has the inputs of the columns that it reads.

    Raises:
        UsageError: One is missing or has another shape.
    """
    last = columns[-1]
    for source, name in raw_readers(columns, last.index):
        expected, came = source.input_shapes[name], last.input_shapes.get(name)
        if came is None:
            what = f"column {source.index}, which the new column reads, needs"
            raise unknown_name(f"input among this task's: {what}", name, last.input_shapes)
        if came != expected:
            raise UsageError(
                f"Column {source.index}, which the new column reads, was made for {name!r} of "
                f"shape {expected}, but this task's has shape {came}; make them equal or set "
                'laterals="none".'
            )
