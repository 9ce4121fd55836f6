"""Showing how far a suite is: a live table, or plain lines where there is no terminal."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from colonnade.experiments.execution.progress import RunView, State, summary
from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.results.sweep.jobs import hyperparameters
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.words import duration
from colonnade.watching import limit

_LINE_SECONDS = 20.0
_SHOWN = 40
"""How many runs the table shows at most."""

_NUMBERS = ("progress", "steps/s", "left", "recent score")
_NARROW = 72
"""In windows of fewer columns the table keeps to the run, its progress and the time left."""


class Display:
    """Shows the progress of all runs; a context.

    Args:
        console: Where to show it.
        title: Of the suite.
        columns: What the table says of a run first; by default its label.
    """

    def __init__(
        self,
        console: Console,
        title: str,
        columns: Callable[[RunSpec], dict[str, str]] = lambda spec: {"run": spec.label},
    ) -> None:
        self._console = console
        self._title = title
        self._columns = columns
        self._live = Live(console=console, refresh_per_second=2) if console.is_terminal else None
        self._states: dict[str, State] = {}
        self._said: set[str] = set()
        self._silent: set[str] = set()
        self._line_due = 0.0
        self._views: list[RunView] = []

    def __enter__(self) -> Display:
        """Begin to show."""
        if self._live is not None:
            self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the last state on the screen."""
        if self._live is not None:
            self._live.__exit__(None, None, None)
        else:
            self.say(summary(self._views))

    def show(self, views: list[RunView]) -> None:
        """Show where the runs stand."""
        self._views = views
        for note in (note for view in views for note in view.notes):
            if note not in self._said:
                self._said.add(note)
                self.say(f"Note: {note}")
        if self._live is not None:
            table = _table(self._title, views, self._columns, self._console.width)
            self._live.update(table)
            return
        for view in views:
            if view.hangs and view.spec.id not in self._silent:
                self.say(f" silent  {view.spec.label}: {silent_words(view)}")
        self._silent = {view.spec.id for view in views if view.hangs}
        for view in views:
            if self._states.get(view.spec.id) != view.state and view.state != "waiting":
                self.say(f"{view.state:>7}  {view.spec.label}")
            self._states[view.spec.id] = view.state
        if time.monotonic() >= self._line_due:
            self._line_due = time.monotonic() + _LINE_SECONDS
            for view in (view for view in views if view.state == "running" and view.progress):
                share = view.step / view.spec.steps
                self.say(
                    f"{share:>7.0%}  {view.spec.label}: {view.rate:,.0f} steps/s, "
                    f"recent score {view.score}"
                )
            self.say(summary(views))

    def say(self, text: str) -> None:
        """Print a line, above the table where there is one."""
        say(self._console, text)


def say(console: Console, text: str) -> None:
    """Print a line as it is."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def silent_words(view: RunView) -> str:
    """Say of a run that hangs for how long, and what becomes of it."""
    end = f"; it is ended after {duration(limit())}" if math.isfinite(limit()) else ""
    return f"no sign of life for {duration(view.silent)}{end}"


def _table(
    title: str, views: list[RunView], columns: Callable[[RunSpec], dict[str, str]], width: int
) -> Table:
    table = Table(title=title, title_justify="left", caption=summary(views), box=None)
    shown = [view for view in views if view.state in ("running", "failed")]
    names = list(columns(shown[0].spec)) if shown else ["run"]
    if width < _NARROW:
        names = names[-1:] if "run" not in names else ["run"]
    for name in names:
        # A label is broken at its words; a number stays whole.
        table.add_column(name, overflow="fold", no_wrap=name != "run")
    numbers = _NUMBERS if width >= _NARROW else _NUMBERS[:1] + _NUMBERS[2:3]
    if width >= _NARROW:
        table.add_column("", overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    for view in shown[-_SHOWN:]:
        rest = duration((view.spec.steps - view.step) / view.rate) if view.rate else "-"
        state = silent_words(view) if view.hangs else view.state
        said = columns(view.spec)
        figures = {
            "progress": f"{view.step / view.spec.steps:.0%}",
            "steps/s": f"{view.rate:,.0f}" if view.rate else "-",
            "left": rest,
            "recent score": view.score,
        }
        words = [said.get(name, "") for name in names]
        if width >= _NARROW:
            words.append(state)
        elif view.hangs or view.state != "running":
            words[-1] += f": {state}"
        table.add_row(*map(Text, words), *(figures[name] for name in numbers))
    return table


def job_columns(folder: SuiteFolder) -> Callable[[RunSpec], dict[str, str]]:
    """Make what the live table says of a run: its job, its place and its hyperparameters."""
    sweep = folder.sweep
    assert sweep is not None

    def columns(spec: RunSpec) -> dict[str, str]:
        return {
            "job": str(sweep.number_of(spec.seed)),
            "run": folder.plan.place(spec.id).words,
            **{
                name: "-" if math.isnan(value) else f"{value:.3g}"
                for name, value in hyperparameters(folder, spec).items()
            },
        }

    return columns
