"""The command line: `colonnade suites | run | sweep | report | play | compare`, and more.

Exit status 0 for success, 1 for a failure, 2 for wrong use, 130 and 143 for Ctrl-C and SIGTERM.
Heavy packages are imported by the commands that need them, so that help and mistakes come at once.
"""

from __future__ import annotations

import logging
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Annotated, get_args

from tyro.conf import subcommand

from colonnade.cli.analyze import Analyze
from colonnade.cli.compare import Compare
from colonnade.cli.describe import Describe
from colonnade.cli.mistakes import parsed, speak_plainly, without_plugins
from colonnade.cli.play import Play
from colonnade.cli.prune import Prune
from colonnade.cli.report import Report
from colonnade.cli.run import Run
from colonnade.cli.suites import Suites
from colonnade.cli.sweep import Sweep
from colonnade.cli.weight_noise import WeightNoise
from colonnade.errors import ColonnadeError
from colonnade.parts import load_plugin

DESCRIPTION = """Continual and transfer learning for deep reinforcement learning.

`colonnade --version` prints the version; `--debug` anywhere shows where an error arose. `--plugin
MODULE` or `--plugin FILE.py` anywhere, also several times, imports parts of your own: suites,
tasks, methods, learners, columns, recognisers, recorders (docs/plugins.md).
"""

Command = (
    Annotated[Suites, subcommand("suites")]
    | Annotated[Run, subcommand("run")]
    | Annotated[Sweep, subcommand("sweep")]
    | Annotated[Report, subcommand("report")]
    | Annotated[Compare, subcommand("compare")]
    | Annotated[Play, subcommand("play")]
    | Annotated[Describe, subcommand("describe")]
    | Annotated[Analyze, subcommand("analyze")]
    | Annotated[Prune, subcommand("prune")]
    | Annotated[WeightNoise, subcommand("weight-noise")]
)

_NAMES = tuple(get_args(command)[1].name for command in get_args(Command))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    Args:
        arguments: Those of the command line if not given.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [argument for argument in given if argument != "--debug"]
    if given == ["--version"]:
        print(f"colonnade {version('colonnade')}")
        return 0
    speak_plainly()
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    try:
        with _sigterm_raises():
            given, plugins = without_plugins(given)
            for plugin in plugins:
                load_plugin(plugin)
            parsed(Command, _NAMES, DESCRIPTION, given)()
    except ColonnadeError as error:
        return _fail(str(error), error.exit_status, debug)
    except KeyboardInterrupt as error:
        return _fail("Stopped.", 143 if isinstance(error, _TerminatedError) else 130, debug)
    except BrokenPipeError:
        # Whoever read our output has had enough: nothing to say, and nobody to say it to.
        sys.stdout = None
        return 1
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        return _fail(f"An unforeseen {what}; --debug shows where it arose.", 1, debug)
    return 0


def _fail(message: str, status: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(f"colonnade: {message}", file=sys.stderr)
    return status


class _TerminatedError(KeyboardInterrupt):
    """SIGTERM came; like Ctrl-C it passes by whoever handles errors."""


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    def terminate(_: int, __: object) -> None:
        raise _TerminatedError

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
