"""Which of a task's environments are made here, where several processes make a share each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_first: ContextVar[int] = ContextVar("first", default=0)


@contextmanager
def places_from(first: int) -> Iterator[None]:
    """Let environments that are made within the block stand behind `first` others."""
    token = _first.set(first)
    try:
        yield
    finally:
        _first.reset(token)


def first_place() -> int:
    """Return the place of the first environment that is made now, among all of its task."""
    return _first.get()
