"""A run's checkpoints: the newest two, and beside them what has not changed for a while.

    checkpoint-000007.safetensors    what moves, and where the rest lies
    part-000005.safetensors          what had not changed between checkpoints 4 and 5

A tensor that is the same in two checkpoints in a row, such as a frozen column, an anchor or a
Fisher, goes into a part, which is written once; later checkpoints name it and its digest. A part
that no kept checkpoint names is removed. Checkpoints without parts are read as ever.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colonnade.errors import ColonnadeError
from colonnade.experiments.store.files import disk_errors
from colonnade.training import read_tensors, write_tensors
from colonnade.training.checkpoints import bytes_of

if TYPE_CHECKING:
    from torch import Tensor

_KEPT = 2
_SMALL = 64 * 1024
"""Bytes below which a tensor is written each time: looking for it costs as much."""

_CHECKPOINT = re.compile(r"checkpoint-\d{6,9}\.safetensors")
_PART = re.compile(r"part-\d{6,9}\.safetensors")

_Places = Mapping[str, tuple[str, str]]
"""By a tensor's name: the file that it lies in, and its digest, which is its name there."""


class CheckpointFiles:
    """Writes and reads the checkpoints in the folder of a run.

    Args:
        folder: The run's folder.
        note: Tells the user of damage.

    Attributes:
        newest: Name of the file that was loaded; empty if none was.
    """

    def __init__(self, folder: Path, note: Callable[[str], None]) -> None:
        self.newest = ""
        self._folder = folder
        self._note = note
        self._last: dict[str, str] = {}  # digests of large tensors in the newest checkpoint
        self._parts: dict[str, str] = {}  # in which part what lies, by digest
        self._named: dict[str, set[str]] = {}  # which parts a checkpoint names

    def save(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Keep a checkpoint, and of the older ones the newest.

        Raises:
            ColonnadeError: Writing failed; the older ones are as they were.
        """
        older = self._paths()
        number = int(older[-1].stem.rpartition("-")[2]) + 1 if older else 1
        path = self._folder / f"checkpoint-{number:06d}.safetensors"
        digests = _digests(tensors)
        settled = {name: d for name, d in digests.items() if self._last.get(name) == d}
        self._write_part(number, {d: tensors[name] for name, d in settled.items()})
        places = {name: (self._parts[digest], digest) for name, digest in settled.items()}
        moving = {name: value for name, value in tensors.items() if name not in settled}
        with disk_errors(path):
            write_tensors(path, moving, meta | ({"parts": places} if places else {}))
        self._last = digests
        self._named[path.name] = {part for part, _ in places.values()}
        with disk_errors(path):
            for old in [*older, path][:-_KEPT]:
                old.unlink()
            self._remove_parts([*older, path][-_KEPT:])

    def load(
        self, check: Callable[[Path, dict[str, Any]], None] = lambda path, meta: None
    ) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return the newest whole checkpoint; damaged ones are set aside, and a note says so.

        Args:
            check: Raises `ColonnadeError` where one of such JSON data does not belong here.
        """
        for path in reversed(self._paths()):
            try:
                tensors, meta = read_tensors(path)
                check(path, meta)
                places = _sound(path, meta.pop("parts", {}))
                moving = _digests(tensors)
                tensors |= self._read_parts(places)
            except ColonnadeError as error:
                self._note(f"A damaged checkpoint is passed over: {error}")
                path.rename(path.with_suffix(".damaged"))
                continue
            self.newest = path.name
            self._last = moving | {name: digest for name, (_, digest) in places.items()}
            self._parts = {digest: part for part, digest in places.values()}
            self._named = {path.name: {part for part, _ in places.values()}}
            return tensors, meta
        return None

    def clear(self) -> None:
        """Remove all checkpoints, damaged ones too, and their parts."""
        for kind in ("checkpoint-*", "part-*"):
            for path in self._folder.glob(kind):
                with disk_errors(path):
                    path.unlink()

    def _paths(self) -> list[Path]:
        return sorted(p for p in self._folder.glob("checkpoint-*") if _CHECKPOINT.fullmatch(p.name))

    def _write_part(self, number: int, tensors: dict[str, Tensor]) -> None:
        """Write what lies in no part yet, by its digests."""
        new = {digest: value for digest, value in tensors.items() if digest not in self._parts}
        if not new:
            return
        path = self._folder / f"part-{number:06d}.safetensors"
        with disk_errors(path):
            write_tensors(path, new, {})
        self._parts |= dict.fromkeys(new, path.name)

    def _read_parts(self, places: _Places) -> dict[str, Tensor]:
        parts = {name: read_tensors(self._folder / name)[0] for name, _ in places.values()}
        for part, digest in places.values():
            if digest not in parts[part]:
                raise ColonnadeError(f"{self._folder / part} is another run's, or was replaced.")
        return {name: parts[part][digest] for name, (part, digest) in places.items()}

    def _remove_parts(self, kept: list[Path]) -> None:
        """Remove the parts that no checkpoint names."""
        named: set[str] = set()
        for path in kept:
            known = self._named.get(path.name)
            if known is None:  # of an earlier session, and older than the one it went on from
                return
            named |= known
        for path in self._folder.glob("part-*"):
            if path.name not in named:
                path.unlink()
                self._parts = {d: part for d, part in self._parts.items() if part != path.name}


def _sound(path: Path, places: Any) -> _Places:
    """Return what a checkpoint says of its parts, if it makes sense: no names of files elsewhere.

    Raises:
        ColonnadeError: It does not.
    """
    sound = isinstance(places, dict) and all(
        isinstance(place, list | tuple)
        and len(place) == 2
        and all(isinstance(word, str) for word in place)
        and _PART.fullmatch(place[0])
        for place in places.values()
    )
    if not sound:
        raise ColonnadeError(f"{path} names parts that are none.")
    return {name: (place[0], place[1]) for name, place in places.items()}


def _digests(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Return the digests of the large ones."""
    large = {n: v for n, v in tensors.items() if v.numel() * v.element_size() >= _SMALL}
    return {name: _digest(value) for name, value in large.items()}


def _digest(tensor: Tensor) -> str:
    found = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
    found.update(bytes_of(tensor))
    return found.hexdigest()
