"""Files that are whole or absent, whatever the disk does; calls are watched from outside."""

import errno
import os
import time
from pathlib import Path
from typing import Any

import pytest

from colonnade.atomic import append_line, make_folder, write_atomically


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The system calls that sync or rename, with the name of what they are about."""
    seen: list[tuple[str, str]] = []
    sync, rename = os.fsync, os.replace

    def note_sync(file: int) -> None:
        seen.append(("fsync", Path(f"/proc/self/fd/{file}").readlink().name))
        sync(file)

    def note_rename(old: Path, new: Path) -> None:
        seen.append(("rename", Path(new).name))
        rename(old, new)

    monkeypatch.setattr("os.fsync", note_sync)
    monkeypatch.setattr("os.replace", note_rename)
    return seen


needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads /proc")


@needs_proc
def test_content_then_name_then_folder_reach_the_disk(
    tmp_path: Path, calls: list[tuple[str, str]]
) -> None:
    write_atomically(tmp_path / "a.json", b"new")
    temporary = f".a.json.{os.getpid()}.tmp"
    assert calls == [("fsync", temporary), ("rename", "a.json"), ("fsync", tmp_path.name)]


@needs_proc
def test_new_folders_reach_the_disk_with_their_parents(
    tmp_path: Path, calls: list[tuple[str, str]]
) -> None:
    make_folder(tmp_path / "runs" / "one")
    make_folder(tmp_path / "runs" / "one")
    assert calls == [("fsync", tmp_path.name), ("fsync", "runs")]


def test_a_file_in_a_folders_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("no folder")
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "runs")


def test_short_writes_are_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr("os.write", lambda file, content: write(file, bytes(content)[:3]))
    write_atomically(tmp_path / "a", [b"0123456789", memoryview(b"abcdef")])
    append_line(tmp_path / "lines", b"a long line\n")
    assert (tmp_path / "a").read_bytes() == b"0123456789abcdef"
    assert (tmp_path / "lines").read_bytes() == b"a long line\n"


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
def test_wherever_the_disk_is_full_the_old_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "a"
    write_atomically(path, b"old")
    monkeypatch.setattr(f"os.{call}", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_line_that_finds_no_room_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, write = tmp_path / "lines", os.write
    append_line(path, b"one\n")

    def full_at_once(file: int, content: Any) -> int:
        if len(content) < 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, bytes(content)[:5])

    monkeypatch.setattr("os.write", full_at_once)
    with pytest.raises(OSError, match="No space"):
        append_line(path, b"two\nand\n")
    assert path.read_bytes() == b"one\n"


def test_a_torn_line_stays_apart_from_the_next(tmp_path: Path) -> None:
    (tmp_path / "lines").write_bytes(b"one\ntw")
    append_line(tmp_path / "lines", b"three\n")
    assert (tmp_path / "lines").read_bytes() == b"one\ntw\nthree\n"


def test_what_the_dead_left_is_removed_and_what_the_living_write_is_not(tmp_path: Path) -> None:
    dead, young, living = (
        tmp_path / f".a.{number}.tmp" for number in (2**22 + 1, 2**22 + 2, os.getpid())
    )
    other = tmp_path / f".b.{2**22 + 1}.tmp"
    for path in (dead, young, living, other):
        path.write_bytes(b"half")
    living = living.rename(tmp_path / f".a.{os.getppid()}.tmp")
    long_ago = time.time() - 3600
    for path in (dead, living, other):
        os.utime(path, (long_ago, long_ago))
    write_atomically(tmp_path / "a", b"whole")
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "a", young, living, other])
