"""The section of a report on continual learning: curves, averages, matrices, overlap, claims."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from colonnade.analysis.continual import Floats
from colonnade.experiments.method_titles import PERMUTED
from colonnade.experiments.results.cautions import bands_caution
from colonnade.experiments.results.continual import (
    Contender,
    Measured,
    TaskSequence,
    measured,
    sequences,
    single_scores,
)
from colonnade.experiments.results.mean_lines import MeanLine
from colonnade.experiments.results.overlaps import by_layer, overlap_pairs, overlaps
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.titles import distinct
from colonnade.experiments.words import run_count
from colonnade.reports.continual.chart import (
    average_chart,
    matrices_chart,
    overlap_chart,
    score_chart,
)
from colonnade.reports.continual.charts import (
    average_curves,
    matrices,
    overlap_curves,
    score_curves,
)
from colonnade.reports.interactive.chart import Chart
from colonnade.reports.page import Section, render

_MOST_PANELS = 4
"""Sequences of up to so many tasks are drawn as curves over time."""


@dataclass(frozen=True)
class _Row:
    title: str
    colour: str
    average: str
    learned: str
    forgetting: str
    backward: str
    forward: str
    seeds: int
    configurations: int


class ContinualSection(Section):
    """What a report says of runs that score old tasks while they learn new ones."""

    def __init__(self, results: Results) -> None:
        super().__init__(results)
        self._sequences = [
            sequence
            for sequence in sequences(results)
            if any(run.rows for c in sequence.contenders for run in c.runs)
        ]
        self._overlaps = overlaps(results)
        self.applies = bool(self._sequences or self._overlaps)
        self._claimed = results.suite.basis.paper == PERMUTED

    def figures(self) -> dict[str, Figure]:
        """Draw the panels that there are runs for."""
        found: dict[str, Figure] = {}
        for sequence in self._compared():
            slug, words = sequence.slug, _words(sequence)
            if len(sequence.tasks) <= _MOST_PANELS:
                found[f"continual-curves-{slug}"] = score_curves(sequence, words)
            if any(c.done for c in sequence.learners_of_all):
                if len(sequence.tasks) > 2:
                    found[f"continual-average-{slug}"] = average_curves(sequence, words)
                found[f"continual-matrices-{slug}"] = matrices(sequence, words)
        if self._overlaps:
            found["fisher-overlap"] = overlap_curves(self._overlaps)
        return found

    def charts(self) -> dict[str, Chart]:
        """Show all of them as charts."""
        found: dict[str, Chart] = {}
        for sequence in self._compared():
            slug, words = sequence.slug, _words(sequence)
            if len(sequence.tasks) <= _MOST_PANELS:
                found[f"continual-curves-{slug}"] = score_chart(sequence, words)
            if len(sequence.tasks) > 2 and any(c.done for c in sequence.learners_of_all):
                found[f"continual-average-{slug}"] = average_chart(sequence, words)
            if any(c.done for c in sequence.learners_of_all):
                found[f"continual-matrices-{slug}"] = matrices_chart(sequence, words)
        if self._overlaps:
            found["fisher-overlap"] = overlap_chart(self._overlaps)
        return found

    def html(self, drawings: Mapping[str, Markup]) -> Markup:
        """Write the section."""
        return render(
            "continual/section.html.jinja",
            claims=self._claims() if self._claimed else [],
            sequences=[
                {
                    "count": len(sequence.tasks),
                    "tasks": _titles(sequence),
                    "rows": [_row(row) for row in measured(sequence)],
                    "single": _singles(sequence),
                    "labelled": sequence.labelled,
                    "differ": sequence.starts is None,
                    "bands_caution": bands_caution(_lines(sequence)),
                    **_words(sequence),
                    **{
                        kind: drawings.get(f"continual-{kind}-{sequence.slug}")
                        for kind in ("curves", "average", "matrices")
                    },
                }
                for sequence in self._compared()
            ],
            overlap=drawings.get("fisher-overlap"),
            permuted=all(words.endswith("pixels permuted") for words in self._overlaps),
            **self._pairs(),
        )

    def _pairs(self) -> dict[str, object]:
        """Name the methods and the pairs of tasks whose Fishers are shown."""
        pairs = overlap_pairs(self.results)
        titles = distinct(task for pair in pairs for task in (pair.first, pair.second))
        return {
            "pairs": [f"{p.method}: {titles[p.first]} and {titles[p.second]}" for p in pairs],
            "more_pairs": any(pair.others for pair in pairs),
        }

    def _compared(self) -> list[TaskSequence]:
        """The sequences but for those that are there, beside others, for their Fishers alone."""
        compared = [
            sequence
            for sequence in self._sequences
            if not all(run.spec.analyses for c in sequence.contenders for run in c.runs)
        ]
        return compared or self._sequences

    def _claims(self) -> list[tuple[str, str, str]]:
        """Set what the paper says of each panel beside what was measured here."""
        claims: list[tuple[str, str, str]] = []
        for sequence in self._compared():
            done = {c.method: c for c in sequence.contenders if c.done}
            if "ewc" not in done or not sequence.labelled:
                continue
            if len(sequence.tasks) <= _MOST_PANELS:
                parts = [
                    f"{done[m].title} {_final(done[m], 0):.0%} and {_final(done[m], -1):.0%} "
                    f"({run_count(len(done[m].done))})"
                    for m in ("ewc", "l2", "finetune")
                    if m in done
                ]
                claims.append(
                    (
                        "A",
                        "Only EWC keeps old tasks and learns new ones; L2 protects all weights "
                        "alike and leaves little room; SGD forgets.",
                        "In the end, accuracy on the first and on the last task: "
                        + "; ".join(parts)
                        + ".",
                    )
                )
            else:
                averages = [
                    f"{done[m].title} {_average(done[m]):.1%} ({run_count(len(done[m].done))})"
                    for m in ("ewc", "l2", "dropout", "finetune")
                    if m in done
                ]
                single = ", ".join(f"{each:.1%}" for each in single_scores(sequence).values())
                alone = f" (single tasks: {single})" if single else ""
                claims.append(
                    (
                        "B",
                        "With EWC the error grows modestly with the number of tasks; SGD with "
                        "dropout does not scale to many.",
                        f"Average accuracy after {len(sequence.tasks)} tasks: "
                        + ", ".join(averages)
                        + f"{alone}.",
                    )
                )
        if len(self._overlaps) > 1:
            parts = []
            for words, runs in self._overlaps.items():
                mean = by_layer(runs).mean
                ends = (f"{m:.2f}" if not np.isnan(m) else "unknown" for m in (mean[0], mean[-1]))
                parts.append(f"{words}: {' and '.join(ends)} ({run_count(len(runs))})")
            claims.append(
                (
                    "C",
                    "The more two tasks differ, the less their Fishers overlap in early layers; "
                    "layers near the output are shared all the same.",
                    "Overlap in the first and in the output layer: " + "; ".join(parts) + ".",
                )
            )
        return claims


def _words(sequence: TaskSequence) -> dict[str, str]:
    if sequence.labelled:
        return {"score": "accuracy", "steps": "training examples"}
    return {"score": "score", "steps": "agent steps"}


def _lines(sequence: TaskSequence) -> Iterator[MeanLine | None]:
    for contender in sequence.contenders:
        yield from map(contender.line, range(len(sequence.tasks)))
        yield contender.average_line


def _row(row: Measured) -> _Row:
    return _Row(
        title=row.contender.title,
        colour=row.contender.colour,
        average=_over_seeds(row.average),
        learned=_over_seeds(row.learned),
        forgetting=_over_seeds(row.forgetting),
        backward=_over_seeds(row.backward),
        forward=_over_seeds(row.forward),
        seeds=row.average.size,
        configurations=row.contender.configurations,
    )


def _over_seeds(values: Floats) -> str:
    if math.isnan(mean := float(values.mean())):
        return ""
    return f"{mean:.3f}" + (f" ± {values.std(ddof=1):.3f}" if values.size > 1 else "")


def _average(contender: Contender) -> float:
    return float(contender.averages[:, -1].mean())


def _final(contender: Contender, task: int) -> float:
    return float(contender.matrix[-1, task])


def _titles(sequence: TaskSequence) -> list[str]:
    titles = distinct(sequence.ids)
    return [titles[task] for task in sequence.ids]


def _singles(sequence: TaskSequence) -> str:
    found = single_scores(sequence)
    if len(found) == 1:
        return f"{next(iter(found.values())):.3f}"
    return ", ".join(f"{value:.3f} ({name})" for name, value in found.items())
