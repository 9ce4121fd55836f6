"""Runs a script as a process of its own would, without the seconds that its imports take.

A server that has imported the library forks a process for each script, so nothing of one script
reaches another or the tests. It is not `multiprocessing`'s, of which a process has one alone.
"""

import atexit
import functools
import os
import runpy
import subprocess
import sys
import traceback
from pathlib import Path
from typing import NamedTuple

_LOADED = (
    "colonnade.experiments.trained.policies.policy",
    "colonnade.learners",
    "colonnade.methods",
    "colonnade.tasks",
    "colonnade.testing",
    "colonnade.training",
    "torch._dynamo",  # which the first optimizer of a process imports, for seconds
)


class Ended(NamedTuple):
    """What `subprocess.run` would say of a script."""

    returncode: int
    stdout: str
    stderr: str


def run_script(script: Path) -> Ended:
    """Run a file as the main program, in its own folder."""
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(f"{script}\n")
    server.stdin.flush()
    status = int(server.stdout.readline())
    return Ended(status, *(path.read_text() for path in _printed(script)))


@functools.cache
def _server() -> subprocess.Popen[str]:
    server = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(server.kill)
    return server


def _printed(script: Path) -> tuple[Path, Path]:
    return script.with_suffix(".out"), script.with_suffix(".err")


def _serve() -> None:
    for module in _LOADED:
        __import__(module)
    for line in sys.stdin:
        script = Path(line.strip())
        child = os.fork()
        if not child:
            _main(script)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _main(script: Path) -> None:
    status = 0
    for stream, path in zip((1, 2), _printed(script), strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(script.parent)
    sys.argv = [str(script)]
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    _serve()
