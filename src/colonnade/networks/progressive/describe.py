"""What a network is made of, layer by layer, with parameter counts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.table import Table
from torch import nn

from colonnade.networks.progressive.alignment import Feature
from colonnade.networks.progressive.column import Column
from colonnade.networks.progressive.laterals import AdapterLaterals, Laterals
from colonnade.networks.progressive.network import ColumnView
from colonnade.networks.progressive.stages import Stage
from colonnade.networks.stage import words
from colonnade.types import Shape


@dataclass(frozen=True)
class LayerRow:
    """One layer of one column.

    Attributes:
        column: Index of the column.
        layer: The layer in words, as in "conv 12 8x8 s4".
        out_shape: Shape of its features, without the batch axis.
        parameters: Number of its own weights and biases.
        laterals: Its laterals in words, as in "adapter from 0/1, 1/1", the features of columns 0
            and 1, layer 1, counted from 0; empty where there are none.
        lateral_parameters: Number of the laterals' weights and biases.
        scalars: Number of the adapters' learned scalars, which the papers' totals leave out.
        frozen: Whether it no longer learns.
    """

    column: int
    layer: str
    out_shape: Shape
    parameters: int
    laterals: str
    lateral_parameters: int
    scalars: int
    frozen: bool

    @property
    def total(self) -> int:
        """Weights and biases with those of the laterals, without learned scalars."""
        return self.parameters + self.lateral_parameters


def describe(network: ColumnView) -> list[LayerRow]:
    """List the layers of all columns, oldest column first, lowest layer first."""
    rows = []
    for index in range(len(network.columns)):
        column = network.column(index)
        for position, stage in enumerate(column.spec.stages):
            module = column.stage(position)
            rows.append(_row(column, words(stage), module, column.reads[position]))
        rows.append(_row(column, f"output {column.outputs}", column.output, column.output_reads))
    return rows


def column_totals(rows: Iterable[LayerRow]) -> list[int]:
    """Sum each column's weights and biases, laterals included and learned scalars left out."""
    totals: dict[int, int] = {}
    for row in rows:
        totals[row.column] = totals.get(row.column, 0) + row.total
    return [totals[column] for column in sorted(totals)]


def format_description(rows: Sequence[LayerRow], title: str | None = None) -> Table:
    """Lay the rows out as a table to print with `rich`, with a total for each column."""
    table = Table(title=title, caption="0/1: the features of column 0, layer 1, counted from 0")
    for heading in ("column", "layer", "output"):
        table.add_column(heading)
    table.add_column("parameters", justify="right")
    table.add_column("laterals")
    for heading in ("lateral parameters", "scalars"):
        table.add_column(heading, justify="right")
    for column, total in enumerate(column_totals(rows)):
        own = [row for row in rows if row.column == column]
        for row in own:
            name = f"{column}{' (frozen)' if row.frozen else ''}" if row is own[0] else ""
            shape = "x".join(map(str, row.out_shape))
            lateral = f"{row.lateral_parameters:,}" if row.laterals else ""
            scalars = str(row.scalars) if row.scalars else ""
            table.add_row(
                name, row.layer, shape, f"{row.parameters:,}", row.laterals, lateral, scalars
            )
        all_scalars = sum(row.scalars for row in own)
        table.add_row(
            "", "total", "", f"{total:,}", "", "", str(all_scalars or ""),
            style="bold", end_section=True,
        )  # fmt: skip
    return table


def _row(column: Column, layer: str, module: Stage, reads: Sequence[Feature]) -> LayerRow:
    lateral = module.lateral
    scalars = lateral.scales.numel() if isinstance(lateral, AdapterLaterals) else 0
    in_laterals = 0 if lateral is None else _count(lateral)
    return LayerRow(
        column=column.index,
        layer=layer,
        out_shape=module.out_shape,
        parameters=_count(module) - in_laterals,
        laterals=_lateral_words(lateral, reads),
        lateral_parameters=in_laterals - scalars,
        scalars=scalars,
        frozen=module.frozen,
    )


def _lateral_words(lateral: Laterals | None, reads: Sequence[Feature]) -> str:
    if lateral is None:
        return ""
    kind = "adapter" if isinstance(lateral, AdapterLaterals) else "linear"
    return f"{kind} from {', '.join(f'{f.column}/{f.stage}' for f in reads)}"


def _count(module: nn.Module) -> int:
    return sum(math.prod(parameter.shape) for parameter in module.parameters())
