"""The process that forks workers: `python -m colonnade.experiments.execution.server OUT THREADS`.

Importing torch takes seconds, which a suite of short runs would pay again and again. This process
imports it once and computes nothing; each run then gets a fork, a process of its own that can be
killed, run out of memory or crash without harm to the others.

One JSON object a line comes in, one a line goes out:

    in   {"start": RUN_ID, "log": PATH}       begin a run; its messages go to PATH
         {"signal": NUMBER, "run": RUN_ID}    send a signal to its process, if there still is one
    out  {"ready": PID}                       once, when everything is imported
         {"run": RUN_ID, "status": N, "cpu_seconds": S, "memory": BYTES}    a run's process ended;
                                              N as in `Popen.returncode`

When the input ends, which happens when the process at its other end dies, the server exits; its
workers notice the death of their parent and stop.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from colonnade.experiments.execution.worker import train
from colonnade.experiments.store.folders import SuiteFolder

_PRELOADED = (
    "colonnade.experiments.execution.run",
    # What torch and we import late: optimisers need the first, a run's first metrics the second.
    "torch._dynamo",
    "torch.utils.tensorboard.writer",
)

_READ_SIZE = 1 << 16


class WorkerServer:
    """Forks a worker for each run that is asked for.

    Args:
        suite: The output folder.
        env_threads: For the emulators of each worker.
    """

    def __init__(self, suite: SuiteFolder, env_threads: int) -> None:
        self._suite = suite
        self._env_threads = env_threads
        self._runs: dict[int, str] = {}
        self._wake, self._woken = os.pipe()
        for end in (self._wake, self._woken):
            os.set_blocking(end, False)

    def serve(self) -> None:
        """Work until the input ends."""
        # A wakeup descriptor is written to only for signals that have a handler.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        # Signals to a whole process group, such as Ctrl-C's, are the executor's to act on.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _say({"ready": os.getpid()})
        rest = b""
        while True:
            readable, _, _ = select.select([sys.stdin, self._wake], [], [])
            if self._wake in readable:
                os.read(self._wake, _READ_SIZE)
            self._report()
            if sys.stdin in readable:
                received = os.read(sys.stdin.fileno(), _READ_SIZE)
                if not received:
                    return
                *lines, rest = (rest + received).split(b"\n")
                for line in lines:
                    self._obey(json.loads(line))

    def _obey(self, order: dict[str, Any]) -> None:
        if "start" in order:
            self._fork(order["start"], Path(order["log"]))
            return
        for process, run in self._runs.items():
            if run == order["run"]:
                os.kill(process, order["signal"])

    def _report(self) -> None:
        """Say which workers ended."""
        while self._runs:
            process, status, usage = os.wait4(-1, os.WNOHANG)
            if not process:
                return
            _say(
                {
                    "run": self._runs.pop(process),
                    "status": os.waitstatus_to_exitcode(status),
                    "cpu_seconds": usage.ru_utime + usage.ru_stime,
                    # Linux counts KiB, macOS bytes.
                    "memory": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
                }
            )

    def _fork(self, run: str, log: Path) -> None:
        server = os.getpid()
        process = os.fork()
        if process:
            self._runs[process] = run
            return
        status = 1
        try:
            self._become_worker(log)
            status = train(self._suite, run, self._env_threads, server)
        except BaseException:
            traceback.print_exc()
        finally:
            # Not sys.exit: what the server would do at its exit is not the worker's to do.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _become_worker(self, log: Path) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(self._wake)
        os.close(self._woken)
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDONLY)
        written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for source, target in ((nothing, 0), (written, 1), (written, 2)):
            os.dup2(source, target)
        os.close(nothing)
        os.close(written)


def _say(message: dict[str, Any]) -> None:
    os.write(1, json.dumps(message).encode() + b"\n")


def main(arguments: list[str]) -> int:
    """Serve until the input ends."""
    out, env_threads = arguments
    suite = SuiteFolder.read(Path(out))
    for name in _PRELOADED:
        importlib.import_module(name)
    # Objects that live for good are never looked at again, so that forks keep sharing their memory.
    gc.collect()
    gc.freeze()
    WorkerServer(suite, int(env_threads)).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
