"""A kill, or a full disk, at each of the system calls that write; then the same command again.

The command runs in forks of this process, so that torch is imported once for all of them.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from colonnade.cli.display import Display
from colonnade.errors import ColonnadeError
from colonnade.experiments.execution import server
from colonnade.experiments.execution.execute import execute
from colonnade.experiments.execution.processes import ending
from colonnade.experiments.execution.resources import Resources, this_machine
from colonnade.experiments.execution.workers import Ended
from colonnade.experiments.launch.sweep import begin_sweep
from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.experiments.plans.sweep import Sweep
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.suites import suite_from_name
from colonnade.reports.suite import write_report
from colonnade.watching import end_with
from harness.injection import Deed, Injection
from harness.runs import PAIR, content
from harness.tally import Tally

_SECONDS = 1800.0

UNFORESEEN = 70
"""Exit status of a command that failed without a sentence."""


class Forks:
    """Trains runs in forks of the process that has the schedule; no server between them."""

    def __init__(self, path: Path) -> None:
        self._suite = SuiteFolder.read(path)
        self._processes: dict[int, str] = {}

    def machines(self, runs: int) -> list[Resources]:
        whole = this_machine()
        return [replace(whole, cores=max(whole.cores, runs))]

    def start(self, run: str, share: Resources) -> None:
        parent = os.getpid()
        if process := os.fork():
            self._processes[process] = run
            return
        status = 1
        try:
            os.setsid()
            end_with(parent)
            log = os.open(self._suite.run(run).log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            status = server.train(self._suite, run, 1, parent)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def ended(self, seconds: float) -> list[Ended]:
        limit = time.monotonic() + seconds
        while True:
            for process, run in list(self._processes.items()):
                done, status = os.waitpid(process, os.WNOHANG)
                if done:
                    del self._processes[process]
                    folder = self._suite.run(run)
                    return [ending(folder, os.waitstatus_to_exitcode(status))]
            if time.monotonic() >= limit:
                return []
            time.sleep(0.005)

    def silent(self) -> dict[str, float]:
        return {}

    def _signal(self, run: str, number: int) -> None:
        for process in (process for process, its in self._processes.items() if its == run):
            os.kill(process, number)

    def stop(self, run: str) -> None:
        self._signal(run, signal.SIGTERM)

    def kill(self, run: str) -> None:
        self._signal(run, signal.SIGKILL)

    def close(self) -> None:
        for process in self._processes:
            os.kill(process, signal.SIGKILL)


def pair(out: Path) -> SuiteFolder:
    """Begin two short runs, one the child of the other."""
    return SuiteFolder(out, "stress", {}, Plan(PAIR)).begin()


def sweep(out: Path) -> SuiteFolder:
    """Begin a sweep of two jobs."""
    options = SuiteOptions(budget=0.002, tasks=("zoom",), methods=("progressive-2",))
    return begin_sweep(suite_from_name("pong-soup-mini"), out, Sweep(2, 1), options)


def command(begin: Callable[[Path], SuiteFolder], out: Path) -> int:
    """Do what `colonnade run` and `sweep` do; return the exit status."""
    suite = begin(out)
    display = Display(Console(quiet=True), "stress")
    failures = execute(suite, suite.plan, jobs=1, display=display, make_workers=Forks)
    write_report(suite)
    return 1 if failures else 0


def forked(work: Callable[[], int]) -> int:
    """Return the exit status of a fork that does something; negative where a signal ended it."""
    process = os.fork()
    if not process:
        status = UNFORESEEN
        try:
            os.setsid()
            nothing = os.open(os.devnull, os.O_WRONLY)
            if not os.environ.get("STRESS_SHOW"):
                os.dup2(nothing, 1)
                os.dup2(nothing, 2)
            status = work()
        except ColonnadeError as error:
            print(error, file=sys.stderr)
            status = error.exit_status
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    limit = time.monotonic() + _SECONDS
    while time.monotonic() < limit:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    raise TimeoutError(f"the command did not end within {_SECONDS:.0f} s")


def came_to(out: Path) -> tuple[Any, ...]:
    """What a folder came to: its runs, and the names of all files but logs and locks."""
    suite = SuiteFolder.read(out)
    files = sorted(
        str(path.relative_to(out).parent / path.name.partition(".tfevents")[0])
        for path in out.rglob("*")
    )
    return [content(run)[:-1] for run in suite.runs], sorted(set(files))


def trial(
    begin: Callable[[Path], SuiteFolder], at: int, deed: Deed, out: Path, expected: Any
) -> tuple[str, str]:
    """Hit one call of a command and give the command again.

    Returns:
        The call that was hit, and what is wrong then; empty where all is well.
    """
    log = out.with_suffix(".calls")
    injection = Injection(out, at, deed, log)

    def hit() -> int:
        injection.install()
        return command(begin, out)

    failed = 0
    with contextlib.suppress(TimeoutError):
        failed = forked(hit)
    calls = log.read_text().splitlines()
    log.unlink()
    met = calls[at - 1].split(maxsplit=2)[2] if len(calls) >= at else "none"
    if failed == UNFORESEEN:
        return met, "no sentence was said of it"
    try:
        status = forked(lambda: command(begin, out))
    except TimeoutError as error:
        return met, str(error)
    if status:
        return met, f"the same command ended with status {status}"
    found = came_to(out)
    # A line that was torn, and a run that was killed, are told.
    extra = {name for name in set(found[1]) ^ set(expected[1]) if not name.endswith("notes.txt")}
    if found[0] == expected[0] and not extra:
        return met, ""
    return met, f"other files: {sorted(extra)}" if extra else "other numbers"


def reference(begin: Callable[[Path], SuiteFolder], place: Path) -> tuple[list[str], Any]:
    """Return the names of the calls a command makes, and what it comes to undisturbed."""
    log = place.with_suffix(".calls")
    injection = Injection(place, 0, "kill", log)

    def work() -> int:
        injection.install()
        return command(begin, place)

    if status := forked(work):
        raise RuntimeError(f"the undisturbed command ended with status {status}")
    expected = came_to(place)
    shutil.rmtree(place)
    calls = [line.split()[2] for line in log.read_text().splitlines()]
    log.unlink()
    return calls, expected


def injected(deeds: list[Deed], count: int | None, tally: Tally, *, sweeps: int = 0) -> int:
    """Hit every call of a short command in each way, or some of them.

    Args:
        deeds: In which ways.
        count: How many calls are hit, drawn at random; all if None.
        tally: Counts them.
        sweeps: How many calls of a sweep are hit as well.

    Returns:
        How many went wrong; each is told, and the last line counts those that went well.
    """
    for name in server.PRELOADED:
        importlib.import_module(name)
    number = 0
    met: set[str] = set()
    with tempfile.TemporaryDirectory() as scratch:
        plans = [(pair, count), *([(sweep, sweeps)] if sweeps else [])]
        for begin, some in plans:
            calls, expected = reference(begin, Path(scratch) / "undisturbed")
            print(f"{begin.__name__}: {len(calls)} calls write", flush=True)
            cases = [
                (at, deed)
                for at, call in enumerate(calls, start=1)
                for deed in deeds
                if deed != "tear" or call == "write"  # nothing else can be torn
            ]
            if some is not None:
                cases = sorted(tally.stream(0).sample(cases, min(some, len(cases))))
            for at, deed in cases:
                number += 1
                if number in tally:
                    continue
                out = Path(scratch) / f"out-{at}-{deed}"
                call, wrong = trial(begin, at, deed, out, expected)
                met.add(call)
                words = f"{begin.__name__}, {deed} at call {at} ({call})"
                tally.tell(number, words, wrong and f"WRONG, {wrong}", "went on, equal")
                shutil.rmtree(out, ignore_errors=True)
    print(f"kinds of calls: {len(met)}")
    return tally.end()
