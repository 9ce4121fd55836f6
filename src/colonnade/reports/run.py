"""What a report says of the runs themselves: what they saw, with what network, how measured."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping

from markupsafe import Markup
from matplotlib.figure import Figure

from colonnade.analysis.transfer import ENOUGH_EPISODES
from colonnade.errors import ColonnadeError
from colonnade.experiments.results.continual import forward_runs
from colonnade.experiments.results.facts import facts
from colonnade.experiments.results.runs import RunResult
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.reading import is_there
from colonnade.experiments.titles import option_titles, source_title
from colonnade.experiments.words import duration, run_count
from colonnade.reports.network import largest_network, layer_table, network_drawing
from colonnade.reports.page import Section, embedded, render
from colonnade.training import Row

logger = logging.getLogger(__name__)


class RunSection(Section):
    """Frames, the network, facts, and every run in a row."""

    def __init__(self, results: Results) -> None:
        super().__init__(results)
        self._largest = largest_network(results)

    def figures(self) -> dict[str, Figure]:
        """Draw the largest network."""
        return {} if self._largest is None else {"network": network_drawing(self._largest)}

    def html(self, drawings: Mapping[str, Markup]) -> Markup:
        """Write the section."""
        results, runs = self.results, list(self.results.runs.values())
        scored = option_titles(results.random_scores)
        return render(
            "run.html.jinja",
            frames=_frames(results),
            labelled=all(run.labelled for run in runs),
            network=drawings.get("network"),
            columns=0 if self._largest is None else len(self._largest.columns),
            laterals=self._largest is not None and self._largest.laterals > 0,
            layers=layer_table(self._largest) if self._largest else [],
            analysed=self._largest is not None and bool(self._largest.shares),
            facts=facts(results),
            areas=not results.by_gain and bool(results.comparisons or forward_runs(results)),
            gains=results.by_gain,
            random_scores={
                scored[task]: f"{score.mean:.2f} in {run_count(score.runs)}"
                for task, score in results.random_scores.items()
            },
            measures=results.suite.basis.measures,
            enough_episodes=ENOUGH_EPISODES,
            sweep=results.suite.sweep,
            relative=results.relative,
            undefined=_undefined(results) if results.relative else [],
            notes=[(r.spec.label, note) for r in runs for note in r.result.get("notes", ())],
            total=len(runs),
            several=any(len(run.spec.tasks) > 1 for run in runs),
            runs=[_run_row(run) for run in runs],
        )


def _undefined(results: Results) -> list[tuple[str, list[str]]]:
    """Say why cells that are complete have no score, and name them."""
    titles = results.target_titles
    found: dict[str, list[str]] = {}
    for cell in results.cells:
        if not cell.areas.size or cell.awaited or not math.isnan(cell.score):
            continue
        reason = (
            "baseline 1's area does not exceed the error of the random score"
            if results.baseline(cell.source, cell.target) in results.references
            else "no run of baseline 1 on the same tasks is complete"
            if results.by_gain
            else "no run of baseline 1 on the same target is complete"
        )
        start = f"{source_title(cell.source)} to " if cell.source else ""
        name = f"{results.title(cell.method)}, {start}{titles[cell.target]}"
        found.setdefault(reason, []).append(name)
    return list(found.items())


def state_of(run: RunResult) -> str:
    """Say how far a run that is not complete has come."""
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
        "state": "complete" if run.done else state_of(run),
        "steps": f"{run.steps:,}",
        "random": f"{random_row['return_mean']:.2f}" if random_row else "",
        "trained": _over_episodes(trained) if trained else "",
        "speed": f"{run.steps / seconds:,.0f}" if seconds else "",
        "time": duration(seconds) if seconds else "",
        "seconds": f"{seconds:.1f}" if seconds else "",
    }


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
        if key in pictures or run.foreign is not None or not is_there(run.folder.frames_path):
            continue
        try:
            pictures[key] = embedded("image/png", run.folder.frames())
        except ColonnadeError as error:  # a report without a picture is better than none
            logger.warning("A picture is left out: %s", error)
            continue
    titles = option_titles(pictures)
    return [(titles[task], picture) for task, picture in pictures.items()]
