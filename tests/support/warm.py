"""Runs a script as a process of its own would, without the seconds that its imports take.

A server that has imported the library forks a process for each script, so nothing of one script
reaches another or the tests.
"""

import multiprocessing
import os
import runpy
import sys
from pathlib import Path
from typing import NamedTuple

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["colonnade.learners", "colonnade.methods", "colonnade.tasks", "colonnade.training"]
)


class Ended(NamedTuple):
    """What `subprocess.run` would say of a script."""

    returncode: int
    stdout: str
    stderr: str


def run_script(script: Path) -> Ended:
    """Run a file as the main program, in its own folder."""
    printed = script.with_suffix(".out"), script.with_suffix(".err")
    process = _CONTEXT.Process(target=_main, args=(script, printed))
    process.start()
    process.join()
    status = process.exitcode
    assert status is not None
    return Ended(status, *(path.read_text() for path in printed))


def _main(script: Path, printed: tuple[Path, Path]) -> None:
    for stream, path in zip((1, 2), printed, strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream)
    os.chdir(script.parent)
    sys.argv = [str(script)]
    runpy.run_path(str(script), run_name="__main__")
