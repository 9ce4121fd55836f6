"""Reading files that may be damaged, or may have been made by somebody else.

Nothing read here is waited for or believed: what is no regular file is refused, since a pipe would
be waited for for ever; what says its own checksum must fit it. Files from before there were
checksums say none and are read unverified; `colonnade report` says how many there are.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from colonnade.errors import ColonnadeError, UsageError

CHECKSUM = "checksum"
"""Key under which a JSON file holds the checksum of everything else in it."""

_MOST_BYTES = 2**30
"""Of a file that is read whole; a sweep of a thousand jobs has a suite.json of some 2 MiB."""

_KINDS = {
    stat.S_ISDIR: "a directory",
    stat.S_ISFIFO: "a pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}


def digest(content: bytes) -> str:
    """Return the SHA-256 checksum of bytes, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def digest_of(path: Path) -> str:
    """Return a file's SHA-256 checksum.

    Raises:
        ColonnadeError: It is missing or can't be read.
    """
    return digest(read_content(path))


def is_there(path: Path) -> bool:
    """Whether there is something of that name, of whatever kind; False for impossible names."""
    try:
        return os.path.lexists(path)
    except (OSError, ValueError):
        return False


def check_kind(path: Path) -> None:
    """Refuse what is there and no regular file; links are followed.

    Raises:
        ColonnadeError: It is a directory, a pipe, a device, or a link to nothing.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            raise ColonnadeError(
                f"{path} is a link to something that is missing; remove it or restore that."
            ) from None
        return
    except (OSError, ValueError) as error:
        raise ColonnadeError(f"{path} cannot be read: {_reason(error)}.") from error
    if not stat.S_ISREG(mode):
        kind = next((words for test, words in _KINDS.items() if test(mode)), "no file")
        raise ColonnadeError(f"{path} is {kind}, where a file belongs; move it away.")


def check_folder(folder: Path) -> None:
    """Refuse a folder in which a pipe, a device or a link to nothing takes a file's place.

    Raises:
        ColonnadeError: One does.
    """
    try:
        # Folders that belong there, such as "runs", have no dot in their names.
        names = [each for each in os.scandir(folder) if not each.is_dir() or "." in each.name]
    except FileNotFoundError:
        return
    except OSError as error:
        raise ColonnadeError(
            f"{folder} cannot be read as a folder: {_reason(error)}; choose another."
        ) from error
    for entry in names:
        check_kind(Path(entry.path))


def read_content(path: Path) -> bytes:
    """Read a regular file whole.

    Raises:
        ColonnadeError: It is missing, of another kind, too large or can't be read.
    """
    check_kind(path)
    try:
        # Should a pipe have taken its place since, it is not waited for.
        with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > _MOST_BYTES:
                raise ColonnadeError(
                    f"{path} has {size:,} bytes, where at most {_MOST_BYTES:,} make sense; "
                    "restore it."
                )
            return file.read()
    except FileNotFoundError:
        raise ColonnadeError(f"{path} is missing.") from None
    except OSError as error:
        raise ColonnadeError(f"{path} cannot be read: {_reason(error)}.") from error


def parse_json(content: bytes | str) -> Any:
    """Read JSON as it is defined, where every number is finite.

    Raises:
        ValueError: It is no such thing, or nested too deeply to be read.
    """
    try:
        value = json.loads(content, parse_constant=_no_number)
        json.dumps(value, allow_nan=False)  # 1e999 is read as infinity
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return value


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"it holds {name}, which is no JSON")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object, whose checksum must fit it if there is one.

    Raises:
        ColonnadeError: The file is missing or damaged, or does not hold a JSON object.
    """
    return read_checked(path)[0]


def read_checked(
    path: Path, advice: Callable[[], str] = lambda: "restore it"
) -> tuple[dict[str, Any], bool]:
    """Read as `read_json`, and say whether the content was verified by a checksum.

    Args:
        path: The file.
        advice: Says what to do about a damaged one.

    Raises:
        ColonnadeError: The file is missing or damaged, or does not hold a JSON object.
    """
    content = read_content(path)
    try:
        value = parse_json(content)
    except ValueError as error:
        raise ColonnadeError(
            f"{path} is damaged and cannot be read as JSON ({error}); {advice()}."
        ) from error
    if not isinstance(value, dict):
        raise ColonnadeError(
            f"{path} holds {type(value).__name__}, where a JSON object belongs; {advice()}."
        )
    if CHECKSUM not in value:
        return value, False
    said = value.pop(CHECKSUM)
    if said != checksum_of(value):
        raise ColonnadeError(
            f"{path} is damaged: its checksum does not fit its content; {advice()}."
        )
    return value, True


def checksum_of(value: Mapping[str, Any]) -> str:
    """Return the checksum of a JSON object, whatever the order of its keys."""
    return digest(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())


def in_words(error: UsageError | ColonnadeError) -> str:
    """Return an error's sentence, to stand within another."""
    return str(error).rstrip(".")


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
