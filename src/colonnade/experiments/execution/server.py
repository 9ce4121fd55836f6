"""The process that forks workers: `python -m colonnade.experiments.execution.server OUT`.

Importing torch takes seconds, which a suite of short runs would pay again and again. This process
imports it once and computes nothing; each run then gets a fork, a process of its own that can be
killed, run out of memory or crash without harm to the others. Standard input is a socket of
`multiprocessing.connection`, over which come the tuples

    ("start", RUN_ID, CORES)       begin a run, its emulators on that many threads
    ("signal", RUN_ID, NUMBER)     send a signal to its process, if there still is one

and go the dictionaries

    {}                             once, when everything is imported
    {"run": RUN_ID, "status": N, "cpu_seconds": S, "memory": BYTES}
                                   its process ended; N as in `Popen.returncode`, or a sentence

When the other end is gone, since its process died, the server exits; its workers notice the death
of their parent and stop.

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
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from colonnade.errors import ColonnadeError
from colonnade.experiments.execution.processes import STOPPED
from colonnade.experiments.execution.run import train_run
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.training import Interrupted

_PRELOADED = ("torch._dynamo", "torch.utils.tensorboard.writer")
"""What is imported late: optimisers need the first, a run's first metrics the second."""

_LOOK_SECONDS = 0.02
"""How often the server looks for workers that ended."""

PATIENCE_SECONDS = 60.0
"""A worker whose parent was killed notices at its next update; its successor waits that long."""


def serve(line: Connection[Any, Any], suite: SuiteFolder) -> None:
    """Fork a worker for each run that is asked for, until the line ends."""
    line.send({})
    runs: dict[int, str] = {}
    while True:
        if runs:
            _report(line, runs)
        if not line.poll(_LOOK_SECONDS if runs else None):
            continue
        try:
            what, run, number = line.recv()
        except EOFError:
            return
        if what == "signal":
            for process in (process for process, its in runs.items() if its == run):
                os.kill(process, number)
            continue
        try:
            runs[_fork(suite, run, number)] = run
        except OSError as error:
            reason = (
                f"no process could be started for it ({error.strerror}); fewer at once need less"
            )
            line.send({"run": run, "status": reason})


def _report(line: Connection[Any, Any], runs: dict[int, str]) -> None:
    """Say which workers ended."""
    while runs:
        process, status, usage = os.wait4(-1, os.WNOHANG)
        if not process:
            return
        # Linux counts KiB, macOS bytes.
        memory = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        report = {"run": runs.pop(process), "status": os.waitstatus_to_exitcode(status)}
        line.send(report | {"cpu_seconds": usage.ru_utime + usage.ru_stime, "memory": memory})


def _fork(suite: SuiteFolder, run: str, env_threads: int) -> int:
    """Return the id of a new process that trains a run."""
    server = os.getpid()
    if process := os.fork():
        return process
    status = 1
    try:
        os.setsid()
        # In place of the line, whose end tells the server's death, and of the server's own log.
        with open(os.devnull) as nothing, suite.run(run).log_path.open("ab") as log:  # noqa: PTH123
            for file, number in ((nothing, 0), (log, 1), (log, 2)):
                os.dup2(file.fileno(), number)
        status = train(suite, run, env_threads, server)
    except BaseException:
        traceback.print_exc()
    finally:
        # Not sys.exit: what the server would do at its exit is not the worker's to do.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def train(suite: SuiteFolder, run: str, env_threads: int, parent: int) -> int:
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
        train_run(
            suite.path,
            spec,
            env_threads=env_threads,
            stop=lambda: bool(asked) or os.getppid() != parent,
            patience=PATIENCE_SECONDS,
        )
    except Interrupted as error:
        logging.info("%s", error)
        return STOPPED
    except ColonnadeError as error:
        logging.exception("%s", error)
        return error.exit_status
    return 0


def main(out: str) -> None:
    """Serve until the other end of standard input is gone."""
    # Signals to a whole process group, such as Ctrl-C's, are the executor's to act on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    suite = SuiteFolder.read(Path(out))
    for name in _PRELOADED:
        importlib.import_module(name)
    # Objects that live for good are never looked at again, so that forks keep sharing their memory.
    gc.collect()
    gc.freeze()
    serve(Connection(sys.stdin.fileno()), suite)


if __name__ == "__main__":
    main(sys.argv[1])
