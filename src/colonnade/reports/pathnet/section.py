"""PathNet's section of a report: the population's paths over time, and what later tasks reuse."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from colonnade.analysis.intervals import Interval
from colonnade.experiments.method_titles import PAIRS, method_of
from colonnade.experiments.results.pathnet.generations import generation_rows
from colonnade.experiments.results.pathnet.paths import (
    Paths,
    Reuse,
    chance_overlap,
    moments,
)
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.titles import task_title
from colonnade.reports.interactive.chart import Chart, to_script
from colonnade.reports.page import Section, render, text_of
from colonnade.reports.pathnet.chart import generations_chart, moments_chart, reuse_chart
from colonnade.reports.pathnet.charts import draw_generations, draw_moments, draw_reuse

PATHS, AGAINST, GENERATIONS = "pathnet-paths", "pathnet-overlap", "pathnet-generations"
"""Names of the section's pictures."""

_SHOWN_RUNS, _SHOWN_MOMENTS = 6, 40
"""How much the slider can show; more would make the page heavy."""


class PathSection(Section):
    """What a report says of the runs of PathNet in a suite."""

    def __init__(self, results: Results) -> None:
        super().__init__(results)
        self._paths = Paths(results)
        self.applies = bool(self._paths.runs)
        self._generations = generation_rows(results) if self.applies else []
        self._papers = results.suite.basis.paper == PAIRS

    def figures(self) -> dict[str, Figure]:
        """Draw some moments of one run, and overlap against speedup where it is known."""
        figures = {PATHS: draw_moments(moments(self._paths, self._paths.example))}
        if self._generations:
            figures[GENERATIONS] = draw_generations(self._generations)
        if len(known := self._known()) > 1:
            figures[AGAINST] = draw_reuse(known)
        return figures

    def charts(self) -> dict[str, Chart]:
        """Show all of them as charts."""
        charts = {PATHS: moments_chart(moments(self._paths, self._paths.example))}
        if self._generations:
            charts[GENERATIONS] = generations_chart(self._generations)
        if len(known := self._known()) > 1:
            charts[AGAINST] = reuse_chart(known)
        return charts

    def _known(self) -> list[Reuse]:
        return [reuse for reuse in self._paths.reuse() if not math.isnan(reuse.speedup)]

    def html(self, drawings: Mapping[str, Markup]) -> Markup:
        """Write the section."""
        paths, reused = self._paths, self._paths.reuse()
        spec, history = paths.modular(paths.example), paths.last_history(paths.example)
        return render(
            "pathnet/section.html.jinja",
            layers=len(spec["layers"]),
            modules=spec["modules"],
            active=spec["active"],
            population=len(history["snapshots"][0]["genotypes"]),
            forced=any(map(len, history["forced"])),
            data=to_script(self._slider()),
            script=text_of("pathnet/paths.js"),
            moments=drawings[PATHS],
            against=drawings.get(AGAINST, ""),
            chance=f"{chance_overlap(spec['modules'], spec['active']):.2f}",
            generations=[
                {
                    "title": row.title,
                    "colour": row.colour,
                    "mean": f"{row.generations.mean():.0f}",
                    "interval": _interval(row.interval),
                    "steps": f"{row.minibatches.mean():,.0f}",
                    "reached": f"{row.reached} of {row.generations.size}",
                    "runs": row.generations.size,
                    "paper": method_of(row.method).generations or "" if self._papers else "",
                }
                for row in self._generations
            ],
            papers=self._papers,
            distribution=drawings.get(GENERATIONS, ""),
            sweep=self.results.suite.sweep,
            first=any(not math.isnan(row.first) for row in reused),
            reuse=[
                {
                    "label": reuse.run.spec.label,
                    "shared": reuse.shared,
                    "overlap": f"{reuse.overlap:.2f}",
                    "speedup": _ratio(reuse.speedup),
                    "first": _ratio(reuse.first),
                }
                for reuse in reused
            ],
        )

    def _slider(self) -> list[dict[str, Any]]:
        """What the page's script shows of the runs with the most tasks."""
        paths, entries = self._paths, []
        shown = sorted(paths.runs, key=lambda run: -len(paths.histories(run)))
        for run in shown[:_SHOWN_RUNS]:
            spec = paths.modular(run)
            for task, history in paths.histories(run).items():
                shots = history["snapshots"]
                stride = -(-len(shots) // _SHOWN_MOMENTS)
                entries.append(
                    {
                        "label": f"{run.spec.label}: {task_title(task)}",
                        "task": task_title(task),
                        "unit": "generations" if history["scores"] else "evaluations",
                        "layers": len(spec["layers"]),
                        "modules": spec["modules"],
                        "best": history["best"],
                        "frozen": history["frozen"],
                        "snapshots": [*shots[:-1:stride], shots[-1]],
                    }
                )
        return entries


def _ratio(ratio: float) -> str:
    return "" if math.isnan(ratio) else f"{ratio:.2f}"


def _interval(interval: Interval) -> str:
    if not interval.known:
        return ""
    words = f"{interval.low:.0f} to {interval.high:.0f}"
    return f"{words} ({interval.caution})" if interval.caution else words
