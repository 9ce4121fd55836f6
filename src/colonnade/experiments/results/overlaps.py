"""How far Fishers of a run's tasks overlap, layer by layer (Kirkpatrick et al. 2017, Fig. 2C)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from colonnade.analysis.continual import Floats
from colonnade.analysis.intervals import mean_interval
from colonnade.experiments.method_titles import sequence_title
from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.results.mean_lines import MeanLine
from colonnade.experiments.results.runs import RunResult
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.titles import distinct
from colonnade.training import Row


def overlaps(results: Results) -> dict[str, Sequence[Floats]]:
    """Collect overlaps by layer of each complete run, by what its tasks are and how it learned.

    NaN where a layer no longer learns.
    """
    found: dict[str, list[Floats]] = {}
    examples: dict[str, RunSpec] = {}
    for run in results.runs.values():
        rows = overlap_rows(run)
        last = rows[-1]["task"] if rows else None
        if rows:
            by_depth = sorted((r for r in rows if r["task"] == last), key=lambda r: r["depth"])
            values = np.array([row["overlap"] for row in by_depth], dtype=np.float64)
            configuration = results.suite.plan.configuration(run.spec)
            found.setdefault(configuration, []).append(values)
            examples.setdefault(configuration, run.spec)
    titles = distinct(found, lambda key: _difference(examples[key].target))
    # Of configurations that learn alike, each is called by its first run: by the label or the id.
    words = {
        examples[key].id: text if text != key else examples[key].label
        for key, text in titles.items()
    }
    named = dict(zip(found, distinct(words, words.__getitem__).values(), strict=True))
    order = sorted(found, key=lambda key: _natural(named[key]))
    return {named[key]: found[key] for key in order}


class OverlapPair(NamedTuple):
    """Two tasks whose overlap `overlaps` collects.

    Attributes:
        method: Title of the method that learned them.
        first: Id of one task.
        second: Id of the next.
        others: Whether the run has overlaps of earlier pairs, too.
    """

    method: str
    first: str
    second: str
    others: bool


def overlap_pairs(results: Results) -> list[OverlapPair]:
    """List the pairs of tasks whose overlaps `overlaps` collects, the last one of each run."""
    found: dict[OverlapPair, None] = {}
    for run in results.runs.values():
        if rows := overlap_rows(run):
            title = sequence_title(run.spec.method, results.own, labelled=run.labelled)
            first, second = rows[-1]["other"], rows[-1]["task"]
            others = any(row["task"] != second for row in rows)
            found[OverlapPair(title, first, second, others)] = None
    return list(found)


def overlap_rows(run: RunResult) -> list[Row]:
    """List a run's overlaps, a row for each layer of each pair of tasks."""
    return [row for row in run.result.get("scores", ()) if row["kind"] == "overlap"]


def by_layer(runs: Sequence[Floats]) -> MeanLine:
    """Average overlaps [L] of runs layer by layer, the first one's number 1; NaN is left out."""
    depth = np.arange(1.0, len(runs[0]) + 1)
    known = [values[~np.isnan(values)] for values in np.array(runs).T]
    mean = np.array([values.mean() if values.size else np.nan for values in known])
    low, high = np.array([tuple(mean_interval(values)) for values in known]).T
    return MeanLine(steps=depth, mean=mean, low=low, high=high, each=np.array(runs))


def _difference(task: str) -> str:
    permuted = re.fullmatch(r"permuted-[\w-]+/(\d+x\d+)-\d+", task)
    return f"{permuted[1]} pixels permuted" if permuted else task


def _natural(words: str) -> tuple[int, str]:
    digits = words.partition("x")[0]
    return (int(digits) if digits.isdigit() else 0, words)
