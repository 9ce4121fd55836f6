"""Writing the folder of the run that is being trained."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colonnade.atomic import remove_unfinished
from colonnade.errors import ColonnadeError
from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.store.checkpoints import CheckpointFiles
from colonnade.experiments.store.files import (
    begin_folder,
    disk_errors,
    write_json,
    write_plain_json,
)
from colonnade.experiments.store.folders import RunFolder
from colonnade.experiments.store.lock import FolderLock
from colonnade.experiments.store.metrics import MetricsFile, finite
from colonnade.experiments.store.notes import NOTES, read_notes, write_notes
from colonnade.experiments.store.reading import check_folder, is_there
from colonnade.records import shown
from colonnade.training import Interrupted, Progress, Row
from colonnade.training.tracking import TensorBoard, Tracker, Trackers

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)

_STATUS_SECONDS = 0.5

_OWN = "recorder"
"""Key of what the recorder adds to a checkpoint: whose it is, and the metrics it belongs to."""


class RunRecorder:
    """Writes metrics, checkpoints and status, and shows rows to trackers; a `training.Recorder`.

    A context: while it is open, no other process can write the folder.

    Args:
        folder: Where to write.
        spec: What is being run.
        stop: Asked between updates whether to stop.
        patience: How many seconds to wait for another process that writes the folder.
        trackers: To whom the rows are shown; TensorBoard, in the folder, if not given.
    """

    def __init__(
        self,
        folder: RunFolder,
        spec: RunSpec,
        stop: Callable[[], bool] = lambda: False,
        patience: float = 0.0,
        trackers: Sequence[Tracker] | None = None,
    ) -> None:
        self.folder = folder
        self.notes: list[str] = []
        self._spec = spec
        self._stop = stop
        steps = [part.steps for part in spec.visits or spec.tasks]
        self._offsets = [0, *accumulate(steps)]
        self._lock = FolderLock(folder.path, patience)
        self._notes_path = folder.path / NOTES
        self._checkpoints = CheckpointFiles(folder.path, self.note)
        self._metrics: MetricsFile
        shown = [TensorBoard(folder.path)] if trackers is None else trackers
        self._trackers = Trackers(shown, lambda: self._metrics.content(), self.note, steps)
        self._progress: Progress | None = None
        self._written = 0.0
        self.started = time.time()

    def __enter__(self) -> RunRecorder:
        """Lock the folder, and begin it or go on in it.

        Raises:
            ColonnadeError: It is locked, damaged, another run's, or can't be written.
        """
        path = self.folder.path
        begin_folder(path)
        self._lock.__enter__()
        try:
            # Under the lock nobody else writes here: these were left by a process that was killed.
            check_folder(path)
            with disk_errors(path):
                remove_unfinished(path)
            if not is_there(path / "spec.json") and not is_there(self.folder.metrics_path):
                write_plain_json(path / "spec.json", self._spec.to_json())
            if self.folder.spec != self._spec:
                raise ColonnadeError(f"{path} holds another run; choose another --out.")
            self.notes += read_notes(self._notes_path)  # of earlier sessions
            self._metrics = MetricsFile(self.folder.metrics_path)
            if self._metrics.cut:
                self.note(f"The last line of {self.folder.metrics_path} was torn and is cut.")
        except BaseException:
            self._lock.__exit__()
            raise
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Write the last status and free the folder."""
        try:
            # What went wrong first is what counts: closing must not hide it.
            with suppress(OSError, ColonnadeError) if error else disk_errors(self.folder.path):
                self._metrics.close()
                failed = error is not None and not isinstance(error, Interrupted)
                self._trackers.close(failed=failed)
                self.write_status(error)
        finally:
            self._lock.__exit__()

    @property
    def rows(self) -> int:
        """Number of metrics rows."""
        return self._metrics.rows

    def append(self, row: Row) -> None:
        """Add a metrics row, and show it to the trackers."""
        self._metrics.append(row)
        self._trackers.append(row, self._metrics.rows - 1)

    def rewind(self, rows: int) -> None:
        """Drop metrics rows written after a checkpoint."""
        if rows != self._metrics.rows:
            self._trackers.rewind()
        self._metrics.rewind(rows)

    def save_checkpoint(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Keep a checkpoint, and of the older ones the newest."""
        self._metrics.sync()
        own = {
            "run": self._spec.id,
            "metrics": self._metrics.checksum,
            "started": self.started,
        }
        self._checkpoints.save(tensors, {**meta, _OWN: own})

    def load_checkpoint(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return the newest whole checkpoint; damaged ones are set aside, and a note says so.

        Where there is none the run starts from the beginning, without any rows.
        """
        found = self._checkpoints.load(self._check_owner)
        if found is None:
            self.rewind(0)
            return None
        tensors, meta = found
        own = meta.pop(_OWN, {})  # of older versions none
        if own and self._metrics.checksum_at(meta["rows"]) != own.get("metrics"):
            raise ColonnadeError(
                f"{self.folder.metrics_path} is not as it was when {self._checkpoints.newest} was "
                "written; restore the file, or move the run's folder elsewhere to train it again."
            )
        if isinstance(began := own.get("started"), int | float):
            self.started = min(self.started, began)
        return tensors, meta

    def _check_owner(self, path: Path, meta: dict[str, Any]) -> None:
        """Refuse a checkpoint of another run, or one that does not say of which it is."""
        own = meta.get(_OWN, {"run": self._spec.id})  # of older versions none
        if not isinstance(own, dict) or own.get("run") != self._spec.id:
            said = own.get("run") if isinstance(own, dict) else own
            raise ColonnadeError(f"{path} is of run {shown(said)}.")

    def sync(self) -> None:
        """Wait until every row is on the disk."""
        self._metrics.sync()

    def clear_checkpoints(self) -> None:
        """Remove the checkpoints of a run that is complete, damaged ones too."""
        self._checkpoints.clear()

    def progress(self, progress: Progress) -> None:
        """Show how far the run is."""
        self._progress = progress
        if time.monotonic() - self._written >= _STATUS_SECONDS:
            self.write_status()

    def should_stop(self) -> bool:
        """Say whether a stop was asked for."""
        return self._stop()

    def note(self, message: str) -> None:
        """Say something that the user should know, now and in the result; there only once."""
        logger.warning(message)
        line = " ".join(message.split())
        if line in self.notes:  # by a session that was cut off before its next checkpoint
            return
        self.notes.append(line)
        write_notes(self._notes_path, self.notes)

    def write_status(self, error: BaseException | None = None) -> None:
        """Write status.json, which a process that waits for this one reads."""
        self._written = time.monotonic()
        progress = None
        if (now := self._progress) is not None:
            place = now.task_index if now.visit is None else now.visit
            # The last steps of a visit may be past its budget.
            done = min(self._offsets[place] + now.step, self._offsets[place + 1])
            progress = {key: finite(value) for key, value in asdict(now).items()}
            progress["run_step"] = done
        status = {
            "pid": os.getpid(),
            "progress": progress,
            "notes": self.notes,
            "error": _sentence(error) if error else None,
            "kind": type(error).__name__ if error else None,
        }
        write_json(self.folder.path / "status.json", status)


def _sentence(error: BaseException) -> str:
    """Name an error; ours say by themselves what they are."""
    return str(error) if isinstance(error, ColonnadeError) else f"{type(error).__name__}: {error}"
