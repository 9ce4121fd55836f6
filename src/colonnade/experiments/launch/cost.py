"""How long a suite takes where it is to train, before it is begun."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from colonnade.experiments.execution.needs import needs
from colonnade.experiments.execution.resources import Resources
from colonnade.experiments.results.runs import steps_taken
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.store.run_folder import RunFolder
from colonnade.experiments.words import duration

_REFERENCE_CORES = 2
"""What `Suite.steps_per_second` was measured on."""

_ENOUGH_RUNS = 3
"""From so many complete runs on, their own speed is a better guess."""

_LONG_SECONDS = 1800.0
_SHORTER = 0.1


def estimate(
    suite: SuiteFolder,
    runs: Iterable[str],
    workers: int | None,
    machines: Sequence[Resources],
    words: str = "this machine",
    *,
    retry: bool = True,
) -> str | None:
    """Say how long the runs that are not complete will take.

    No less than the longest line of runs of which each starts from the one before.

    Args:
        suite: The output folder, begun.
        runs: Ids of the runs that are wanted.
        workers: How many train at once; as many as there are cores if None.
        machines: What there is to train on.
        words: What it is called.
        retry: Whether runs that failed before are begun again.

    Returns:
        A sentence; None where nothing is known or nothing left.
    """
    wanted = set(runs)
    specs = [spec for spec in suite.plan.runs if spec.id in wanted]
    left = [spec for spec in specs if _is_left(suite.run(spec.id), retry=retry)]
    if not left:
        return None
    cores, largest = sum(each.cores for each in machines), max(each.cores for each in machines)
    each = max(min(needs(spec).cores, largest) for spec in left)
    together = min(workers or cores, cores // each, len(left))
    # One run's: of those that are complete, or where two cores train two.
    rate = _measured(suite) or suite.basis.steps_per_second / _REFERENCE_CORES * each
    if not rate:
        return None
    line = suite.plan.longest_line(spec.id for spec in left)
    seconds = max(sum(spec.steps for spec in left) / together, line) / rate
    many = f"{len(left)} runs" if len(left) > 1 else "1 run"
    where = f"{cores} cores, {together} at once" if together > 1 else f"{cores} cores, one at once"
    much = "up to" if any(spec.may_end_early for spec in left) else "about"
    text = f"{many}, {much} {duration(seconds)} on {words} ({where})"
    budget = float(suite.options.get("budget", 1.0))
    if seconds > _LONG_SECONDS and len(left) == len(specs):
        shorter = _SHORTER * budget
        text += f"; --budget {shorter:g} for {much} {duration(_SHORTER * seconds)}"
    return text + "."


def _is_left(run: RunFolder, *, retry: bool) -> bool:
    return not (run.done or run.stopped or (run.failure and not retry))


def _measured(suite: SuiteFolder) -> float | None:
    """Agent steps per second of the runs that are complete, or None if they are too few."""
    done = [folder for folder in suite.runs if folder.done]
    if len(done) < _ENOUGH_RUNS:
        return None
    results = [(folder.spec, folder.result()) for folder in done]
    seconds = sum(result["timing"]["training_seconds"] for _, result in results)
    return sum(steps_taken(*each) for each in results) / seconds if seconds else None
