"""What commands that measure trained networks share: of a folder, one run after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from rich.text import Text

from colonnade.errors import ColonnadeError, UnfitError, unknown_name
from colonnade.experiments.store.folders import RunFolder, SuiteFolder

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

Measured = TypeVar("Measured")


def results_of(suite: SuiteFolder, runs: Sequence[RunFolder]) -> list[RunFolder]:
    """Leave out runs that were only made to choose hyperparameters by."""
    return [folder for folder in runs if folder.id not in suite.plan.tries]


def that_play(runs: Sequence[RunFolder], task: str | None) -> list[RunFolder]:
    """Leave out runs whose networks do not play a task; None keeps all.

    Raises:
        UsageError: No network plays it.
    """
    playing = [folder for folder in runs if task is None or task in folder.played_as]
    if runs and not playing:
        assert task is not None
        raise unknown_name("task of these runs:", task, {t for run in runs for t in run.played_as})
    return playing


def measure_each(
    runs: Sequence[RunFolder],
    known: Callable[[RunFolder], Measured | None],
    measure: Callable[[RunFolder, Callable[[str], None]], Measured],
    console: Console,
) -> list[Measured]:
    """Measure one run after another, unless it is known what comes of it.

    A run among several that has nothing to measure is left out, which is said.

    Args:
        runs: Which.
        known: What an earlier call measured; None where it is to be measured.
        measure: Measures and saves; it is given a function that shows how far it is.
        console: Where to say how far it is.

    Raises:
        ColonnadeError: Measuring failed, or there is nothing to measure in any run.
    """

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    measured: list[Measured] = []
    refusals: list[UnfitError] = []
    for number, folder in enumerate(runs, start=1):
        if (found := known(folder)) is None:
            head = f"{number} of {len(runs)}: {folder.spec.label if folder.done else folder.id}"
            try:
                with console.status(Text(head)) as status:
                    found = measure(folder, _shown(status, head))
            except UnfitError as refusal:
                refusals.append(refusal)
                say(f"{head}: left out. {refusal}")
                continue
            say(f"{head}: done")
        measured.append(found)
    if len(refusals) == len(runs) == 1:
        raise refusals[0]
    if not measured:
        raise ColonnadeError(
            f"None of {len(runs)} runs has anything to measure; of the last one: {refusals[-1]}"
        )
    return measured


def _shown(status: Status, head: str) -> Callable[[str], None]:
    return lambda progress: status.update(Text(f"{head}, {progress}"))
