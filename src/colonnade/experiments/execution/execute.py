"""Running a plan: workers at work on a schedule, until all is done or somebody says stop."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from time import monotonic
from types import FrameType

from colonnade.atomic import remove_unfinished
from colonnade.errors import ColonnadeError
from colonnade.experiments.execution.needs import needs
from colonnade.experiments.execution.processes import ForkedWorkers
from colonnade.experiments.execution.progress import Display
from colonnade.experiments.execution.recorders import write_recorders
from colonnade.experiments.execution.resources import Machines, Resources
from colonnade.experiments.execution.schedule import Failure, Schedule
from colonnade.experiments.execution.workers import Ended, Workers
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.store.files import begin_folder, disk_errors
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.store.lock import LOCK_FILES, FolderLock
from colonnade.experiments.store.metrics import append_line
from colonnade.experiments.store.reading import check_folder, is_there
from colonnade.watching import limit, silence

_SHOW_SECONDS = 0.5
_GRACE_SECONDS = 60.0
_KILL_SECONDS = 5.0

Judge = Callable[[list[RunSpec]], dict[str, str]]
"""Says which of the runs that train are hopeless, and why."""


class StoppedError(ColonnadeError):
    """The user stopped the work; the exit status is 128 + the signal's number."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_status = 128 + signal_number


def execute(
    suite: SuiteFolder,
    plan: Plan,
    *,
    jobs: int | None = None,
    display: Display,
    retry: bool = True,
    judge: Judge | None = None,
    make_workers: Callable[[Path], Workers] = ForkedWorkers,
    recorders: Sequence[str] = (),
) -> list[Failure]:
    """Train all runs of a plan that are not complete yet.

    A run starts when the run it starts from is complete and what it needs is free. One that fails
    stops none but those that start from it.

    Args:
        suite: The output folder, already begun.
        plan: The suite's plan or a part of it.
        jobs: How many runs train at once; by default as many as there are cores for. More runs than
            cores, where asked for, share them.
        display: Shows the progress.
        retry: Whether runs that failed before are begun again.
        judge: Asked again and again which runs to stop as hopeless; None stops none.
        make_workers: Makes what trains the runs from the output folder.
        recorders: Names of where runs show their rows besides their own files; TensorBoard's
            events if none is given.

    Returns:
        The runs that failed.

    Raises:
        StoppedError: Ctrl-C or SIGTERM came; all runs have been stopped, checkpoints are kept.
        ColonnadeError: Another process is at work in the folder.
    """
    with FolderLock(suite.path), _signals() as received:
        _tidy(suite, plan)
        write_recorders(suite.path, recorders)
        workers, schedule = make_workers(suite.path), Schedule(suite, plan, retry=retry)
        work = _Execution(suite, schedule, workers, jobs or 0, judge)
        with display:
            try:
                while work.advance():
                    display.show(work.schedule.views())
                    if received:
                        display.say("Stopping the runs; the same signal again ends them at once.")
                        raise StoppedError(
                            "Stopped; the last checkpoints are kept, and the same command goes on "
                            "from them.",
                            received[0],
                        )
                    work.wait(_SHOW_SECONDS)
                display.show(work.schedule.views())
            finally:
                work.stop(hurry=lambda: len(received) > 1)
    return work.schedule.failures


def _tidy(suite: SuiteFolder, plan: Plan) -> None:
    """Remove what complete runs left whose process was killed before it could.

    It held the run's lock then, and its name still stands there; or it was writing a file.
    """
    for spec in plan.runs:
        folder = suite.run(spec.id)
        if not folder.done:
            continue
        if is_there(folder.path / LOCK_FILES[1]) or any(folder.path.glob(".*.tmp")):
            from colonnade.experiments.store.checkpoints import CheckpointFiles

            with suppress(ColonnadeError), FolderLock(folder.path):
                CheckpointFiles(folder.path, lambda _: None).clear()
                remove_unfinished(folder.path)


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


class _Execution:
    """Workers at work on a schedule."""

    def __init__(
        self,
        suite: SuiteFolder,
        schedule: Schedule,
        workers: Workers,
        jobs: int,
        judge: Judge | None,
    ) -> None:
        self.schedule = schedule
        self._suite = suite
        self._workers = workers
        self._jobs = jobs
        self._machines = Machines([], jobs)
        self._judge = judge
        self._needs: dict[str, Resources] = {}
        self._competing = 0
        self._at_once = 1
        self._condemned: dict[str, str] = {}
        self._hung: dict[str, str] = {}
        self._started, self._clock = time.time(), monotonic()
        self._ended: list[Ended] = []

    def advance(self) -> bool:
        """Start what can start; False when nothing is left."""
        schedule = self.schedule
        self._machines.wholes = self._workers.machines(self._jobs)
        self._competing = schedule.competing(self._machines.runs)
        self._at_once = max(self._at_once, min(self._machines.runs, schedule.planned))
        for spec in schedule.startable(lambda spec: self._share(spec) is not None):
            self._start(spec)
        hopeless = self._judge(list(schedule.running.values())) if self._judge else {}
        for run in hopeless.keys() - self._condemned.keys():
            self._workers.stop(run)
        self._condemned |= hopeless
        return not schedule.over

    def wait(self, seconds: float) -> None:
        """Take note of what ends within that time, and return as soon as something does."""
        self._end_hung()
        limit = monotonic() + seconds
        while not (ended := self._workers.ended(max(0.0, limit - monotonic()))):
            if monotonic() >= limit:
                return
        for end in ended:
            self._end(end)

    def _end_hung(self) -> None:
        """End the runs that have given no sign of life for too long."""
        self.schedule.silent = self._workers.silent()
        for run, seconds in self.schedule.silent.items():
            if seconds > limit() and run not in self._hung:
                self._hung[run] = f"its process {silence(seconds)}"
                self._workers.kill(run)

    def stop(self, hurry: Callable[[], bool]) -> None:
        """Ask all runs to stop, and end those that don't."""
        left = set(self.schedule.running)
        try:
            for end_one, seconds, give_up in (
                (self._workers.stop, _GRACE_SECONDS, hurry),
                (self._workers.kill, _KILL_SECONDS, lambda: False),
            ):
                for run in left:
                    end_one(run)
                limit = monotonic() + seconds
                while left and monotonic() < limit and not give_up():
                    ended = self._workers.ended(0.05)
                    self._ended += ended
                    left -= {end.run for end in ended}
        finally:
            self._workers.close()
            self._write_session()

    def _share(self, spec: RunSpec) -> Resources | None:
        need = self._needs.get(spec.id) or self._needs.setdefault(spec.id, needs(spec))
        return self._machines.share(need, self._competing)

    def _start(self, spec: RunSpec) -> None:
        folder = self._suite.run(spec.id)
        check_folder(folder.path)
        begin_folder(folder.path)
        with disk_errors(folder.path):
            for name in ("status.json", "failed.json"):
                (folder.path / name).unlink(missing_ok=True)
        share = self._share(spec)
        assert share is not None, "it fitted when the schedule let it start"
        self._machines.shares[spec.id] = share
        self._workers.start(spec.id, share)

    def _end(self, end: Ended) -> None:
        self._ended.append(end)
        if (hung := self._hung.pop(end.run, None)) and end.outcome in ("failed", "lost"):
            end = replace(end, outcome="lost", reason=hung)
        del self._machines.shares[end.run]
        if end.outcome == "finished":
            self.schedule.complete(end.run)
        elif end.run in self._condemned:
            self.schedule.stop(end.run, self._condemned[end.run])
        elif end.outcome != "lost":
            self.schedule.fail(end.run, end.reason, final=end.lasting, passing=end.passing)
        elif not self.schedule.again(end.run, end.reason):
            again = f"{end.reason}, again and again"
            self.schedule.fail(end.run, again, final=False, passing=True)

    def _write_session(self) -> None:
        """Note how busy the runs kept the processors, for the report."""
        session = {
            "started": round(self._started, 1),
            "seconds": round(monotonic() - self._clock, 1),
            "workers": self._at_once,
            "runs": len(self._ended),
            "cpu_seconds": round(sum(end.cpu_seconds for end in self._ended), 1),
        }
        append_line(self._suite.path / "sessions.jsonl", session)
