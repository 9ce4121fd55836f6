"""Running a plan over local processes, parents before children."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from colonnade.errors import ColonnadeError
from colonnade.experiments.files import FolderLock, disk_errors
from colonnade.experiments.hardware import available_cores
from colonnade.experiments.plan import Plan
from colonnade.experiments.progress import Display, RunView, State
from colonnade.experiments.spec import RunSpec
from colonnade.experiments.store import SuiteFolder

Command = Callable[[Path, str, int], list[str]]
"""Makes the command line of a worker from the output folder, the run's id and its threads."""

_POLL_SECONDS = 0.2
_GRACE_SECONDS = 60.0


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


def worker_command(suite: Path, run: str, threads: int) -> list[str]:
    """Make the command line that trains one run."""
    module = "colonnade.experiments.worker"
    return [sys.executable, "-m", module, str(suite), run, str(threads)]


def execute(
    suite: SuiteFolder,
    plan: Plan,
    *,
    jobs: int | None = None,
    display: Display,
    command: Command = worker_command,
) -> list[Failure]:
    """Train all runs of a plan that are not complete yet.

    A run starts when the run it starts from is complete. One that fails stops none but those that
    start from it.

    Args:
        suite: The output folder, already begun.
        plan: The suite's plan or a part of it.
        jobs: How many runs train at once; by default as many as there are cores.
        display: Shows the progress.
        command: Makes the command line of a worker.

    Returns:
        The runs that failed.

    Raises:
        StoppedError: Ctrl-C or SIGTERM came; all runs have been stopped, checkpoints are kept.
        ColonnadeError: Another process is at work in the folder.
    """
    cores = available_cores()
    workers = min(jobs or cores, max(1, len(plan.runs)))
    with FolderLock(suite.path), _signals() as received:
        work = _Execution(suite, plan, workers, max(1, cores // workers), command)
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
                    time.sleep(_POLL_SECONDS)
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
    threads: int
    command: Command
    failures: list[Failure] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._done = {spec.id for spec in self.plan.runs if self.suite.run(spec.id).done}
        self._waiting = [spec for spec in self.plan.runs if spec.id not in self._done]
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._planned = {spec.id for spec in self.plan.runs}

    def advance(self) -> bool:
        """Take note of what ended and start what can start; False when nothing is left."""
        for run in [run for run, process in self._running.items() if process.poll() is not None]:
            self._end(run, self._running.pop(run).returncode)
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
        for process in self._running.values():
            process.terminate()
        limit = time.monotonic() + _GRACE_SECONDS
        for process in self._running.values():
            while process.poll() is None and time.monotonic() < limit and not hurry():
                time.sleep(_POLL_SECONDS / 4)
            process.kill()
            process.wait()

    def _ready(self, spec: RunSpec) -> bool:
        return spec.parent not in self._planned or spec.parent in self._done

    def _start(self, spec: RunSpec) -> None:
        folder = self.suite.run(spec.id)
        # OpenMP reads these when torch is imported; its threads would otherwise spin while they
        # wait, and slow the emulators down.
        environment = os.environ | {
            "OMP_NUM_THREADS": str(self.threads),
            "OMP_WAIT_POLICY": "passive",
        }
        with disk_errors(folder.path):
            folder.path.mkdir(parents=True, exist_ok=True)
            (folder.path / "status.json").unlink(missing_ok=True)
            with folder.log_path.open("ab") as log:
                # A session of its own: a Ctrl-C at the terminal reaches this process alone.
                self._running[spec.id] = subprocess.Popen(
                    self.command(self.suite.path, spec.id, self.threads),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=environment,
                    start_new_session=True,
                )

    def _end(self, run: str, status: int) -> None:
        folder = self.suite.run(run)
        if status == 0 and folder.done:
            self._done.add(run)
            return
        if status < 0:
            reason = f"its process was ended by signal {-status} ({signal.Signals(-status).name})"
        else:
            reason = folder.status().get("error") or _last_line(folder.log_path)
            reason = reason or f"its process ended with status {status}"
        self.failures.append(Failure(run, reason, folder.log_path))


def _last_line(log: Path) -> str:
    """Take the sentence of the error that a log ends with."""
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return re.sub(r"^[\w.]+(Error|Exception|Interrupted): ", "", lines[-1]) if lines else ""
