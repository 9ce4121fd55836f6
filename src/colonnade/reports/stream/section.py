"""The section of a report on streams: schedule, scores over time, how contexts were recognised."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from colonnade.analysis.continual import Floats
from colonnade.analysis.transfer import transfer_score
from colonnade.experiments.results.cautions import bands_caution
from colonnade.experiments.results.recognised import Recognised, recognised
from colonnade.experiments.results.stream import (
    Curve,
    Stream,
    StreamRun,
    streams,
)
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.titles import distinct, learner_title
from colonnade.experiments.words import run_count
from colonnade.parts.part import Said
from colonnade.reports.interactive.chart import Chart
from colonnade.reports.page import Section, render
from colonnade.reports.stream.chart import contexts_chart, schedule_chart, totals_chart
from colonnade.reports.stream.charts import contexts, schedule, style_of, totals

Picture = TypeVar("Picture", Figure, Chart)


@dataclass(frozen=True)
class _Row:
    title: str
    colour: str
    total: str
    relative: str
    seeds: int
    unscored: tuple[str, ...]


@dataclass(frozen=True)
class _Seed:
    seed: int
    contexts: int
    purity: str
    accuracy: str
    delays: str


class StreamSection(Section):
    """What a report says of runs whose tasks come back."""

    def __init__(self, results: Results) -> None:
        super().__init__(results)
        self._streams = streams(results)
        self.applies = bool(self._streams)

    def figures(self) -> dict[str, Figure]:
        """Draw the panels that there are runs for."""
        return self._panels(schedule, totals, contexts)

    def charts(self) -> dict[str, Chart]:
        """Show all of them as charts."""
        return self._panels(schedule_chart, totals_chart, contexts_chart)

    def _panels(
        self,
        schedule: Callable[[StreamRun, dict[str, str]], Picture],
        totals: Callable[[Stream], Picture],
        contexts: Callable[[Recognised, list[str]], Picture],
    ) -> dict[str, Picture]:
        found: dict[str, Picture] = {}
        for number, stream in enumerate(self._streams):
            if not stream.curves:
                continue
            titles = distinct(stream.tasks)
            found[f"stream-schedule-{number}"] = schedule(stream.curves[0].runs[0], titles)
            if any(run.total()[0].size for curve in stream.curves for run in curve.runs):
                found[f"stream-totals-{number}"] = totals(stream)
            for run in _inferred(stream)[:1]:
                if (seen := recognised(run)) is not None:
                    named = [distinct(run.tasks)[task] for task in run.tasks]
                    found[f"stream-contexts-{number}"] = contexts(seen, named)
        return found

    def html(self, drawings: Mapping[str, Markup]) -> Markup:
        """Write the section."""
        return render(
            "stream/section.html.jinja",
            streams=[
                {
                    "count": len(stream.tasks),
                    "visits": len(stream.curves[0].runs[0].visited),
                    "rows": [_row(stream, curve) for curve in stream.curves if curve.done],
                    "single": _single(stream),
                    "unscored": [distinct(stream.tasks)[task] for task in stream.unscored],
                    "turns": _turns(stream),
                    "bands_caution": bands_caution(
                        [stream.ceiling_line, *(curve.line for curve in stream.curves)]
                    ),
                    "claims": [
                        claim
                        for learner in stream.learners
                        for claim in _claims(stream, learner, self.results.own)
                    ],
                    "seeds": [
                        _seed(run, seen)
                        for run in _inferred(stream)
                        if (seen := recognised(run)) is not None
                    ],
                    **{
                        kind: drawings.get(f"stream-{kind}-{number}")
                        for kind in ("schedule", "totals", "contexts")
                    },
                }
                for number, stream in enumerate(self._streams)
                if stream.curves
            ],
        )


def _inferred(stream: Stream) -> list[StreamRun]:
    return [run for curve in stream.curves if curve.inferred for run in curve.runs]


def _row(stream: Stream, curve: Curve) -> _Row:
    finals, base = stream.final(curve), stream.below(curve)
    relative = ""
    if base is not None and (below := stream.final(base)).size and finals.size:
        # What random play comes to is 0; a sum within its error of that divides nothing.
        error = below.std(ddof=1) / math.sqrt(below.size) if below.size > 1 else 0.0
        ratio = float(transfer_score(finals.mean(), below.mean(), minimum=error))
        relative = "?" if math.isnan(ratio) else f"{ratio:.2f}"
    colour = str(style_of(curve)["colour"])
    unscored = tuple(_over_seeds(stream.last_scores(curve, task)) for task in stream.unscored)
    return _Row(curve.title, colour, _over_seeds(finals), relative, len(curve.done), unscored)


def _single(stream: Stream) -> str:
    """Write what single-task networks come to after the steps that each task has in all."""
    ends = [
        found[1][-1]
        for curve in stream.curves[:1]
        for run in curve.runs
        if (found := stream.ceiling(run)) is not None
    ]
    return _over_seeds(np.array(ends)) if ends else ""


def _turns(stream: Stream) -> int:
    """Count the visits of a curve whose visits are short; 0 where there is none."""
    return next((len(c.runs[0].visited) for c in stream.curves if c.turns), 0)


def _seed(run: StreamRun, seen: Recognised) -> _Seed:
    delays = seen.delays
    noticed = delays[np.isfinite(delays)]
    words = f"median {np.median(noticed):.0f}, longest {noticed.max():.0f}" if noticed.size else ""
    if missed := int(np.isinf(delays).sum()):
        words += f"; {missed} of {delays.size} not noticed"
    return _Seed(
        run.run.spec.seed, len(seen.contexts), f"{seen.purity:.3f}", f"{seen.accuracy:.3f}", words
    )


def _claims(stream: Stream, learner: str, own: Sequence[Said]) -> list[tuple[str, str]]:
    """Set what the paper says of Fig. 3B beside what was measured here with a learner."""
    none, told, found = (
        _end(stream, stream.only(learner, method, inferred=inferred))
        for method, inferred in (("finetune", False), ("ewc", False), ("ewc", True))
    )
    count = len(stream.tasks) - len(stream.unscored)
    claims = []
    if none is not None:
        claims.append(
            (
                "Without a penalty the agent never learns to play more than one game.",
                f"In the end {none.mean:.2f} of {count}{none.over}.",
            )
        )
    if none is not None and told is not None and stream.below(told.curve) is none.curve:
        claims.append(
            (
                "With EWC the same network learns to play several games.",
                f"In the end {told.mean:.2f} of {count}, {told.mean - none.mean:+.2f} against no "
                f"penalty{told.over}.",
            )
        )
    if told is not None and found is not None:
        claims.append(
            (
                "Being told the game helps only little over recognising it.",
                f"Recognised {found.mean:.2f}{found.over}, told {told.mean:.2f}{told.over}.",
            )
        )
    by = f"{learner_title(learner, own)}: " if len(stream.learners) > 1 else ""
    return [(paper, by + here) for paper, here in claims]


@dataclass(frozen=True)
class _End:
    """What a curve comes to in the end: the mean sum, and over how many runs."""

    curve: Curve
    mean: float
    over: str


def _end(stream: Stream, curve: Curve | None) -> _End | None:
    if curve is None or not (ends := stream.final(curve)).size:
        return None
    return _End(curve, float(ends.mean()), f" ({run_count(ends.size)})")


def _over_seeds(values: Floats) -> str:
    if not values.size:
        return ""
    spread = f" ± {values.std(ddof=1):.2f}" if values.size > 1 else ""
    return f"{values.mean():.2f}{spread}"
