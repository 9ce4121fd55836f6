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

from colonnade.analysis.intervals import FEWEST_RUNS, STUDENT
from colonnade.analysis.transfer import ENOUGH_EPISODES
from colonnade.experiments.methods import method_of
from colonnade.experiments.plans.plan import SCRATCH
from colonnade.experiments.results.cautions import caution_of
from colonnade.experiments.results.curves import source_panels
from colonnade.experiments.results.table import TableRow, matrix_of, transfer_table
from colonnade.experiments.results.transfer import Results, RunResult
from colonnade.experiments.store.files import disk_errors, write_bytes, write_text
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.titles import distinct, option_titles, slugs, source_title
from colonnade.experiments.words import duration
from colonnade.reports.continual.section import ContinualReport
from colonnade.reports.facts import facts
from colonnade.reports.network import largest_network, network_drawing
from colonnade.reports.pathnet.section import PathReport
from colonnade.reports.style import drawing, to_png, to_svg
from colonnade.reports.sweep.section import SweepContent, SweepReport
from colonnade.reports.transfer.charts import learning_curves, plain_curves, transfer_matrix
from colonnade.training import Row

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
    resources = files("colonnade.reports")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    template = environment.from_string((resources / "suite.html.jinja").read_text())
    page = template.render(
        css=Markup((resources / "page.css").read_text()),
        curves=[
            (title, drawings[name])
            for name, title in _curve_names(results).values()
            if name in drawings
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
        name: learning_curves(results, source)
        for source, (name, _) in _curve_names(results).items()
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
    largest = largest_network(results)
    if largest is not None:
        figures["network"] = network_drawing(largest)
    return figures


def _curve_names(results: Results) -> dict[str, tuple[str, str]]:
    """For each source the name of its picture and its title."""
    titles = distinct(results.sources, source_title)
    names = slugs([source.replace(" + ", "-") for source in results.sources])
    return {
        source: (f"curves-{name}", titles[source])
        for source, name in zip(results.sources, names, strict=True)
    }


def _content(results: Results) -> dict[str, Any]:
    basis = results.suite.basis
    runs = list(results.runs.values())
    titles = distinct(results.targets)
    scored = option_titles(results.random_scores)
    largest, table = largest_network(results), transfer_table(results)
    undefined = [
        f"{results.title(cell.method)}, "
        f"{source_title(cell.source) + ' to ' if cell.source else ''}{titles[cell.target]}"
        for cell in results.cells
        if cell.areas.size and math.isnan(cell.score)
    ]
    return {
        "title": _title(results.suite),
        "subtitle": f"{basis.summary[0].upper()}{basis.summary[1:]}." if basis.summary else "",
        "figure": basis.figure,
        "laterals": largest is not None and largest.laterals > 0,
        "measures": basis.measures,
        "enough_episodes": ENOUGH_EPISODES,
        "matrix_caution": matrix_of(results).caution,
        "bands_caution": _bands_caution(results),
        "early": any(run.learning.early.any() for run in runs),
        "facts": facts(results),
        "complete": sum(run.done for run in runs),
        "total": len(runs),
        "missing": [(run.spec, _state(run)) for run in runs if not run.done],
        "table": [_table_row(row) for row in table],
        "seeds_wanted": _seeds_wanted(results),
        "paper": basis.paper if any(row.paper for row in table) else "",
        "undefined": undefined,
        "random_scores": {
            scored[task]: f"{score:.2f}" for task, (score, _) in results.random_scores.items()
        },
        "frames": _frames(results),
        "labelled": all(run.spec.learner == "supervised" for run in runs),
        "runs": [_run_row(run) for run in runs],
        "notes": [(run.spec.label, note) for run in runs for note in run.result.get("notes", ())],
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "version": version("colonnade"),
    }


def _table_row(row: TableRow) -> _TableRow:
    return _TableRow(
        title=row.title,
        colour=method_of(row.method).colour,
        mean=_percent(row.mean),
        interval="" if math.isnan(row.low) else f"{row.low:.0f} to {row.high:.0f}",
        caution=row.caution,
        median=_percent(row.median),
        middle=_percent(row.middle),
        improvement="" if math.isnan(row.improvement) else f"{row.improvement:.2f}",
        pairs=f"{row.pairs} of {row.planned}",
        paper=f"{row.paper[0]} / {row.paper[1]}" if row.paper else "",
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


def _title(folder: SuiteFolder) -> str:
    title = folder.basis.title or folder.name
    return f"{title}: a sweep of {folder.sweep.total} jobs" if folder.sweep else title


def _percent(value: float) -> str:
    return "?" if math.isnan(value) else f"{value:.0f}"


def _state(run: RunResult) -> str:
    if run.foreign is not None:
        return (
            f"left out: it is of version {run.foreign} of the measures, and this folder's numbers "
            "are not"
        )
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
        "steps": f"{run.steps:,}",
        "random": f"{random_row['return_mean']:.2f}" if random_row else "",
        "trained": _over_episodes(trained) if trained else "",
        "speed": f"{run.steps / seconds:,.0f}" if seconds else "",
        "time": duration(seconds) if seconds else "",
    }


def _bands_caution(results: Results) -> str:
    """What must be said of the bands of curves; those of a sweep are no intervals."""
    if results.top is not None:
        return ""
    panels = (panel for source in results.sources for panel in source_panels(results, source))
    sizes = [line.runs for panel in panels for line in panel.lines if line.banded]
    return caution_of(STUDENT, sizes, "seeds")


def _over_episodes(row: Row) -> str:
    """Write a mean score and the standard deviation of its sample; rows hold the population's."""
    words, episodes = f"{row['return_mean']:.2f}", int(row["episodes"])
    if episodes < 2:
        return words
    return f"{words} ± {row['return_std'] * math.sqrt(episodes / (episodes - 1)):.2f}"


def _frames(results: Results) -> list[tuple[str, Markup]]:
    """Take one picture for each task, as data URLs."""
    pictures: dict[tuple[str, str], Markup] = {}
    for run in results.runs.values():
        key = run.spec.tasks[-1].key
        if key not in pictures and run.foreign is None and run.folder.frames_path.exists():
            data = base64.b64encode(run.folder.frames_path.read_bytes()).decode()
            pictures[key] = Markup(f"data:image/png;base64,{data}")
    titles = option_titles(pictures)
    return [(titles[task], picture) for task, picture in pictures.items()]
