"""What a user should know of a run, a line each, with the digits that it is checked by."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from colonnade.experiments.store.files import write_bytes
from colonnade.experiments.store.reading import digest, is_there, read_content

NOTES = "notes.txt"

_CHECKED = re.compile(r"(.*) \[([0-9a-f]{8})\]")


def read_notes(path: Path) -> list[str]:
    """Read notes; one that is not as it was written is told of as such.

    Raises:
        ColonnadeError: The file can't be read.
    """
    notes = []
    content = read_content(path) if is_there(path) else b""
    for line in content.decode(errors="replace").splitlines():
        checked = _CHECKED.fullmatch(line)
        if checked and checked[2] != _check(checked[1]):
            notes.append(f"A note of an earlier session is damaged: {checked[1]}")
        else:
            notes.append(checked[1] if checked else line)
    return notes


def write_notes(path: Path, notes: Iterable[str]) -> None:
    """Write all notes.

    Raises:
        ColonnadeError: Writing failed.
    """
    lines = (f"{note} [{_check(note)}]\n" for note in notes)
    write_bytes(path, "".join(lines).encode(errors="backslashreplace"))


def _check(line: str) -> str:
    return digest(line.encode(errors="backslashreplace"))[:8]
