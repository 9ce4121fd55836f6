"""What a modular network is made of: layers, modules, parameters and the share that is active."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from colonnade.networks.pathnet.network import ModularNetwork
from colonnade.networks.stage import words
from colonnade.types import Shape


@dataclass(frozen=True)
class ModularRow:
    """One layer, or one head, of a modular network.

    Attributes:
        layer: A module of it in words, as in "conv 8 8x8 s4", or "head 7".
        out_shape: Shape of its features, without the batch axis.
        modules: M; 1 for a head.
        active: N, the most a path uses; 1 for a head.
        frozen: How many modules no longer learn.
        per_module: Weights and biases of one module.
    """

    layer: str
    out_shape: Shape
    modules: int
    active: int
    frozen: int
    per_module: int

    @property
    def parameters(self) -> int:
        """Weights and biases of all modules."""
        return self.modules * self.per_module

    @property
    def active_parameters(self) -> int:
        """Weights and biases along a path that uses N modules."""
        return self.active * self.per_module


def describe_modular(network: ModularNetwork) -> list[ModularRow]:
    """List the layers, lowest first, then the heads, oldest first."""
    rows = []
    for index, stage in enumerate(network.spec.layers):
        layer = network.layer(index)
        per_module = sum(p.numel() for p in layer.bank[0].parameters())
        frozen = len(layer.frozen)
        spec = network.spec
        rows.append(
            ModularRow(words(stage), layer.out_shape, spec.modules, spec.active, frozen, per_module)
        )
    for number, head in enumerate(network.heads):
        parameters = list(head.parameters())
        count, outputs = sum(p.numel() for p in parameters), len(parameters[-1])
        frozen = int(number < len(network.heads) - 1)
        rows.append(ModularRow(f"head {outputs}", (outputs,), 1, 1, frozen, count))
    return rows


def active_share(rows: Sequence[ModularRow]) -> float:
    """Return the part of all weights that one path and one head use, 0 to 1."""
    layers = [row for row in rows if not row.layer.startswith("head")]
    heads = [row for row in rows if row.layer.startswith("head")]
    used = sum(row.active_parameters for row in layers) + sum(h.parameters for h in heads[-1:])
    return used / max(1, sum(row.parameters for row in rows))


def format_modular(rows: Sequence[ModularRow], title: str | None = None) -> Table:
    """Lay the rows out as a table to print with `rich`."""
    caption = f"active along one path with one head: {active_share(rows):.0%} of the parameters"
    table = Table(title=title, caption=caption)
    table.add_column("layer")
    table.add_column("output")
    for heading in ("modules", "active", "frozen", "a module", "parameters", "along a path"):
        table.add_column(heading, justify="right")
    for row in rows:
        numbers = (
            row.modules, row.active, row.frozen, row.per_module, row.parameters,
            row.active_parameters,
        )  # fmt: skip
        shape = "x".join(map(str, row.out_shape))
        table.add_row(row.layer, shape, *(f"{number:,}" for number in numbers))
    total = sum(row.parameters for row in rows)
    table.add_row("total", *[""] * 5, f"{total:,}", "", style="bold")
    return table
