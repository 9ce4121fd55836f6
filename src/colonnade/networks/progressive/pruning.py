"""Making columns smaller: a network without some of its features, and without their cost.

Whole maps, units and cells go, with every weight that fed or read them, so that what remains is an
ordinary `ProgressiveNetwork` of narrower columns. A removed feature is replaced by its mean, which
moves into the biases of its readers.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from colonnade.errors import UsageError
from colonnade.networks.progressive.alignment import Feature
from colonnade.networks.progressive.column import Column, Projection, Site
from colonnade.networks.progressive.laterals import AdapterLaterals, Laterals, LinearLaterals
from colonnade.networks.progressive.network import ColumnView, ProgressiveNetwork
from colonnade.networks.progressive.recurrent import LSTMStage
from colonnade.networks.progressive.spec import ColumnSpec
from colonnade.networks.progressive.stages import (
    ConvStage,
    CustomStage,
    DenseStage,
    JoinStage,
    OutputStage,
)
from colonnade.networks.stage import LSTM, Conv, Custom, Dense, Join, StageSpec


@dataclass(frozen=True)
class Kept:
    """What remains of a site of n features.

    Attributes:
        index: [m] the features that remain, ascending. Where none does, a projection's lateral goes
            as a whole, and a convolution or dense layer falls silent: it is no longer computed. An
            LSTM keeps one cell at least.
        mean: [n, P] mean of every feature, pixel by pixel (P is 1 for dense features): what takes
            the place of the removed ones. Readers that convolve use a map's mean over its pixels.
    """

    index: Tensor
    mean: Tensor


def prunable_sites(network: ColumnView) -> list[Site]:
    """List where features can be removed.

    These are convolutions, dense layers, LSTMs and adapters' projections. What a `Custom` stage
    gives or reads stays, since its module's width is the user's business, and so do `Join`s.
    """
    columns = [network.column(i) for i in range(len(network.columns))]
    fixed = {feature for column in columns for feature in _read_by_custom(column)}
    sites: list[Site] = []
    for column in columns:
        for position, stage in enumerate(column.spec.stages):
            feature = Feature(column.index, position)
            if not isinstance(stage, Custom | Join) and not column.silent(position):
                if feature in fixed:
                    continue
                sites.append(feature)
        for position, module in enumerate([*column.stages, column.output]):
            if isinstance(module.lateral, AdapterLaterals) and not isinstance(module, CustomStage):
                sites.append(Projection(column.index, position))
    return sites


def site_width(network: ColumnView, site: Site) -> int:
    """Number of features at a site: maps, units, cells or projections."""
    column = network.column(site.column)
    if isinstance(site, Feature):
        return column.out_shape(site.stage)[0]
    module = column.output if site.stage == len(column.stages) else column.stage(site.stage)
    assert isinstance(module.lateral, AdapterLaterals)
    return module.lateral.project.weight.shape[0]


def prune(network: ProgressiveNetwork, kept: Mapping[Site, Kept]) -> ProgressiveNetwork:
    """Build the network that is left when features are removed; the given one stays as it is.

    Columns without removed features, that read none, give the same output bit for bit.

    Args:
        network: What to make smaller.
        kept: What remains of each site that loses features.

    Raises:
        UsageError: A site can't lose features, or nothing or something unknown is to remain.
    """
    _check(network, kept)
    original = copy.deepcopy(network).cpu()
    columns = [original.column(i) for i in range(len(original.columns))]
    if any(column.spec.task_gains for column in columns):
        raise UsageError(
            "Columns with gains and biases of single tasks (task_gains) can't be pruned; prune "
            "networks without them."
        )
    smaller = ProgressiveNetwork()
    for column in columns:
        smaller.add_column(
            _spec(column, kept),
            column.input_shapes,
            column.outputs,
            torch.Generator(),
            column.sources,
        )
    weight = network.newest.output.weight
    smaller.to(weight.dtype)
    surgery = _Surgery(columns, kept)
    for column in columns:
        surgery.fill(smaller.column(column.index), column)
    smaller.train(network.training)
    newest = columns[-1]
    if all(newest.stage(i).frozen for i in range(len(newest.stages))):
        smaller.freeze_features()
    return smaller.to(weight.device)


class _Surgery:
    """Copies what remains of weights; what removed features gave on average goes into biases."""

    def __init__(self, columns: Sequence[Column], kept: Mapping[Site, Kept]) -> None:
        self._columns = columns
        self._kept = kept

    @torch.no_grad()
    def fill(self, new: Column, old: Column) -> None:
        """Fill a narrower column with what remains of the weights of its original."""
        for position in range(len(old.stages)):
            self._fill_stage(new.stage(position), old.stage(position), old, position)
        below = self._flat(Feature(old.index, len(old.stages) - 1))
        every = torch.arange(old.outputs)
        bias = self._linear(new.output, old.output, every, below)
        bias += self._lateral(new.output, old.output, every, old, len(old.stages))
        new.output.bias.copy_(bias)

    def _fill_stage(self, new: nn.Module, old: nn.Module, column: Column, position: int) -> None:
        kept = self._kept.get(Feature(column.index, position))
        if kept is not None and not len(kept.index):
            return  # silent
        own = self._index(Feature(column.index, position))
        if isinstance(old, ConvStage) and isinstance(new, ConvStage):
            inside, gone = self._maps(column, position - 1)
            new.weight.copy_(old.weight[own][:, inside])
            bias = old.bias[own] + torch.einsum("ochw,c->o", old.weight[own], gone)
            new.bias.copy_(bias + self._lateral(new, old, own, column, position))
        elif isinstance(old, DenseStage) and isinstance(new, DenseStage):
            bias = self._linear(new, old, own, self._below(column, position))
            new.bias.copy_(bias + self._lateral(new, old, own, column, position))
        elif isinstance(old, LSTMStage) and isinstance(new, LSTMStage):
            gates = torch.cat([own + gate * old.units for gate in range(4)])
            bias = self._linear(new, old, gates, self._below(column, position))
            _, gone = self._flat(Feature(column.index, position))
            new.recurrent_weight.copy_(old.recurrent_weight[gates][:, own])
            bias += old.recurrent_weight[gates] @ gone
            new.bias.copy_(bias + self._lateral(new, old, gates, column, position))
        elif isinstance(old, JoinStage) and isinstance(new, JoinStage):
            new.load_state_dict(old.state_dict())
        elif isinstance(old, CustomStage) and isinstance(new, CustomStage):
            new.module.load_state_dict(old.module.state_dict())
            self._lateral(new, old, own, column, position)

    @staticmethod
    def _linear(
        new: DenseStage | LSTMStage | OutputStage,
        old: DenseStage | LSTMStage | OutputStage,
        rows: Tensor,
        below: tuple[Tensor, Tensor],
    ) -> Tensor:
        """Copy a flat weight and return the bias [rows] with what the removed inputs gave."""
        inside, gone = below
        new.weight.copy_(old.weight[rows][:, inside])
        return old.bias[rows] + old.weight[rows] @ gone

    def _lateral(
        self,
        new: ConvStage | DenseStage | LSTMStage | CustomStage | OutputStage,
        old: ConvStage | DenseStage | LSTMStage | CustomStage | OutputStage,
        rows: Tensor,
        column: Column,
        position: int,
    ) -> Tensor:
        """Copy a lateral and return what its removed parts gave to the pre-activation [rows]."""
        reads = column.output_reads if position == len(column.stages) else column.reads[position]
        place = Projection(column.index, position)
        if old.lateral is None:
            assert new.lateral is None
            return torch.zeros(len(rows), dtype=column.output.weight.dtype)
        if isinstance(old.lateral, LinearLaterals):
            assert isinstance(new.lateral, LinearLaterals)
            total = torch.zeros(len(rows), dtype=column.output.weight.dtype)
            pairs = zip(new.lateral.transfers, old.lateral.transfers, strict=True)
            for (target, transfer), read in zip(pairs, reads, strict=True):
                source = self._flat(read) if old.lateral.flat else self._maps_of(read)
                total = total + _transfer(target, transfer, rows, *source)
            return total
        return self._adapter(new.lateral, old.lateral, rows, reads, place)

    def _adapter(
        self,
        new: Laterals | None,
        old: AdapterLaterals,
        rows: Tensor,
        reads: Sequence[Feature],
        place: Projection,
    ) -> Tensor:
        maps = isinstance(old.project, nn.Conv2d)
        sources = [self._maps_of(read) if maps else self._flat(read) for read in reads]
        starts = [0]
        for _, gone in sources:
            starts.append(starts[-1] + len(gone))
        inside = torch.cat([i + start for (i, _), start in zip(sources, starts, strict=False)])
        all_gone = torch.cat([gone for _, gone in sources])
        width = old.project.weight.shape[0]
        kept = self._kept.get(place)
        units = torch.arange(width) if kept is None else kept.index
        if isinstance(new, AdapterLaterals):
            weight = old.project.weight.flatten(1)
            scaled = weight * old.scales[old.owner]
            new.project.weight.copy_(weight[units][:, inside].reshape(new.project.weight.shape))
            assert old.project.bias is not None
            assert new.project.bias is not None
            new.project.bias.copy_(old.project.bias[units] + scaled[units] @ all_gone)
            new.scales.copy_(old.scales)
        if kept is None:
            target = new.transfer if isinstance(new, AdapterLaterals) else None
            nothing = torch.zeros(_reads(old.transfer), dtype=old.scales.dtype)
            return _transfer(target, old.transfer, rows, torch.arange(len(nothing)), nothing)
        pixels = _reads(old.transfer) // width
        mean = kept.mean.to(old.scales)
        if pixels > 1:
            mean = mean.expand(width, pixels) if mean.shape[1] == 1 else mean
            index = (units[:, None] * pixels + torch.arange(pixels)).flatten()
            flat = mean.flatten()
        else:
            index, flat = units, mean.mean(1)
        target = new.transfer if isinstance(new, AdapterLaterals) else None
        return _transfer(target, old.transfer, rows, index, _gone(flat, index))

    def _index(self, feature: Feature) -> Tensor:
        """[m] what remains of a stage's features."""
        kept = self._kept.get(feature)
        shape = self._columns[feature.column].out_shape(feature.stage)
        if kept is None:
            return torch.arange(shape[0])
        # A silent stage keeps the shape of one feature, which is zero.
        return kept.index if len(kept.index) else torch.zeros(1, dtype=torch.int64)

    def _maps(self, column: Column, position: int) -> tuple[Tensor, Tensor]:
        """What remains of the maps below a convolution, and the means of those that go."""
        if position < 0:
            channels = column.out_shape(-1)[0]
            return torch.arange(channels), torch.zeros(channels, dtype=column.output.weight.dtype)
        return self._maps_of(Feature(column.index, position))

    def _maps_of(self, feature: Feature) -> tuple[Tensor, Tensor]:
        kept, index = self._kept.get(feature), self._index(feature)
        column = self._columns[feature.column]
        size, dtype = column.out_shape(feature.stage)[0], column.output.weight.dtype
        if kept is None:
            return index, torch.zeros(size, dtype=dtype)
        return index, _gone(kept.mean.mean(1).to(dtype), kept.index)

    def _below(self, column: Column, position: int) -> tuple[Tensor, Tensor]:
        """What remains of a flat stage's own input, and the mean of all of it."""
        if position == 0:
            size = math.prod(column.out_shape(-1))
            return torch.arange(size), torch.zeros(size, dtype=column.output.weight.dtype)
        return self._flat(Feature(column.index, position - 1))

    def _flat(self, feature: Feature) -> tuple[Tensor, Tensor]:
        """What remains of a stage's flattened features, and the means of those that go."""
        column = self._columns[feature.column]
        stage = column.stage(feature.stage)
        shape, dtype = column.out_shape(feature.stage), column.output.weight.dtype
        if isinstance(stage, JoinStage):
            index, gone = self._below(column, feature.stage)
            units = shape[0] - len(gone)
            joined = torch.arange(units) + len(gone)
            return torch.cat([index, joined]), torch.cat([gone, gone.new_zeros(units)])
        kept, pixels = self._kept.get(feature), math.prod(shape[1:])
        index = (self._index(feature)[:, None] * pixels + torch.arange(pixels)).flatten()
        if kept is None:
            return index, torch.zeros(math.prod(shape), dtype=dtype)
        mean = kept.mean.to(dtype).expand(shape[0], pixels).clone()
        mean[kept.index] = 0
        return index, mean.flatten()


def _transfer(
    new: nn.Module | None, old: nn.Module, rows: Tensor, inside: Tensor, gone: Tensor
) -> Tensor:
    """Copy U and return what its removed inputs, of the given means, gave to its rows."""
    if not isinstance(old, nn.Linear | nn.Conv2d) or old.bias is not None:
        if new is not None:  # a user's own module, of whose inputs none are removed
            new.load_state_dict(old.state_dict())
        return torch.zeros(len(rows), dtype=gone.dtype)
    if new is not None:
        new.get_parameter("weight").copy_(old.weight[rows][:, inside])
    sums = old.weight[rows].flatten(2).sum(2) if old.weight.dim() == 4 else old.weight[rows]
    return sums @ gone


def _reads(transfer: nn.Module) -> int:
    """Width of what U reads."""
    if isinstance(transfer, nn.Conv2d | nn.Linear):
        return transfer.weight.shape[1]
    return 0


def _gone(mean: Tensor, inside: Tensor) -> Tensor:
    """The means of what is removed, and zero for what remains."""
    gone = mean.clone()
    gone[inside] = 0
    return gone


def _spec(column: Column, kept: Mapping[Site, Kept]) -> ColumnSpec:
    """Describe a column without the removed features; widths that were implied become explicit."""
    stages: list[StageSpec] = []
    for position, stage in enumerate(column.spec.stages):
        feature = Feature(column.index, position)
        if feature in kept:
            width = max(1, len(kept[feature].index))
            if not len(kept[feature].index):
                assert isinstance(stage, Conv | Dense)
                stage = replace(stage, silent=True, laterals="none", adapter=None)
            stage = replace(stage, maps=width) if isinstance(stage, Conv) else stage
            stage = (
                stage if isinstance(stage, Conv | Join | Custom) else replace(stage, units=width)
            )
        if not isinstance(stage, Custom | Join) and not getattr(stage, "silent", False):
            projected = _projected(column, position, kept)
            if projected == 0:
                stage = replace(stage, laterals="none", adapter=None)
            elif projected is not None:
                stage = replace(stage, adapter=projected)
        stages.append(stage)
    spec = replace(column.spec, stages=tuple(stages), output_init="random")
    projected = _projected(column, len(stages), kept)
    if projected == 0:
        return replace(spec, output_laterals="none", output_adapter=None)
    return spec if projected is None else replace(spec, output_adapter=projected)


def _projected(column: Column, position: int, kept: Mapping[Site, Kept]) -> int | None:
    """Width of the adapter into a stage afterwards; None where there is no adapter."""
    module = column.output if position == len(column.stages) else column.stage(position)
    if not isinstance(module.lateral, AdapterLaterals):
        return None
    place = Projection(column.index, position)
    return len(kept[place].index) if place in kept else module.lateral.project.weight.shape[0]


def _read_by_custom(column: Column) -> list[Feature]:
    """The features whose width a user's module expects."""
    found: list[Feature] = []
    for position, stage in enumerate(column.spec.stages):
        if isinstance(stage, Custom):
            found += [Feature(column.index, position - 1)] if position else []
            if isinstance(column.stage(position).lateral, LinearLaterals):
                found += column.reads[position]
    return found


def _check(network: ProgressiveNetwork, kept: Mapping[Site, Kept]) -> None:
    possible = set(prunable_sites(network))
    for site, rest in kept.items():
        if site not in possible:
            network.column(site.column)  # says so itself where there is no such column
            raise UsageError(
                f"{site} can't lose features: it isn't there, or it is a Join, or a Custom stage "
                "gives or reads it."
            )
        count, index = len(rest.mean), rest.index.tolist()
        if sorted(set(index)) != index or (index and not 0 <= index[0] <= index[-1] < count):
            raise UsageError(
                f"What remains of {site} should be ascending indices below {count}, but came as "
                f"{index}."
            )
        stages = network.column(site.column).spec.stages
        if not index and isinstance(site, Feature) and isinstance(stages[site.stage], LSTM):
            raise UsageError(f"An LSTM keeps at least one cell, but of {site} none would remain.")
