"""A run's metrics: one JSON object a line, appended as they come.

The file is the one record of a run's learning curve. A process that dies while it writes leaves at
most a torn last line; everything before is whole, and a resumed run goes back to the row count that
its checkpoint remembers, so no row is lost and none is there twice.

Each line ends in a check: eight digits of the SHA-256 of the file up to there, begun with the run's
id. So a digit that was changed, a line that went, and another run's file are noticed, also half-way
through a run. Lines from before there were checks have none; those after them cover them.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from array import array
from pathlib import Path
from typing import TYPE_CHECKING

from colonnade import atomic
from colonnade.atomic import LinesFile
from colonnade.errors import ColonnadeError
from colonnade.experiments.store.files import disk_errors
from colonnade.experiments.store.reading import (
    check_kind,
    checksum_of,
    is_there,
    parse_json,
    read_content,
)
from colonnade.experiments.store.rows import misfit

if TYPE_CHECKING:
    from colonnade.training import Row

logger = logging.getLogger(__name__)


CHECK = "check"
"""Key of a line's check, the last in it."""

_DIGITS = 8
_ADVICE = "restore the file, or move the run's folder elsewhere to train it again"


def read_metrics(path: Path) -> list[Row]:
    """Read all whole rows; a torn last line is left out, with a warning.

    Args:
        path: The metrics file, in its run's folder; a missing one has no rows.

    Raises:
        ColonnadeError: A line before the last is damaged, or does not belong there.
    """
    rows, torn, _ = _parse(path, read_content(path) if is_there(path) else b"")
    if torn:
        logger.warning("%s ends in a torn line, which is left out.", path)
    return rows


def read_lines(path: Path) -> list[Row]:
    """Read lines that each stand for themselves; damaged ones are passed over, with a warning.

    Args:
        path: The file; a missing one has no lines.

    Raises:
        ColonnadeError: It can't be read at all.
    """
    rows, damaged = [], []
    content = read_content(path) if is_there(path) else b""
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line:
            continue
        try:
            row = parse_json(line)
        except ValueError:
            row = None
        if isinstance(row, dict) and row.pop(CHECK, None) in (None, checksum_of(row)[:_DIGITS]):
            rows.append(row)
        else:
            damaged.append(number)
    if damaged:
        lines = f"{len(damaged)} lines" if len(damaged) > 1 else f"Line {damaged[0]}"
        logger.warning("%s of %s can't be read and is passed over.", lines, path)
    return rows


def append_line(path: Path, row: Row) -> None:
    """Add a line that `read_lines` checks, on a line of its own whatever was torn before it.

    Raises:
        ColonnadeError: Writing failed.
    """
    check_kind(path)
    line = json.dumps({**row, CHECK: checksum_of(row)[:_DIGITS]}, allow_nan=False).encode() + b"\n"
    with disk_errors(path):
        atomic.append_line(path, line)


class MetricsFile:
    """The metrics file of the run that is being trained.

    Args:
        path: The file; made if missing. A torn last line is cut, and `cut` says so.

    Raises:
        ColonnadeError: A line before the last is damaged, or the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        check_kind(path)
        with disk_errors(path):
            self._file = LinesFile(path)
            content = self._file.read()
        try:
            _, torn, self._sum = _parse(path, content)
        except ColonnadeError:
            self._file.close()
            raise
        self.cut = torn > 0
        self._ends = array("q", [0])  # the rows themselves would fill the memory over days
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
        plain = {key: finite(value) for key, value in row.items() if key != CHECK}
        head = json.dumps(plain, separators=(",", ":"), allow_nan=False).encode()[:-1]
        self._sum.update(head)
        comma = b"," if plain else b""
        line = head + comma + f'"{CHECK}":"{self._sum.hexdigest()[:_DIGITS]}"}}\n'.encode()
        with disk_errors(self._path):
            self._file.append(line)
        self._ends.append(self._ends[-1] + len(line))
        self._sum.update(line[len(head) :])

    def content(self) -> list[Row]:
        """Read all rows.

        Raises:
            ColonnadeError: Reading failed, or somebody changed the file.
        """
        with disk_errors(self._path):
            content = self._file.read(self._ends[-1])
        return _parse(self._path, content)[0]

    def rewind(self, rows: int) -> None:
        """Drop all rows after the first `rows`.

        Raises:
            ColonnadeError: There are fewer rows than that.
        """
        if rows > self.rows:
            raise ColonnadeError(
                f"{self._path} holds {self.rows} rows, but its checkpoint was written after "
                f"{rows}; restore the file, or move the run's folder elsewhere to train it again."
            )
        with disk_errors(self._path):
            self._file.cut(self._ends[rows])
        del self._ends[rows + 1 :]
        self._sum = _begun(self._path, self._file.read())

    @property
    def checksum(self) -> str:
        """Of everything written so far, and of whose it is."""
        return self._sum.hexdigest()

    def checksum_at(self, rows: int) -> str:
        """What `checksum` was after the first `rows` rows; empty where there are fewer."""
        if rows > self.rows:
            return ""
        return _begun(self._path, self._file.read(self._ends[rows])).hexdigest()

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


def _parse(path: Path, content: bytes) -> tuple[list[Row], int, hashlib._Hash]:
    """Split content into whole rows and the length of a torn last line, and sum the rows up."""
    whole, _, torn = content.rpartition(b"\n")
    rows: list[Row] = []
    so_far, checked = _begun(path), False
    for number, line in enumerate(whole.split(b"\n") if whole else (), start=1):
        head, mark, _ = line.rpartition(f'"{CHECK}":"'.encode())
        checked = checked or bool(mark)
        head = head.removesuffix(b",") if mark else line
        so_far.update(head)
        said = so_far.hexdigest()[:_DIGITS]
        so_far.update(line[len(head) :] + b"\n")
        try:
            row = parse_json(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise ColonnadeError(f"Line {number} of {path} is damaged; {_ADVICE}.")
        if checked and row.pop(CHECK, None) != said:
            raise ColonnadeError(
                f"Line {number} of {path} is not as it was written, or belongs to another run or "
                f"place: its check does not fit; {_ADVICE}."
            )
        if wrong := misfit(row):
            raise ColonnadeError(f"Line {number} of {path} {wrong}; {_ADVICE}.")
        rows.append(row)
    return rows, len(torn), so_far


def _begun(path: Path, content: bytes = b"") -> hashlib._Hash:
    """Begin a sum with the name of the folder, which is the run's id."""
    return hashlib.sha256(path.absolute().parent.name.encode() + b"\n" + content)


def finite(value: object) -> object:
    """Return None for a number that is not finite, which JSON has no word for."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
