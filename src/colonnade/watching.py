"""Signs of life: who works gives them, and who waits for somebody looks for them.

Whatever takes a step, in an environment or down a gradient, calls `beat`. Processes that are waited
for have their signs in memory that the waiting one sees (`Pulses`); one that gives none for `limit`
seconds hangs, and is ended by who waits. Who waits gives signs itself, so that of several that wait
for each other only the last is taken to hang. And a process that is waited for does not outlive the
one that waits (`end_with`).
"""

from __future__ import annotations

import ctypes
import importlib
import mmap
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from colonnade.errors import HungError

HANG_SECONDS = 600.0
"""The limit unless somebody sets another: longer than an environment's step should ever take."""

Signs = Any
"""Numbers whose first is counted up: a list, memory, an array of ctypes."""

START_SECONDS = 120.0
"""How long a process may take that imports torch, on a machine that has much to do."""

_LOOK_SECONDS = 1.0
_STRIDE_SECONDS = 5.0
"""The longest time that one look counts for, so that who was stopped itself accuses nobody."""
_PARENT_SECONDS = 0.5

_signs: Signs = [0]
_limit = HANG_SECONDS


def beat() -> None:
    """Give a sign of life; it costs a tenth of a microsecond."""
    _signs[0] += 1


def limit() -> float:
    """Return after how many seconds without a sign this process takes others to hang."""
    return _limit


def set_limit(seconds: float) -> None:
    """Set the limit, for processes that are started later too; 0 is never."""
    global _limit
    _limit = seconds or float("inf")


class Pulses:
    """Memory in which processes that are forked later give their signs.

    Args:
        count: How many places it has.
    """

    def __init__(self, count: int) -> None:
        self._counters = memoryview(mmap.mmap(-1, 8 * count)).cast("Q")

    def of(self, place: int) -> Callable[[], int]:
        """Return what reads how many signs were given at a place."""
        return lambda: self._counters[place]

    def give(self, place: int) -> None:
        """Give this process's signs at a place from now on."""
        give_signs(self._counters[place : place + 1])


def give_signs(signs: Signs) -> None:
    """Give this process's signs by counting up the first of some numbers from now on."""
    global _signs
    _signs = signs


class Watch:
    """Watches somebody for signs of life.

    Args:
        signs: Reads how many came.
        start: Seconds that are allowed at least before the first one.

    Attributes:
        silent: What `look` returned last.
    """

    def __init__(self, signs: Callable[[], int], start: float = 0.0) -> None:
        self._read = signs
        self._start = start
        self._first = signs()
        self._seen = -1
        self._looked = time.monotonic()
        self.silent = 0.0

    def hangs(self, busy: bool = True) -> bool:
        """Look, and say whether it has been silent for too long."""
        started = self._read() != self._first
        return self.look(busy) > (_limit if started else max(_limit, self._start))

    def look(self, busy: bool = True) -> float:
        """Return for how many seconds no sign came, of those in which somebody looked.

        Args:
            busy: Whether there is anything to do; who rests need give no sign.
        """
        seen, now = self._read(), time.monotonic()
        if seen != self._seen or not busy:
            self._seen, self.silent = seen, 0.0
        else:
            self.silent += min(now - self._looked, _STRIDE_SECONDS)
        self._looked = now
        return self.silent


def await_answer(ready: Callable[[float], bool], who: Callable[[], str]) -> None:
    """Wait for somebody who can give no other sign than to answer.

    Args:
        ready: Waits for the answer for so many seconds, and says whether it is there.
        who: Names whom it is waited for, as a sentence begins.

    Raises:
        HungError: No answer came within the limit.
    """
    watch = Watch(lambda: 0)
    watch.look()
    while not ready(min(_LOOK_SECONDS, _limit / 4)):
        beat()
        if watch.hangs():
            raise HungError(f"{who()} {silence(watch.silent)}.")


def silence(seconds: float) -> str:
    """Say what is wrong with somebody who hangs, as a sentence ends."""
    return f"gave no sign of life for {seconds:.0f} s and was ended"


def end_with(parent: int, *, thread: bool = True) -> None:
    """Have this process end when its parent does, stopped or busy as it may be.

    Args:
        parent: The parent's process id, as the parent knows it.
        thread: Whether the kernel may be asked. Linux then ends this process with the *thread* that
            started it, so that this must be one that stays for as long as the parent lives.
    """
    asked = thread and sys.platform == "linux"
    if asked:
        asked = ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL) == 0
    if os.getppid() != parent:  # it was faster
        os._exit(1)
    if not asked:
        threading.Thread(target=_watch_parent, args=(parent,), daemon=True).start()


def call_ending_with(parent: int, function: str, *given: Any) -> None:
    """Call a function in a process that ends when its parent does.

    To be the target of processes that begin anew (`multiprocessing`'s "spawn"): what the function
    needs is imported here, when the kernel knows already, and torch takes seconds.

    Args:
        parent: The parent's process id.
        function: As `module:name`.
        given: Its arguments.
    """
    end_with(parent)
    module, _, name = function.partition(":")
    getattr(importlib.import_module(module), name)(*given)


_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_PARENT_SECONDS)
    os._exit(1)


def stays() -> bool:
    """Whether the thread that asks stays for as long as its process lives."""
    return threading.current_thread() is threading.main_thread()
