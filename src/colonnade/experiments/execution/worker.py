"""Training one run in a process of its own.

`python -m colonnade.experiments.execution.worker OUT RUN_ID ENV_THREADS` trains one run; `server`
trains many, each in a fork. Messages go to standard error, which is the run's log.txt; how far it
is and what went wrong go to status.json. SIGTERM asks a worker to stop, as does the death of its
parent.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path

from colonnade.errors import ColonnadeError
from colonnade.experiments.store.folders import SuiteFolder

STOPPED = 143
"""Exit status of a worker that was asked to stop: 128 + SIGTERM."""

PATIENCE_SECONDS = 60.0
"""A worker whose parent was killed notices at its next update; its successor waits that long."""


def train(suite: SuiteFolder, run_id: str, env_threads: int, parent: int) -> int:
    """Train one run in this process, which does nothing else, and return the exit status.

    Args:
        suite: The output folder.
        run_id: Which of its runs.
        env_threads: For the emulators.
        parent: Id of the process whose death asks this one to stop.
    """
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: asked.append(received))
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    # torch is imported here, after the handlers are in place.
    from colonnade.experiments.execution.run import train_run
    from colonnade.training import Interrupted

    spec = next(spec for spec in suite.plan.runs if spec.id == run_id)
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


def main(arguments: list[str]) -> int:
    """Train one run and return the exit status."""
    parent = os.getppid()
    out, run_id, env_threads = arguments
    return train(SuiteFolder.read(Path(out)), run_id, int(env_threads), parent)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
