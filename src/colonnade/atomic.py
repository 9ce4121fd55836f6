"""All that the library writes to disk: whole files, and lines at the end of a file.

Whenever a process dies, whatever the disk does, and even if the power fails, a file that
`write_atomically` writes holds its old content or the new, and a file of lines is whole up to its
last line. Everything here goes through the functions of `os` that name the system calls, so that a
harness can stand in their way; nothing else in the library opens a file to write to it, except for
logs and TensorBoard's events, which may be lost without harm.
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Self

Part = bytes | bytearray | memoryview

_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EBADF)
"""How file systems answer that know nothing of syncing a folder."""

_YOUNG_SECONDS = 60.0


def write_atomically(path: Path, content: bytes | Iterable[Part]) -> None:
    """Write to a temporary name, wait for the disk, rename, and wait for the folder too.

    What processes that are gone left of earlier attempts is removed.

    Args:
        path: The file to make or replace.
        content: What it is to hold, in one piece or in several.

    Raises:
        OSError: Writing failed; the file is as it was.
    """
    _remove_left_over(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            for part in (content,) if isinstance(content, bytes) else content:
                _write_all(file, part)
            os.fsync(file)
        finally:
            os.close(file)
        os.replace(temporary, path)  # noqa: PTH105
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, so that they outlive a power cut; or find them there."""
    missing = [path, *(above for above in path.parents if not above.exists())]
    for each in reversed(missing):
        try:
            os.mkdir(each)  # noqa: PTH102
        except FileExistsError:
            if not each.is_dir():
                raise
        else:
            sync_folder(each.parent)


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can be asked for that."""
    try:
        folder = os.open(path, os.O_RDONLY)
    except OSError as error:
        if error.errno in _NO_SYNC:
            return
        raise
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(folder)


def remove_unfinished(folder: Path) -> None:
    """Remove what was not finished in a folder that nobody else may write to now."""
    for entry in folder.glob(".*.tmp"):
        entry.unlink(missing_ok=True)


class LinesFile:
    """A file that grows by whole lines.

    Args:
        path: The file; made if missing.

    Raises:
        OSError: It can't be opened.
    """

    def __init__(self, path: Path) -> None:
        known = path.exists()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        if not known:
            sync_folder(path.parent)

    def __enter__(self) -> Self:
        """Return the file."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def read(self, size: int = -1) -> bytes:
        """Return what the file holds, or its first bytes."""
        with os.fdopen(os.dup(self._file), "rb") as reader:
            reader.seek(0)
            return reader.read(size)

    def append(self, line: bytes) -> None:
        """Add a line; where that fails, what came to the disk of it is taken back.

        Raises:
            OSError: It failed.
        """
        end = os.fstat(self._file).st_size
        try:
            _write_all(self._file, line)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, end)
            raise

    def cut(self, size: int) -> None:
        """Keep the first bytes alone."""
        os.ftruncate(self._file, size)

    def sync(self) -> None:
        """Wait until everything is on the disk."""
        os.fsync(self._file)

    def close(self) -> None:
        """Close the file, once."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def append_line(path: Path, line: bytes) -> None:
    """Add a line to a file of lines, apart from what a dead process left of one.

    Raises:
        OSError: It failed; what was there is as it was.
    """
    with LinesFile(path) as file:
        torn = file.read().rpartition(b"\n")[2]
        file.append(b"\n" + line if torn else line)
        file.sync()


def _write_all(file: int, content: Part) -> None:
    left = memoryview(content).cast("B")
    while left:
        left = left[os.write(file, left) :]


def _remove_left_over(path: Path) -> None:
    """Remove what processes that are gone had not finished to write to a file."""
    wanted = re.compile(rf"\.{re.escape(path.name)}\.(\d+)\.tmp")
    with suppress(OSError):
        for entry in path.parent.iterdir():
            found = wanted.fullmatch(entry.name)
            # A young one may be another machine's, whose processes nobody here knows.
            if found and not _lives(int(found[1])) and _age(entry) > _YOUNG_SECONDS:
                entry.unlink(missing_ok=True)


def _age(path: Path) -> float:
    return time.time() - path.stat().st_mtime


def _lives(process: int) -> bool:
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
