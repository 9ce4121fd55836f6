"""A run waits until this machine sees what another one wrote; no longer than it is told."""

import threading
import time
from pathlib import Path

from finished import run_spec

from colonnade.experiments.plans.spec import BEST, BUNDLED, RunSpec
from colonnade.experiments.store.files import write_json
from colonnade.experiments.store.parents import await_origins


def child(parent: str) -> RunSpec:
    return run_spec("child", "progressive", "mini-pong/pong", parent=parent)


def waits(suite: Path, parent: str, seconds: float) -> float:
    start = time.monotonic()
    await_origins(suite, child(parent), seconds)
    return time.monotonic() - start


def test_what_is_there_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "runs" / "one").mkdir(parents=True)
    (tmp_path / "runs" / "one" / "DONE").touch()
    write_json(tmp_path / "choices.json", {f"{BEST}of": {"run": "one", "runs": 1, "score": 0.5}})
    for parent in ("one", f"{BEST}of", f"{BUNDLED}some"):
        assert waits(tmp_path, parent, 60.0) < 10.0


def test_what_is_missing_is_waited_for_until_it_comes_or_time_is_over(tmp_path: Path) -> None:
    assert waits(tmp_path, "one", 0.3) >= 0.3
    assert waits(tmp_path, f"{BEST}of", 0.3) >= 0.3
    (tmp_path / "runs" / "one").mkdir(parents=True)
    timer = threading.Timer(0.3, (tmp_path / "runs" / "one" / "DONE").touch)
    timer.start()
    assert 0.2 < waits(tmp_path, "one", 60.0) < 30.0
