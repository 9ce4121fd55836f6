"""What `run` and `sweep` share: the cost, the training, the report, and what failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from colonnade.cli.display import Display
from colonnade.errors import ColonnadeError
from colonnade.experiments.execution.processes import last_lines
from colonnade.experiments.execution.schedule import Failure
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.store.folders import SuiteFolder

if TYPE_CHECKING:
    from colonnade.experiments.execution.executors import Executor

_LOGS_SHOWN, _LOG_LINES = 3, 3
"""Of how many failed runs the log is shown, and how many of its lines."""

_SENTENCE = "colonnade.errors."
"""How a log ends where the reason says all; a library's own error has the lines above it."""


def train(
    suite: SuiteFolder,
    plan: Plan,
    jobs: int | None,
    display: Display,
    *,
    where: Executor,
    films: bool = False,
    **options: Any,
) -> None:
    """Say what it costs, train, write the report, and raise an error that lists what failed.

    Args:
        suite: The output folder.
        plan: What of it is trained.
        jobs: How many runs train at once; None for one a core.
        display: Shows how far it is.
        where: Where runs train.
        films: Whether the report shows the trained networks at play.
        options: Of `execute`.
    """
    from colonnade.experiments.execution.execute import execute
    from colonnade.experiments.launch.cost import estimate
    from colonnade.experiments.launch.data import fetch

    there = (where.machines, where.words)
    if where.fetches:
        fetch(suite, plan)
    runs, retry = (spec.id for spec in plan.runs), options.get("retry", True)
    if cost := estimate(suite, runs, jobs, *there, retry=retry):
        display.say(cost)
    workers = where.make_workers
    failures = execute(suite, plan, jobs=jobs, display=display, make_workers=workers, **options)
    lines = _failure_lines(failures, retry=suite.sweep is not None)
    from colonnade.reports.suite import write_report

    if films:
        film(suite, display.say, trust=True)  # as its runs were just trained by the same code
    try:
        written = write_report(suite)
    except ColonnadeError as error:
        # What stopped the runs, a full disk for one, may stop the report too: say both.
        raise ColonnadeError("\n".join([*lines, str(error)])) from error
    display.say(f"Report: {written}")
    if lines:
        raise ColonnadeError("\n".join(lines))


def _failure_lines(failures: Sequence[Failure], *, retry: bool) -> list[str]:
    """Name the runs that failed by themselves, and count those that start from them."""
    if not failures:
        return []
    own = [failure for failure in failures if failure.log is not None]
    lines = [f"{_count(len(own))} failed:"]
    for number, failure in enumerate(own):
        lines.append(f"  {failure.run}: {failure.reason} ({failure.log})")
        if number < _LOGS_SHOWN and failure.log is not None:
            log = last_lines(failure.log, _LOG_LINES)
            if not (log and log[-1].startswith(_SENTENCE)):
                lines += [f"    | {line}" for line in log]
    if waiting := len(failures) - len(own):
        lines.append(f"  {_count(waiting)} not begun: what they start from failed")
    if retry:
        lines.append("The same command with --retry begins them again.")
    return lines


def _count(runs: int) -> str:
    return "1 run" if runs == 1 else f"{runs} runs"


def film(suite: SuiteFolder, say: Callable[[str], None], *, trust: bool = False) -> None:
    """Film what has not been filmed yet, and say of what there can be no film.

    Args:
        suite: The output folder.
        say: Prints a line.
        trust: Whether code that the folder names is imported.
    """
    from colonnade.experiments.trained.films.kept import make_films

    for label, problem in make_films(suite, trust=trust):
        say(f"No film of {label}: {problem}" if problem else f"Filmed: {label}")
