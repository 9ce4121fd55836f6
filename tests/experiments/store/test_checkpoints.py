"""Checkpoints whose parts are written once; sizes and names of files are looked at from outside."""

from pathlib import Path
from typing import Any

import pytest
import torch

from colonnade.experiments.store.checkpoints import CheckpointFiles
from colonnade.training import read_tensors, write_tensors

FROZEN = {f"column/{n}": torch.full((200, 200), float(n)) for n in range(3)}
"""160 kB each."""


def state(step: int) -> dict[str, torch.Tensor]:
    return FROZEN | {"moving": torch.full((200, 200), 10.0 + step), "small": torch.tensor([step])}


def names(folder: Path) -> list[str]:
    return sorted(path.name.removesuffix(".safetensors") for path in folder.iterdir())


def size(folder: Path, name: str) -> int:
    return (folder / f"{name}.safetensors").stat().st_size


def files(folder: Path) -> tuple[CheckpointFiles, list[str]]:
    notes: list[str] = []
    return CheckpointFiles(folder, notes.append), notes


def same(found: Any, step: int) -> bool:
    tensors, meta = found
    wanted = state(step)
    return (
        meta == {"step": step}
        and tensors.keys() == wanted.keys()
        and all(torch.equal(tensors[name], wanted[name]) for name in wanted)
    )


def test_what_has_not_changed_is_written_once(tmp_path: Path) -> None:
    checkpoints, _ = files(tmp_path)
    checkpoints.save(state(1), {"step": 1})
    assert size(tmp_path, "checkpoint-000001") > 4 * 160_000
    written = []
    for step in range(2, 6):
        checkpoints.save(state(step), {"step": step})
        written.append(size(tmp_path, f"checkpoint-00000{step}"))
        assert same(files(tmp_path)[0].load(), step)
    assert max(written) < 170_000
    assert names(tmp_path) == ["checkpoint-000004", "checkpoint-000005", "part-000002"]
    assert size(tmp_path, "part-000002") == pytest.approx(3 * 160_000, rel=0.01)


def test_a_part_goes_with_the_last_checkpoint_that_names_it(tmp_path: Path) -> None:
    checkpoints, _ = files(tmp_path)
    for step in (1, 2):
        checkpoints.save(state(step), {"step": step})
    other = {name: value + 10 for name, value in FROZEN.items()}
    for step in (3, 4):
        checkpoints.save(other | {"small": torch.tensor([step])}, {"step": step})
    assert names(tmp_path) == ["checkpoint-000003", "checkpoint-000004", "part-000004"]
    found = files(tmp_path)[0].load()
    assert found is not None
    assert torch.equal(found[0]["column/2"], FROZEN["column/2"] + 10)


def test_a_resumed_run_writes_no_part_again(tmp_path: Path) -> None:
    checkpoints, _ = files(tmp_path)
    for step in (1, 2):
        checkpoints.save(state(step), {"step": step})
    before = (tmp_path / "part-000002.safetensors").stat()
    resumed, _ = files(tmp_path)
    assert same(resumed.load(), 2)
    for step in (3, 4, 5):
        resumed.save(state(step), {"step": step})
    after = (tmp_path / "part-000002.safetensors").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert names(tmp_path) == ["checkpoint-000004", "checkpoint-000005", "part-000002"]
    assert same(files(tmp_path)[0].load(), 5)


def test_a_damaged_or_foreign_part_is_noticed(tmp_path: Path) -> None:
    checkpoints, _ = files(tmp_path)
    checkpoints.save(state(1), {"step": 1})
    checkpoints.save(state(2), {"step": 2})
    part = tmp_path / "part-000002.safetensors"
    whole = part.read_bytes()
    part.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    checkpoints, notes = files(tmp_path)
    assert same(checkpoints.load(), 1)  # which names no part
    assert "A damaged checkpoint is passed over" in notes[0]
    assert "part-000002.safetensors is damaged" in notes[0]
    checkpoints.save(state(2), {"step": 2})
    write_tensors(part, {"0" * 64: FROZEN["column/0"]}, {})
    assert same(files(tmp_path)[0].load(), 1)


def test_a_checkpoint_from_before_there_were_parts_is_read(tmp_path: Path) -> None:
    write_tensors(tmp_path / "checkpoint-000007.safetensors", state(7), {"step": 7})
    checkpoints, _ = files(tmp_path)
    assert same(checkpoints.load(), 7)
    checkpoints.save(state(8), {"step": 8})
    assert names(tmp_path) == ["checkpoint-000007", "checkpoint-000008", "part-000008"]
    assert read_tensors(tmp_path / "checkpoint-000008.safetensors")[0].keys() == {"moving", "small"}


def test_nothing_is_left_when_a_run_is_complete(tmp_path: Path) -> None:
    checkpoints, _ = files(tmp_path)
    for step in (1, 2, 3):
        checkpoints.save(state(step), {"step": step})
    (tmp_path / "checkpoint-000001.damaged").touch()
    checkpoints.clear()
    assert names(tmp_path) == []
