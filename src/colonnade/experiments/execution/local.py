"""Processes that train runs, as the executor sees them."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from colonnade.errors import ColonnadeError
from colonnade.experiments.store.files import disk_errors

_READ_SIZE = 1 << 16
_EXIT_SECONDS = 5.0

_KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
}
"""Asks glibc to keep memory that the next minibatch needs again: 512 frames in float32 are 58 MB,
and to get those anew takes as long as to convolve them. Other systems ignore it."""


@dataclass(frozen=True)
class Ended:
    """A run's process that is no more.

    Attributes:
        run: Id of the run.
        status: Exit status; minus the signal's number where one ended it; None where the process
            that could have told has died.
        cpu_seconds: Processor time it used.
        memory: The most memory it held, in bytes.
    """

    run: str
    status: int | None
    cpu_seconds: float = 0.0
    memory: int = 0


class Workers(Protocol):
    """What the executor asks of whoever runs its processes."""

    def start(self, run: str, log: Path) -> None:
        """Begin to train a run; its process appends its messages to `log`."""
        ...

    def ended(self, seconds: float) -> list[Ended]:
        """Return the processes that ended since the last call; wait for one that long at most."""
        ...

    def signal(self, run: str, number: int) -> None:
        """Send a signal to a run's process, if there still is one."""
        ...

    def close(self) -> None:
        """Let go of everything; processes that still run are asked to stop."""
        ...


class ForkedWorkers:
    """Workers forked from a `worker_server`, so that torch is imported once for all of them.

    Args:
        suite: The output folder.
        env_threads: For the emulators of each worker.
    """

    def __init__(self, suite: Path, env_threads: int) -> None:
        self._suite = suite
        self._env_threads = env_threads
        self._server: subprocess.Popen[bytes] | None = None
        self._running: set[str] = set()
        self._ready = False
        self._rest = b""

    @property
    def _log(self) -> Path:
        return self._suite / "workers.txt"

    def start(self, run: str, log: Path) -> None:
        """Begin to train a run, starting the server if there is none."""
        if self._server is None:
            self._server = self._start_server()
        self._running.add(run)
        self._tell(self._server, {"start": run, "log": str(log)})

    def ended(self, seconds: float) -> list[Ended]:
        """Return the processes that ended; all of them where the server has died."""
        if self._server is None:
            time.sleep(seconds)
            return []
        output = self._server.stdout
        assert output is not None
        if not select.select([output], [], [], seconds)[0]:
            return []
        received = os.read(output.fileno(), _READ_SIZE)
        if not received:
            return self._lost()
        *lines, self._rest = (self._rest + received).split(b"\n")
        messages = [json.loads(line) for line in lines]
        self._ready = self._ready or any("ready" in message for message in messages)
        ended = [Ended(**message) for message in messages if "run" in message]
        self._running -= {end.run for end in ended}
        return ended

    def signal(self, run: str, number: int) -> None:
        """Send a signal through the server, which knows whether the process is still the run's."""
        if self._server is not None:
            self._tell(self._server, {"signal": number, "run": run})

    def close(self) -> None:
        """End the server; workers without it stop by themselves."""
        if self._server is None:
            return
        for pipe in (self._server.stdin, self._server.stdout):
            assert pipe is not None
            pipe.close()
        try:
            self._server.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        self._server = None

    def _start_server(self) -> subprocess.Popen[bytes]:
        # OpenMP and OpenBLAS read these when torch and numpy are imported; OpenMP's threads would
        # otherwise spin while they wait, and slow the emulators down. How many a run's network has
        # is in its spec, since sums depend on it.
        environment = (
            _KEEP_MEMORY
            | os.environ
            | {
                "OMP_NUM_THREADS": "1",
                "OMP_WAIT_POLICY": "passive",
            }
        )
        module = "colonnade.experiments.execution.server"
        with disk_errors(self._log), self._log.open("wb") as log:
            # A session of its own: a Ctrl-C at the terminal reaches the executor alone.
            return subprocess.Popen(
                [sys.executable, "-m", module, str(self._suite), str(self._env_threads)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                bufsize=0,
                start_new_session=True,
            )

    def _tell(self, server: subprocess.Popen[bytes], order: dict[str, object]) -> None:
        assert server.stdin is not None
        # Where the server has died, `ended` sees the end of its output and says what is lost.
        with suppress(BrokenPipeError):
            server.stdin.write(json.dumps(order).encode() + b"\n")

    def _lost(self) -> list[Ended]:
        """Take note of the server's death: its workers stop, and what they came to is not known."""
        assert self._server is not None
        server = self._server
        self.close()
        # One that a signal ended may do better the next time; one that gave up will not.
        if not self._ready and server.returncode >= 0:
            raise ColonnadeError(
                f"No worker could be started: {last_line(self._log) or 'its process was ended'} "
                f"({self._log})."
            )
        self._ready, self._rest = False, b""
        lost = [Ended(run, None) for run in sorted(self._running)]
        self._running.clear()
        return lost


def last_lines(log: Path, count: int) -> list[str]:
    """Return the last lines of a log that say something."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return [line for line in text.splitlines() if line.strip()][-count:]


def last_line(log: Path) -> str:
    """Take the sentence of the error that a log ends with."""
    return "".join(
        re.sub(r"^[\w.]+(Error|Exception|Interrupted): ", "", line) for line in last_lines(log, 1)
    )
