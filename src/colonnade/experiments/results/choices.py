"""Which of several runs was the best, so that others start from it or learn like it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.results.runs import RunResult
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.parents import as_learned

_BETWEEN = ", "


@dataclass(frozen=True)
class Try:
    """One of the runs that were to choose from.

    Attributes:
        name: What tells it from the others, e.g. "draw 3".
        score: What it was chosen by, the final score on its last task; NaN unless complete.
        values: Its hyperparameters that are not the same in all of them, by name.
        rank: Its place among those that were taken on, from 1; None if it was not.
    """

    name: str
    score: float
    values: dict[str, Any]
    rank: int | None


@dataclass(frozen=True)
class Choice:
    """Runs of which the best, or the best few, were taken on.

    Attributes:
        title: What they have in common, e.g. "progressive pong to zoom, round 1".
        tries: All of them, in the order of the plan.
    """

    title: str
    tries: tuple[Try, ...]

    @property
    def taken(self) -> tuple[Try, ...]:
        """Those that were taken on, the best first; empty where that is still open."""
        chosen = [each for each in self.tries if each.rank is not None]
        return tuple(sorted(chosen, key=lambda each: each.rank or 0))


def choices(results: Results) -> list[Choice]:
    """List what was chosen from what, in the order of the plan; a sweep's report has its own."""
    suite = results.suite
    ranks: dict[tuple[str, ...], dict[int, str | None]] = {}
    for selection in suite.plan.selections:
        found = ranks.setdefault(selection.runs, {})
        found[selection.rank] = suite.chosen(selection.name)
    return [_choice(results, runs, chosen) for runs, chosen in ranks.items()]


def _choice(results: Results, runs: Sequence[str], chosen: dict[int, str | None]) -> Choice:
    specs = [results.runs[run].spec for run in runs]
    settings = [_settings(as_learned(results.suite.path, spec)) for spec in specs]
    differ = _drawn(results, specs)
    title, own = _named(specs)
    taken = {run: rank + 1 for rank, run in sorted(chosen.items(), reverse=True)}
    return Choice(
        title,
        tuple(
            Try(
                name,
                _score(results.runs[run]),
                {key: each[key] for key in differ if key in each},
                taken.get(run),
            )
            for run, name, each in zip(runs, own, settings, strict=True)
        ),
    )


def _score(run: RunResult) -> float:
    """Return what it was chosen by."""
    return run.folder.score if run.done else math.nan


def _drawn(results: Results, specs: Sequence[RunSpec]) -> list[str]:
    """Name the hyperparameters that tell runs apart, or those that the first tries differed in."""
    plan = results.suite.plan
    if (before := plan.selection(specs[0].learner_from)) is not None:
        return _drawn(results, [results.runs[run].spec for run in before.runs])
    settings = [_settings(spec) for spec in specs]
    names = dict.fromkeys(name for each in settings for name in each)
    return [name for name in names if len({repr(each.get(name)) for each in settings}) > 1]


def _settings(spec: RunSpec) -> dict[str, Any]:
    """Return what may tell runs of one place apart: the learner's options, and the column's."""
    column = spec.column if isinstance(spec.column, dict) else {"preset": spec.column}
    return {**spec.learner_options, **column, **spec.method_options}


def _named(specs: Sequence[RunSpec]) -> tuple[str, list[str]]:
    """Split labels at their commas into what is the same in all, and what is each run's own."""
    parts = [spec.label.split(_BETWEEN) for spec in specs]
    same = [
        each[0] for each in takewhile(lambda each: len(set(each)) == 1, zip(*parts, strict=False))
    ]
    title = _BETWEEN.join(same) or specs[0].label
    return title, [_BETWEEN.join(each[len(same) :]) or each[-1] for each in parts]
