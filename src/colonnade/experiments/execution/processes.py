"""Runs trained by processes of this machine."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from colonnade.errors import ColonnadeError, HungError
from colonnade.experiments.execution.resources import Resources, this_machine
from colonnade.experiments.execution.workers import Ended
from colonnade.experiments.store.files import disk_errors
from colonnade.experiments.store.folders import RunFolder
from colonnade.parts.plugins import loaded_plugins
from colonnade.watching import START_SECONDS, Watch, limit, silence

STOPPED = 143
"""Exit status of a worker that was asked to stop: 128 + SIGTERM."""

PATIENCE_SECONDS = 60.0
"""How long a worker waits for one before it that ends; what that one started may end later."""

_EXIT_SECONDS = 5.0


class ForkedWorkers:
    """Workers forked from a `server`, so that torch is imported once for all of them.

    Args:
        suite: The output folder.
        log: Name of the server's log in it.
        plugins: What the server loads; by default the plugins of this process.
        patience: Seconds that a run waits for a process before it that still writes its folder.

    Attributes:
        ready: Whether the server has imported all that runs need.
    """

    def __init__(
        self,
        suite: Path,
        log: str = "workers.txt",
        plugins: Sequence[str] | None = None,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._suite = suite
        self._log = suite / log
        self._plugins = loaded_plugins() if plugins is None else plugins
        self._patience = patience
        self._server: subprocess.Popen[bytes] | None = None
        self._line: Connection[Any, Any]
        self._running: set[str] = set()
        self._silent: dict[str, float] = {}
        self._heard = 0
        self._watch = self._new_watch()
        self.ready = False

    def machines(self, runs: int) -> Sequence[Resources]:
        """Return this machine."""
        whole = this_machine()
        return [replace(whole, cores=max(whole.cores, runs))]

    def open(self) -> None:
        """Start the server if there is none; `ended` hears when it is ready.

        Raises:
            ColonnadeError: It can't be started.
        """
        if self._server is None:
            self._start_server()

    def start(self, run: str, share: Resources, gpu: str = "") -> None:
        """Begin to train a run, starting the server if there is none.

        Args:
            run: Its id.
            share: What it has of the machine.
            gpu: The GPU that it sees, by its number or id; empty for all that the server sees.
        """
        self._running.add(run)
        self.open()
        self._tell("start", run, share.cores, gpu)

    def stop(self, run: str) -> None:
        """Ask a run's process to stop after its next update."""
        self._tell("signal", run, signal.SIGTERM)

    def kill(self, run: str) -> None:
        """End a run's process at once."""
        self._tell("signal", run, signal.SIGKILL)

    def ended(self, seconds: float) -> list[Ended]:
        """Return the run whose process ended; all of them where the server has died.

        Raises:
            ColonnadeError: The server can't be started.
        """
        if self._server is None:
            if not self._running:
                time.sleep(seconds)
            return self._forget("there is no process to fork it from")
        try:
            message = self._line.recv() if self._line.poll(seconds) else None
        except (EOFError, OSError):
            return self._lost()
        if message is None:
            if self._watch.hangs(busy=bool(self._running)):
                self._server.kill()
                return self._lost(silence(self._watch.silent))
            return []
        self._heard += 1
        self.ready = True
        self._silent = message.get("silent", self._silent)
        if "run" not in message:
            return []
        self._running.discard(message["run"])
        self._silent.pop(message["run"], None)
        return [ending(RunFolder(self._suite / "runs" / message.pop("run")), **message)]

    def silent(self) -> Mapping[str, float]:
        """Say for how many seconds runs have given no sign of life."""
        return self._silent

    def close(self) -> None:
        """End the server, and with it the workers that are left."""
        if self._server is None:
            return
        self._line.close()
        try:
            self._server.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        self._server = None

    def _start_server(self) -> None:
        if not hasattr(os, "fork"):
            raise ColonnadeError(
                "Runs are trained by processes that are forked, which this system can't do (it has "
                "no os.fork); use Linux, macOS or WSL, or train in Python with "
                "colonnade.training.train_sequence."
            )
        # OpenMP and OpenBLAS read these when torch and numpy are imported; OpenMP's threads would
        # otherwise spin while they wait, and slow the emulators down. How many a run's network has
        # is in its spec, since sums depend on it.
        threads = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
        # -P: what lies in the current folder takes the place of no package.
        told = (str(self._suite), str(os.getpid()), str(limit()), str(self._patience))
        command = [
            sys.executable,
            "-P",
            "-m",
            "colonnade.experiments.execution",
            *told,
            *self._plugins,
        ]
        ours, theirs = socket.socketpair()
        with theirs, disk_errors(self._log), self._log.open("wb") as log:
            # A session of its own: a Ctrl-C at the terminal reaches the executor alone.
            self._server = subprocess.Popen(
                command,
                stdin=theirs.fileno(),
                stdout=log,
                stderr=log,
                env=os.environ | threads,
                start_new_session=True,
            )
        self._line = Connection(ours.detach())

    def _new_watch(self) -> Watch:
        return Watch(lambda: self._heard, START_SECONDS)

    def _tell(self, *order: object) -> None:
        # Where the server has died, `ended` meets the end of the line and says what is lost.
        if self._server is not None:
            with suppress(OSError):
                self._line.send(order)

    def _lost(self, how: str = "was ended") -> list[Ended]:
        """Take note of the server's death: its workers end, and what they came to is not known."""
        assert self._server is not None
        server = self._server
        self.close()
        # One that a signal ended may do better the next time; one that gave up will not.
        if not self.ready and server.returncode >= 0:
            raise ColonnadeError(
                f"No worker could be started: {last_line(self._log) or 'its process was ended'} "
                f"({self._log})."
            )
        self._watch = self._new_watch()
        self.ready = False
        return self._forget(f"the process that all runs are forked from {how}")

    def _forget(self, reason: str) -> list[Ended]:
        """Take note that nothing trains."""
        lost = [Ended(run, "lost", reason) for run in sorted(self._running)]
        self._running.clear()
        self._silent = {}
        return lost


def ending(folder: RunFolder, status: int | str, **used: Any) -> Ended:
    """Say what the run of a folder came to from `status`, as the server tells it."""
    run, said = folder.id, folder.status()
    if folder.done:
        return Ended(run, "finished", **used)
    if isinstance(status, str):
        return Ended(run, "failed", status + _place(said), passing=True, **used)
    if status < 0:
        # Nothing but another process, or a system without memory, ends one by SIGKILL.
        outcome: Literal["lost", "failed"] = "lost" if status == -signal.SIGKILL else "failed"
        reason = _killed(-status, used.get("memory", 0))
        return Ended(run, outcome, reason + _place(said), **used)
    reason = str(said.get("error") or "")
    if not reason and status in (1, 2):  # Python's own, after what stands in the log
        reason = last_line(folder.log_path)
    reason = reason or (
        f"its process ended with status {status} and without a word, as where an environment or a "
        f"library calls os._exit{_place(said)}"
    )
    if said.get("kind") == HungError.__name__:
        return Ended(run, "lost", reason, **used)
    if status == STOPPED:
        return Ended(run, "stopped", reason, **used)
    full = said.get("kind") == "DiskFullError"
    return Ended(run, "failed", reason, bool(said.get("error")) and not full, full, **used)


def _place(said: Mapping[str, Any]) -> str:
    """Say in which task and step a run was, as far as it has told."""
    progress = said.get("progress") or {}
    if "task" not in progress or "step" not in progress:
        return ""
    return f", soon after step {progress['step']:,} of task {progress['task']!r}"


def _killed(number: int, memory: int) -> str:
    reason = f"its process was ended by signal {number} ({signal.Signals(number).name})"
    if number == signal.SIGKILL and memory:
        reason += (
            f", as the system does when memory runs out; it held {memory / 2**30:.1f} GiB at most, "
            "and fewer runs at once need less"
        )
    return reason


def last_lines(log: Path, count: int) -> list[str]:
    """Return the last lines of a log that say something."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return [line for line in text.splitlines() if line.strip()][-count:]


def last_line(log: Path) -> str:
    """Take the sentence of the error that a log ends with."""
    return "".join(
        re.sub(r"^[\w.]+(Error|Exception|Interrupted): ", "", line) for line in last_lines(log, 1)
    )
