"""Two folders side by side: what each place comes to, and what was set differently."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from colonnade.analysis.intervals import FEWEST_RUNS, Interval, difference_interval
from colonnade.errors import UsageError
from colonnade.experiments.plans.plan import Place
from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.results.runs import Floats, RunResult
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.folders import SuiteFolder

_OF_ITS_OWN = ("label", "seed", "parent")
"""Fields of a spec in which runs differ that are the same but for seeds and sources."""


@dataclass(frozen=True)
class Row:
    """What one place came to in both folders, over its complete runs.

    Attributes:
        place: The method, the source and the target.
        before: [R] final scores in the first folder; of sequences that are scored on all their
            tasks, means above the random policy's.
        after: [S] the same in the second.
        interval: 95 % interval of the difference of the means, second less first.
        changes: What was set differently there: option, value in the first, value in the second.
    """

    place: Place
    before: Floats
    after: Floats
    interval: Interval
    changes: tuple[tuple[str, str, str], ...]

    @property
    def difference(self) -> float:
        """Mean score of the second folder less that of the first."""
        return float(self.after.mean() - self.before.mean())

    @property
    def verdict(self) -> str:
        """Whether the difference exceeds what seeds make of it, in words."""
        if not self.interval.known:
            few = min(self.before.size, self.after.size)
            return f"{few} run{'s' * (few != 1)} can't say; it takes {FEWEST_RUNS}"
        if self.interval.low > 0:
            return "better, beyond the seeds' noise"
        if self.interval.high < 0:
            return "worse, beyond the seeds' noise"
        return "within the seeds' noise"


@dataclass(frozen=True)
class TwoFolders:
    """Two folders side by side.

    Attributes:
        rows: The places that both have complete runs at, in the order of the first folder.
        missing: Places without a complete run in one of them, in words.
        changes: What was set differently at all places alike, or computed on or with.
    """

    rows: tuple[Row, ...]
    missing: tuple[str, ...]
    changes: tuple[tuple[str, str, str], ...]


def lay_side_by_side(first: SuiteFolder, second: SuiteFolder) -> TwoFolders:
    """Compare the final scores of two folders, place by place.

    Raises:
        UsageError: No place has complete runs in both.
        ColonnadeError: A file of a run is damaged.
    """
    sides = [_places(Results(suite)) for suite in (first, second)]
    every = list(dict.fromkeys([*sides[0], *sides[1]]))
    rows, missing = [], []
    for place in every:
        runs = [side.get(place, []) for side in sides]
        if not all(runs):
            lacking = (first if not runs[0] else second).path
            missing.append(f"{place.words}: no complete run in {lacking}")
            continue
        before, after = (np.array([_score(run) for run in each]) for each in runs)
        changes = tuple(_changes(_settings(runs[0][0]), _settings(runs[1][0])))
        rows.append(Row(place, before, after, difference_interval(after, before), changes))
    if not rows:
        raise UsageError(
            f"{first.path} and {second.path} have complete runs at no place in common, that is of "
            "the same method, source and target; give two folders of one suite."
        )
    common = set(rows[0].changes).intersection(*(row.changes for row in rows))
    return TwoFolders(
        tuple(
            Row(r.place, r.before, r.after, r.interval, _without(r.changes, common)) for r in rows
        ),
        tuple(missing),
        tuple(change for change in rows[0].changes if change in common),
    )


def _places(results: Results) -> dict[Place, list[RunResult]]:
    """Return the complete runs that have a score, by place; of a sweep those that count."""
    found: dict[Place, list[RunResult]] = {}
    for entry in results.comparisons:
        if entry.place not in found:
            found[entry.place] = [
                run for run in results.counting(*entry.place) if not math.isnan(_score(run))
            ]
    placed = {entry.run for entry in results.comparisons}
    for name, run in results.runs.items():
        if name not in placed and not math.isnan(_score(run)):
            *earlier, last = (task.name for task in run.spec.tasks)
            method = "source" if placed else run.spec.method  # which only prepares others
            place = Place(method, " + ".join(earlier) or None, last)
            found.setdefault(place, []).append(run)
    return {place: runs for place, runs in found.items() if runs}


def _score(run: RunResult) -> float:
    """Return the last task's final score; of what is scored on all its tasks, what it gained."""
    return run.gain if run.looks_back else run.final_score


def _settings(run: RunResult) -> dict[str, str]:
    """Flatten what a run was: its spec but for label and seed, versions and hardware."""
    spec: dict[str, Any] = RunSpec.to_json(run.spec)
    own = {key: value for key, value in spec.items() if key not in _OF_ITS_OWN}
    around = {key: run.result.get(key, {}) for key in ("versions", "hardware")}
    return dict(_flat({**own, **around}))


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            yield from _flat(each, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        for number, each in enumerate(value):
            yield from _flat(each, f"{path}[{number}]")
    elif value not in ({}, []):
        yield path, str(value)


def _changes(one: dict[str, str], other: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    for key in dict.fromkeys([*one, *other]):
        if one.get(key) != other.get(key):
            yield key, one.get(key, "as by default"), other.get(key, "as by default")


def _without(
    changes: tuple[tuple[str, str, str], ...], common: set[tuple[str, str, str]]
) -> tuple[tuple[str, str, str], ...]:
    return tuple(change for change in changes if change not in common)
