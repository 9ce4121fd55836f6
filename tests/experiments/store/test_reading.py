"""What is read back is checked, or its loss does no harm."""

import json
import logging
import os
import zlib
from pathlib import Path
from typing import Any

import pytest
import torch
from finished import POLE, poles

from colonnade.errors import ColonnadeError
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.results.facts import facts
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.files import write_json
from colonnade.experiments.store.folders import RunFolder, SuiteFolder
from colonnade.experiments.store.metrics import append_line, read_lines, read_metrics
from colonnade.experiments.store.pictures import is_png
from colonnade.experiments.store.reading import check_folder, read_checked, read_content, read_json
from colonnade.experiments.store.recorder import RunRecorder

SPEC = RunSpec("one", "scratch", (TaskBudget("mini-pong/pong", 400),), "a2c", "tiny")


def row(step: int, value: float) -> dict[str, Any]:
    return {
        "kind": "curve", "task": "mini-pong/pong", "task_index": 0, "step": step, "width": 100,
        "return_mean": value, "episodes": 5, "steps_per_second": 10.0,
    }  # fmt: skip


@pytest.fixture
def half(tmp_path: Path) -> RunFolder:
    """A run with two rows, a checkpoint, and a third row."""
    folder = RunFolder(tmp_path / "runs" / SPEC.id)
    with RunRecorder(folder, SPEC) as recorder:
        recorder.append(row(100, 1.0))
        recorder.append(row(200, 2.0))
        recorder.save_checkpoint({"w": torch.zeros(3)}, {"rows": 2})
        recorder.append(row(300, 3.0))
    return folder


def complete(folder: RunFolder) -> None:
    (folder.path / "network.json").write_text('{"network": {}, "tasks": {"a": 0}}')
    result = {
        "spec": SPEC.to_json(), "scores": [], "versions": {},
        "hardware": {"cpu": "", "cores": 1, "threads": 1, "gpu": None},
        "timing": {"training_seconds": 1.0, "started": 0.0, "finished": 1.0},
        "notes": [], "files": folder.checksums(),
    }  # fmt: skip
    write_json(folder.path / "result.json", result)
    (folder.path / "DONE").touch()


@pytest.mark.parametrize("old", ["1.0", "2.0", "3.0", '"step":200'])
def test_a_digit_changed_in_the_metrics_is_noticed(half: RunFolder, old: str) -> None:
    assert [each["return_mean"] for each in half.metrics()] == [1.0, 2.0, 3.0]
    text = half.metrics_path.read_text()
    new = old.replace("2", "7").replace("1", "7").replace("3.0", "7.0")
    half.metrics_path.write_text(text.replace(old, new, 1))
    with pytest.raises(ColonnadeError, match=r"Line \d of .*not as it was written.*restore"):
        half.metrics()
    with pytest.raises(ColonnadeError, match=r"Line \d of"), RunRecorder(half, SPEC):
        pass


def test_lines_that_went_or_changed_places_are_noticed(half: RunFolder) -> None:
    first, second, third = half.metrics_path.read_text().splitlines(keepends=True)
    for wrong in (second + third, first + third, second + first + third, first + first + second):
        half.metrics_path.write_text(wrong)
        with pytest.raises(ColonnadeError, match="not as it was written"):
            half.metrics()


def test_rows_that_are_missing_before_the_checkpoint_are_noticed(half: RunFolder) -> None:
    first, _, _ = half.metrics_path.read_text().splitlines(keepends=True)
    half.metrics_path.write_text(first)
    with (
        pytest.raises(ColonnadeError, match=r"not as it was when checkpoint-000001"),
        RunRecorder(half, SPEC) as recorder,
    ):
        recorder.load_checkpoint()


def test_metrics_of_another_run_are_noticed(half: RunFolder, tmp_path: Path) -> None:
    other = RunSpec("other", "scratch", SPEC.tasks, "a2c", "tiny")
    folder = RunFolder(tmp_path / "runs" / other.id)
    with RunRecorder(folder, other) as recorder:
        recorder.append(row(100, 1.0))
    half.metrics_path.write_bytes(folder.metrics_path.read_bytes())
    with pytest.raises(ColonnadeError, match="belongs to another run"):
        half.metrics()


def test_a_checkpoint_of_another_run_is_passed_over(half: RunFolder, tmp_path: Path) -> None:
    other = RunSpec("other", "scratch", SPEC.tasks, "a2c", "tiny")
    theirs = RunFolder(tmp_path / "runs" / other.id)
    with RunRecorder(theirs, other) as recorder:
        recorder.save_checkpoint({"w": torch.ones(3)}, {"rows": 0})
    name = "checkpoint-000002.safetensors"
    (theirs.path / "checkpoint-000001.safetensors").rename(half.path / name)
    with RunRecorder(half, SPEC) as recorder:
        found = recorder.load_checkpoint()
        assert found is not None
        assert found[0]["w"].sum() == 0
        assert found[1] == {"rows": 2}
        assert any(other.id in note for note in recorder.notes)


def test_old_metrics_are_gone_on_with_and_checked_from_then_on(half: RunFolder) -> None:
    plain = "".join(json.dumps(row(100 * n, 1.0)) + "\n" for n in (1, 2))
    half.metrics_path.write_text(plain)
    (half.path / "checkpoint-000001.safetensors").unlink()
    with RunRecorder(half, SPEC) as recorder:
        recorder.append(row(300, 1.0))
    assert len(half.metrics()) == 3
    text = half.metrics_path.read_text()
    half.metrics_path.write_text(text.replace("1.0", "7.0", 1))
    with pytest.raises(ColonnadeError, match="Line 3 of"):
        half.metrics()


def test_every_file_of_a_complete_run_is_checked(half: RunFolder) -> None:
    complete(half)
    assert half.verified
    lines = half.metrics_path.read_text().splitlines(keepends=True)
    half.metrics_path.write_text("".join(lines[:2]))  # whole lines, but not all
    with pytest.raises(ColonnadeError, match="not the file that the run was completed with"):
        half.metrics()
    half.metrics_path.write_text("".join(lines))
    assert len(half.metrics()) == 3
    (half.path / "network.json").write_text('{"network": {}, "tasks": {"b": 0}}')
    with pytest.raises(ColonnadeError, match=r"network\.json is not the file"):
        half.network()


@pytest.mark.parametrize("name", ["spec.json", "result.json", "network.json"])
@pytest.mark.parametrize("damage", ["xxxxxx", "[]", '{"checksum": "0"}', None])
def test_what_to_do_about_a_damaged_file_is_said(
    half: RunFolder, name: str, damage: str | None
) -> None:
    complete(half)
    path = half.path / name
    if damage is None:
        path.unlink()
    else:
        path.write_text(damage)
    read = {"spec.json": lambda: half.spec, "network.json": half.network}.get(name, half.result)
    with pytest.raises(ColonnadeError) as raised:
        read()
    said = str(raised.value)
    assert said.startswith(str(path))
    assert said.endswith(f"; restore it, or delete {half.path} to train the run again.")


def test_a_damaged_plan_is_to_be_restored(tmp_path: Path) -> None:
    poles(tmp_path)
    (tmp_path / "suite.json").write_text("xxxxxx")
    with pytest.raises(ColonnadeError, match=r"is damaged and cannot be .*; restore it\.$"):
        SuiteFolder.read(tmp_path)


def test_the_result_of_another_run_is_noticed(half: RunFolder) -> None:
    complete(half)
    result = read_json(half.path / "result.json")
    result["spec"]["seed"] = 1
    write_json(half.path / "result.json", result)
    with pytest.raises(ColonnadeError, match=f"is the result of another run than {SPEC.id}"):
        half.result()
    text = (half.path / "result.json").read_text().replace('"training_seconds": 1.0', "1:2", 1)
    (half.path / "result.json").write_text(text.replace('"cores": 1', '"cores": 2'))
    with pytest.raises(ColonnadeError, match=r"result\.json"):
        half.result()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"cores": 1', '"cores": "two"', "a whole number as 'hardware.cores', but has 'two'"),
        ('"training_seconds": 1.0', '"training_seconds": 1e999', "cannot be read as JSON"),
        ('"notes": []', '"notes": [1]', "a text as 'notes[0]', but has 1"),
        ('"scores": []', '"scores": [[]]', "has 'scores' where the list should be of objects"),
        ('"scores": []', '"scores": [{"kind": "evaluation"}]', "lacks 'task'"),
        ('"versions": {}', '"versions": null', "an object as 'versions', but has None"),
    ],
)
def test_what_has_no_checksum_must_still_make_sense(
    half: RunFolder, old: str, new: str, said: str
) -> None:
    complete(half)
    path = half.path / "result.json"
    plain = {k: v for k, v in read_json(path).items() if k != "checksum"}
    path.write_text(json.dumps(plain).replace(old, new))
    with pytest.raises(ColonnadeError) as raised:
        half.result()
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_files_from_before_checksums_are_read_and_that_is_said(tmp_path: Path) -> None:
    suite = poles(tmp_path)
    assert not any(folder.verified for folder in suite.runs)
    said = dict(facts(Results(suite)))
    assert said["Unverified"] == "the files of 2 of 2 complete runs, which hold no checksums"
    for folder in suite.runs:
        result = folder.result()
        write_json(folder.path / "result.json", {**result, "files": folder.checksums()})
    assert "Unverified" not in dict(facts(Results(suite)))
    first, second = (folder.path / "weights.safetensors" for folder in suite.runs)
    first.write_bytes(second.read_bytes())
    with pytest.raises(ColonnadeError, match="does not fit its checksum in result"):
        suite.runs[0].weights()
    assert list(suite.runs[1].network()["tasks"]) == [POLE]


@pytest.mark.parametrize("damage", ["", "{", '{"runs": 3', "\x00", "[]", '{"check": "0"}'])
def test_a_damaged_line_of_sessions_is_passed_over_and_told(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "sessions.jsonl"
    line = {"started": 1.0, "seconds": 2.0, "workers": 2, "runs": 1, "cpu_seconds": 3.0}
    append_line(path, line)
    with path.open("a") as file:
        file.write(damage)
    append_line(path, line)
    with caplog.at_level(logging.WARNING):
        assert read_lines(path) == [line, line]
    assert bool(caplog.messages) == bool(damage)
    assert SuiteFolder.sessions(SuiteFolder(tmp_path, "x", {}, poles(tmp_path / "p").plan)) == [
        line,
        line,
    ]


def test_a_status_that_makes_no_sense_is_passed_over(half: RunFolder) -> None:
    path = half.path / "status.json"
    assert half.status()["error"] is None
    for wrong in ('{"notes": 3}', "{", "[]", '{"error": {}}'):
        path.write_text(wrong)
        assert half.status() == {}
    path.write_text('{"progress": {"run_step": "x"}}')
    assert half.status() == {"progress": None}


def test_what_is_no_file_is_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name, said in (
        ("pipe", "is a pipe"),
        ("folder.json", "is a directory"),
        ("link", "is a link to something that is missing"),
        ("loop", "cannot be read"),
        ("zero", "is a device"),
        ("none", "is missing"),
    ):
        with pytest.raises(ColonnadeError, match=said):
            read_content(tmp_path / name)
    with pytest.raises(ColonnadeError, match=r"move it away|is a link to|cannot be read"):
        check_folder(tmp_path)
    with pytest.raises(ColonnadeError, match="is a pipe"):
        read_metrics(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"a": 1e999}', "not JSON compliant"),
        ('{"a": NaN}', "NaN"),
        ('{"a": ' + "9" * 5000 + "}", "limit"),
        ("\xff", "JSON"),
    ],
)
def test_json_that_is_none(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ColonnadeError, match=said):
        read_json(path)


def test_equal_content_has_equal_bytes_and_a_checksum(tmp_path: Path) -> None:
    one, two = tmp_path / "1.json", tmp_path / "2.json"
    write_json(one, {"a": (1, 2), "b": "é"})
    write_json(two, {"a": [1, 2], "b": "é"})
    assert one.read_bytes() == two.read_bytes()
    assert read_checked(one) == ({"a": [1, 2], "b": "é"}, True)
    one.write_text(one.read_text().replace("2", "3", 1))
    with pytest.raises(ColonnadeError, match="is damaged: its checksum does not fit"):
        read_json(one)


def test_a_png_is_told_from_what_is_none() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
        )

    whole = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", b"x" * 13) + chunk(b"IEND", b"")
    assert is_png(whole)
    assert not any(is_png(whole[:n]) for n in range(len(whole)))
    flipped = (whole[:n] + bytes([whole[n] ^ 1]) + whole[n + 1 :] for n in range(len(whole)))
    assert not any(map(is_png, flipped))
