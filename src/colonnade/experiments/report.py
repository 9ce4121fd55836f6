"""The report of a suite: one HTML file that needs nothing else, from what the folder holds."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from matplotlib.figure import Figure

from colonnade.analysis.intervals import FEWEST_RUNS
from colonnade.errors import UsageError
from colonnade.experiments.charts import (
    learning_curves,
    plain_curves,
    source_title,
    task_title,
    transfer_matrix,
)
from colonnade.experiments.continual_report import ContinualReport
from colonnade.experiments.facts import facts
from colonnade.experiments.files import disk_errors, write_bytes, write_text
from colonnade.experiments.network_drawing import network_drawing
from colonnade.experiments.pathnet_report import PathReport
from colonnade.experiments.plan import METHOD_TITLES, SCRATCH
from colonnade.experiments.progress import duration
from colonnade.experiments.results import Results, RunResult
from colonnade.experiments.store import SuiteFolder
from colonnade.experiments.style import METHOD_COLOURS, drawing, to_png, to_svg
from colonnade.experiments.suites import Suite, suite_from_name
from colonnade.experiments.sweep_report import SweepContent, SweepReport

PAPER = {
    "Pong Soup": {
        "scratch": (100, 100),
        "output-only": (35, 7),
        "finetune": (181, 160),
        "random-column": (134, 131),
        "progressive-2": (209, 169),
        "progressive-3": (222, 183),
    },
    "Atari": {
        "scratch": (100, 100),
        "output-only": (41, 21),
        "finetune": (133, 110),
        "random-column": (96, 95),
        "progressive-2": (132, 112),
        "progressive-3": (140, 111),
        "progressive-4": (141, 116),
    },
}
"""Mean and median transfer in per cent: Rusu et al. 2016, Table 1."""

_MOST_TARGETS = 16
"""With more, pictures of each target would say nothing any more."""


@dataclass(frozen=True)
class _TableRow:
    title: str
    colour: str
    mean: str
    interval: str
    caution: str
    median: str
    middle: str
    improvement: str
    pairs: str
    paper: str


def write_report(suite: SuiteFolder) -> Path:
    """Write report.html, and its pictures as PNG files under figures/.

    Args:
        suite: The output folder; runs that are not complete are named as such.

    Returns:
        Path of the report.

    Raises:
        ColonnadeError: A file of a run is damaged, or writing failed.
    """
    results = Results(suite)
    with drawing():
        paths, continual = PathReport(results), ContinualReport(results)
        sweep = SweepReport(results) if suite.sweep else None
        figures = _figures(results) | paths.figures() | (sweep.figures() if sweep else {})
        if not continual.empty:
            figures.pop("curves", None)  # of the last task alone
        figures |= continual.figures()
        for name, figure in figures.items():
            path = suite.path / "figures" / f"{name}.png"
            with disk_errors(path):
                path.parent.mkdir(exist_ok=True)
            write_bytes(path, to_png(figure))
        drawings = {name: Markup(to_svg(figure)) for name, figure in figures.items()}
    resources = files("colonnade.experiments")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    template = environment.from_string((resources / "report.html.jinja").read_text())
    page = template.render(
        css=Markup((resources / "report.css").read_text()),
        curves=[
            (source_title(source), drawings[f"curves-{_slug(source)}"])
            for source in results.sources
            if f"curves-{_slug(source)}" in drawings
        ],
        plain=drawings.get("curves"),
        matrix=drawings.get("transfer-matrix"),
        network=drawings.get("network"),
        paths=None if paths.empty else paths.html(drawings),
        sorted_scores=drawings.get("sorted-scores"),
        score_against=drawings.get("score-against"),
        sweep=_tabulated(sweep) if sweep else None,
        continual=None if continual.empty else continual.html(drawings),
        **_content(results),
    )
    path = suite.path / "report.html"
    write_text(path, page)
    return path


def _tabulated(sweep: SweepReport) -> SweepContent:
    """Write the tables, then say what there is."""
    sweep.write_tables()
    return sweep.content()


def _figures(results: Results) -> dict[str, Figure]:
    curves = {
        f"curves-{_slug(source)}": learning_curves(results, source)
        for source in results.sources
        if len(results.targets) <= _MOST_TARGETS
    }
    figures = {name: figure for name, figure in curves.items() if figure is not None}
    if not results.comparisons:
        figures["curves"] = plain_curves(results)
    elif (
        sum(cell.method != SCRATCH for cell in results.cells) > 1
        and len(results.targets) <= _MOST_TARGETS
    ):
        figures["transfer-matrix"] = transfer_matrix(results)
    largest = _largest_network(results)
    if largest is not None:
        figures["network"] = largest
    return figures


def _content(results: Results) -> dict[str, Any]:
    suite = _suite(results.suite.name)
    runs = list(results.runs.values())
    undefined = [
        f"{METHOD_TITLES[cell.method]}, "
        f"{source_title(cell.source) + ' to ' if cell.source else ''}{task_title(cell.target)}"
        for cell in results.cells
        if cell.areas.size and math.isnan(cell.score)
    ]
    return {
        "title": _title(results.suite, suite),
        "subtitle": f"{suite.summary[0].upper()}{suite.summary[1:]}." if suite else "",
        "figure": suite.figure if suite else "",
        "facts": facts(results),
        "complete": sum(run.done for run in runs),
        "total": len(runs),
        "missing": [(run.spec, _state(run)) for run in runs if not run.done],
        "table": [_table_row(results, method) for method in results.methods],
        "seeds_wanted": _seeds_wanted(results),
        "domain": _domain(results),
        "mini": any(run.spec.target.startswith("mini-pong/") for run in runs),
        "undefined": undefined,
        "random_scores": {
            task_title(task): f"{score:.2f}" for task, (score, _) in results.random_scores.items()
        },
        "frames": _frames(results),
        "labelled": all(run.spec.learner == "supervised" for run in runs),
        "runs": [_run_row(run) for run in runs],
        "notes": [(run.spec.label, note) for run in runs for note in run.result.get("notes", ())],
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "version": version("colonnade"),
    }


def _table_row(results: Results, method: str) -> _TableRow:
    summary, interval = results.summary(method)
    middle, improvement = results.robust_summary(method)
    paper = PAPER[_domain(results)].get(method)
    spread = method != SCRATCH and interval.known
    return _TableRow(
        title=METHOD_TITLES[method],
        colour=METHOD_COLOURS[method],
        mean=_percent(summary.mean),
        interval=f"{interval.low:.0f} to {interval.high:.0f}" if spread else "",
        caution=interval.caution if spread else "",
        median=_percent(summary.median),
        middle=_percent(middle),
        improvement="" if method == SCRATCH or math.isnan(improvement) else f"{improvement:.2f}",
        pairs=f"{summary.pairs} of {summary.pairs + summary.undefined}",
        paper=f"{paper[0]} / {paper[1]}" if paper else "",
    )


def _seeds_wanted(results: Results) -> str:
    """Say what it would take, where runs are too few for an interval."""
    sizes = [cell.areas.size for cell in results.cells]
    if results.top is not None or not sizes or min(sizes) >= FEWEST_RUNS:
        return ""
    words = f"It takes {FEWEST_RUNS} seeds"
    if seeds := results.seeds_wanted():
        words += f", and about {seeds} for mean areas that are sure to within a fifth"
    return f"{words}."


def _title(folder: SuiteFolder, suite: Suite | None) -> str:
    title = suite.title if suite else folder.name
    return f"{title}: a sweep of {folder.sweep.total} jobs" if folder.sweep else title


def _domain(results: Results) -> str:
    """Name the paper's experiment that a suite is set beside."""
    return "Atari" if any(name.startswith("atari/") for name in results.targets) else "Pong Soup"


def _percent(value: float) -> str:
    return "?" if math.isnan(value) else f"{value:.0f}"


def _state(run: RunResult) -> str:
    status = run.folder.status()
    if reason := run.folder.stopped or run.folder.failure or status.get("error"):
        return str(reason)
    if progress := status.get("progress"):
        return f"at {progress['run_step'] / run.spec.steps:.0%}"
    return "not begun"


def _run_row(run: RunResult) -> dict[str, str]:
    random_row, trained = run.score("random"), run.score("trained")
    seconds = run.result.get("timing", {}).get("training_seconds")
    return {
        "label": run.spec.label,
        "id": run.spec.id,
        "state": "complete" if run.done else _state(run),
        "steps": f"{run.spec.steps:,}",
        "random": f"{random_row['return_mean']:.2f}" if random_row else "",
        "trained": (
            f"{trained['return_mean']:.2f} ± {trained['return_std']:.2f}" if trained else ""
        ),
        "speed": f"{run.spec.steps / seconds:,.0f}" if seconds else "",
        "time": duration(seconds) if seconds else "",
    }


def _frames(results: Results) -> list[tuple[str, Markup]]:
    """Take one picture for each task, as data URLs."""
    pictures: dict[str, Markup] = {}
    for run in results.runs.values():
        if run.spec.target not in pictures and run.folder.frames_path.exists():
            data = base64.b64encode(run.folder.frames_path.read_bytes()).decode()
            pictures[run.spec.target] = Markup(f"data:image/png;base64,{data}")
    return [(task_title(task), picture) for task, picture in pictures.items()]


def _largest_network(results: Results) -> Figure | None:
    """Draw the network with the most columns, and the most that have learned a task."""
    drawn: tuple[dict[str, Any], list[str]] | None = None
    largest = (0, 0)
    for run in results.runs.values():
        if not run.done:
            continue
        meta = run.folder.network()
        network = meta["network"]
        if "columns" not in network:
            continue
        size = len(network["columns"]), len(set(meta["tasks"].values()))
        if size > largest:
            largest = size
            captions = ["never trained"] * len(network["columns"])
            for task, column in meta["tasks"].items():
                captions[column] = task_title(task)
            drawn = network, captions
    return network_drawing(*drawn) if drawn else None


def _suite(name: str) -> Suite | None:
    try:
        return suite_from_name(name)
    except UsageError:
        return None


def _slug(source: str) -> str:
    return source.replace(" + ", "-")
