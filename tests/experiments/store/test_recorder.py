import errno
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from colonnade.errors import ColonnadeError
from colonnade.experiments.plans.spec import RunSpec, TaskBudget, TaskVisit
from colonnade.experiments.store.files import DiskFullError
from colonnade.experiments.store.folders import RunFolder
from colonnade.experiments.store.metrics import read_metrics
from colonnade.experiments.store.recorder import RunRecorder
from colonnade.training import Progress, read_tensors, write_tensors

SPEC = RunSpec(
    label="two tasks",
    method="progressive",
    tasks=(TaskBudget("mini-pong/pong", 100), TaskBudget("mini-pong/zoom", 100)),
    learner="ppo",
    column="tiny",
)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / SPEC.id)


def row(task_index: int, step: int) -> dict[str, Any]:
    name = SPEC.tasks[task_index].name
    return {
        "kind": "curve", "task": name, "task_index": task_index, "step": step, "width": 50,
        "return_mean": float(step),
    }  # fmt: skip


def checkpoint(recorder: RunRecorder, value: float) -> None:
    recorder.save_checkpoint({"w": torch.full((100,), value)}, {"rows": recorder.rows})


def values(folder: RunFolder) -> Iterator[float]:
    with RunRecorder(folder, SPEC) as recorder:
        loaded = recorder.load_checkpoint()
        assert loaded is not None
        yield float(loaded[0]["w"][0])


@pytest.mark.parametrize("owner", ["<script>", {"run": "another"}, {"run": ["another"]}, {}, None])
def test_a_checkpoint_of_another_owner_is_passed_over(folder: RunFolder, owner: Any) -> None:
    with RunRecorder(folder, SPEC) as recorder:
        checkpoint(recorder, 1.0)
        checkpoint(recorder, 2.0)
    newest = folder.path / "checkpoint-000002.safetensors"
    tensors, meta = read_tensors(newest)
    write_tensors(newest, tensors, {**meta, "recorder": owner})
    assert list(values(folder)) == [1.0]


def test_the_newest_two_checkpoints_are_kept(folder: RunFolder) -> None:
    with RunRecorder(folder, SPEC) as recorder:
        for value in (1.0, 2.0, 3.0):
            checkpoint(recorder, value)
    names = sorted(path.name for path in folder.path.glob("checkpoint-*"))
    assert names == ["checkpoint-000002.safetensors", "checkpoint-000003.safetensors"]
    assert list(values(folder)) == [3.0]


@pytest.mark.parametrize("damage", ["truncated", "foreign", "flipped"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before_and_a_note_says_so(
    folder: RunFolder, damage: str
) -> None:
    with RunRecorder(folder, SPEC) as recorder:
        for value in (1.0, 2.0):
            recorder.append(row(0, int(value)))
            checkpoint(recorder, value)
    newest = folder.path / "checkpoint-000002.safetensors"
    content = bytearray(newest.read_bytes())
    if damage == "flipped":
        content[-1] ^= 1
    newest.write_bytes({"truncated": content[:-50], "foreign": b"no tensors"}.get(damage, content))
    with RunRecorder(folder, SPEC) as recorder:
        loaded = recorder.load_checkpoint()
        assert loaded is not None
        assert (float(loaded[0]["w"][0]), loaded[1]) == (1.0, {"rows": 1})
        assert "checkpoint-000002" in recorder.notes[0]
        checkpoint(recorder, 5.0)
        checkpoint(recorder, 6.0)
    assert list(values(folder)) == [6.0]


def test_without_a_checkpoint_a_run_starts_over_without_rows(folder: RunFolder) -> None:
    with RunRecorder(folder, SPEC) as recorder:
        recorder.append(row(0, 10))
    with RunRecorder(folder, SPEC) as recorder:
        assert recorder.load_checkpoint() is None
    assert folder.metrics() == []


def test_a_torn_last_line_is_cut_and_noted(folder: RunFolder) -> None:
    with RunRecorder(folder, SPEC) as recorder:
        recorder.append(row(0, 10))
    with folder.metrics_path.open("a") as file:
        file.write('{"kind": "cur')
    with RunRecorder(folder, SPEC) as recorder:
        assert recorder.rows == 1
        assert "torn" in recorder.notes[0]
    assert folder.status()["notes"] == recorder.notes
    assert read_metrics(folder.metrics_path) == [row(0, 10)]


def test_a_folder_without_its_spec_is_refused(folder: RunFolder) -> None:
    with RunRecorder(folder, SPEC) as recorder:
        recorder.append(row(0, 10))
    (folder.path / "spec.json").unlink()
    with pytest.raises(ColonnadeError, match=r"spec\.json is missing"), RunRecorder(folder, SPEC):
        pass


def test_a_folder_of_another_run_is_refused(tmp_path: Path, folder: RunFolder) -> None:
    with RunRecorder(folder, SPEC):
        pass
    moved = RunFolder(tmp_path / "another-00000000")
    folder.path.rename(moved.path)
    with (
        pytest.raises(ColonnadeError, match="does not belong in this folder"),
        RunRecorder(moved, SPEC),
    ):
        pass


def test_two_recorders_never_write_one_folder(folder: RunFolder) -> None:
    with (
        RunRecorder(folder, SPEC),
        pytest.raises(ColonnadeError, match="being written by process"),
        RunRecorder(folder, SPEC),
    ):
        pass


def test_a_full_disk_keeps_the_last_checkpoint(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def train() -> None:
        with RunRecorder(folder, SPEC) as recorder:
            checkpoint(recorder, 1.0)
            monkeypatch.setattr("os.fsync", full)
            checkpoint(recorder, 2.0)

    with pytest.raises(DiskFullError, match="disk is full"):
        train()
    monkeypatch.undo()
    assert list(values(folder)) == [1.0]
    assert not list(folder.path.glob(".*tmp"))


def test_status_counts_steps_over_the_whole_sequence(folder: RunFolder) -> None:
    with RunRecorder(folder, SPEC) as recorder:
        recorder.progress(Progress("mini-pong/zoom", 1, 40, 100, 1000.0, None))
    assert folder.status()["progress"]["run_step"] == 140
    assert folder.status()["error"] is None


def test_status_counts_the_steps_of_all_visits(tmp_path: Path) -> None:
    names = [task.name for task in SPEC.tasks]
    stays = tuple(TaskVisit(names[n], steps) for n, steps in ((1, 100), (0, 50), (1, 200)))
    spec = replace(SPEC, visits=stays)
    folder = RunFolder(tmp_path / "runs" / spec.id)
    with RunRecorder(folder, spec) as recorder:
        for visit, step, done in ((0, 40, 40), (1, 0, 100), (2, 60, 210), (2, 230, 350)):
            recorder._written = 0.0
            recorder.progress(Progress(stays[visit].task, 0, step, 1, 1.0, None, visit))
            assert folder.status()["progress"]["run_step"] == done


def test_status_can_be_read_whatever_the_returns_are(folder: RunFolder) -> None:
    with RunRecorder(folder, SPEC) as recorder:
        recorder.progress(Progress("mini-pong/pong", 0, 40, 100, 1000.0, float("nan")))
        assert folder.status()["progress"]["recent_return"] is None


def test_status_says_what_went_wrong(folder: RunFolder) -> None:
    with pytest.raises(ColonnadeError), RunRecorder(folder, SPEC):
        raise ColonnadeError("The loss is NaN.")
    assert folder.status()["error"] == "The loss is NaN."


def tensorboard(folder: RunFolder) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder.path)).Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def test_tensorboard_shows_no_step_twice_after_a_resume(folder: RunFolder) -> None:
    with RunRecorder(folder, SPEC) as recorder:
        for index, step in ((0, 50), (0, 100), (1, 50), (1, 100)):
            recorder.append(row(index, step))
    with RunRecorder(folder, SPEC) as recorder:
        recorder.rewind(2)
        recorder.append(row(1, 50) | {"return_mean": -1.0})
    scalars = tensorboard(folder)
    assert scalars["curve/mini-pong/pong/return_mean"] == [(50, 50.0), (100, 100.0)]
    assert scalars["curve/mini-pong/zoom/return_mean"] == [(150, -1.0)]


def test_tensorboard_tells_apart_tasks_policies_and_what_is_tested(folder: RunFolder) -> None:
    pong, zoom = (task.name for task in SPEC.tasks)
    rows = [
        # An update has led past the first task's budget of 100.
        row(0, 103) | {"return_mean": 1.0},
        *(
            {"kind": "test", "task": pong, "task_index": 0, "step": 103, "tested": tested,
             "tested_index": number, "return_mean": 2.0 + number, "return_std": 0.5}
            for number, tested in enumerate((pong, zoom))
        ),
        row(1, 3) | {"return_mean": 4.0},
        {"kind": "test", "task": zoom, "task_index": 1, "step": 3, "tested": pong,
         "tested_index": 0, "return_mean": 5.0},
        *(
            {"kind": "evaluation", "task": task, "policy": policy, "step": 100,
             "return_mean": value}
            for task, policy, value in (
                (pong, "random", 6.0), (pong, "trained", 7.0),
                (zoom, "random", 8.0), (zoom, "trained", 9.0),
            )
        ),
        *(
            {"kind": "overlap", "task": zoom, "other": pong, "policy": "overlap", "layer": layer,
             "depth": depth, "overlap": 10.0 + depth}
            for depth, layer in enumerate(("0.stages.0", "0.output"))
        ),
    ]  # fmt: skip
    with RunRecorder(folder, SPEC) as recorder:
        for each in rows:
            recorder.append(each)
    means = {tag: points for tag, points in tensorboard(folder).items() if "_std" not in tag}
    assert means == {
        f"curve/{pong}/return_mean": [(103, 1.0)],
        f"curve/{zoom}/return_mean": [(103, 4.0)],
        f"test/{pong}/{pong}/return_mean": [(103, 2.0)],
        f"test/{pong}/{zoom}/return_mean": [(103, 3.0)],
        f"test/{zoom}/{pong}/return_mean": [(103, 5.0)],
        # Of the networks at the end, wherever their own task ended.
        f"evaluation/{pong}/random/return_mean": [(103, 6.0)],
        f"evaluation/{pong}/trained/return_mean": [(103, 7.0)],
        f"evaluation/{zoom}/random/return_mean": [(103, 8.0)],
        f"evaluation/{zoom}/trained/return_mean": [(103, 9.0)],
        f"overlap/{zoom}/{pong}/overlap/0.stages.0/overlap": [(103, 10.0)],
        f"overlap/{zoom}/{pong}/overlap/0.output/overlap": [(103, 11.0)],
    }


def test_what_a_killed_process_left_unfinished_is_removed(folder: RunFolder) -> None:
    folder.path.mkdir()
    left = folder.path / ".checkpoint-000003.safetensors.4711.tmp"
    left.write_bytes(b"half a checkpoint")
    with RunRecorder(folder, SPEC):
        assert not left.exists()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_damage_to_a_checkpoint_goes_unnoticed(data: st.DataObject) -> None:
    tensors = {"a": torch.arange(12.0).reshape(3, 4), "b": torch.ones(5, dtype=torch.int64)}
    with TemporaryDirectory() as place:
        path = Path(place) / "checkpoint.safetensors"
        write_tensors(path, tensors, {"rows": 3, "note": "Grüße"})
        whole = path.read_bytes()
        if data.draw(st.booleans()):
            damaged = whole[: data.draw(st.integers(0, len(whole) - 1))]
        else:
            changed = bytearray(whole)
            changed[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
            damaged = bytes(changed)
        path.write_bytes(damaged)
        try:
            found, meta = read_tensors(path)
        except ColonnadeError:
            return
        # Some bytes mean nothing, such as the blanks after the header.
        assert meta == {"rows": 3, "note": "Grüße"}
        assert found.keys() == tensors.keys()
        assert all(torch.equal(found[name], tensors[name]) for name in tensors)


def test_notes_of_earlier_sessions_are_kept(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / SPEC.id)
    with RunRecorder(folder, SPEC) as recorder:
        recorder.note("A worker died\nat step 7.")
    with RunRecorder(folder, SPEC) as recorder:
        recorder.note("A worker died\nat step 7.")
        recorder.note("Another one did.")
        assert recorder.notes == ["A worker died at step 7.", "Another one did."]
    lines = (folder.path / "notes.txt").read_text().splitlines()
    assert [line[:-11] for line in lines] == ["A worker died at step 7.", "Another one did."]
