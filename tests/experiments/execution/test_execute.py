import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from finished import AROUND
from rich.console import Console

from colonnade.cli.display import Display, summary
from colonnade.errors import ColonnadeError
from colonnade.experiments.execution.execute import Failure, StoppedError, execute
from colonnade.experiments.execution.processes import ending
from colonnade.experiments.execution.progress import RunView
from colonnade.experiments.execution.resources import Resources
from colonnade.experiments.execution.workers import Ended
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.store.folders import RunFolder, SuiteFolder
from colonnade.experiments.store.lock import FolderLock
from colonnade.experiments.words import duration

# Stands for the worker: notes when it begins and ends, and does what the run's id says.
FAKE = (
    """
import os, signal, sys, time
from pathlib import Path
out, run = Path(sys.argv[1]), sys.argv[2]
def note(what):
    with (out / "order.txt").open("a") as file:
        file.write(f"{what} {run.split('-')[0]}\\n")
def stop(*_):
    note("stopped")
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
note("begins")
if "fails" in run:
    print("Traceback: many lines")
    print("colonnade.errors.ColonnadeError: The loss is NaN.")
    sys.exit(1)
if "reports" in run:
    (out / "runs" / run / "status.json").write_text('{"error": "The loss is NaN."}')
    print("a warning at exit")
    sys.exit(1)
if "killed" in run:
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(60 if "long" in run else 0.05)
note("ends")
(out / "runs" / run / "result.json").write_text('"""
    + json.dumps({**AROUND, "scores": []})
    + """')
(out / "runs" / run / "DONE").touch()
"""
)


def spec(label: str, parent: RunSpec | None = None) -> RunSpec:
    task = TaskBudget("mini-pong/pong", 100)
    return RunSpec(label, "scratch", (task,), "ppo", "tiny", parent=parent.id if parent else None)


class FakeWorkers:
    """Workers that are plain processes."""

    def __init__(self, suite: Path) -> None:
        self.suite = suite
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def machines(self, runs: int) -> list[Resources]:
        return [Resources(max(2, runs), memory=2**30)]

    def start(self, run: str, share: Resources) -> None:
        with (self.suite / "runs" / run / "log.txt").open("ab") as file:
            self.processes[run] = subprocess.Popen(
                [sys.executable, "-c", FAKE, str(self.suite), run],
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    def ended(self, seconds: float) -> list[Ended]:
        time.sleep(min(seconds, 0.02))
        over = [run for run, process in self.processes.items() if process.poll() is not None]
        return [
            ending(RunFolder(self.suite / "runs" / run), self.processes.pop(run).returncode)
            for run in over
        ]

    def silent(self) -> dict[str, float]:
        return {}

    def stop(self, run: str) -> None:
        self.processes[run].terminate()

    def kill(self, run: str) -> None:
        self.processes[run].kill()

    def close(self) -> None:
        assert not self.processes, "all have ended"


def run(path: Path, *specs: RunSpec, jobs: int = 2) -> tuple[list[Failure], list[str], str]:
    suite = SuiteFolder(path, "test", {}, Plan(specs))
    suite.begin()
    for each in specs:  # as a worker does
        folder = suite.run(each.id).path
        folder.mkdir(exist_ok=True)
        (folder / "spec.json").write_text(json.dumps(each.to_json()))
    output = io.StringIO()
    display = Display(Console(file=output, width=200), "test")
    failures = execute(suite, suite.plan, jobs=jobs, display=display, make_workers=FakeWorkers)
    return failures, (path / "order.txt").read_text().splitlines(), output.getvalue()


def test_a_run_begins_when_its_parent_is_complete(tmp_path: Path) -> None:
    root = spec("root")
    child = spec("child", root)
    failures, order, _ = run(tmp_path, root, child, spec("grandchild", child), jobs=3)
    assert failures == []
    expected = ["root", "child", "grandchild"]
    assert order == [f"{what} {name}" for name in expected for what in ("begins", "ends")]


def test_runs_are_done_side_by_side_but_no_more_than_jobs(tmp_path: Path) -> None:
    _, order, _ = run(tmp_path, *(spec(name) for name in "abcd"), jobs=2)
    level = highest = 0
    for line in order:
        level += 1 if line.startswith("begins") else -1
        highest = max(highest, level)
    assert (level, highest) == (0, 2)


def test_complete_runs_are_not_done_again(tmp_path: Path) -> None:
    run(tmp_path, spec("a"))
    _, order, _ = run(tmp_path, spec("a"), spec("b"))
    assert sorted(order) == ["begins a", "begins b", "ends a", "ends b"]


@pytest.mark.parametrize(
    "left",
    [
        {"checkpoint-000007.safetensors", "part-000005.safetensors", "lock-holder.txt"},
        {".status.json.123.tmp"},
    ],
)
def test_what_a_kill_in_a_runs_last_moments_left_is_removed(tmp_path: Path, left: set[str]) -> None:
    specs = spec("a"), spec("b")
    run(tmp_path, *specs)
    one, held = (tmp_path / "runs" / each.id for each in specs)
    before = {path.name for path in one.iterdir()}
    for folder in (one, held):
        for name in left:
            (folder / name).write_bytes(b"left")
    with FolderLock(held):
        run(tmp_path, *specs)
        assert left <= {path.name for path in held.iterdir()}, "another process is at it"
    assert {path.name for path in one.iterdir()} == before | {"lock"}


def test_a_failed_run_stops_only_its_children_and_says_why(tmp_path: Path) -> None:
    failing, reports, killed = spec("fails"), spec("reports"), spec("killed")
    child = spec("child", failing)
    failures, order, output = run(tmp_path, failing, child, reports, killed, spec("other"))
    assert "ends other" in order
    assert "begins child" not in order
    reasons = {failure.run: failure.reason for failure in failures}
    assert reasons == {
        failing.id: "The loss is NaN.",
        reports.id: "The loss is NaN.",
        child.id: f"it starts from run {failing.id}, which failed",
        killed.id: "its process was ended by signal 9 (SIGKILL), again and again",
    }
    log = tmp_path / "runs" / failing.id / "log.txt"
    assert {failure.log for failure in failures if failure.run == failing.id} == {log}
    assert "1 of 5 runs complete, 4 failed" in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_stop_the_runs_and_name_the_exit_status(tmp_path: Path, number: int) -> None:
    def interrupt() -> None:
        order = tmp_path / "order.txt"
        while not order.exists() or order.read_text().count("begins") < 2:
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(StoppedError, match="the same command goes on") as caught:
        run(tmp_path, spec("long"), spec("longer"), spec("waiting"))
    thread.join()
    assert caught.value.exit_status == 128 + number
    order = (tmp_path / "order.txt").read_text().splitlines()
    assert sorted(order[:2]) == ["begins long", "begins longer"]
    assert sorted(order[2:]) == ["stopped long", "stopped longer"]


def test_a_hopeless_run_is_stopped_for_good_and_the_others_complete(tmp_path: Path) -> None:
    hopeless, other = spec("long"), spec("other")
    suite = SuiteFolder(tmp_path, "test", {}, Plan((hopeless, other)))
    suite.begin()

    def judge(running: list[RunSpec]) -> dict[str, str]:
        order = tmp_path / "order.txt"
        begun = order.exists() and "begins long" in order.read_text()
        return {s.id: "below the median" for s in running if begun and s == hopeless}

    def train() -> list[Failure]:
        display = Display(Console(quiet=True), "test")
        return execute(suite, suite.plan, jobs=2, judge=judge, display=display,
            make_workers=FakeWorkers)  # fmt: skip

    assert train() == []
    assert suite.run(hopeless.id).stopped == "below the median"
    assert suite.run(other.id).done
    order = (tmp_path / "order.txt").read_text()
    assert "stopped long" in order
    assert train() == []
    assert (tmp_path / "order.txt").read_text() == order, "neither is begun again"


def test_a_run_whose_server_dies_all_the_time_fails_in_the_end(tmp_path: Path) -> None:
    class Orphans(FakeWorkers):
        starts = 0

        def start(self, run: str, share: Resources) -> None:
            Orphans.starts += 1

        def ended(self, seconds: float) -> list[Ended]:
            return [Ended(spec("a").id, "lost", "its machine was switched off")]

    suite = SuiteFolder(tmp_path, "test", {}, Plan((spec("a"),)))
    suite.begin()
    display = Display(Console(quiet=True), "test")
    failures = execute(suite, suite.plan, display=display, make_workers=Orphans)
    assert [failure.reason for failure in failures] == [
        "its machine was switched off, again and again"
    ]
    assert Orphans.starts == 4


def test_the_session_is_kept(tmp_path: Path) -> None:
    run(tmp_path, spec("a"), spec("b"))
    (session,) = SuiteFolder.read(tmp_path).sessions()
    assert (session["workers"], session["runs"]) == (2, 2)
    assert 0 < session["seconds"] < 60


def test_two_commands_never_work_in_one_folder(tmp_path: Path) -> None:
    SuiteFolder(tmp_path, "test", {}, Plan((spec("a"),))).begin()
    with FolderLock(tmp_path), pytest.raises(ColonnadeError, match="being written by process"):
        run(tmp_path, spec("a"))


def test_the_summary_adds_up() -> None:
    def progress(step: int) -> dict[str, float | None]:
        return {"run_step": step, "steps_per_second": 5.0, "recent_return": None}

    views = [
        # What those that are over did last says nothing of now.
        RunView(spec("a"), "done", progress(100)),
        RunView(spec("b"), "running", progress(40)),
        RunView(spec("c"), "running", progress(90)),
        RunView(spec("d"), "waiting", progress(0)),
        RunView(spec("e"), "failed", progress(70)),
    ]
    # Left: 60 + 10 + 100 steps at 10 a second.
    assert summary(views) == "1 of 5 runs complete, 1 failed, 10 steps/s, about 17 s left"


def test_durations() -> None:
    seconds = [0, 59.6, 61, 3600, 90_000]
    words = ["0 s", "1 min 00 s", "1 min 01 s", "1 h 00 min", "1 d 1 h"]
    assert [duration(value) for value in seconds] == words


def test_the_table_of_a_sweep_has_its_own_columns() -> None:
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=120)

    def columns(spec: RunSpec) -> dict[str, str]:
        return {"job": "7", "rate": "0.001"}

    with Display(console, "a sweep", columns) as display:
        display.show([RunView(spec("x"), "running"), RunView(spec("y"), "stopped")])
    text = output.getvalue()
    assert "rate" in text
    assert "0.001" in text
    assert "1 stopped early" in text


def test_a_terminal_gets_a_table() -> None:
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=120)
    progress = {"run_step": 40, "steps_per_second": 5.0, "recent_return": -3.25}
    with Display(console, "test") as display:
        display.show([RunView(spec("running one"), "running", progress, ["A torn line."])])
    text = output.getvalue()
    assert "running one" in text
    assert "-3.25" in text
    assert "Note: A torn line." in text
