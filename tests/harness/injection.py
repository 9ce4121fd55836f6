"""Stands in the way of the system calls that write: kills at one of them, or fills the disk."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

Deed = Literal["kill", "tear", "full"]
"""Kill before the call; kill in the middle of what a `write` writes; from the call on, no space."""

_real = {
    name: getattr(os, name)
    for name in ("open", "write", "fsync", "replace", "rename", "unlink", "mkdir", "ftruncate")
}
_NEED_SPACE = ("open", "write", "fsync", "replace", "mkdir")


class Injection:
    """Counts the calls that write below a folder, over this process and its forks.

    Args:
        folder: Calls about other places are left alone.
        at: Which call is hit, from 1 on; 0 hits none.
        deed: What happens then.
        log: Notes the calls, a line each.
    """

    def __init__(self, folder: Path, at: int, deed: Deed, log: Path) -> None:
        self._folder = str(folder)
        self._at = at
        self._deed = deed
        self._count: Any = multiprocessing.get_context("fork").Value("Q", 0)
        self._log = _real["open"](log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def install(self) -> None:
        """Stand in the way, in this process and those forked from it."""
        for name in _real:
            setattr(os, name, self._wrapped(name))

    def _wrapped(self, name: str) -> Callable[..., Any]:
        real = _real[name]

        def call(*arguments: Any, **named: Any) -> Any:
            writes = name != "open" or arguments[1] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if writes and (path := self._path(arguments[0])):
                self._meet(name, path, arguments)
            return real(*arguments, **named)

        return call

    def _path(self, where: Any) -> str:
        """Return the path below the folder that a call is about, or nothing."""
        try:
            given = Path(f"/proc/self/fd/{where}").readlink() if isinstance(where, int) else where
        except OSError:
            return ""
        return str(given) if str(given).startswith(self._folder) else ""

    def _meet(self, name: str, path: str, arguments: tuple[Any, ...]) -> None:
        with self._count.get_lock():
            self._count.value += 1
            number = self._count.value
        line = f"{number} {os.getpid()} {name} {Path(path).name}\n"
        _real["write"](self._log, line.encode())
        if not self._at or number < self._at:
            return
        if self._deed == "full":
            if name in _NEED_SPACE:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        elif number == self._at:
            if self._deed == "tear" and name == "write":
                content = memoryview(arguments[1]).cast("B")
                _real["write"](arguments[0], content[: len(content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
