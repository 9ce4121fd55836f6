"""ViZDoom's engines, held by processes of their own that end with this one."""

from __future__ import annotations

import importlib.util
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.errors import ColonnadeError, HungError, UsageError
from colonnade.tasks.mazes.doom import worker as process
from colonnade.tasks.mazes.doom.maps import PUSH, TICS
from colonnade.tasks.mazes.view_tables import SIZE
from colonnade.watching import await_answer

_PATIENCE = 20.0  # seconds in which an engine run by hand says what is wrong with a map
_LAST_WORDS = 10.0  # seconds in which a process that holds engines ends them
_REFUSALS = ("script error", "execution could not continue")
_STALE = 60.0  # seconds after which a name that nobody has open is a dead run's

Seen = tuple[NDArray[np.float64], NDArray[np.uint8]]
"""Of some games: variables [G, 4 + counters] and views [G, SIZE, SIZE, channels]."""


def check_installed() -> None:
    """Refuse to go on without ViZDoom.

    Raises:
        UsageError: It is not installed.
    """
    if importlib.util.find_spec("vizdoom") is None:
        raise UsageError(
            "Tasks 'doom-labyrinth/...' need ViZDoom, which is not installed; "
            "pip install \"colonnade[vizdoom]\", or take 'labyrinth/...', which needs nothing."
        )


class Engines:
    """N engines that play one level, shared out among worker processes.

    Args:
        wad: The level's file.
        offset: Where in it the map's text begins.
        count: How many engines, N.
        workers: Processes that hold them.
        colour: Whether views have three channels or a grey one.
        counters: Kinds of ammunition that count items.

    Raises:
        UsageError: ViZDoom is not installed, or its engine refuses the file; its sentence is told.
        ColonnadeError: An engine could not be started.
    """

    def __init__(
        self, wad: bytes, offset: int, count: int, workers: int, colour: bool, counters: int
    ) -> None:
        check_installed()
        remove_stale_names()
        parts = np.array_split(np.arange(count), min(workers, count))
        self._parts = [part for part in parts if len(part)]
        self._workers = [_Worker() for _ in self._parts]
        self._free = weakref.finalize(self, _close, self._workers)
        for worker, part in zip(self._workers, self._parts, strict=True):
            setup = {
                "wad": wad,
                "offset": offset,
                "games": len(part),
                "colour": colour,
                "counters": counters,
                "size": SIZE,
                "tics": TICS,
                "push": PUSH,
            }
            worker.ask("open", setup)
        try:
            for worker in self._workers:
                worker.answer()
        except BaseException as error:
            self.close()
            if isinstance(error, ColonnadeError) and (said := engine_complaint(wad)):
                raise UsageError(
                    f"ViZDoom's engine refuses the map of this level, saying: {said}"
                ) from None
            raise

    def begin(self, chosen: NDArray[np.bool_], texts: Sequence[bytes]) -> Seen:
        """Begin episodes.

        Args:
            chosen: [N], in which games.
            texts: The map's text for each of them.

        Returns:
            What the chosen games are and show.
        """
        given = dict(zip(np.flatnonzero(chosen).tolist(), texts, strict=True))
        asked = []
        for worker, part in zip(self._workers, self._parts, strict=True):
            own = [i for i, game in enumerate(part.tolist()) if game in given]
            if own:
                worker.ask("begin", own, [given[int(part[i])] for i in own])
                asked.append(worker)
        return _joined([worker.answer() for worker in asked])

    def step(self, pushes: NDArray[np.float64]) -> Seen:
        """Do an action in every game.

        Args:
            pushes: [N, 4], degrees a tic of looking up and of turning right, and units a tic that
                are added to the speed forward and to the right.

        Returns:
            What all games are and show.
        """
        for worker, part in zip(self._workers, self._parts, strict=True):
            worker.ask("step", pushes[part])
        return _joined([worker.answer() for worker in self._workers])

    def close(self) -> None:
        """End all engines."""
        self._free()


def _joined(answers: list[tuple[Any, ...]]) -> Seen:
    variables, views = (np.concatenate(parts) for parts in zip(*answers, strict=True))
    return variables, views


def _close(workers: list[_Worker]) -> None:
    for worker in workers:
        worker.connection.close()
    for worker in workers:
        worker.end()


class _Worker:
    """A process that holds engines, and the folder that it works in."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="colonnade-doom-"))
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", process.__file__, str(theirs.fileno()), self.folder],
                pass_fds=(theirs.fileno(),),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        self.connection = Connection(ours.detach())
        self._owner = os.getpid()

    def ask(self, name: str, *arguments: Any) -> None:
        """Send a request."""
        try:
            self.connection.send_bytes(pickle.dumps((name, *arguments), protocol=5))
        except OSError:
            raise self._lost() from None

    def answer(self) -> tuple[Any, ...]:
        """Wait for the answer to the last request.

        Raises:
            ColonnadeError: The process or its engine has ended, or the engine failed.
        """
        try:
            await_answer(
                self.connection.poll,
                lambda: f"Process {self.process.pid}, which holds ViZDoom's engines,",
            )
            outcome, *values = pickle.loads(self.connection.recv_bytes())
        except (EOFError, OSError):
            raise self._lost() from None
        except HungError:
            self.process.kill()
            raise
        if outcome == "failed":
            raise ColonnadeError(
                f"ViZDoom's engine failed ({values[0]}); the same command goes on from the last "
                "checkpoint."
            )
        return tuple(values)

    def _lost(self) -> ColonnadeError:
        try:
            status = self.process.wait(_LAST_WORDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
        return ColonnadeError(
            f"A process that holds ViZDoom's engines ended with {how}; the same command goes on "
            "from the last checkpoint."
        )

    def end(self) -> None:
        """Wait until the process, told by its closed connection, has ended; clean up after it."""
        if os.getpid() != self._owner:
            return
        try:
            self.process.wait(_LAST_WORDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        process.forget_names(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)


def engine_complaint(wad: bytes) -> str | None:
    """Run the engine by hand on a file and return what it says is wrong with it, or None.

    Inside ViZDoom the engine dies of such a file without a word, and takes its process along.
    """
    import vizdoom

    home = Path(vizdoom.__file__).parent
    with tempfile.TemporaryDirectory(prefix="colonnade-doom-") as folder:
        file = Path(folder) / "map.wad"
        file.write_bytes(wad)
        parts = (home / "vizdoom", "-iwad", home / "freedoom2.wad", "-file", file)
        command = [str(part) for part in parts]
        options = ["-config", f"{folder}/check.ini", "-nosound", "-stdout", "+map", "MAP01"]
        try:
            said = subprocess.run(
                [*command, *options],
                cwd=folder,
                env={**os.environ, "SDL_VIDEODRIVER": "dummy"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=_PATIENCE,
            )
        except subprocess.TimeoutExpired:
            return None  # it plays
    lines = [line.strip() for line in said.stdout.splitlines() if line.strip()]
    # Run like this it may also crash on a map that is right, for want of a screen.
    told = [i for i, line in enumerate(lines) if line.lower().startswith(_REFUSALS)]
    if not told:
        return None
    return " ".join(lines[told[0] : told[0] + 2])


def remove_stale_names() -> None:
    """Remove names of shared memory that ViZDoom's engines of dead runs left behind.

    Only whole process groups killed at once while an engine starts leave any.
    """
    names = [path for path in process.SHARED.glob("ViZDoom*") if _is_stale(path)]
    if not names:
        return
    in_use = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        try:
            text = maps.read_text(errors="replace")
        except OSError:
            continue
        in_use |= {path for path in names if str(path) in text}
    for path in names:
        if path not in in_use:
            path.unlink(missing_ok=True)


def _is_stale(path: Path) -> bool:
    try:
        found = path.stat()
    except OSError:  # gone already
        return False
    return found.st_uid == os.getuid() and time.time() - found.st_mtime > _STALE
