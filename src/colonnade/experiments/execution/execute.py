"""Running a plan over local processes, parents before children."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from time import monotonic
from types import FrameType

from colonnade.errors import ColonnadeError
from colonnade.experiments.execution.hardware import available_cores
from colonnade.experiments.execution.local import Ended, ForkedWorkers, Workers, last_line
from colonnade.experiments.execution.progress import Display
from colonnade.experiments.execution.schedule import Failure, Schedule
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.store.files import disk_errors
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.store.lock import FolderLock

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
        retry: Whether runs that failed before are begun again.
        judge: Asked again and again which runs to stop as hopeless; None stops none.
        make_workers: Makes what trains the runs from the output folder and the threads of each
            run's emulators, as many as leave no core idle; no number depends on them.

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
        work = _Execution(suite, Schedule(suite, plan, retry=retry), count, workers, judge)
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
        jobs: int,
        workers: Workers,
        judge: Judge | None,
    ) -> None:
        self.schedule = schedule
        self._suite = suite
        self._jobs = jobs
        self._workers = workers
        self._judge = judge
        self._condemned: dict[str, str] = {}
        self._started, self._clock = time.time(), monotonic()
        self._ended: list[Ended] = []

    def advance(self) -> bool:
        """Start what can start; False when nothing is left."""
        schedule = self.schedule
        for spec in islice(schedule.startable(), self._jobs - len(schedule.running)):
            self._start(spec)
        hopeless = self._judge(list(schedule.running.values())) if self._judge else {}
        for run in hopeless.keys() - self._condemned.keys():
            self._workers.signal(run, signal.SIGTERM)
        self._condemned |= hopeless
        return not schedule.over

    def wait(self, seconds: float) -> None:
        """Take note of what ends within that time, and return as soon as something does."""
        limit = monotonic() + seconds
        while not (ended := self._workers.ended(max(0.0, limit - monotonic()))):
            if monotonic() >= limit:
                return
        for end in ended:
            self._end(end)

    def stop(self, hurry: Callable[[], bool]) -> None:
        """Ask all running processes to stop, and end those that don't."""
        left = set(self.schedule.running)
        try:
            for number, seconds in (
                (signal.SIGTERM, _GRACE_SECONDS),
                (signal.SIGKILL, _KILL_SECONDS),
            ):
                for run in left:
                    self._workers.signal(run, number)
                limit = monotonic() + seconds
                while left and monotonic() < limit and not (number == signal.SIGTERM and hurry()):
                    ended = self._workers.ended(0.05)
                    self._ended += ended
                    left -= {end.run for end in ended}
        finally:
            self._workers.close()
            self._write_session()

    def _start(self, spec: RunSpec) -> None:
        folder = self._suite.run(spec.id)
        with disk_errors(folder.path):
            folder.path.mkdir(parents=True, exist_ok=True)
            for name in ("status.json", "failed.json"):
                (folder.path / name).unlink(missing_ok=True)
        self._workers.start(spec.id, folder.log_path)

    def _end(self, end: Ended) -> None:
        self._ended.append(end)
        folder = self._suite.run(end.run)
        status = folder.status()
        if folder.done:
            self.schedule.complete(end.run)
        elif end.run in self._condemned:
            self.schedule.stop(end.run, self._condemned[end.run])
        elif end.status is None:
            # What trained was not at fault; it goes on from its last checkpoint.
            if not self.schedule.again(end.run):
                reason = "the process that all runs are forked from was ended again and again"
                self.schedule.fail(end.run, reason, final=False)
        elif end.status < 0:
            self.schedule.fail(end.run, _killed(-end.status, end.memory), final=False)
        else:
            reason = status.get("error") or last_line(folder.log_path)
            self.schedule.fail(
                end.run,
                reason or f"its process ended with status {end.status}",
                final=bool(status.get("error")) and status.get("kind") != "DiskFullError",
            )

    def _write_session(self) -> None:
        """Note how busy the runs kept the processors, for the report."""
        session = {
            "started": round(self._started, 1),
            "seconds": round(monotonic() - self._clock, 1),
            "workers": self._jobs,
            "runs": len(self._ended),
            "cpu_seconds": round(sum(end.cpu_seconds for end in self._ended), 1),
        }
        path = self._suite.path / "sessions.jsonl"
        with disk_errors(path), path.open("a") as file:
            file.write(json.dumps(session) + "\n")


def _killed(number: int, memory: int) -> str:
    reason = f"its process was ended by signal {number} ({signal.Signals(number).name})"
    if number == signal.SIGKILL and memory:
        reason += (
            f", as the system does when memory runs out; it held {memory / 2**30:.1f} GiB at most, "
            "and fewer runs at once need less"
        )
    return reason
