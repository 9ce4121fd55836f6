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
from colonnade.experiments.store.metrics import MetricsFile
from colonnade.experiments.store.notes import NOTES, read_notes, write_notes
from colonnade.experiments.store.reading import check_folder, is_there
from colonnade.training import Progress, Row

if TYPE_CHECKING:
    from torch import Tensor
    from torch.utils.tensorboard.writer import SummaryWriter

logger = logging.getLogger(__name__)

_STATUS_SECONDS = 0.5

_OWN = "recorder"
"""Key of what the recorder adds to a checkpoint: whose it is, and the metrics it belongs to."""

_TOLD_APART = ("task", "tested", "other", "policy", "layer")
"""Fields of a row that say what its numbers are of."""

_NO_CURVES = ("step", "width", "task_index", "tested_index", "depth")
"""Fields of a row that are places and no measures."""


class RunRecorder:
    """Writes metrics, checkpoints, status and TensorBoard events; a `training.Recorder`.

    A context: while it is open, no other process can write the folder.

    Args:
        folder: Where to write.
        spec: What is being run.
        stop: Asked between updates whether to stop.
        patience: How many seconds to wait for another process that writes the folder.
    """

    def __init__(
        self,
        folder: RunFolder,
        spec: RunSpec,
        stop: Callable[[], bool] = lambda: False,
        patience: float = 0.0,
    ) -> None:
        self.folder = folder
        self.notes: list[str] = []
        self._spec = spec
        self._stop = stop
        self._offsets = [0, *accumulate(task.steps for task in spec.tasks)]
        self._lock = FolderLock(folder.path, patience)
        self._notes_path = folder.path / NOTES
        self._checkpoints = CheckpointFiles(folder.path, self.note)
        self._metrics: MetricsFile
        self._events: SummaryWriter | None = None
        self._reach = 0
        self._progress: Progress | None = None
        self._written = 0.0

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
            self._reach = self._reach_of(self._metrics.content)
        except BaseException:
            self._lock.__exit__()
            raise
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Write the last status and free the folder."""
        try:
            # What went wrong first is what counts: closing must not hide it.
            with suppress(OSError, ColonnadeError) if error else disk_errors(self.folder.path):
                if self._events is not None:
                    self._events.close()
                self._metrics.close()
                self.write_status(error)
        finally:
            self._lock.__exit__()

    @property
    def rows(self) -> int:
        """Number of metrics rows."""
        return self._metrics.rows

    def append(self, row: Row) -> None:
        """Add a metrics row, and draw its numbers in TensorBoard."""
        self._metrics.append(row)
        events = self._tensorboard()
        self._reach = max(self._reach, self._reach_of([row]))
        # What is measured of the networks in the end stands at the end of the whole sequence.
        place = self._reach_of([row]) if "task_index" in row else self._reach
        with disk_errors(self.folder.path):
            for name, value in row.items():
                if name not in _NO_CURVES and isinstance(value, int | float):
                    events.add_scalar(_tag(row, name), value, place)

    def rewind(self, rows: int) -> None:
        """Drop metrics rows written after a checkpoint."""
        self._metrics.rewind(rows)
        if self._events is not None:  # opened anew, TensorBoard hides the rows dropped here
            self._events.close()
            self._events = None
        self._reach = self._reach_of(self._metrics.content[:rows])

    def save_checkpoint(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Keep a checkpoint, and of the older ones the newest."""
        self._metrics.sync()
        own = {"run": self._spec.id, "metrics": self._metrics.checksum}
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
        if own and self._metrics.checksum_at(meta["rows"]) != own["metrics"]:
            raise ColonnadeError(
                f"{self.folder.metrics_path} is not as it was when {self._checkpoints.newest} was "
                "written; restore the file, or delete the run's folder to train it again."
            )
        return tensors, meta

    def _check_owner(self, path: Path, meta: dict[str, Any]) -> None:
        """Refuse a checkpoint of another run."""
        run = meta.get(_OWN, {}).get("run", self._spec.id)
        if run != self._spec.id:
            raise ColonnadeError(f"{path} is of run {run}.")

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
        progress = asdict(self._progress) if self._progress else None
        if self._progress:
            done = self._offsets[self._progress.task_index] + self._progress.step
            progress = {**asdict(self._progress), "run_step": done}
        status = {
            "pid": os.getpid(),
            "progress": progress,
            "notes": self.notes,
            "error": _sentence(error) if error else None,
            "kind": type(error).__name__ if error else None,
        }
        write_json(self.folder.path / "status.json", status)

    def _reach_of(self, rows: Sequence[Row]) -> int:
        """The furthest that rows lie on the axis of all steps of the sequence."""
        known = [row for row in rows if "task_index" in row]
        return max(
            (self._offsets[row["task_index"]] + row.get("step", 0) for row in known), default=0
        )

    def _tensorboard(self) -> SummaryWriter:
        if self._events is None:
            from torch.utils.tensorboard.writer import SummaryWriter

            # TensorBoard hides older events from the purge step on: rows that were rewound.
            purge = self._reach + 1 if self._reach else 0
            with disk_errors(self.folder.path):
                self._events = SummaryWriter(str(self.folder.path), purge_step=purge)
        return self._events


def _tag(row: Row, name: str) -> str:
    """Name a number of a row, so that what differs has another tag: tasks, policies, layers."""
    return "/".join([row["kind"], *(str(row[key]) for key in _TOLD_APART if key in row), name])


def _sentence(error: BaseException) -> str:
    """Name an error; ours say by themselves what they are."""
    return str(error) if isinstance(error, ColonnadeError) else f"{type(error).__name__}: {error}"
