"""Forked workers: what they train, and what is said when one of them is ended."""

import errno
import io
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from colonnade.cli.display import Display
from colonnade.errors import ColonnadeError
from colonnade.experiments.execution import server
from colonnade.experiments.execution.execute import execute
from colonnade.experiments.execution.processes import ForkedWorkers
from colonnade.experiments.execution.resources import Resources
from colonnade.experiments.execution.run import train_run
from colonnade.experiments.execution.workers import Ended
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.store.folders import RunFolder, SuiteFolder
from colonnade.watching import HANG_SECONDS, set_limit

SHORT = 400
ENDLESS = 10**9


def tiny(label: str, steps: int = SHORT, environment: str = "mini-pong/pong") -> RunSpec:
    return RunSpec(
        label=label,
        method="scratch",
        tasks=(TaskBudget(environment, steps),),
        learner="a2c",
        column="tiny",
        training_options={"num_envs": 4, "segment_steps": 200, "curve_steps": 100},
        evaluation_episodes=2,
    )


def begin(path: Path, *specs: RunSpec) -> SuiteFolder:
    suite = SuiteFolder(path, "test", {}, Plan(specs))
    suite.begin()
    for spec in specs:
        suite.run(spec.id).path.mkdir()
    return suite


def until(condition: Callable[[], object], seconds: float = 240.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited too long"
        time.sleep(0.01)


def pid(folder: RunFolder) -> int:
    """Id of the process that trains a run, once it does."""
    until(lambda: (folder.status().get("progress") or {}).get("run_step"))
    return int(folder.status()["pid"])


def gone(process: int) -> bool:
    """Say whether a process has ended; one that nobody has waited for yet has, too."""
    state = Path(f"/proc/{process}/stat")
    try:
        return state.read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Callable[[SuiteFolder], ForkedWorkers]]:
    made: list[ForkedWorkers] = []

    def make(suite: SuiteFolder) -> ForkedWorkers:
        made.append(ForkedWorkers(suite.path))
        return made[-1]

    yield make
    for each in made:
        each.close()


def all_ended(workers: ForkedWorkers, count: int) -> dict[str, Ended]:
    ended: dict[str, Ended] = {}
    until(lambda: ended.update({e.run: e for e in workers.ended(0.1)}) or len(ended) == count)
    return ended


Make = Callable[[SuiteFolder], ForkedWorkers]


def test_a_fork_trains_what_a_process_of_its_own_trains(tmp_path: Path, workers: Make) -> None:
    spec, other = tiny("one"), tiny("other")
    suite, alone = begin(tmp_path / "forked", spec, other), begin(tmp_path / "alone", spec)
    forked = workers(suite)
    for each in (spec, other):
        forked.start(each.id, Resources())
    train_run(alone.path, spec)
    ended = all_ended(forked, 2)
    assert {end.outcome for end in ended.values()} == {"finished"}
    assert 0.1 < ended[spec.id].cpu_seconds < 60
    assert 1e7 < ended[spec.id].memory < 1e10

    def rows(suite: SuiteFolder) -> list[dict[str, object]]:
        found = suite.run(spec.id).metrics()
        return [{k: v for k, v in row.items() if k != "steps_per_second"} for row in found]

    assert rows(suite) == rows(alone)


def test_a_killed_worker_is_named_and_goes_on(tmp_path: Path) -> None:
    victim = tiny("victim", 6_000)
    suite = begin(tmp_path, victim)
    script = (
        "import os, signal, sys, time; sys.path.insert(0, sys.argv[2]); import test_processes as t;"
        "from pathlib import Path; suite = t.SuiteFolder.read(Path(sys.argv[1]));"
        "os.kill(t.pid(suite.runs[0]), signal.SIGKILL)"
    )
    here = str(Path(__file__).parent)
    killer = subprocess.Popen([sys.executable, "-c", script, str(tmp_path), here])
    failures = execute(suite, suite.plan, jobs=2, display=Display(Console(quiet=True), "test"))
    assert killer.wait() == 0
    assert failures == []
    (note,) = suite.runs[0].result()["notes"]
    assert "ended by signal 9 (SIGKILL), as the system does when memory" in note
    assert note.endswith("; the run went on from its last checkpoint.")


def test_runs_go_on_when_the_server_is_killed(tmp_path: Path) -> None:
    suite = begin(tmp_path, tiny("long", 6_000), tiny("short"))
    made: list[ForkedWorkers] = []

    class Killed(ForkedWorkers):
        """Loses its server once, as soon as the long run trains."""

        def ended(self, seconds: float) -> list[Ended]:
            if self._server and not made and suite.runs[0].status().get("progress"):
                made.append(self)
                self._server.kill()
            return super().ended(seconds)

    display = Display(Console(quiet=True), "test")
    assert execute(suite, suite.plan, jobs=2, display=display, make_workers=Killed) == []
    assert made
    assert all(run.done for run in suite.runs)


def test_a_run_that_hangs_is_named_ended_and_goes_on(tmp_path: Path) -> None:
    suite = begin(tmp_path, tiny("long", 6_000))
    stopped: list[int] = []
    output = io.StringIO()

    class Stopping(ForkedWorkers):
        """Stops the run's process once, as soon as it trains."""

        def ended(self, seconds: float) -> list[Ended]:
            if not stopped and (suite.runs[0].status().get("progress") or {}).get("run_step"):
                stopped.append(suite.runs[0].status()["pid"])
                os.kill(stopped[0], signal.SIGSTOP)
            return super().ended(seconds)

    set_limit(4)
    try:
        display = Display(Console(file=output, width=200), "test")
        assert execute(suite, suite.plan, display=display, make_workers=Stopping) == []
    finally:
        set_limit(HANG_SECONDS)
    assert gone(stopped[0])
    note = suite.runs[0].result()["notes"][0]  # a busy machine may add to them
    assert note.startswith("Its process gave no sign of life for ")
    assert note.endswith(" s and was ended; the run went on from its last checkpoint.")
    assert " silent  long: no sign of life for " in output.getvalue()
    assert f"Note: {note}" in output.getvalue()


def test_workers_stop_when_the_command_is_killed(tmp_path: Path) -> None:
    specs = tmp_path / "specs.json"
    spec = tiny("endless", ENDLESS)
    specs.write_text(json.dumps(spec.to_json()))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "colonnade", "run", str(specs), "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    folder = RunFolder(out / "runs" / spec.id)
    until(lambda: (folder.path / "status.json").exists())
    worker = pid(folder)
    process.send_signal(signal.SIGKILL)
    process.wait()
    until(lambda: gone(worker), 10.0)


def test_memory_that_runs_out_is_said(tmp_path: Path, workers: Make) -> None:
    spec = tiny("hungry")
    # Environments of 2 PiB.
    spec = RunSpec(**{**vars(spec), "training_options": {"num_envs": 2**42}})
    suite = begin(tmp_path, spec)
    forked = workers(suite)
    forked.start(spec.id, Resources())
    end = all_ended(forked, 1)[spec.id]
    assert (end.outcome, end.lasting) == ("failed", True)
    assert end.reason.startswith("Memory ran out: train fewer runs at once")


def test_one_that_is_asked_to_stop_says_so(tmp_path: Path, workers: Make) -> None:
    spec = tiny("long", ENDLESS)
    suite = begin(tmp_path, spec)
    forked = workers(suite)
    forked.start(spec.id, Resources())
    pid(suite.run(spec.id))
    forked.stop(spec.id)
    end = all_ended(forked, 1)[spec.id]
    assert (end.outcome, end.lasting) == ("stopped", False)
    assert "the last checkpoint is kept" in end.reason


def test_a_process_that_cannot_be_forked_fails_its_run_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory() -> int:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    suite = begin(tmp_path, tiny("one"))
    monkeypatch.setattr("os.fork", no_memory)
    ours, theirs = multiprocessing.Pipe()
    thread = threading.Thread(target=server.serve, args=(theirs, suite), daemon=True)
    thread.start()
    assert ours.recv() == {}
    ours.send(("start", suite.runs[0].id, 1))
    assert ours.recv() == {
        "run": suite.runs[0].id,
        "status": "no process could be started for it (Cannot allocate memory); "
        "fewer at once need less",
    }
    assert thread.is_alive(), "others can still be started"
    ours.close()
    thread.join(5)
    assert not thread.is_alive()


def test_a_run_sees_the_gpu_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, beside = tiny("one"), tiny("on the processor")
    beside = replace(beside, training_options=beside.training_options | {"device": "cpu"})
    suite = begin(tmp_path, one, beside)
    seen = tmp_path / "seen"

    def train(*_: object) -> int:
        seen.write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "all"))
        return 7

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(server, "train", train)
    ours, theirs = multiprocessing.Pipe()
    thread = threading.Thread(target=server.serve, args=(theirs, suite), daemon=True)
    thread.start()
    assert ours.recv() == {}
    for spec, gpu, expected in ((one, "3", "3"), (one, "", "all"), (beside, "", "")):
        ours.send(("start", spec.id, 1, gpu))
        while "run" not in (said := ours.recv()):
            pass
        assert said["status"] == 7
        assert seen.read_text() == expected
    ours.close()
    thread.join(5)


def test_a_server_that_cannot_start_is_one_sentence(
    tmp_path: Path, workers: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = begin(tmp_path, tiny("one"))
    monkeypatch.setenv("PYTHONPATH", os.devnull)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    forked = workers(suite)
    forked.start(suite.runs[0].id, Resources())
    with pytest.raises(ColonnadeError, match="No worker could be started: its process was ended"):
        all_ended(forked, 1)
