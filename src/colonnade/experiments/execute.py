"""Running a plan over local processes, parents before children."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from types import FrameType

from colonnade.errors import ColonnadeError
from colonnade.experiments.files import FolderLock, disk_errors
from colonnade.experiments.hardware import available_cores
from colonnade.experiments.plan import Plan
from colonnade.experiments.progress import Display, RunView, State
from colonnade.experiments.spec import RunSpec
from colonnade.experiments.store import SuiteFolder
from colonnade.experiments.workers import Ended, ForkedWorkers, Workers, last_line

_SHOW_SECONDS = 0.5
_GRACE_SECONDS = 60.0
_KILL_SECONDS = 5.0
_LIVES = 3
"""How often a run is begun again because the processes' common parent was killed."""


class StoppedError(ColonnadeError):
    """The user stopped the work; the exit status is 128 + the signal's number."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_status = 128 + signal_number


@dataclass(frozen=True)
class Failure:
    """A run that did not complete.

    Attributes:
        run: Its id.
        reason: What went wrong, in one sentence.
        log: Where more is to be read; None for a run that never began.
    """

    run: str
    reason: str
    log: Path | None


def execute(
    suite: SuiteFolder,
    plan: Plan,
    *,
    jobs: int | None = None,
    display: Display,
    make_workers: Callable[[Path, int], Workers] = ForkedWorkers,
) -> list[Failure]:
    """Train all runs of a plan that are not complete yet.

    A run starts when the run it starts from is complete. One that fails stops none but those that
    start from it.

    Args:
        suite: The output folder, already begun.
        plan: The suite's plan or a part of it.
        jobs: How many runs train at once; by default as many as there are cores.
        display: Shows the progress.
        make_workers: Makes what trains the runs from the output folder and the threads of a run.

    Returns:
        The runs that failed.

    Raises:
        StoppedError: Ctrl-C or SIGTERM came; all runs have been stopped, checkpoints are kept.
        ColonnadeError: Another process is at work in the folder.
    """
    cores = available_cores()
    count = min(jobs or cores, max(1, len(plan.runs)))
    with FolderLock(suite.path), _signals() as received:
        workers = make_workers(suite.path, max(1, cores // count))
        work = _Execution(suite, plan, count, workers)
        with display:
            try:
                while work.advance():
                    display.show(work.views())
                    if received:
                        display.say("Stopping the runs; the same signal again ends them at once.")
                        raise StoppedError(
                            "Stopped; the last checkpoints are kept, and the same command goes on "
                            "from them.",
                            received[0],
                        )
                    work.wait(_SHOW_SECONDS)
                display.show(work.views())
            finally:
                work.stop(hurry=lambda: len(received) > 1)
    return work.failures


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect the signals that ask to stop, in place of dying from them."""
    received: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        received.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass
class _Execution:
    """Which runs wait, which train and which are over."""

    suite: SuiteFolder
    plan: Plan
    jobs: int
    workers: Workers
    failures: list[Failure] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._done = {spec.id for spec in self.plan.runs if self.suite.run(spec.id).done}
        self._waiting = [spec for spec in self.plan.runs if spec.id not in self._done]
        self._running: dict[str, RunSpec] = {}
        self._lost: Counter[str] = Counter()
        self._planned = {spec.id for spec in self.plan.runs}

    def advance(self) -> bool:
        """Start what can start; False when nothing is left."""
        failed = {failure.run for failure in self.failures}
        for spec in list(self._waiting):
            if spec.parent in failed:
                self._waiting.remove(spec)
                reason = f"it starts from run {spec.parent}, which failed"
                self.failures.append(Failure(spec.id, reason, None))
                failed.add(spec.id)
            elif len(self._running) < self.jobs and self._ready(spec):
                self._waiting.remove(spec)
                self._start(spec)
        return bool(self._running or self._waiting)

    def wait(self, seconds: float) -> None:
        """Take note of what ends within that time, and return as soon as something does."""
        limit = monotonic() + seconds
        while not (ended := self.workers.ended(max(0.0, limit - monotonic()))):
            if monotonic() >= limit:
                return
        for end in ended:
            self._end(end)

    def views(self) -> list[RunView]:
        """Show where each run stands."""
        states: dict[str, State] = dict.fromkeys(self._done, "done")
        states |= dict.fromkeys(self._running, "running")
        states |= {failure.run: "failed" for failure in self.failures}
        views = []
        for spec in self.plan.runs:
            state = states.get(spec.id, "waiting")
            status = self.suite.run(spec.id).status() if state == "running" else {}
            views.append(RunView(spec, state, status.get("progress"), status.get("notes") or []))
        return views

    def stop(self, hurry: Callable[[], bool]) -> None:
        """Ask all running processes to stop, and end those that don't."""
        try:
            for run in self._running:
                self.workers.signal(run, signal.SIGTERM)
            limit = monotonic() + _GRACE_SECONDS
            while self._running and monotonic() < limit and not hurry():
                self._forget(self.workers.ended(0.05))
            for run in self._running:
                self.workers.signal(run, signal.SIGKILL)
            limit = monotonic() + _KILL_SECONDS
            while self._running and monotonic() < limit:
                self._forget(self.workers.ended(0.05))
        finally:
            self.workers.close()

    def _forget(self, ended: list[Ended]) -> None:
        for end in ended:
            self._running.pop(end.run, None)

    def _ready(self, spec: RunSpec) -> bool:
        return spec.parent not in self._planned or spec.parent in self._done

    def _start(self, spec: RunSpec) -> None:
        folder = self.suite.run(spec.id)
        with disk_errors(folder.path):
            folder.path.mkdir(parents=True, exist_ok=True)
            (folder.path / "status.json").unlink(missing_ok=True)
        self._running[spec.id] = spec
        self.workers.start(spec.id, folder.log_path)

    def _end(self, end: Ended) -> None:
        spec = self._running.pop(end.run)
        folder = self.suite.run(end.run)
        if folder.done:
            self._done.add(end.run)
        elif end.status is None and self._lost[end.run] < _LIVES:
            # What trained was not at fault; it goes on from its last checkpoint.
            self._lost[end.run] += 1
            self._waiting.insert(0, spec)
        else:
            self.failures.append(Failure(end.run, self._reason(end), folder.log_path))

    def _reason(self, end: Ended) -> str:
        folder = self.suite.run(end.run)
        if end.status is None:
            return "the process that all runs are forked from was ended again and again"
        if end.status < 0:
            return _killed(-end.status, end.memory)
        return (
            folder.status().get("error")
            or last_line(folder.log_path)
            or f"its process ended with status {end.status}"
        )


def _killed(number: int, memory: int) -> str:
    reason = f"its process was ended by signal {number} ({signal.Signals(number).name})"
    if number == signal.SIGKILL and memory:
        reason += (
            f", as the system does when memory runs out; it held {memory / 2**30:.1f} GiB at most, "
            "and fewer runs at once need less"
        )
    return reason
