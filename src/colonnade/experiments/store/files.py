"""Writing to a run folder so that nothing is ever half there, and saying so where it fails."""

from __future__ import annotations

import errno
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from colonnade.atomic import make_folder, write_atomically
from colonnade.errors import ColonnadeError
from colonnade.experiments.store.reading import CHECKSUM, checksum_of


class DiskFullError(ColonnadeError):
    """No space was left for what a run had to write."""


class OutOfMemoryError(ColonnadeError):
    """A run asked for more memory than there is."""


@contextmanager
def memory_errors() -> Iterator[None]:
    """Turn a failed allocation into one clear sentence.

    Raises:
        OutOfMemoryError: Memory ran out; torch has no error of its own for that on the host.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        words = ("can't allocate memory", "out of memory", "bad_alloc")
        if not (isinstance(error, MemoryError) or any(w in str(error).lower() for w in words)):
            raise
        raise OutOfMemoryError(
            "Memory ran out: train fewer runs at once, or use fewer environments or a smaller "
            "network; the last checkpoint is kept."
        ) from error


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn operating system errors of a write into one clear sentence.

    Args:
        path: What is being written, for the message.

    Raises:
        DiskFullError: The disk or the quota is full.
        ColonnadeError: Writing failed for another reason.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                f"The disk is full, so {path} could not be written; free some space and give the "
                "same command again; training goes on from the last checkpoint."
            ) from error
        raise ColonnadeError(f"{path} could not be written: {error.strerror or error}.") from error


def check_place(path: Path) -> None:
    """Say so where the folder that a file is to be written to is not there.

    Raises:
        ColonnadeError: It is not.
    """
    if not path.parent.is_dir():
        raise ColonnadeError(
            f"{path} could not be written: there is no folder {path.parent}; make it first."
        )


def write_text(path: Path, text: str) -> None:
    """Write a text as `write_bytes` does; half a pair of surrogates as its escape."""
    write_bytes(path, text.encode(errors="backslashreplace"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: to a temporary name, then renamed.

    Raises:
        ColonnadeError: Writing failed.
    """
    with disk_errors(path):
        write_atomically(path, content)


def begin_folder(path: Path) -> None:
    """Make a folder and those above it, or find them there.

    Raises:
        ColonnadeError: Writing failed.
    """
    with disk_errors(path):
        make_folder(path)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object as `write_bytes` does, with its checksum for `reading` to check.

    Raises:
        ColonnadeError: A number in it is not finite, or writing failed.
    """
    # What is not JSON's own, such as a tuple, must have the form that it is read back in.
    plain = json.loads(_dumped(path, value))
    write_text(path, json.dumps({**plain, CHECKSUM: checksum_of(plain)}, indent=2) + "\n")


def write_plain_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object as `write_json` does, without one: what else says whether it is whole.

    Raises:
        ColonnadeError: A number in it is not finite, or writing failed.
    """
    write_text(path, _dumped(path, value, indent=2) + "\n")


def _dumped(path: Path, value: Mapping[str, Any], indent: int | None = None) -> str:
    try:
        return json.dumps(value, indent=indent, allow_nan=False)
    except ValueError as error:
        raise ColonnadeError(
            f"{path} can hold finite numbers alone, but {_not_finite(value)} came; look for what "
            "diverged, such as a reward or a score."
        ) from error


def _not_finite(value: object, path: str = "") -> str:
    """Say which number in JSON data is not finite; nothing where all are."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"{path} = {value}"
    inner: Iterable[tuple[str, object]] = ()
    if isinstance(value, Mapping):
        inner = ((f"{path}.{key}".lstrip("."), each) for key, each in value.items())
    elif isinstance(value, list | tuple):
        inner = ((f"{path}[{number}]", each) for number, each in enumerate(value))
    return next(filter(None, (_not_finite(each, where) for where, each in inner)), "")
