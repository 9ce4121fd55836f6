"""One process at a time writes a folder."""

from __future__ import annotations

import os
import platform
import sys
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from colonnade.errors import ColonnadeError
from colonnade.experiments.store.files import disk_errors, write_text
from colonnade.watching import beat

_POLL_SECONDS = 0.1
_BEAT_SECONDS = 1.0

LOCK_FILES = ("lock", "lock-holder.txt")
"""Names of what a lock puts into a folder."""


class FolderLock:
    """Keeps a second process from writing a folder; the system frees it when its holder dies.

    On NFS the server is asked (Linux turns `flock` into a lock of its protocol), so that machines
    see each other's locks unless the folder is mounted with `nolock`. Where a file system knows no
    locks at all, `filelock` makes a marker file instead; one left by a process that was killed on
    another machine is to be removed by hand.

    Args:
        folder: What is being locked.
        patience: How many seconds to wait for another process to free it.
    """

    def __init__(self, folder: Path, patience: float = 0.0) -> None:
        self._folder = folder
        self._patience = patience
        self._holder = folder / LOCK_FILES[1]
        # Not a thread's: any may free it.
        self._lock = FileLock(
            folder / LOCK_FILES[0],
            poll_interval=_POLL_SECONDS,
            thread_local=False,
        )

    def __enter__(self) -> FolderLock:
        """Take the lock.

        Raises:
            ColonnadeError: Another process holds it; the message says which.
        """
        with disk_errors(self._folder / LOCK_FILES[0]):
            try:
                self._acquire()
            except Timeout:
                holder = "unknown"
                with suppress(OSError):
                    holder = self._holder.read_text(errors="replace").strip()
                raise ColonnadeError(
                    f"{self._folder} is being written by process {holder}; wait for it or stop it, "
                    "or choose another --out."
                ) from None
        try:
            write_text(self._holder, f"{_this_process()}\n")
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Free the lock."""
        with suppress(OSError):  # who held it is of no use any more, but does no harm
            self._holder.unlink(missing_ok=True)
        self._lock.release()

    def _acquire(self) -> None:
        """Take the lock within the patience; who waits gives signs of life."""
        limit = time.monotonic() + self._patience
        while True:
            beat()
            left = limit - time.monotonic()
            try:
                self._lock.acquire(timeout=min(_BEAT_SECONDS, max(0.0, left)))
            except Timeout:
                if left <= _BEAT_SECONDS:
                    raise
            else:
                return


def _this_process() -> str:
    """Say who holds a lock, so that a person finds the process and knows it."""
    name = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:120]
    since = time.strftime("%Y-%m-%d %H:%M")
    return f"{os.getpid()} ({name!r} on {platform.node()}, since {since})"


def is_locked(folder: Path) -> bool:
    """Say whether a process holds the lock of a folder, without a word to who holds it.

    Raises:
        OSError: The lock's file cannot be opened.
    """
    lock = FileLock(folder / LOCK_FILES[0])
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False
