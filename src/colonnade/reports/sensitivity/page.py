"""`colonnade analyze`: which features of which column a policy leans on, as a page of figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import jinja2
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from rich.console import Console
from rich.status import Status

from colonnade.analysis.capacity import used_share
from colonnade.analysis.intervals import REDRAWN
from colonnade.analysis.noise import player_pool
from colonnade.errors import ColonnadeError
from colonnade.experiments.execution.resources import available_cores
from colonnade.experiments.results.cautions import caution_of
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.files import disk_errors, write_bytes, write_text
from colonnade.experiments.store.folders import RunFolder, SuiteFolder
from colonnade.experiments.titles import distinct
from colonnade.experiments.trained.analysis import AnalysisOptions, RunAnalysis
from colonnade.experiments.trained.sensitivity import analyse_run, find_runs, is_progressive
from colonnade.reports.sensitivity.charts import (
    agreement,
    column_title,
    net_title,
    noise_curves,
    shaded_columns,
    spectra,
    sweet_spot,
)
from colonnade.reports.sensitivity.features import feature_maps, feature_shares
from colonnade.reports.style import drawing, to_png, to_svg

PAGE = "analysis.html"
_NETS_IN_DETAIL = 4
"""Of how many networks a suite's page shows features and noise curves."""


def analyze(
    path: Path,
    task: str | None,
    options: AnalysisOptions,
    *,
    jobs: int | None = None,
    console: Console | None = None,
) -> Path:
    """Analyse the progressive networks of an output folder, or of one run, and write a page.

    What was measured before with the same options is not measured again.

    Args:
        path: An output folder of `colonnade run --out`, or the folder of one run inside it.
        task: The task whose column is analysed; each run's last one if not given.
        options: How.
        jobs: How many processes play; one for each core if not given.
        console: Where to say how far it is.

    Returns:
        Path of the page: in the run's folder, or in the output folder.

    Raises:
        UsageError: The path or the task is wrong.
        ColonnadeError: A run is not complete or has no progressive network.
    """
    suite, runs, single = find_runs(path)
    if not single:
        runs = [folder for folder in runs if is_progressive(folder)]
    if not runs:
        raise ColonnadeError(
            f"{path} holds no complete run of the method 'progressive' with several columns, so "
            "there is no progressive network to analyse."
        )
    say = console or Console(quiet=True)
    analyses = []
    with player_pool(jobs or available_cores()) as pool:
        for number, folder in enumerate(runs, start=1):
            found = _known(folder, task, options)
            if found is None:
                head = f"{number} of {len(runs)}: {folder.spec.label if folder.done else folder.id}"
                with say.status(head) as status:
                    found = analyse_run(
                        suite,
                        folder,
                        task,
                        options,
                        pool,
                        partial(_show, status, head),
                    )
                found.save(folder.path)
                say.print(f"{head}: done", highlight=False, soft_wrap=True)
            analyses.append(found)
    results = None if single else Results(suite)
    return write_page(runs[0].path if single else suite.path, analyses, suite, results)


def write_page(
    folder: Path, analyses: Sequence[RunAnalysis], suite: SuiteFolder, results: Results | None
) -> Path:
    """Write analysis.html, which needs nothing else, and its pictures under figures/.

    Args:
        folder: Where.
        analyses: What was measured.
        suite: Where the runs are.
        results: Of the suite, for transfer scores; None leaves them out.

    Raises:
        ColonnadeError: Writing failed.
    """
    groups = _groups(analyses, suite)
    points = _sweet_spot_points(analyses, results) if results else []
    detailed = [group[0] for group in groups.values()][:_NETS_IN_DETAIL]
    with drawing():
        pictures: dict[str, Figure] = {
            "reuse": shaded_columns(groups, "jobs" if suite.sweep else "seeds")
        }
        compared = agreement(analyses)
        if compared:
            pictures["aps-afs"] = compared[0]
        pictures["spectra"] = spectra(analyses)
        if len(points) > 2:
            pictures["transfer-new-vision"] = sweet_spot(points)
        for number, each in enumerate(detailed):
            pictures[f"feature-shares-{number}"] = feature_shares(each)
            if maps := feature_maps(each):
                pictures[f"features-{number}"] = maps
            if each.curves is not None:
                pictures[f"noise-{number}"] = noise_curves(each)
        for name, figure in pictures.items():
            target = folder / "figures" / f"analysis-{name}.png"
            with disk_errors(target):
                target.parent.mkdir(exist_ok=True)
            write_bytes(target, to_png(figure))
        drawn = {name: Markup(to_svg(figure)) for name, figure in pictures.items()}
    resources = files("colonnade.reports")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    template = environment.from_string((resources / "sensitivity/page.html.jinja").read_text())
    single = len(analyses) == 1
    page = template.render(
        css=Markup((resources / "page.css").read_text()),
        title=f"What {net_title(analyses[0].columns)} reuses" if single else "What was reused",
        lead=_sentence(analyses[0]) if single else f"{len(analyses)} networks of {suite.name}.",
        pictures=drawn,
        verdicts=[(title, _sentence(*group)) for title, group in groups.items()],
        details=[
            _Detail(net_title(each.columns), each.label, number)
            for number, each in enumerate(detailed)
        ],
        agreement=_agreement_words(*compared[1:]) if compared else "",
        used=_used(analyses),
        single=single,
        jobs=suite.sweep is not None and any(len(group) > 1 for group in groups.values()),
        bars_caution=_bars_caution(analyses),
        options=analyses[0].options,
        states=analyses[0].states,
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=version("colonnade"),
    )
    target = folder / PAGE
    write_text(target, page)
    return target


def _groups(analyses: Sequence[RunAnalysis], suite: SuiteFolder) -> dict[str, list[RunAnalysis]]:
    """Put repetitions together, by a title: the seeds of a configuration, or the jobs of a cell."""
    specs = {spec.id: spec for spec in suite.plan.runs}
    groups: dict[str, list[RunAnalysis]] = {}
    for each in analyses:
        spec = specs.get(each.run)
        if spec is None:
            key = each.run
        elif suite.sweep:
            key = each.label.rpartition(", ")[0]
        else:
            key = suite.plan.configuration(spec)
        groups.setdefault(f"{key} {each.task}", []).append(each)
    titles = distinct(groups, lambda key: net_title(groups[key][0].columns))
    return {
        words if words != key else f"{net_title(groups[key][0].columns)}: {groups[key][0].label}": (
            groups[key]
        )
        for key, words in titles.items()
    }


def _show(status: Status, head: str, done: int, total: int) -> None:
    """Say how far a run's plays are."""
    status.update(f"{head}, {done} of {total} plays")


@dataclass(frozen=True)
class _Detail:
    title: str
    label: str
    number: int


def _known(folder: RunFolder, task: str | None, options: AnalysisOptions) -> RunAnalysis | None:
    """What an earlier call measured, if it is what is asked for now."""
    if not folder.done:
        return None
    found = RunAnalysis.load(folder.path)
    asked = task or folder.last_task
    fits = found is not None and found.options == options and found.task == asked
    return found if fits else None


def _sentence(*analyses: RunAnalysis) -> str:
    """Say in words what a network's new column reuses; analyses of several seeds are averaged."""
    first = analyses[0]
    kinds: dict[str, list[str]] = {"reuses": [], "mixes": [], "learned anew": []}
    for level, name in enumerate(first.level_names):
        new = float(np.nanmean([each.new_share(level) for each in analyses]))
        kind = "reuses" if new <= 0.25 else "learned anew" if new >= 0.75 else "mixes"
        kinds[kind].append(f"{name} ({1 - new:.0%} from earlier columns)")
    parts = []
    if kinds["reuses"]:
        parts.append(f"reuses {_list(kinds['reuses'])}")
    if kinds["mixes"]:
        parts.append(f"joins old and new features in {_list(kinds['mixes'])}")
    if kinds["learned anew"]:
        parts.append(f"learned {_list(kinds['learned anew'])} anew")
    return f"The column for {column_title(first.columns[-1])} {_list(parts)}."


def _list(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _agreement_words(pooled: float, single: Sequence[float]) -> str:
    known = [value for value in single if not math.isnan(value)]
    words = f"Rank correlation over all layers and columns: {pooled:.2f}"
    if len(known) > 1:
        words += (
            f"; network by network {np.mean(known):.2f} on average over {len(known)}, "
            f"{min(known):.2f} at the least"
        )
    return f"{words}."


def _bars_caution(analyses: Sequence[RunAnalysis]) -> str:
    """What must be said of the intervals of APS."""
    curves = [each.curves for each in analyses if each.curves is not None]
    fewest = [
        min(played.clean.size, *(returns.shape[1] for returns in played.returns.values()))
        for played in curves
    ]
    return caution_of(REDRAWN, fewest, "episodes")


def _used(analyses: Sequence[RunAnalysis]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Share of the new column's features that hold 95 % of its sensitivity, per column count."""
    rows = []
    for count in sorted({len(each.columns) for each in analyses}):
        nets = [each for each in analyses if len(each.columns) == count]
        cells = []
        for name in dict.fromkeys(name for each in nets for name in each.level_names):
            shares = [
                used_share(each.sensitivity[feature])
                for each in nets
                if name in each.level_names
                for feature in each.levels[each.level_names.index(name)]
                if feature.column == each.newest
            ]
            cells.append((name, f"{np.mean(shares):.0%}" if shares else ""))
        rows.append((f"{count} columns", cells))
    return rows


def _sweet_spot_points(
    analyses: Sequence[RunAnalysis], results: Results
) -> list[tuple[float, float, str, int]]:
    """Mean AFS of the new column's convolutions, transfer score, target and column count."""
    points = []
    for each in analyses:
        run = results.runs.get(each.run)
        target = each.task
        if run is None or target != run.folder.last_task:
            continue
        score = results.relative_area(run)
        vision = [
            each.new_share(level)
            for level, name in enumerate(each.level_names)
            if name.startswith("conv")
        ]
        if vision and not math.isnan(score):
            points.append((float(np.nanmean(vision)), score, target, len(each.columns)))
    return points
