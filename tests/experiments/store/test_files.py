import errno
from pathlib import Path
from typing import Any

import pytest

from colonnade.errors import ColonnadeError
from colonnade.experiments.store.files import DiskFullError, write_json
from colonnade.experiments.store.reading import read_json


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
