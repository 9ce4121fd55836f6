"""The process that forks workers: `python -m colonnade.experiments.execution`.

Importing torch takes seconds, which a suite of short runs would pay again and again. This process
imports it once and computes nothing; each run then gets a fork, a process of its own that can be
killed, run out of memory or crash without harm to the others. Standard input is a socket of
`multiprocessing.connection`, over which come the tuples

    ("start", RUN_ID, CORES, GPU)  begin a run, its emulators on that many threads; of several GPUs
                                   it sees the one that is named
    ("signal", RUN_ID, NUMBER)     send a signal to its process, if there still is one; the last one
                                   of all, SIGKILL, goes to those that it started too

and go the dictionaries

    {}                             once, when everything is imported
    {"silent": {RUN_ID: S}}        each second while there are runs: for how many seconds each has
                                   given no sign of life
    {"run": RUN_ID, "status": N, "cpu_seconds": S, "memory": BYTES}
                                   its process ended; N as in `Popen.returncode`, or a sentence

When the other end is gone, since its process died, the server ends its workers and exits. Where
the server itself is killed or stopped, the kernel ends them (`colonnade.watching.end_with`).

Why not the `forkserver` of the standard library? Three promises would be broken. It waits for
its children without asking what they used, so that nobody could say how much memory a run held that
the system killed. It imports the command's main module anew in each fork, and what goes wrong there
is written to the terminal before the run's log is open. And the first start blocks until torch is
imported, seconds in which Ctrl-C is not heard. (Besides, its forks keep it alive when the command
is killed, it dies from signals to the terminal's process group, and it can't be ended early.)
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from colonnade.allocation import keep_memory
from colonnade.errors import ColonnadeError
from colonnade.experiments.execution.needs import needs
from colonnade.experiments.execution.processes import PATIENCE_SECONDS, STOPPED
from colonnade.experiments.execution.run import train_run
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.store.parents import await_origins
from colonnade.parts import load_plugin
from colonnade.training import Interrupted
from colonnade.watching import Pulses, Watch, end_with

PRELOADED = ("torch._dynamo", "torch.utils.tensorboard.writer")
"""What is imported late: optimisers need the first, a run's first metrics the second."""

_LOOK_SECONDS = 0.02
"""How often the server looks for workers that ended."""

_TELL_SECONDS = 1.0

_SEEN_SECONDS = 60.0
"""How long what another machine wrote may take to be seen on this one."""


def serve(
    line: Connection[Any, Any], suite: SuiteFolder, patience: float = PATIENCE_SECONDS
) -> None:
    """Fork a worker for each run that is asked for, until the line ends."""
    line.send({})
    runs: dict[int, _Run] = {}
    try:
        _serve(line, suite, runs, patience)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    finally:
        for process in runs:
            _kill(process)


@dataclass(frozen=True)
class _Run:
    """A run that is being trained, and its signs of life."""

    id: str
    watch: Watch


def _serve(
    line: Connection[Any, Any], suite: SuiteFolder, runs: dict[int, _Run], patience: float
) -> None:
    told = time.monotonic()
    while True:
        if runs:
            _report(line, runs)
        if runs and time.monotonic() - told >= _TELL_SECONDS:
            told = time.monotonic()
            line.send({"silent": {run.id: run.watch.look() for run in runs.values()}})
        if not line.poll(_LOOK_SECONDS if runs else None):
            continue
        what, run, number, *gpu = line.recv()
        if what == "signal":
            for process in (process for process, its in runs.items() if its.id == run):
                _kill(process) if number == signal.SIGKILL else os.kill(process, number)
            continue
        pulses = Pulses(1)
        try:
            process = _fork(suite, run, number, *gpu, pulses=pulses, patience=patience)
            runs[process] = _Run(run, Watch(pulses.of(0)))
        except OSError as error:
            reason = (
                f"no process could be started for it ({error.strerror}); fewer at once need less"
            )
            line.send({"run": run, "status": reason})


def _kill(process: int) -> None:
    """End a worker, and what it started."""
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    _kill_group(process)


def _kill_group(process: int) -> None:
    """End what a worker started, as long as nobody else can have its number."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process, signal.SIGKILL)


def _report(line: Connection[Any, Any], runs: dict[int, _Run]) -> None:
    """Say which workers ended."""
    for process in list(runs):
        if hasattr(os, "waitid") and os.waitid(
            os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT
        ):
            _kill_group(process)
        done, status, usage = os.wait4(process, os.WNOHANG)
        if not done:
            continue
        # Linux counts KiB, macOS bytes.
        memory = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        report = {"run": runs.pop(process).id, "status": os.waitstatus_to_exitcode(status)}
        line.send(report | {"cpu_seconds": usage.ru_utime + usage.ru_stime, "memory": memory})


def _fork(
    suite: SuiteFolder,
    run: str,
    env_threads: int,
    gpu: str = "",
    *,
    pulses: Pulses,
    patience: float,
) -> int:
    """Return the id of a new process that trains a run."""
    server = os.getpid()
    if process := os.fork():
        return process
    status = 1
    try:
        os.setsid()
        end_with(server)
        pulses.give(0)
        # In place of the line, whose end tells the server's death, and of the server's own log.
        with open(os.devnull) as nothing, suite.run(run).log_path.open("ab") as log:  # noqa: PTH123
            for file, number in ((nothing, 0), (log, 1), (log, 2)):
                os.dup2(file.fileno(), number)
        # Read when a GPU is first used. Where torch sees one, it lets no fork of a process that has
        # differentiated, if on the processor, differentiate too.
        spec = next(spec for spec in suite.plan.runs if spec.id == run)
        if gpu or not needs(spec).gpu:
            os.environ["CUDA_VISIBLE_DEVICES"] = gpu
        status = train(suite, run, env_threads, server, patience)
    except BaseException:
        traceback.print_exc()
    finally:
        # Not sys.exit: what the server would do at its exit is not the worker's to do.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def train(
    suite: SuiteFolder,
    run: str,
    env_threads: int,
    parent: int,
    patience: float = PATIENCE_SECONDS,
) -> int:
    """Train one run in this process, which does nothing else, and return the exit status.

    Messages go to standard error, which is the run's log.txt; how far it is and what went wrong go
    to status.json. SIGTERM asks to stop, as does the death of the process `parent`.
    """
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: asked.append(received))
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    spec = next(spec for spec in suite.plan.runs if spec.id == run)
    try:
        await_origins(suite.path, spec, _SEEN_SECONDS)
        train_run(
            suite.path,
            spec,
            env_threads=env_threads,
            stop=lambda: bool(asked) or os.getppid() != parent,
            patience=patience,
        )
    except Interrupted as error:
        logging.info("%s", error)
        return STOPPED
    except ColonnadeError as error:
        logging.exception("%s", error)
        return error.exit_status
    return 0


def main(out: str, patience: float, plugins: Sequence[str] = ()) -> None:
    """Serve until the other end of standard input is gone."""
    # Signals to a whole process group, such as Ctrl-C's, are the executor's to act on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    suite = SuiteFolder.read(Path(out))
    keep_memory()
    for name in PRELOADED:
        importlib.import_module(name)
    for plugin in plugins:
        load_plugin(plugin)
    # Objects that live for good are never looked at again, so that forks keep sharing their memory.
    gc.collect()
    gc.freeze()
    serve(Connection(sys.stdin.fileno()), suite, patience)
