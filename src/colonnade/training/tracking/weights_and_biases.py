"""Weights & Biases, online or offline."""

from __future__ import annotations

import json
import os
import secrets
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from colonnade.atomic import write_atomically
from colonnade.errors import ColonnadeError, UsageError
from colonnade.watching import beat

PROJECT = "colonnade"
"""Where runs go unless WANDB_PROJECT says otherwise."""

_BEGIN_SECONDS = 30
_END_SECONDS = 60.0
_BLOCK = 32 * 1024
_WHOLE, _LAST = 1, 4
"""Of the records in a file of Weights & Biases: whole ones, and the last pieces of others."""


class WeightsAndBiases:
    """Sends numbers to a run of Weights & Biases; a `Tracker`.

    Training that was cut off goes on in the same run, whose id stands in the folder: what the run
    lacks, since its process was killed before it was sent, is sent again, and nothing twice. What
    the package's own variables say holds: WANDB_MODE=offline keeps everything in the folder, for
    `wandb sync`; WANDB_PROJECT, WANDB_ENTITY and others say where runs go.

    Args:
        folder: Where its id and the package's own files lie.
        label: What people call the run.
        group: Runs that belong together, such as those of a suite.
        config: What the run is of, as JSON data.
        project: Unless WANDB_PROJECT says otherwise.
    """

    name = "Weights & Biases"

    def __init__(
        self,
        folder: str | Path,
        *,
        label: str | None = None,
        group: str | None = None,
        config: Mapping[str, Any] | None = None,
        project: str = PROJECT,
    ) -> None:
        self._folder = Path(folder)
        self._options: dict[str, Any] = {
            "name": label,
            "group": group,
            "config": dict(config or {}),
        }
        self._project = project
        self._run: Any = None
        self._next = 0

    def begin(self, number: int, reach: int) -> int:
        """Open the run, or go on in it; see `Tracker`.

        Raises:
            ColonnadeError: The package is not installed.
            Exception: Whatever the package raises, such as that nobody is logged in.
        """
        if self._run is None:
            check_installed()
            import wandb

            self._folder.mkdir(parents=True, exist_ok=True)
            run_id = self._id()
            self._run = wandb.init(
                project=os.environ.get("WANDB_PROJECT", self._project),
                id=run_id,
                resume="allow",
                reinit="create_new",
                dir=str(self._folder),
                settings=wandb.Settings(console="off", silent=True, init_timeout=_BEGIN_SECONDS),
                **self._options,
            )
            self._run.define_metric("steps")
            self._run.define_metric("*", step_metric="steps")
            self._next = max(self._run.step, kept_offline(self._folder, run_id))
        return min(self._next, number)

    def add(self, number: int, place: int, numbers: Mapping[str, float]) -> None:
        """Send the numbers of a row that the run does not have yet."""
        if number >= self._next:
            self._run.log({**numbers, "steps": place}, step=number)
            self._next = number + 1

    def pause(self) -> None:
        """Do nothing: what the run has comes again alike, and is passed over."""

    def close(self, *, failed: bool) -> None:
        """Send what is left, for so long as a person would wait.

        Raises:
            ColonnadeError: That was not long enough.
        """
        if self._run is None:
            return
        run, self._run = self._run, None
        ending = threading.Thread(target=_end, args=(run, failed), daemon=True)
        ending.start()
        limit = time.monotonic() + _END_SECONDS
        while ending.is_alive() and time.monotonic() < limit:
            beat()
            ending.join(0.1)
        if ending.is_alive():
            raise ColonnadeError(
                f"not everything was sent within {_END_SECONDS:.0f} seconds; `wandb sync` sends "
                f"what lies in {self._folder / 'wandb'}"
            )

    def _id(self) -> str:
        """Return the run's id, which the folder keeps."""
        path = self._folder / "wandb.json"
        with suppress(OSError, ValueError, KeyError, TypeError):
            return str(json.loads(path.read_text())["id"])
        run_id = secrets.token_hex(6)
        write_atomically(path, json.dumps({"id": run_id}).encode())
        return run_id


def check_installed() -> None:
    """Refuse to record with a package that is not there.

    Raises:
        UsageError: It is not.
    """
    if find_spec("wandb") is None:
        raise UsageError(
            "To record with Weights & Biases takes the package wandb, which is not installed; "
            "install colonnade[wandb]."
        )


def kept_offline(folder: Path, run_id: str) -> int:
    """Say how many rows of a run lie in its offline files, which nobody can be asked for.

    What is written last is lost where a process is killed; so they are read.
    """
    rows = [0]
    for path in folder.glob(f"wandb/offline-run-*/run-{run_id}.wandb"):
        with suppress(Exception):  # a file that is torn, or of another form: what it holds counts
            rows += [number + 1 for number in _numbers(path.read_bytes())]
    return max(rows)


def _numbers(content: bytes) -> Iterator[int]:
    """Yield the rows' numbers in a file: records of protocol buffers in LevelDB's log format."""
    from wandb.proto import wandb_internal_pb2

    made: Any = wandb_internal_pb2
    for piece in _records(content):
        record = made.Record()
        record.ParseFromString(piece)
        if record.WhichOneof("record_type") != "history":
            continue
        for item in record.history.item:
            if "_step" in (item.key, *item.nested_key):
                yield int(item.value_json)


def _records(content: bytes) -> Iterator[bytes]:
    place, pieces = 7, b""  # after the file's head
    while place + 7 <= len(content):
        if (left := _BLOCK - place % _BLOCK) < 7:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        pieces += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (_WHOLE, _LAST):
            yield pieces
            pieces = b""


def _end(run: Any, failed: bool) -> None:
    """Finish a run; the last one of this process takes the package's own process with it."""
    import wandb

    with suppress(Exception):
        run.finish(exit_code=int(failed))
        if wandb.run is None:
            wandb.teardown()
