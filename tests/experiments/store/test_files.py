import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from colonnade.errors import ColonnadeError
from colonnade.experiments.store.files import DiskFullError, FolderLock, read_json, write_json

HOLDER = """
import sys, time
from pathlib import Path
from colonnade.experiments.store.files import FolderLock
with FolderLock(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    return process


def test_a_held_lock_refuses_and_names_its_holder_and_a_dead_holder_frees_it(
    tmp_path: Path,
) -> None:
    holder = hold(tmp_path)
    try:
        with (
            pytest.raises(
                ColonnadeError,
                match=rf"being written by process {holder.pid} \('-c .* on .*, since ",
            ),
            FolderLock(tmp_path),
        ):
            pass
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert (tmp_path / "lock").read_text().startswith(f"{holder.pid} "), (
        "the stale lock is still there"
    )
    with FolderLock(tmp_path):
        assert (tmp_path / "lock").read_text().startswith(f"{os.getpid()} ")
    with FolderLock(tmp_path):
        pass


def full_disk(*_: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_leaves_the_old_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"old": 1})
    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(DiskFullError, match=r"disk is full, so .*file\.json .* free some space"):
        write_json(path, {"new": 2})
    assert read_json(path) == {"old": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.json"]


def test_other_failures_of_writing_say_why(tmp_path: Path) -> None:
    with pytest.raises(ColonnadeError, match="could not be written: No such file or directory"):
        write_json(tmp_path / "absent" / "file.json", {})


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "is missing"), ("{", "cannot be read as JSON"), ("[1]", "holds list")],
)
def test_reading_what_is_no_json_object(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "file.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ColonnadeError, match=message):
        read_json(path)
