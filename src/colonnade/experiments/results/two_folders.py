"""Two folders side by side: what each place comes to, and what was set differently."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from colonnade.analysis.intervals import FEWEST_RUNS, NO_INTERVAL, Interval, difference_interval
from colonnade.errors import UsageError
from colonnade.experiments.plans.plan import Place
from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.results.runs import Floats, RunResult
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.store.parents import as_learned
from colonnade.experiments.words import without_seed

_OF_ITS_OWN = ("label", "seed", "parent", "parents", "learner_from", "column_too")
"""Fields of a spec in which runs differ that are the same but for seeds and sources."""


_DEFAULT = "as by default"


@dataclass(frozen=True)
class Row:
    """What one place came to in both folders, over its complete runs.

    Attributes:
        words: The method, the source and the target; and what runs are called, where several kinds
            of run have these in common.
        gained: Whether the scores are means over all tasks above the random policy's, as of
            sequences that are scored on all their tasks; else they are final scores on the target.
        before: [R] scores in the first folder.
        after: [S] the same in the second.
        interval: 95 % interval of the difference of the means, second less first.
        changes: What was set differently there: option, value in the first, value in the second.
        chosen: Whether either side's runs are the best of a sweep's jobs, which are no sample.
    """

    words: str
    gained: bool
    before: Floats
    after: Floats
    interval: Interval
    changes: tuple[tuple[str, str, str], ...]
    chosen: bool

    @property
    def difference(self) -> float:
        """Mean score of the second folder less that of the first."""
        return float(self.after.mean() - self.before.mean())

    @property
    def verdict(self) -> str:
        """Whether the difference exceeds what seeds make of it, in words."""
        if self.chosen:
            return "the best jobs are no sample"
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
        chosen: What counts of each folder that is a sweep, in words.
    """

    rows: tuple[Row, ...]
    missing: tuple[str, ...]
    changes: tuple[tuple[str, str, str], ...]
    chosen: tuple[str, ...]


def lay_side_by_side(first: SuiteFolder, second: SuiteFolder) -> TwoFolders:
    """Compare the final scores of two folders, place by place.

    Raises:
        UsageError: No place has complete runs in both.
        ColonnadeError: A file of a run is damaged.
    """
    results = [Results(suite) for suite in (first, second)]
    sides = _matched([_places(each) for each in results])
    chosen = any(each.top is not None for each in results)
    every = list(dict.fromkeys([*sides[0], *sides[1]]))
    kinds = Counter(key.place for key in every)
    rows, missing = [], []
    for key in every:
        words = key.place.words + (f": {key.label}" if kinds[key.place] > 1 else "")
        words += _apart(key, every)
        runs = [side.get(key, []) for side in sides]
        if not all(runs):
            lacking = (first if not runs[0] else second).path
            missing.append(f"{words}: no complete run in {lacking}")
            continue
        # One measure for both sides.
        gained = all(run.looks_back and not math.isnan(run.gain) for each in runs for run in each)
        before, after = (
            np.array([run.gain if gained else run.final_score for run in each]) for each in runs
        )
        changes = tuple(_changes(_settings(runs[0][0]), _settings(runs[1][0])))
        interval = NO_INTERVAL if chosen else difference_interval(after, before)
        rows.append(Row(words, gained, before, after, interval, changes, chosen))
    if not rows:
        raise UsageError(
            f"{first.path} and {second.path} have complete runs at no place in common, that is of "
            "the same method, source and target; give two folders of one suite."
        )
    common = set(rows[0].changes).intersection(*(row.changes for row in rows))
    return TwoFolders(
        tuple(replace(row, changes=_without(row.changes, common)) for row in rows),
        tuple(missing),
        tuple(change for change in rows[0].changes if change in common),
        tuple(
            f"of {suite.path} the best {suite.sweep.top} of {suite.sweep.total} jobs, by their "
            f"{each.measured}s"
            for suite, each in zip((first, second), results, strict=True)
            if suite.sweep
        ),
    )


class _Key(NamedTuple):
    """Which runs are of one kind.

    Attributes:
        place: Where they stand.
        label: What they are called but for their seed; "" of those compared.
        configuration: What decides how they go; "" of those compared.
    """

    place: Place
    label: str
    configuration: str


def _apart(key: _Key, every: Sequence[_Key]) -> str:
    """Say in what a kind differs from others of its place and name, in brackets."""
    alike = [other for other in every if other[:2] == key[:2]]
    if len(alike) == 1:
        return ""
    settings = [dict(_flat(json.loads(other.configuration))) for other in alike]
    own = settings[alike.index(key)]
    names = sorted({name for each in settings for name in each.keys() | own.keys()})
    differing = [name for name in names if len({each.get(name) for each in settings}) > 1]
    words = [f"{name} {own.get(name, _DEFAULT)}" for name in differing]
    return f" ({', '.join(words)})"


def _places(results: Results) -> dict[_Key, list[RunResult]]:
    """Return the complete runs that have a score, by place; of a sweep those that count."""
    found: dict[_Key, list[RunResult]] = {}
    for entry in results.comparisons:
        if (key := _Key(entry.place, "", "")) not in found:
            found[key] = [
                run for run in results.counting(*entry.place) if not math.isnan(run.final_score)
            ]
    placed = {entry.run for entry in results.comparisons}
    others = [name for name in results.runs if name not in placed]
    if placed:  # beside which what only tries is no result
        others = [name for name in others if name not in results.suite.plan.tries]
    for name in others:
        run = results.runs[name]
        if not math.isnan(run.final_score):
            *earlier, last = (task.name for task in run.spec.tasks)
            method = "source" if placed else run.spec.method  # which only prepares others
            place = Place(method, " + ".join(earlier) or None, last)
            own = results.suite.plan.configuration(run.spec)
            found.setdefault(_Key(place, without_seed(run.spec.label), own), []).append(run)
    return {key: runs for key, runs in found.items() if runs}


def _matched(sides: Sequence[dict[_Key, list[RunResult]]]) -> list[dict[_Key, list[RunResult]]]:
    """Let runs match as far as each folder tells its own apart.

    Where each has one kind at a place, whatever that is called; where each has one of a name, by
    their names; else those alone that are configured alike.
    """
    at_place = [Counter(key.place for key in side) for side in sides]
    by_name = [Counter(key[:2] for key in side) for side in sides]

    def matched(key: _Key) -> _Key:
        if all(each[key.place] == 1 for each in at_place):
            return _Key(key.place, "", "")
        if all(each[key[:2]] <= 1 for each in by_name):
            return _Key(key.place, key.label, "")
        return key

    return [{matched(key): runs for key, runs in side.items()} for side in sides]


def _settings(run: RunResult) -> dict[str, str]:
    """Flatten what a run was: its spec but for label and seed, versions and hardware."""
    suite = run.folder.path.parent.parent
    spec: dict[str, Any] = RunSpec.to_json(as_learned(suite, run.spec))
    own = {key: value for key, value in spec.items() if key not in _OF_ITS_OWN}
    if run.spec.learner_from:
        own["learner_from"] = "the best run of a selection"
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
            yield key, one.get(key, _DEFAULT), other.get(key, _DEFAULT)


def _without(
    changes: tuple[tuple[str, str, str], ...], common: set[tuple[str, str, str]]
) -> tuple[tuple[str, str, str], ...]:
    return tuple(change for change in changes if change not in common)
