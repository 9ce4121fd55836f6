"""Choosing what a network can do without, by the sensitivity of the policies that depend on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch

from colonnade.analysis.policies.capacity import check_keep, most_sensitive
from colonnade.analysis.policies.sensitivity import ActivationFisher
from colonnade.errors import UsageError
from colonnade.networks import LSTM, ColumnView, Feature, Projection, Site
from colonnade.networks.progressive.pruning import Kept, prunable_sites, site_width


def choose_features(
    network: ColumnView,
    fishers: Sequence[ActivationFisher],
    keep: float,
    columns: Iterable[int] | None = None,
) -> dict[Site, Kept]:
    """Choose the fewest features that hold a share of every policy's sensitivity.

    The features of a level compete over all columns, and an adapter's projections compete with the
    features that its stage reads from its own column. A feature remains if any policy's choice
    holds it; a layer of which none remains falls silent. Sensitivity is taken pixel by pixel, where
    a pattern that never changes counts for nothing, since a removed feature is replaced by its
    mean.

    Args:
        network: All columns.
        fishers: Of each policy that must go on playing, with `projections=True`.
        keep: The share of the sensitivity to hold, above 0 and at most 1.
        columns: Which columns lose features; all if not given.

    Returns:
        What remains of each site that loses something, for
        `colonnade.networks.progressive.pruning.prune`.

    Raises:
        UsageError: A number makes no sense, or there is no such column.
    """
    check_keep(keep)
    if not fishers:
        raise UsageError("Choosing features needs the Fisher of at least one policy.")
    allowed = set(range(len(network.columns)) if columns is None else columns)
    for index in allowed:
        network.column(index)  # says so where there is none
    sites = [site for site in prunable_sites(network) if site.column in allowed]
    rest: dict[Site, set[int]] = {site: set() for site in sites}
    for fisher in fishers:
        for group, chosen_from in _groups(network, fisher):
            for site, features in _chosen(fisher, group, keep).items():
                if site in rest and site in chosen_from:
                    rest[site] |= set(features)
    found: dict[Site, Kept] = {}
    for site, chosen in rest.items():
        statistics = [fisher.sites[site] for fisher in fishers if site in fisher.sites]
        if statistics:
            mean = np.mean([each.mean for each in statistics], axis=0)
            best = int(np.sum([each.sensitivity("pixel") for each in statistics], 0).argmax())
        else:  # no policy that counts reads it
            mean, best = np.zeros((site_width(network, site), 1)), 0
        if not chosen and _is_lstm(network, site):
            chosen = {best}
        if len(chosen) < len(mean):
            remaining = torch.tensor(sorted(chosen), dtype=torch.int64)
            found[site] = Kept(remaining, torch.from_numpy(mean))
    return found


def _is_lstm(network: ColumnView, site: Site) -> bool:
    if isinstance(site, Projection):
        return False
    return isinstance(network.column(site.column).spec.stages[site.stage], LSTM)


def _groups(network: ColumnView, fisher: ActivationFisher) -> list[tuple[list[Site], set[Site]]]:
    """Sites that compete, and those among them that the competition decides on."""
    groups: list[tuple[list[Site], set[Site]]] = []
    for level in fisher.levels:
        sites: list[Site] = [_stage_of(network, feature) for feature in level]
        groups.append((sites, set(sites)))
    projections = [site for site in fisher.sites if isinstance(site, Projection)]
    groups += [([Feature(site.column, site.stage - 1), site], {site}) for site in projections]
    return groups


def _stage_of(network: ColumnView, level: Feature) -> Feature:
    """The hidden stage of a level whose features may be joined by other inputs."""
    below = [feature.stage for feature in network.column(level.column).levels]
    place = below.index(level.stage)
    return Feature(level.column, below[place - 1] + 1 if place else 0)


def _chosen(
    fisher: ActivationFisher, group: Sequence[Site], keep: float
) -> Mapping[Site, list[int]]:
    values = [
        fisher.sites[site].sensitivity("pixel") if site in fisher.sites else np.zeros(0)
        for site in group
    ]
    chosen = most_sensitive(np.concatenate(values), keep)
    ends = np.cumsum([len(value) for value in values])
    return {
        site: [int(i) - (int(end) - len(value)) for i in chosen if end - len(value) <= i < end]
        for site, value, end in zip(group, values, ends, strict=True)
    }
