"""The section of a report on continual learning: curves, averages, matrices, overlap, claims."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files

import jinja2
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from colonnade.analysis.continual import (
    Floats,
    average_scores,
    backward_transfer,
    forgetting,
    forward_transfer,
    learned_scores,
)
from colonnade.experiments.continual_charts import (
    TITLES,
    average_curves,
    colour_of,
    matrices,
    overlap_curves,
    score_curves,
    single_score,
    title_of,
)
from colonnade.experiments.continual_results import (
    Contender,
    SequenceRun,
    TaskSequence,
    sequences,
)
from colonnade.experiments.results import Results

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


class ContinualReport:
    """What a report says of runs that score old tasks while they learn new ones.

    Args:
        results: Of the suite.
    """

    def __init__(self, results: Results) -> None:
        self._sequences = [
            sequence
            for sequence in sequences(results)
            if any(run.rows for c in sequence.contenders for run in c.runs)
        ]
        self._overlaps = _overlaps(results)
        self._labelled = all(run.spec.learner == "supervised" for run in results.runs.values())

    @property
    def empty(self) -> bool:
        """Whether there is nothing to say."""
        return not (self._sequences or self._overlaps)

    @property
    def _words(self) -> dict[str, str]:
        if self._labelled:
            return {"score": "accuracy", "steps": "training examples"}
        return {"score": "score", "steps": "agent steps"}

    def figures(self) -> dict[str, Figure]:
        """Draw the panels that there are runs for."""
        found: dict[str, Figure] = {}
        for sequence in self._compared():
            slug = _slug(sequence)
            if len(sequence.tasks) <= _MOST_PANELS:
                found[f"continual-curves-{slug}"] = score_curves(sequence, self._words)
            if any(c.done for c in sequence.contenders if c.method != "scratch"):
                if len(sequence.tasks) > 2:
                    found[f"continual-average-{slug}"] = average_curves(sequence, self._words)
                found[f"continual-matrices-{slug}"] = matrices(sequence, self._words)
        if self._overlaps:
            found["fisher-overlap"] = overlap_curves(self._overlaps)
        return found

    def html(self, drawings: dict[str, Markup]) -> Markup:
        """Write the section.

        Args:
            drawings: The pictures of `figures` as SVG, by name.
        """
        source = (files("colonnade.experiments") / "continual_section.html.jinja").read_text()
        environment = jinja2.Environment(
            autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
        )
        page = environment.from_string(source).render(
            claims=self._claims() if self._labelled else [],
            sequences=[
                {
                    "count": len(sequence.tasks),
                    "tasks": ", ".join(sequence.tasks),
                    "rows": self._rows(sequence),
                    "single": _number(single_score(sequence)),
                    **{
                        kind: drawings.get(f"continual-{kind}-{_slug(sequence)}")
                        for kind in ("curves", "average", "matrices")
                    },
                }
                for sequence in self._compared()
            ],
            overlap=drawings.get("fisher-overlap"),
            labelled=self._labelled,
            **self._words,
        )
        return Markup(page)

    def _compared(self) -> list[TaskSequence]:
        """The sequences but for those that are there for their Fishers alone."""
        return [
            sequence
            for sequence in self._sequences
            if not all(run.spec.analyses for c in sequence.contenders for run in c.runs)
        ]

    def _rows(self, sequence: TaskSequence) -> list[_Row]:
        order = list(TITLES)
        contenders = sorted(
            (c for c in sequence.contenders if c.done),
            key=lambda c: order.index(c.method) if c.method in order else len(order),
        )
        return [self._row(contender) for contender in contenders]

    def _row(self, contender: Contender) -> _Row:
        done = contender.done

        def over_seeds(measure: Callable[[SequenceRun], float]) -> str:
            values = [measure(run) for run in done]
            spread = f" ± {np.std(values):.3f}" if len(values) > 1 else ""
            return f"{np.mean(values):.3f}{spread}" if not math.isnan(np.mean(values)) else ""

        return _Row(
            title=title_of(contender.method, not self._labelled),
            colour=colour_of(contender.method),
            average=over_seeds(lambda run: float(average_scores(run.matrix)[-1])),
            learned=over_seeds(lambda run: float(learned_scores(run.matrix).mean())),
            forgetting=over_seeds(lambda run: forgetting(run.matrix)),
            backward=over_seeds(lambda run: backward_transfer(run.matrix)),
            forward=over_seeds(lambda run: forward_transfer(run.before, run.chance)),
            seeds=len(done),
            configurations=contender.configurations,
        )

    def _claims(self) -> list[tuple[str, str, str]]:
        """Set what the paper says of each panel beside what was measured here."""
        claims: list[tuple[str, str, str]] = []
        for sequence in self._compared():
            done = {c.method: c for c in sequence.contenders if c.done}
            if "ewc" not in done:
                continue
            if len(sequence.tasks) <= _MOST_PANELS:
                parts = [
                    f"{title_of(m)} {_final(done[m], 0):.0%} and {_final(done[m], -1):.0%}"
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
                    f"{title_of(m)} {_average(done[m]):.1%}"
                    for m in ("ewc", "l2", "dropout", "finetune")
                    if m in done
                ]
                single = single_score(sequence)
                alone = f" (single tasks: {single:.1%})" if single is not None else ""
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
            means = {words: np.mean(runs, axis=0) for words, runs in self._overlaps.items()}
            parts = [f"{words}: {m[0]:.2f} and {m[-1]:.2f}" for words, m in means.items()]
            claims.append(
                (
                    "C",
                    "The more two tasks differ, the less their Fishers overlap in early layers; "
                    "layers near the output are shared all the same.",
                    "Overlap in the first and in the output layer: " + "; ".join(parts) + ".",
                )
            )
        return claims


def _average(contender: Contender) -> float:
    return float(np.mean([average_scores(run.matrix)[-1] for run in contender.done]))


def _final(contender: Contender, task: int) -> float:
    return float(np.mean([run.matrix[-1, task] for run in contender.done]))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _slug(sequence: TaskSequence) -> str:
    family = sequence.tasks[0].partition("/")[0]
    return f"{len(sequence.tasks)}-{family}"


def _overlaps(results: Results) -> dict[str, Sequence[Floats]]:
    """Collect overlaps by layer of each complete run, by what its tasks are."""
    found: dict[str, list[Floats]] = {}
    for run in results.runs.values():
        rows = [row for row in run.result.get("scores", ()) if row["kind"] == "overlap"]
        if rows:
            rows = [row for row in rows if row["task"] == run.spec.target]
            by_depth = sorted(rows, key=lambda row: row["depth"])
            values = np.array([float(row["overlap"]) for row in by_depth])
            found.setdefault(_difference(run.spec.target), []).append(values)
    return {words: found[words] for words in sorted(found, key=_natural)}


def _difference(task: str) -> str:
    square = task.rpartition("/")[2].partition("-")[0]
    return f"{square} pixels permuted" if "x" in square else task


def _natural(words: str) -> tuple[int, str]:
    digits = words.partition("x")[0]
    return (int(digits) if digits.isdigit() else 0, words)
