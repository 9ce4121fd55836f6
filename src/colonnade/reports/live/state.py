"""What the live page of an unfinished suite shows, made anew no more often than it may cost."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from colonnade.errors import ColonnadeError
from colonnade.experiments.execution.progress import RunView, State, summary
from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.folders import RunFolder, SuiteFolder
from colonnade.experiments.words import duration
from colonnade.reports.page import render
from colonnade.reports.transfer.chart import plain_chart
from colonnade.reports.transfer.section import CurvesSection

SHARE = 0.01
"""Of one core: how much the page may cost while somebody looks at it."""

_OFTEN = 5.0
"""Seconds between two states of a small suite."""

_RARELY = 60.0
"""Seconds between two states where all runs are over: somebody may begin them again."""

_SHOWN = 40
"""How many runs the page lists at most; those that failed or train come first."""

_SILENT = 120.0
"""After so many seconds without news a run is not taken to train any more."""

_INTERRUPTED = ("Interrupted", "KeyboardInterrupt")
"""Kinds of errors by which a run ends that the same command goes on with."""


class LiveState:
    """The state of a folder's runs, as HTML and as charts' numbers.

    Args:
        path: The output folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._signature: object = None
        self._content: dict[str, Any] = {}
        self._due = 0.0
        self.seconds = _OFTEN
        """Until the next state."""

    def content(self) -> dict[str, Any]:
        """Return the newest state, read anew where that is due and something has changed.

        Raises:
            ColonnadeError: The folder can't be read at all.
        """
        if self._content and time.monotonic() < self._due:
            return self._content
        first, begin = not self._content, time.process_time()
        suite = SuiteFolder.read(self._path)
        views = [_view(spec, suite.run(spec.id)) for spec in suite.plan.runs]
        signature = [_signature(suite.run(spec.id)) for spec in suite.plan.runs]
        if signature != self._signature:
            charts = _charts(suite)
            if charts is not None:
                self._signature = signature
            self._content = {"charts": charts or self._content.get("charts", {})}
        over = all(view.state in ("done", "failed", "stopped") for view in views)
        self._content |= {"html": _progress(suite, views, over=over), "over": over}
        # The first time costs more than those that follow, as a rule more than twice as much.
        cost = (time.process_time() - begin) / (2 if first else 1)
        self.seconds = max(_OFTEN, cost / SHARE)
        self._due = time.monotonic() + 0.9 * self.seconds
        self._content["seconds"] = round(max(self.seconds, _RARELY) if over else self.seconds, 1)
        return self._content


def _signature(folder: RunFolder) -> tuple[int, bool]:
    """Tell whether a run has more to show than before, without reading it."""
    try:
        size = folder.metrics_path.stat().st_size
    except OSError:
        size = -1
    return size, folder.done


def _view(spec: RunSpec, folder: RunFolder) -> RunView:
    """Say where a run stands, by its folder alone: no process is asked."""
    status = folder.status()
    state: State = "waiting"
    if folder.done:
        state = "done"
    elif folder.stopped is not None:
        state = "stopped"
    elif folder.failure is not None:
        state = "failed"
    elif status.get("error"):
        state = "waiting" if status.get("kind") in _INTERRUPTED else "failed"
    elif status.get("progress") and time.time() - _last_news(folder) < _SILENT:
        state = "running"
    return RunView(spec, state, status.get("progress"), status.get("notes") or [])


def _last_news(folder: RunFolder) -> float:
    try:
        return (folder.path / "status.json").stat().st_mtime
    except OSError:
        return 0.0


def _charts(suite: SuiteFolder) -> dict[str, Any] | None:
    """Return the newest curves; None where a file is being written just now."""
    try:
        results = Results(suite)
        compared = CurvesSection(results).charts() if results.comparisons else {}
        charts = compared or {"curves": plain_chart(results, results.runs.values())}
        return {name: chart.to_json() for name, chart in charts.items()}
    except ColonnadeError:
        return None


def _progress(suite: SuiteFolder, views: list[RunView], *, over: bool) -> str:
    order: dict[State, int] = {"failed": 0, "running": 1, "waiting": 2, "stopped": 3, "done": 4}
    shown = sorted(views, key=lambda view: order[view.state])[:_SHOWN]
    steps = sum(view.spec.steps for view in views)
    return str(
        render(
            "live/progress.html.jinja",
            share=sum(view.step for view in views) / max(1, steps),
            summary=summary(views),
            over=over,
            rows=[
                {
                    "label": view.spec.label,
                    "state": view.state,
                    "share": f"{view.step / view.spec.steps:.0%}",
                    "rate": f"{view.rate:,.0f}" if view.rate else "",
                    "left": duration((view.spec.steps - view.step) / view.rate)
                    if view.rate
                    else "",
                    "score": view.score if view.progress else "",
                }
                for view in shown
            ],
            more=len(views) - len(shown),
            failures=[
                (view.spec.label, reason)
                for view in views
                if view.state == "failed"
                and (
                    reason := suite.run(view.spec.id).failure
                    or str(suite.run(view.spec.id).status().get("error", ""))
                )
            ],
        )
    )
