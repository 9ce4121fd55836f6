"""PathNet's section of a report: the population's paths over time, and what later tasks reuse."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from colonnade.analysis.intervals import Interval
from colonnade.experiments.methods import FALLBACK_COLOURS, PAIRS, method_of
from colonnade.experiments.plans.plan import SCRATCH
from colonnade.experiments.results.transfer import Results, RunResult
from colonnade.experiments.titles import task_title
from colonnade.reports.page import Section, render, text_of
from colonnade.reports.pathnet.charts import (
    GENERATIONS,
    draw_generations,
    generation_rows,
    generations_of,
)
from colonnade.reports.style import FAINT, INK
from colonnade.reports.style import PAPER as BACKGROUND

PATHS, AGAINST = "pathnet-paths", "pathnet-overlap"
"""Names of the section's pictures."""

_POPULATION, _FROZEN = "#0072b2", "#d55e00"
_SHOWN_RUNS, _SHOWN_MOMENTS = 6, 40
"""How much the slider can show; more would make the page heavy."""


@dataclass(frozen=True)
class Reuse:
    """What the last task's best path took over.

    Attributes:
        run: The run.
        shared: For each layer, how many of its modules were frozen before, and how many it has.
        overlap: With the path of the task before, 0 to 1.
        speedup: Against the de novo control; NaN where unknown.
    """

    run: RunResult
    shared: tuple[tuple[int, int], ...]
    overlap: float
    speedup: float


class PathSection(Section):
    """What a report says of the runs of PathNet in a suite."""

    def __init__(self, results: Results) -> None:
        super().__init__(results)
        done = [run for run in results.runs.values() if run.done and run.spec.method == "pathnet"]
        self._layouts = {run.spec.id: run.folder.network() for run in done}
        self._runs = [run for run in done if self._histories(run)]
        self._generations = generation_rows(results) if self._runs else []
        self.applies = bool(self._runs)
        self._papers = results.suite.basis.paper == PAIRS

    def figures(self) -> dict[str, Figure]:
        """Draw some moments of one run, and overlap against speedup where it is known."""
        figures = {PATHS: self._moments(self._example)}
        if self._generations:
            figures[GENERATIONS] = draw_generations(self._generations)
        known = [reuse for reuse in self.reuse() if not math.isnan(reuse.speedup)]
        if len(known) > 1:
            figures[AGAINST] = _overlap_against_speedup(known)
        return figures

    def html(self, drawings: Mapping[str, Markup]) -> Markup:
        """Write the section.

        Args:
            drawings: The pictures of `figures` as SVG, by name.
        """
        spec = self._modular(self._example)
        history = self._last_history(self._example)
        data = json.dumps(self._slider(), separators=(",", ":")).replace("</", "<\\/")
        return render(
            "pathnet/section.html.jinja",
            layers=len(spec["layers"]),
            modules=spec["modules"],
            active=spec["active"],
            population=len(history["snapshots"][0]["genotypes"]),
            forced=any(map(len, history["forced"])),
            data=Markup(data),
            script=text_of("pathnet/paths.js"),
            moments=drawings[PATHS],
            against=drawings.get(AGAINST, ""),
            chance=f"{chance_overlap(spec['modules'], spec['active']):.2f}",
            generations=[
                {
                    "title": row.title,
                    "colour": method_of(row.method).colour,
                    "mean": f"{row.generations.mean():.0f}",
                    "interval": _interval(row.interval),
                    "steps": f"{row.minibatches.mean():,.0f}",
                    "reached": f"{row.reached} of {row.generations.size}",
                    "paper": method_of(row.method).generations or "" if self._papers else "",
                }
                for row in self._generations
            ],
            papers=self._papers,
            distribution=drawings.get(GENERATIONS, ""),
            measure="Speedup",
            measure_words=(
                "generations of the de novo path on the same task over PathNet's."
                if self._generations
                else "the area under the learning curve over the de novo path's mean area."
            ),
            reuse=[
                {
                    "label": reuse.run.spec.label,
                    "shared": reuse.shared,
                    "overlap": f"{reuse.overlap:.2f}",
                    "speedup": "" if math.isnan(reuse.speedup) else f"{reuse.speedup:.2f}",
                }
                for reuse in self.reuse()
            ],
        )

    def reuse(self) -> list[Reuse]:
        """List what each second or later task took over."""
        rows = []
        for run in self._runs:
            history = self._last_history(run)
            if len(self._histories(run)) < 2:
                continue
            pairs = zip(history["best"], history["frozen"], strict=True)
            shared = tuple((len(set(best) & set(frozen)), len(best)) for best, frozen in pairs)
            rows.append(Reuse(run, shared, history["overlap"][-1], self._speedup(run)))
        return rows

    @property
    def _example(self) -> RunResult:
        """The first run with the longest history of tasks."""
        return max(self._runs, key=lambda run: len(self._histories(run)))

    def _histories(self, run: RunResult) -> dict[str, Any]:
        own = self._layouts[run.spec.id].get("pathnet", {})
        histories: dict[str, Any] = own.get("histories", {})
        return histories

    def _last_history(self, run: RunResult) -> dict[str, Any]:
        histories = self._histories(run)
        history: dict[str, Any] = histories[run.spec.tasks[-1].id_among(histories)]
        return history

    def _modular(self, run: RunResult) -> dict[str, Any]:
        modular: dict[str, Any] = self._layouts[run.spec.id]["network"]["modular"][-1]["modular"]
        return modular

    def _speedup(self, run: RunResult) -> float:
        """Return how much sooner, or higher, it learned than the de novo control's mean."""
        if (own := generations_of(run)) is not None:
            controls = [
                value
                for other in self.results.runs_of(SCRATCH, None, run.spec.target)
                if (value := generations_of(other)) is not None
            ]
            return sum(controls) / len(controls) / own if controls else math.nan
        return self.results.relative_area(run)

    def _slider(self) -> list[dict[str, Any]]:
        shown = sorted(self._runs, key=lambda run: -len(self._histories(run)))[:_SHOWN_RUNS]
        entries = []
        for run in shown:
            spec = self._modular(run)
            for task, history in self._histories(run).items():
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

    def _moments(self, run: RunResult) -> Figure:
        """Draw four moments of each task of a run."""
        histories = self._histories(run)
        figure = Figure(figsize=(9.4, 2.5 * len(histories)), layout="constrained")
        rows = figure.subplots(len(histories), 4, squeeze=False)
        modules = self._modular(run)["modules"]
        for panels, (task, history) in zip(rows, histories.items(), strict=True):
            shots = history["snapshots"]
            for column, axes in enumerate(panels):
                place = round(column * (len(shots) - 1) / 3)
                best = history["best"] if column == 3 else None
                _draw_paths(axes, shots[place]["genotypes"], history["frozen"], best, modules)
                unit = "generations" if history["scores"] else "evaluations"
                words = f"{shots[place]['evaluations']} {unit}"
                axes.set_title(f"{'' if column else task_title(task)}\n{words}")
        return figure


def _interval(interval: Interval) -> str:
    if not interval.known:
        return ""
    words = f"{interval.low:.0f} to {interval.high:.0f}"
    return f"{words} ({interval.caution})" if interval.caution else words


def chance_overlap(modules: int, active: int) -> float:
    """Expected overlap of two paths of N modules a layer, each drawn at random from M.

    The number in common is hypergeometric; overlap is common / (2 N - common).
    """
    total = math.comb(modules, active)
    return sum(
        math.comb(active, common)
        * math.comb(modules - active, active - common)
        / total
        * common
        / (2 * active - common)
        for common in range(active + 1)
        if active - common <= modules - active
    )


def _draw_paths(
    axes: Axes,
    genotypes: list[list[list[int]]],
    frozen: list[list[int]],
    best: list[list[int]] | None,
    modules: int,
) -> None:
    """Draw the grid of modules with a population's paths."""
    paths = [[sorted(set(layer)) for layer in genotype] for genotype in genotypes]
    size, layers = len(paths), len(paths[0])
    counts: dict[tuple[int, int, int], int] = {}
    for path in paths:
        for layer in range(layers - 1):
            for a in path[layer]:
                for b in path[layer + 1]:
                    counts[layer, a, b] = counts.get((layer, a, b), 0) + 1
    for (layer, a, b), count in counts.items():
        share = count / size
        axes.plot([layer, layer + 1], [a, b], color=_POPULATION, lw=3 * share,
                  alpha=0.1 + 0.7 * share, zorder=1)  # fmt: skip
    if best is not None:
        for layer in range(layers - 1):
            for a in best[layer]:
                for b in best[layer + 1]:
                    axes.plot([layer, layer + 1], [a, b], color=_FROZEN, lw=1.2, zorder=2)
    for layer in range(layers):
        uses = [sum(m in path[layer] for path in paths) / size for m in range(modules)]
        rings = [_FROZEN if m in frozen[layer] else FAINT for m in range(modules)]
        widths = [2.4 if m in frozen[layer] else 0.7 for m in range(modules)]
        place = [layer] * modules, range(modules)
        dot = min(90, 900 / modules)
        axes.scatter(*place, s=dot, color=BACKGROUND, zorder=3)
        shades = [to_rgba(_POPULATION, share) for share in uses]
        axes.scatter(*place, s=dot, c=shades, zorder=4, lw=0)
        axes.scatter(*place, s=dot, facecolors="none", edgecolors=rings, lw=widths, zorder=5)
    axes.set_axis_off()
    axes.set_xlim(-0.3, layers - 0.7)
    axes.set_ylim(modules - 0.4, -0.6)


def _overlap_against_speedup(rows: list[Reuse]) -> Figure:
    figure = Figure(figsize=(6.2, 3.6), layout="constrained")
    axes = figure.subplots()
    targets = list(dict.fromkeys(row.run.spec.target for row in rows))
    for number, target in enumerate(targets):
        own = [row for row in rows if row.run.spec.target == target]
        label = task_title(target) if len(targets) <= 8 else None
        axes.scatter([row.overlap for row in own], [row.speedup for row in own], s=34, label=label,
                     color=FALLBACK_COLOURS[number % 6 if label else 0])  # fmt: skip
    axes.axhline(1, color=INK, lw=1, ls=":")
    axes.set_xlabel("overlap of the second task's best path with the first's")
    axes.set_ylabel("speedup")
    if len(targets) <= 8:
        axes.legend(fontsize=8)
    return figure
