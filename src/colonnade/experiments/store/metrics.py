"""A run's metrics: one JSON object a line, appended as they come.

The file is the one record of a run's learning curve. A process that dies while it writes leaves at
most a torn last line; everything before is whole, and a resumed run goes back to the row count that
its checkpoint remembers, so no row is lost and none is there twice.
"""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING

from colonnade.atomic import LinesFile
from colonnade.errors import ColonnadeError
from colonnade.experiments.store.files import disk_errors

if TYPE_CHECKING:
    from colonnade.training import Row

logger = logging.getLogger(__name__)


def read_metrics(path: Path) -> list[Row]:
    """Read all whole rows; a torn last line is left out, with a warning.

    Args:
        path: The metrics file; a missing one has no rows.

    Raises:
        ColonnadeError: A line before the last is damaged.
    """
    rows, torn = _parse(path, path.read_bytes() if path.exists() else b"")
    if torn:
        logger.warning("%s ends in a torn line, which is left out.", path)
    return rows


class MetricsFile:
    """The metrics file of the run that is being trained.

    Args:
        path: The file; made if missing. A torn last line is cut, and `cut` says so.

    Raises:
        ColonnadeError: A line before the last is damaged, or the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with disk_errors(path):
            self._file = LinesFile(path)
            content = self._file.read()
        try:
            self.content, torn = _parse(path, content)
        except ColonnadeError:
            self._file.close()
            raise
        self.cut = torn > 0
        self._ends = [0]
        for line in content[: len(content) - torn].splitlines(keepends=True):
            self._ends.append(self._ends[-1] + len(line))
        if self.cut:
            with disk_errors(path):
                self._file.cut(self._ends[-1])

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self._ends) - 1

    def append(self, row: Row) -> None:
        """Add a row; numbers that are not finite are written as null.

        Raises:
            ColonnadeError: Writing failed.
        """
        finite = {key: _finite(value) for key, value in row.items()}
        line = json.dumps(finite, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        with disk_errors(self._path):
            self._file.append(line)
        self._ends.append(self._ends[-1] + len(line))

    def rewind(self, rows: int) -> None:
        """Drop all rows after the first `rows`.

        Raises:
            ColonnadeError: There are fewer rows than that.
        """
        if rows > self.rows:
            raise ColonnadeError(
                f"{self._path} holds {self.rows} rows, but its checkpoint was written after "
                f"{rows}; restore the file, or delete the run's folder to train it again."
            )
        with disk_errors(self._path):
            self._file.cut(self._ends[rows])
        del self._ends[rows + 1 :]

    def sync(self) -> None:
        """Wait until every row is on the disk.

        Raises:
            ColonnadeError: Writing failed.
        """
        with disk_errors(self._path):
            self._file.sync()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _parse(path: Path, content: bytes) -> tuple[list[Row], int]:
    """Split content into whole rows and the length of a torn last line."""
    whole, _, torn = content.rpartition(b"\n")
    rows: list[Row] = []
    for number, line in enumerate(whole.split(b"\n") if whole else (), start=1):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise ColonnadeError(
                f"Line {number} of {path} is damaged; restore the file, or delete the run's "
                "folder to train it again."
            )
        rows.append(row)
    return rows, len(torn)


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value
