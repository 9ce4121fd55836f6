"""What analyses of several networks come to together."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from colonnade.analysis.policies.capacity import used_share
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.titles import distinct, task_title
from colonnade.experiments.trained.analysis import ANOTHER, UNTRAINED, RunAnalysis


def column_title(task: str) -> str:
    """Name a column after its task, for people."""
    return {UNTRAINED: "Untrained", ANOTHER: "Another column"}.get(task) or task_title(task)


def net_title(columns: Sequence[str]) -> str:
    """Name a network after its columns: "Pong to H-flip"."""
    *sources, target = map(column_title, columns)
    return f"{' + '.join(sources)} to {target}" if sources else target


def groups_of(analyses: Sequence[RunAnalysis], suite: SuiteFolder) -> dict[str, list[RunAnalysis]]:
    """Put repetitions together, by a title: the seeds of a configuration, or the jobs of a cell."""
    specs = {spec.id: spec for spec in suite.plan.runs}
    groups: dict[str, list[RunAnalysis]] = {}
    for each in analyses:
        spec = specs.get(each.run)
        if spec is None:
            key = each.run
        elif suite.sweep:
            key = suite.plan.place(spec.id).words
        else:
            key = suite.plan.configuration(spec)
        groups.setdefault(f"{key} {each.task}", []).append(each)
    firsts = {key: group[0] for key, group in groups.items()}
    nets = {key: net_title(each.columns) for key, each in firsts.items()}
    titles = distinct(groups, nets.__getitem__)
    labelled = distinct(groups, lambda key: f"{nets[key]}: {firsts[key].label}")
    for key in groups:
        if titles[key] == key:
            own = f"{nets[key]}: {firsts[key].run}"
            titles[key] = labelled[key] if labelled[key] != key else own
    return {titles[key]: group for key, group in groups.items()}


def used_shares(analyses: Sequence[RunAnalysis]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Share of the new column's features that hold 95 % of its sensitivity, per column count.

    Every row has a cell for every level that any network has; it is empty where there is nothing.
    """
    names = dict.fromkeys(name for each in analyses for name in each.level_names)
    rows = []
    for count in sorted({len(each.columns) for each in analyses}):
        nets = [each for each in analyses if len(each.columns) == count]
        cells = []
        for name in names:
            shares = [
                used_share(each.sensitivity[feature])
                for each in nets
                if name in each.level_names
                for feature in each.levels[each.level_names.index(name)]
                if feature.column == each.newest and not math.isnan(each.layer_afs[feature])
            ]
            cells.append((name, f"{np.mean(shares):.0%}" if shares else ""))
        networks = "1 network" if len(nets) == 1 else f"{len(nets)} networks"
        rows.append((f"{count} columns, {networks}", cells))
    return rows


def new_vision(
    analyses: Sequence[RunAnalysis], results: Results
) -> list[tuple[float, float, str, int]]:
    """Mean AFS of the new column's convolutions, transfer score, target and column count."""
    points = []
    for each in analyses:
        run = results.runs.get(each.run)
        target = each.task
        if run is None or target != run.folder.last_task:
            continue
        score = results.relative_area(run)
        vision = [
            each.new_share(level)
            for level, name in enumerate(each.level_names)
            if name.startswith("conv")
        ]
        if not all(map(math.isnan, vision)) and not math.isnan(score):
            points.append((float(np.nanmean(vision)), score, target, len(each.columns)))
    return points


def reuse_words(*analyses: RunAnalysis) -> str:
    """Say in words what a network's new column reuses; analyses of several seeds are averaged."""
    first = analyses[0]
    kinds: dict[str, list[str]] = {"reuses": [], "mixes": [], "learned anew": [], "unread": []}
    for level, name in enumerate(first.level_names):
        shares = [each.new_share(level) for each in analyses]
        if all(map(math.isnan, shares)):
            kinds["unread"].append(name)
            continue
        new = float(np.nanmean(shares))
        kind = "reuses" if new <= 0.25 else "learned anew" if new >= 0.75 else "mixes"
        kinds[kind].append(f"{name} ({1 - new:.0%} from earlier columns)")
    parts = []
    if kinds["reuses"]:
        parts.append(f"reuses {_list(kinds['reuses'])}")
    if kinds["mixes"]:
        parts.append(f"joins old and new features in {_list(kinds['mixes'])}")
    if kinds["learned anew"]:
        parts.append(f"learned {_list(kinds['learned anew'])} anew")
    if kinds["unread"]:
        parts.append(f"does not depend on {_list(kinds['unread'])}")
    return f"The column for {column_title(first.columns[-1])} {_list(parts)}."


def _list(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
