"""Processes that play: each is watched, replaced when it hangs or dies, and ends with this one."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

from colonnade.errors import ColonnadeError, HungError, UsageError
from colonnade.parts import load_plugin
from colonnade.parts.plugins import loaded_plugins
from colonnade.watching import (
    START_SECONDS,
    Watch,
    beat,
    call_ending_with,
    give_signs,
    limit,
    set_limit,
    silence,
)

logger = logging.getLogger(__name__)

_WATCH_SECONDS = 0.2
_GOODBYE_SECONDS = 5.0
_LIVES = 3
"""How often a piece of work is begun again whose process hung or died."""


@contextmanager
def player_pool(jobs: int) -> Iterator[Executor | None]:
    """Start processes that play, one torch thread each; none for one job.

    A script of one's own needs the guard `if __name__ == "__main__":`, since each process imports
    it anew.
    """
    if jobs < 1:
        raise UsageError(f"Playing needs at least 1 process, but {jobs} came.")
    if jobs == 1:
        yield None
        return
    pool = Players(jobs)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@dataclass
class _Work:
    """A call that somebody waits for."""

    content: bytes
    future: Future[Any]
    tries: int = 0


@dataclass
class _Player:
    """A process, and what it is at."""

    process: Any
    connection: Connection[Any, Any]
    watch: Watch
    work: _Work | None = field(default=None)


class Players(Executor):
    """An executor whose processes give signs of life.

    One that gives none for the limit, or dies, is replaced, and what it was at is begun again, a
    bounded number of times.

    Args:
        jobs: How many processes; they start when there is work for them.
    """

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._waiting: deque[_Work] = deque()
        self._players: list[_Player] = []
        self._lock = threading.Lock()
        self._ours, self._wake = multiprocessing.Pipe(duplex=False)
        self._over = False
        # One thread starts all processes, which the kernel ends when it ends.
        self._thread = threading.Thread(target=self._attend, daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a function called in a process; see `concurrent.futures.Executor`."""
        work = _Work(pickle.dumps((fn, args, kwargs)), Future())
        with self._lock:
            if self._over:
                raise RuntimeError("the players were sent home")
            self._waiting.append(work)
        self._nudge()
        return work.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes when their work is done, or at once if that is cancelled."""
        with self._lock:
            self._over = True
            if cancel_futures:
                for work in self._waiting:
                    work.future.cancel()
                self._waiting.clear()
        self._nudge()
        if wait:
            self._thread.join()

    def _nudge(self) -> None:
        with suppress(OSError):
            self._wake.send(None)

    def _attend(self) -> None:
        """Give out work, take in what it came to, and watch, until all is over."""
        try:
            while True:
                self._give_out()
                busy = [player for player in self._players if player.work is not None]
                if self._over and not busy and not self._waiting:
                    return
                wait([self._ours, *(player.connection for player in self._players)], _WATCH_SECONDS)
                while self._ours.poll():
                    self._ours.recv()
                for player in list(self._players):
                    self._look_at(player)
        finally:
            self._end()

    def _give_out(self) -> None:
        with self._lock:
            while self._waiting:
                idle = next((player for player in self._players if player.work is None), None)
                if idle is None and len(self._players) == self._jobs:
                    return
                work = self._waiting.popleft()
                if not work.tries and not work.future.set_running_or_notify_cancel():
                    continue
                if idle is None:
                    idle = self._start()
                idle.work = work
                work.tries += 1
                with suppress(OSError):  # that it died is noticed elsewhere
                    idle.connection.send_bytes(work.content)

    def _start(self) -> _Player:
        fresh = multiprocessing.get_context("spawn")
        ours, theirs = fresh.Pipe()
        signs = fresh.RawArray("Q", 1)
        told = theirs, signs, limit(), loaded_plugins()
        given = os.getpid(), f"{__name__}:{_play.__name__}", *told
        process = fresh.Process(target=call_ending_with, args=given)
        process.daemon = True
        process.start()
        theirs.close()
        player = _Player(process, ours, Watch(lambda: signs[0], START_SECONDS))
        self._players.append(player)
        return player

    def _look_at(self, player: _Player) -> None:
        work, problem = player.work, ""
        try:
            if player.connection.poll():
                done, value = pickle.loads(player.connection.recv_bytes())
                player.work = None
                assert work is not None
                if isinstance(value, HungError):  # one that it waited for
                    self._again(work, str(value))
                elif done:
                    work.future.set_result(value)
                else:
                    work.future.set_exception(value)
        except (EOFError, OSError):
            problem = "died"
        if player.watch.hangs(busy=player.work is not None):
            problem = silence(player.watch.silent)
        if not problem:
            return
        player.process.kill()
        player.process.join()
        player.connection.close()
        self._players.remove(player)
        if player.work is not None:
            self._again(player.work, f"Process {player.process.pid}, which played, {problem}")

    def _again(self, work: _Work, why: str) -> None:
        """Begin work again, unless that happens all the time."""
        if work.tries > _LIVES:
            work.future.set_exception(ColonnadeError(f"{why.rstrip('.')}, again and again."))
            return
        logger.warning("%s; what it was at begins again.", why.rstrip("."))
        with self._lock:
            self._waiting.appendleft(work)

    def _end(self) -> None:
        for player in self._players:
            player.connection.close()
        for player in self._players:
            player.process.join(_GOODBYE_SECONDS)
            player.process.kill()
            player.process.join()


def _play(line: Connection[Any, Any], signs: Any, seconds: float, plugins: Sequence[str]) -> None:
    """Do what is asked for over a line, in a process of its own, until that ends.

    Args:
        line: Over which work comes and answers go.
        signs: Where signs of life are given.
        seconds: Of silence after which what this process waits for hangs.
        plugins: Whose parts the work may name.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that waits for us answers it
    give_signs(signs)
    set_limit(seconds)
    torch.set_num_threads(1)
    for plugin in plugins:
        load_plugin(plugin)
    while True:
        try:
            function, given, named = pickle.loads(line.recv_bytes())
        except (EOFError, OSError):
            return
        beat()  # all that it needs is imported
        try:
            answer = True, function(*given, **named)
        except Exception as error:
            answer = False, error
        line.send_bytes(_packed(answer))


def _packed(answer: tuple[bool, Any]) -> bytes:
    try:
        packed = pickle.dumps(answer)
        pickle.loads(packed)
    except Exception:  # an error that can't be sent as it is
        packed = pickle.dumps((False, ColonnadeError(f"{type(answer[1]).__name__}: {answer[1]}")))
    return packed
