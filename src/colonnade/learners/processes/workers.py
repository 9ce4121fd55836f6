"""Worker processes: started by a fork, given orders, watched, replaced and never left behind."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import traceback
import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Literal, NamedTuple

from colonnade.errors import ColonnadeError, HungError, UsageError
from colonnade.types import Episode
from colonnade.watching import Pulses, Watch, beat, end_with, silence, stays

logger = logging.getLogger(__name__)

_AHEAD = 2
"""Orders a worker holds, so that it need not wait for the next one."""
_DEATHS = 3
"""Workers that are replaced between two checkpoints; one more ends the training."""
_WATCH_SECONDS = 0.2
_GOODBYE_SECONDS = 5.0


class Report(NamedTuple):
    """What a worker's rollout came to.

    Attributes:
        worker: Which one, counted from 0.
        steps: Agent steps.
        metrics: Of the update.
        episodes: That ended in the rollout.
        notes: What the user should know of what happened.
    """

    worker: int
    steps: int
    metrics: dict[str, float]
    episodes: list[Episode]
    notes: Sequence[str] = ()


class Work(NamedTuple):
    """What a worker does when told to.

    Attributes:
        rollout: Collects a rollout and learns from it.
        state: Says where the worker stands, as bytes.
    """

    rollout: Callable[[], Report]
    state: Callable[[], bytes]


Start = Callable[[int, int], AbstractContextManager[Work]]
"""Prepares, in the worker's process, a worker's work from its number and how many that had the
number died before."""

_Order = Literal["rollout", "state", "stop"]


class WorkerDiedError(ColonnadeError):
    """Workers died again and again; the last checkpoint is kept."""


class WorkerLostError(ColonnadeError):
    """A worker died whose place no other can take; training goes on from its last checkpoint."""


class _RemoteError(Exception):
    """Carries the traceback of an error in another process."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


@dataclass(frozen=True)
class _Failure:
    """An error that a worker raised."""

    message: str
    kind: type[ColonnadeError]
    trace: str

    def error(self) -> ColonnadeError:
        error = self.kind(self.message)
        error.__cause__ = _RemoteError(self.trace)
        return error


@dataclass
class _Worker:
    """A worker as the parent sees it."""

    index: int
    attempt: int
    process: multiprocessing.process.BaseProcess
    connection: Connection[_Order, Report | bytes | _Failure]
    watch: Watch
    orders: int = 0
    said: str = ""

    def order(self) -> None:
        """Ask for one more rollout."""
        self.tell("rollout")
        self.orders += 1

    def tell(self, order: _Order) -> None:
        """Give an order; that the worker died is noticed elsewhere."""
        if not self.orders:
            self.watch.look(busy=False)  # it rested until now, perhaps for longer than the limit
        with suppress(OSError):
            self.connection.send(order)

    def hangs(self, busy: bool) -> bool:
        """Whether it gives no sign of life, though it has something to do."""
        if not self.watch.hangs(busy):
            return False
        self.said = silence(self.watch.silent)
        return True

    def kill(self) -> None:
        """End the worker and all processes that it started, at once."""
        if self.connection.closed:
            return  # ended before: its number may be another process's by now
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid or 0, signal.SIGKILL)
        self.process.kill()
        self.process.join()
        self.connection.close()


class Workers:
    """Processes that each collect rollouts and learn from them when told to.

    They are forks of this process, so that whatever a method, a task or a network is made of works
    in them unchanged, and starting one takes milliseconds. Each leads a process group of its own:
    signals from the terminal reach this process alone, and a worker ends together with the
    processes that its environments run in. When this process ends, in whatever way, so do they.

    Attributes:
        notes: Deaths that a user should know of.
    """

    def __init__(self, count: int, start: Start, *, replace: bool = True) -> None:
        """Start the workers.

        Args:
            count: How many.
            start: Runs in each of them.
            replace: Whether another worker takes the place of one that died.

        Raises:
            ColonnadeError: The system has no room for so many.
        """
        self.notes: list[str] = []
        self._start = start
        self._replaces = replace
        self._deaths = 0
        self._pulses = Pulses(count)
        self._lifeline = os.pipe()
        self._workers: list[_Worker] = []
        self._end = weakref.finalize(self, _kill, self._workers, self._lifeline, os.getpid())
        try:
            for index in range(count):
                self._workers.append(self._fork(index, 0))
        except BaseException:
            self.kill()
            raise

    def run(self, more: Callable[[], bool]) -> list[Report]:
        """Have rollouts made and learned from until no more are asked for; all rest afterwards.

        Args:
            more: Asked before each order whether to give it.

        Returns:
            A report for every order, in the order of arrival.

        Raises:
            ColonnadeError: A worker raised an error.
            WorkerDiedError: Too many workers died.
            WorkerLostError: One died that is not to be replaced.
        """
        reports: list[Report] = []
        giving = True
        while True:
            idlest = min(self._workers, key=lambda worker: worker.orders)
            while giving and idlest.orders < _AHEAD and (giving := more()):
                idlest.order()
                idlest = min(self._workers, key=lambda worker: worker.orders)
            if not any(worker.orders for worker in self._workers):
                return reports
            wait([worker.connection for worker in self._workers], _WATCH_SECONDS)
            beat()
            for place, worker in enumerate(self._workers):
                # Asked first: what a worker sent before it died is still read.
                dead = worker.process.exitcode is not None
                try:
                    while worker.connection.poll():
                        report = _read(worker)
                        assert isinstance(report, Report)
                        worker.orders -= 1
                        reports.append(report)
                except (EOFError, OSError):
                    dead = True
                except HungError as error:
                    dead, worker.said = True, str(error)
                if dead or worker.hangs(busy=bool(worker.orders)):
                    self._workers[place] = self._replace(worker)

    def states(self) -> list[bytes]:
        """Ask every worker, all of which rest, where it stands."""
        self._deaths = 0
        return [self._state(place) for place in range(len(self._workers))]

    def _state(self, place: int) -> bytes:
        worker = self._workers[place]
        worker.tell("state")
        while True:
            wait([worker.connection], _WATCH_SECONDS)
            beat()
            dead = worker.process.exitcode is not None
            try:
                if worker.connection.poll():
                    state = _read(worker)
                    assert isinstance(state, bytes)
                    return state
            except (EOFError, OSError):
                dead = True
            except HungError as error:
                dead, worker.said = True, str(error)
            if dead or worker.hangs(busy=True):
                worker = self._workers[place] = self._replace(worker)
                worker.tell("state")

    def close(self) -> None:
        """Let the workers close their environments and end; those that don't are ended."""
        for worker in self._workers:
            worker.tell("stop")
        for worker in self._workers:
            worker.process.join(_GOODBYE_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End the workers at once."""
        self._end()

    def _replace(self, worker: _Worker) -> _Worker:
        """Take note of a worker's death and start another one for what it left undone."""
        worker.kill()  # what it started may live on
        self._deaths += 1
        name = f"Worker {worker.index} (process {worker.process.pid})"
        cause = worker.said.rstrip(".") or f"was {_cause(worker.process.exitcode or 0)}"
        if not self._replaces:
            raise WorkerLostError(f"{name} {cause}.")
        if self._deaths > _DEATHS:
            raise WorkerDiedError(
                f"{name} {cause}, the {self._deaths}th death of a worker since a checkpoint; "
                "the last checkpoint, if there is one, is kept. Where memory ran out, use fewer "
                "workers or environments."
            )
        self.notes.append(f"{name} {cause}; another one takes its place and begins new episodes.")
        logger.warning("%s", self.notes[-1])
        heir = self._fork(worker.index, worker.attempt + 1)
        for _ in range(worker.orders):
            heir.order()
        return heir

    def _fork(self, index: int, attempt: int) -> _Worker:
        ours, theirs = multiprocessing.Pipe()
        others = [ours, *(worker.connection for worker in self._workers if worker.index != index)]
        parent = os.getpid() if stays() else None
        process = multiprocessing.get_context("fork").Process(
            target=_work,
            args=(
                self._start,
                index,
                attempt,
                theirs,
                others,
                self._lifeline,
                self._pulses,
                parent,
            ),
            name=f"Worker {index}",
        )
        try:
            process.start()
        except OSError as error:
            raise ColonnadeError(
                f"Worker {index} can't be started ({error.strerror}); use fewer workers."
            ) from error
        assert process.pid is not None
        # Worker and parent both do this: whichever needs it first finds it done.
        with suppress(OSError):
            os.setpgid(process.pid, process.pid)
        theirs.close()
        return _Worker(index, attempt, process, ours, Watch(self._pulses.of(index)))


def _read(worker: _Worker) -> Report | bytes:
    message = worker.connection.recv()
    if isinstance(message, _Failure):
        raise message.error()
    return message


def _cause(status: int) -> str:
    """Say how a process ended."""
    if status < 0:
        return f"ended by signal {-status} ({signal.Signals(-status).name})"
    return f"gone with status {status}"


def _kill(workers: list[_Worker], lifeline: tuple[int, int], owner: int) -> None:
    """End workers from the process that started them; forks inherit this finalizer."""
    if os.getpid() == owner:
        for worker in workers:
            worker.kill()
        workers.clear()
        for end in lifeline:
            os.close(end)


def _work(
    start: Start,
    index: int,
    attempt: int,
    connection: Connection[Any, Any],
    others: list[Connection[Any, Any]],
    lifeline: tuple[int, int],
    pulses: Pulses,
    parent: int | None,
) -> None:
    """Do a worker's work, in its process."""
    pulses.give(index)
    with suppress(OSError):
        os.setpgid(0, 0)
    if parent is not None:
        end_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    read_end, write_end = lifeline
    # Ends that only the parent may hold: the worker learns of its death by their closing.
    os.close(write_end)
    for other in others:
        other.close()
    threading.Thread(target=_end_with_parent, args=(read_end,), daemon=True).start()
    try:
        with start(index, attempt) as work:
            while (order := connection.recv()) != "stop":
                connection.send(work.rollout() if order == "rollout" else work.state())
    except ColonnadeError as error:
        kinds = (UsageError, HungError, ColonnadeError)
        kind = next(kind for kind in kinds if isinstance(error, kind))
        connection.send(_Failure(str(error), kind, traceback.format_exc()))
    except Exception as error:
        message = f"Worker {index} failed with {type(error).__name__}: {error}"
        connection.send(_Failure(message, ColonnadeError, traceback.format_exc()))


def _end_with_parent(lifeline: int) -> None:
    """Wait for the parent's end, which closes the pipe; then end with all that was started."""
    os.read(lifeline, 1)
    os.killpg(0, signal.SIGKILL)
