"""Weights & Biases, offline and with nobody logged in: the real package, in processes of its own.

It starts a process of its own, and so each test takes seconds.
"""

import signal
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from colonnade.errors import UsageError
from colonnade.training.tracking import weights_and_biases
from colonnade.training.tracking.weights_and_biases import _records, check_installed, kept_offline

installed = pytest.mark.skipif(find_spec("wandb") is None, reason="needs colonnade[wandb]")

SCRIPT = """
import os, signal, sys
from colonnade.training import MemoryRecorder
from colonnade.training.tracking import TrackedRecorder, WeightsAndBiases

os.setsid()
inner = MemoryRecorder()
begin, end, last = map(int, sys.argv[2:])

def row(number):
    return {"kind": "curve", "task": "pong", "task_index": 0, "step": 10 * number,
            "return_mean": float(number)}

inner.history += [row(number) for number in range(begin)]
tracker = WeightsAndBiases(sys.argv[1], label="a run", group="suite", config={"seed": 3})
with TrackedRecorder(tracker, recorder=inner) as recorder:
    for number in range(begin, end):
        recorder.append(row(number))
    if not last:
        os.killpg(0, signal.SIGKILL)
print(*inner.notes, sep="\\n")
"""


def ran(folder: Path, *numbers: int, **variables: str) -> subprocess.CompletedProcess[str]:
    import os

    command = [sys.executable, "-c", textwrap.dedent(SCRIPT), str(folder), *map(str, numbers)]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("WANDB_")}
    variables |= {"HOME": str(folder), "NETRC": str(folder / "none")}
    return subprocess.run(
        command, env=kept | variables, capture_output=True, text=True, timeout=200, check=False
    )


def history(folder: Path) -> list[dict[str, Any]]:
    """Read all rows in offline files, whichever session wrote them."""
    from wandb.proto import wandb_internal_pb2

    rows = []
    for path in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
        for piece in _records(path.read_bytes()):
            record: Any = wandb_internal_pb2.Record()  # type: ignore[attr-defined]
            record.ParseFromString(piece)
            if record.WhichOneof("record_type") == "history":
                items = record.history.item
                rows.append({i.key or "/".join(i.nested_key): float(i.value_json) for i in items})
            elif record.WhichOneof("record_type") == "run":
                run = record.run
                assert (run.display_name, run.run_group) == ("a run", "suite")
                assert run.project == "mine"
    return rows


@pytest.mark.slow
@installed
def test_a_run_that_was_killed_goes_on_in_the_same_one_without_double_rows(tmp_path: Path) -> None:
    offline = {"WANDB_MODE": "offline", "WANDB_PROJECT": "mine"}
    assert ran(tmp_path, 0, 5, 1, **offline).returncode == 0
    assert ran(tmp_path, 5, 9, 0, **offline).returncode == -signal.SIGKILL
    done = ran(tmp_path, 7, 12, 1, **offline)  # from the checkpoint after seven rows
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
    rows = history(tmp_path)
    assert [row["_step"] for row in rows] == list(range(12))
    for number, row in enumerate(rows):
        assert row["curve/pong/return_mean"] == number
        assert row["steps"] == 10 * number
    ids = {path.name.rpartition("-")[2] for path in tmp_path.glob("wandb/offline-run-*")}
    assert len(ids) == 1
    assert kept_offline(tmp_path, ids.pop()) == 12


@pytest.mark.slow
@installed
def test_where_nobody_is_logged_in_training_goes_on(tmp_path: Path) -> None:
    done = ran(tmp_path, 0, 5, 1)
    assert done.returncode == 0, done.stderr
    assert "Weights & Biases records no more of this: UsageError: No API key" in done.stdout
    assert done.stdout.count("\n") == 1


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_and_biases, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"not installed; install colonnade\[wandb\]"):
        check_installed()


def test_a_file_that_is_none_of_theirs_counts_for_nothing(tmp_path: Path) -> None:
    place = tmp_path / "wandb" / "offline-run-1-x"
    place.mkdir(parents=True)
    (place / "run-x.wandb").write_bytes(bytes(range(256)) * 200)
    assert kept_offline(tmp_path, "x") == 0
    assert kept_offline(tmp_path / "nowhere", "x") == 0
