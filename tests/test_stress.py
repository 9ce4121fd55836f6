"""The stress test, short; `make stress` is the whole of it."""

import json
import sys
from pathlib import Path

import pytest

import stress
from colonnade.experiments.plans.build import build_method, build_tasks
from colonnade.experiments.plans.spec import RunSpec
from harness.hung import hangs
from harness.orphans import analyse, kinds, sweep
from harness.runs import PAIR, SPECS
from harness.tally import Tally

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_every_run_that_is_disturbed_can_be_built(tmp_path: Path) -> None:
    built = [*SPECS, *PAIR]
    for kind in (*kinds(), *hangs()):
        if kind.arguments not in (sweep, analyse):
            kind.arguments(tmp_path)
            built += map(RunSpec.from_json, json.loads((tmp_path / "specs.json").read_text()))
    for spec in built:
        build_method(spec)
        build_tasks(spec)
    assert {"a2c", "ppo", "dqn", "a3c"} == {spec.learner for spec in SPECS}
    worlds = {spec.target.split("/")[0] for spec in built}
    assert {"mini-pong", "t-maze", "jaco", "labyrinth"} <= worlds


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out.splitlines()[-1]


def test_killed_runs_end_as_if_nothing_had_happened(capsys: pytest.CaptureFixture[str]) -> None:
    assert stress.main(["--kills", "2", "--seed", "1", "--runs-alone"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "2 of 2"
    assert "worker and server killed" in lines[1]


def test_a_count_goes_on_where_its_record_ends(tmp_path: Path) -> None:
    record = tmp_path / "record"
    first = Tally("kills", 1, record)
    first.tell(1, "one", "", "equal")
    first.tell(2, "two", "other numbers", "equal")
    again = Tally("kills", 1, record)
    assert [case in again for case in (1, 2, 3)] == [True, True, False]
    assert 1 not in Tally("kills", 2, record)
    assert 1 not in Tally("hung", 1, record)
    assert again.stream(3).random() == first.stream(3).random() != first.stream(4).random()
    again.tell(3, "three", "", "equal")
    assert again.end() == 1


@needs_linux
def test_a_kill_at_any_call_that_writes_is_gone_on_from(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert stress.main(["--injected", "2"]) == 0
    assert last_line(capsys) == "2 of 2"


@needs_linux
def test_a_full_disk_is_gone_on_from(capsys: pytest.CaptureFixture[str]) -> None:
    assert stress.main(["--full-disk", "1"]) == 0
    assert last_line(capsys) == "1 of 1"


@needs_linux
@pytest.mark.slow
def test_nothing_outlives_a_command_that_is_killed(capsys: pytest.CaptureFixture[str]) -> None:
    assert stress.main(["--orphans", "1", "--only", "a2c"]) == 0
    assert last_line(capsys) == "1 of 1"


@needs_linux
@pytest.mark.slow
def test_memory_stays_flat() -> None:
    assert stress.main(["--memory", "120"]) == 0
