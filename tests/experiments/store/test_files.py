import errno
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colonnade.errors import ColonnadeError
from colonnade.experiments.store.files import DiskFullError, write_json, write_plain_json
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


@pytest.mark.parametrize("write", [write_json, write_plain_json])
def test_what_could_not_be_read_again_is_not_written(
    tmp_path: Path, write: Callable[[Path, dict[str, Any]], None]
) -> None:
    path = tmp_path / "file.json"
    write(path, {"old": 1})
    for value, place in [(math.nan, "nan"), (np.float64("inf"), "inf"), (-math.inf, "-inf")]:
        with pytest.raises(
            ColonnadeError, match=rf"numbers alone, but rows\[1\]\.a = {place} came"
        ):
            write(path, {"text": "NaN", "rows": [{"a": 1.5}, {"a": value}]})
    assert read_json(path) == {"old": 1}


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
