"""Where a network's activations can be read or changed while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

from colonnade.errors import UsageError
from colonnade.networks import Column, ColumnView, Feature, Projection, Site
from colonnade.networks.progressive.forward import reachable
from colonnade.networks.progressive.laterals import AdapterLaterals

Change = Callable[[Tensor], Tensor]
"""Takes activations [B, n, ...] and returns what takes their place."""


def sites_of(network: ColumnView, projections: bool = False) -> list[Site]:
    """List the sites that the network's output depends on, without silent stages.

    Args:
        network: Whose newest column speaks.
        projections: Whether to list adapters' projections too.
    """
    columns = [network.column(i) for i in range(len(network.columns))]
    features = sorted(
        feature
        for feature in reachable(columns, network.newest.index)
        if not columns[feature.column].silent(feature.stage)
    )
    sites: list[Site] = [*features]
    if projections:
        places = [*features, Feature(network.newest.index, len(network.newest.stages))]
        sites += [
            Projection(*place)
            for place in places
            if isinstance(_lateral(columns[place.column], place.stage), AdapterLaterals)
        ]
    return sites


def check_feature(network: ColumnView, feature: Feature) -> None:
    """Refuse a feature that the network does not have.

    Raises:
        UsageError: There is no such column, or no such stage in it.
    """
    stages = len(network.column(feature.column).stages)
    if not 0 <= feature.stage < stages:
        raise UsageError(
            f"There is no stage {feature.stage} in column {feature.column}; it has {stages}, "
            "counted from 0, and the output layer is none of them."
        )


@contextmanager
def changed(network: ColumnView, changes: Mapping[Site, Change]) -> Iterator[None]:
    """Pass activations through functions wherever the network runs within the block.

    What takes the place of a feature is what all its readers see: the stage above and the laterals
    of later columns. An LSTM's own recurrence goes on from what it computed itself.

    Raises:
        UsageError: The network has no such site.
    """
    with ExitStack() as stack:
        for site, change in changes.items():
            handle = _hook(network, site, change)
            stack.callback(handle.remove)
        yield


def _hook(network: ColumnView, site: Site, change: Change) -> Any:
    column = network.column(site.column)
    if isinstance(site, Feature):
        check_feature(network, site)

        def after(_: nn.Module, __: Any, output: Any) -> Any:
            if isinstance(output, tuple):  # an LSTM's: features, then its state
                return change(output[0]), *output[1:]
            return change(output)

        return column.stage(site.stage).register_forward_hook(after)
    lateral = _lateral(column, site.stage)
    if not isinstance(lateral, AdapterLaterals):
        raise UsageError(
            f"Stage {site.stage} of column {site.column} has no adapter that feeds it."
        )
    width = lateral.project.weight.shape[0]

    def before(_: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        units = inputs[0]
        maps = units.unflatten(1, (width, -1)) if lateral.flat else units
        return (change(maps).reshape(units.shape),)

    return lateral.transfer.register_forward_pre_hook(before)


def _lateral(column: Column, stage: int) -> Any:
    module = column.output if stage == len(column.stages) else column.stage(stage)
    return module.lateral
