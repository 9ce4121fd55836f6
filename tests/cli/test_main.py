"""The command line: in a process of its own where that matters, else by a call of `main`."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from finished import poles

import colonnade as package
from colonnade.__main__ import main as door
from colonnade.cli.main import main
from colonnade.cli.train import _failure_lines
from colonnade.errors import ColonnadeError
from colonnade.experiments.execution.execute import Failure
from colonnade.experiments.execution.resources import Resources
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.store.reading import read_json
from colonnade.learners import LEARNERS

COMMAND = [sys.executable, "-m", "colonnade"]


def colonnade(*arguments: object, status: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls `main` and returns its status and what it printed to both streams."""

    def run(*arguments: object) -> tuple[int, str, str]:
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            status = int(stop.code or 0)
        return (status, *capsys.readouterr())

    return run


def tiny(label: str, steps: int = 400, **changes: Any) -> RunSpec:
    values: dict[str, Any] = {
        "label": label,
        "method": "progressive",
        "tasks": (TaskBudget("mini-pong/pong", steps),),
        "learner": "a2c",
        "column": "tiny",
        "training_options": {"num_envs": 4, "segment_steps": 200, "curve_steps": 100},
        "evaluation_episodes": 2,
    }
    return RunSpec(**{**values, **changes})


def write(path: Path, *specs: RunSpec) -> Path:
    path.write_text(json.dumps([spec.to_json() for spec in specs]))
    return path


def test_version_and_suites_come_at_once_and_without_torch() -> None:
    assert colonnade("--version").stdout.startswith("colonnade 0.")
    listed = colonnade("suites").stdout
    for name in ("demo", "pong-soup", "pong-soup-mini", "pong-soup-short", "sim-to-real"):
        assert any(line.split()[0] == name for line in listed.splitlines() if line.strip())
    check = (
        "import sys, colonnade.cli.main as cli; cli.main(['suites']); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("False\n")


def test_run_report_play_describe(tmp_path: Path, call: Call) -> None:
    first = tiny("first")
    second = tiny("second", tasks=(TaskBudget("mini-pong/zoom", 400),), parent=first.id)
    out = tmp_path / "out"
    done = colonnade("run", write(tmp_path / "specs.json", first, second), "--out", out)
    assert "2 of 2 runs complete" in done.stdout
    assert "Not complete" not in (out / "report.html").read_text()
    (out / "report.html").unlink()
    assert call("report", out) == (0, f"{out / 'report.html'}\n", "")
    assert (out / "report.html").exists()
    film = tmp_path / "film.gif"
    status, played, _ = call("play", out, "--task", "mini-pong/zoom", "--film", film)
    assert status == 0
    assert f"{second.id} plays mini-pong/zoom" in played
    assert "episode 1: return" in played
    assert film.stat().st_size > 1000
    assert "adapter from 0/0" in call("describe", out)[1]


@pytest.mark.parametrize(
    ("patterns", "labels"),
    [
        (["la*"], ["first", "last"]),
        (["irs"], ["first"]),
        (["other", "first"], ["first", "other"]),
        (["mini"], None),
    ],
)
def test_only_trains_what_matches_and_what_that_starts_from(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: Call,
    patterns: list[str],
    labels: list[str] | None,
) -> None:
    trained: list[str] = []

    def note(_: object, plan: Plan, **__: object) -> list[Failure]:
        trained.extend(spec.label for spec in plan.runs)
        return []

    monkeypatch.setattr("colonnade.experiments.execution.execute.execute", note)
    monkeypatch.setattr("colonnade.reports.suite.write_report", lambda suite: suite.path)
    first = tiny("first")
    specs = write(
        tmp_path / "specs.json", first, tiny("other"), tiny("last", parent=first.id, seed=1,
        tasks=(TaskBudget("mini-pong/zoom", 400),))
    )  # fmt: skip
    only = [part for pattern in patterns for part in ("--only", pattern)]
    status, _, errors = call("run", specs, "--out", tmp_path / "out", *only)
    assert status == (2 if labels is None else 0), errors
    assert trained == (labels or [])


def test_set_changes_every_run_and_may_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    trained: list[RunSpec] = []

    def note(_: object, plan: Plan, **__: object) -> list[Failure]:
        trained.extend(plan.runs)
        return []

    monkeypatch.setattr("colonnade.experiments.execution.execute.execute", note)
    monkeypatch.setattr("colonnade.reports.suite.write_report", lambda suite: suite.path)
    given = ("learner.gamma=0.5", "training.device=cpu", "column.alpha=0.1")
    changes = [part for change in given for part in ("--set", change)]
    status, _, errors = call("run", "pong-soup-mini", "--out", tmp_path / "out", *changes)
    assert status == 0, errors
    assert len(trained) > 1
    for spec in trained:
        assert spec.learner_options["gamma"] == 0.5
        assert spec.training_options["device"] == "cpu"
        assert isinstance(spec.column, dict)
        assert spec.column["alpha"] == 0.1


def test_a_failed_run_is_named_and_the_others_complete(tmp_path: Path, call: Call) -> None:
    wild = tiny("wild", learner_options={"learning_rate": 1e38, "anneal": False})
    specs = write(tmp_path / "specs.json", wild, tiny("tame"))
    status, printed, errors = call("run", specs, "--out", tmp_path / "out")
    assert status == 1
    assert "1 of 2 runs complete, 1 failed" in printed
    assert f"{wild.id}: Training diverged at step" in errors
    assert str(tmp_path / "out" / "runs" / wild.id / "log.txt") in errors
    assert "Training diverged" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)],
)
def test_signals_stop_cleanly_and_the_same_command_goes_on(
    tmp_path: Path, number: int, status: int
) -> None:
    spec = tiny("long", steps=2_500)
    out = tmp_path / "out"
    arguments = ["run", str(write(tmp_path / "specs.json", spec)), "--out", str(out)]
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    run = out / "runs" / spec.id
    while not list(run.glob("checkpoint-*")) and process.poll() is None:
        time.sleep(0.005)
    os.kill(process.pid, number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == status
    assert errors == (
        "colonnade: Stopped; the last checkpoints are kept, and the same command goes on from "
        "them.\n"
    )
    assert list(run.glob("checkpoint-*"))
    assert not (run / "DONE").exists()
    if number == signal.SIGINT:
        colonnade(*arguments)
        assert (run / "DONE").exists()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_outside_of_training_stop_in_one_sentence(number: int, status: int) -> None:
    code = (
        "import os, sys, colonnade.cli.main as cli; "
        f"cli.Suites.__call__ = lambda self: os.kill(os.getpid(), {int(number)}); "
        "sys.exit(cli.main(['suites']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (status, "colonnade: Stopped.\n")


def test_a_failing_report_does_not_hide_the_failed_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    def fail(*_: object, **__: object) -> list[Failure]:
        child = Failure("child", "it starts from run first, which failed", None)
        return [Failure("first", "The disk is full.", Path("log.txt")), child, child]

    def full(_: object) -> Path:
        raise ColonnadeError("The report could not be written.")

    monkeypatch.setattr("colonnade.experiments.execution.execute.execute", fail)
    monkeypatch.setattr("colonnade.reports.suite.write_report", full)
    specs = write(tmp_path / "specs.json", tiny("first"))
    status, _, errors = call("run", specs, "--out", tmp_path / "out")
    assert status == 1
    assert errors == (
        "colonnade: 1 run failed:\n"
        "  first: The disk is full. (log.txt)\n"
        "  2 runs not begun: what they start from failed\n"
        "The report could not be written.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rum"], "rum"),
        (["run"], "`colonnade run` needs: name of a suite"),
        (["run", "pong-soup-mini"], "--out"),
        (["run", "pong-sop", "--out", "OUT"], "did you mean 'pong-soup'?"),
        (["run", "pong-soup-mini", "--out", "OUT", "--sedes", "2"], "--sedes"),
        (["run", "pong-soup-mini", "--out", "OUT", "--seeds", "two"], "two"),
        (["run", "pong-soup-mini", "--out", "OUT", "--seeds", "0"], "at least 1 seed"),
        (["run", "pong-soup-mini", "--out", "OUT", "--budget", "-1"], "a factor above 0"),
        (["run", "pong-soup-mini", "--out", "OUT", "--jobs", "0"], "from 1 on, but 0 came"),
        (["run", "pong-soup-mini", "--out", "OUT", "--learner", "pppo"], "did you mean 'ppo'?"),
        (["run", "pong-soup-mini", "--out", "OUT", "--only", "zzz"], "No run matches"),
        (["run", "absent.json", "--out", "OUT"], "can't be read: absent.json is missing"),
        (["run", "BROKEN", "--out", "OUT"], "is no JSON"),
        (["run", "SPEC", "--out", "OUT", "--seeds", "2"], "a spec file states them"),
        (["run", "SPEC", "--out", "FULL"], "isn't Colonnade's; choose another --out"),
        (["report", "FULL"], "holds no suite.json"),
        (["play", "FULL"], "holds no suite.json"),
        (["describe", "pong-sop"], "did you mean 'pong-soup'?"),
        (["describe", "FULL"], "holds no suite.json"),
        (["run", "pong-soup-mini", "--out", "OUT", "--device", "cdua"], "Device 'cdua' can't be"),
        (["run", "WRONG", "--out", "OUT"], "Run 'odd' of wrong.json: Unknown method"),
        (["run", "LACKING", "--out", "OUT"], "run 'odd' of lacking.json lacks 'learner'; add it."),
        (["run", "pong-soup-mini", "--out", "OUT", "--tasks", "zom"], "did you mean 'zoom'?"),
        (["run", "SPEC", "--out", "OUT", "--tasks", "zoom"], "a spec file states them"),
        (["run", "SPEC", "--out", "OUT", "--set", "learner.gamma=0"], "a spec file states them"),
        (["run", "pong-soup-mini", "--out", "OUT", "--set", "gamma=0"], "is KIND.NAME=VALUE"),
        (["sweep", "pong-soup-mini", "--out", "OUT", "--jobs", "0"], "at least 1 job"),
        (["sweep", "pong-soup-mini", "--out", "OUT", "--top", "26"], "from 1 to 25, but 26"),
        (["sweep", "pong-soup-mini", "--out", "OUT", "--workers", "0"], "--workers is a number"),
        (["sweep", "pong-soup-mini", "--out", "OUT", "--range", "alpha=1:0.1"], "--range alpha: A"),
        (["sweep", "pong-soup-mini", "--out", "OUT", "--range", "alfa=1"], "did you mean 'alpha'"),
        (["sweep", "pong-soup-mini", "--out", "FULL"], "isn't Colonnade's; choose another"),
        (["sweep", "pong-soup-mni", "--out", "OUT"], "did you mean 'pong-soup-mini'?"),
    ],
)
def test_wrong_use_gets_status_2_and_one_sentence(
    tmp_path: Path, call: Call, arguments: list[str], words: str
) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.tex").touch()
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    lacking = tmp_path / "lacking.json"
    odd = {key: value for key, value in tiny("odd").to_json().items() if key != "learner"}
    lacking.write_text(json.dumps([tiny("spec").to_json(), odd]))
    paths = {
        "OUT": str(tmp_path / "out"),
        "LACKING": str(lacking),
        "FULL": str(full),
        "BROKEN": str(broken),
        "WRONG": str(write(tmp_path / "wrong.json", tiny("spec"), tiny("odd", method="od"))),
        "SPEC": str(write(tmp_path / "spec.json", tiny("spec"))),
    }
    status, printed, errors = call(*(paths.get(argument, argument) for argument in arguments))
    assert (status, printed) == (2, "")
    assert words in errors
    if "colonnade:" in errors:
        assert errors.count("\n") == 1
    assert not (tmp_path / "out" / "runs").exists() or "--only" in arguments


def test_debug_shows_where_an_error_arose() -> None:
    done = subprocess.run(
        [*COMMAND, "--debug", "describe", "nothing"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "Traceback" in done.stderr


def test_describe_prints_the_papers_totals() -> None:
    printed = colonnade("describe", "sim-to-real").stdout
    for total in ("620,620", "298,700", "38,876", "36,940"):
        assert total in printed


def test_runs_of_one_label_are_each_described(tmp_path: Path, call: Call) -> None:
    gains = {"preset": "tiny", "task_gains": True}
    specs = tiny("one"), tiny("one", column=gains), tiny("one", seed=1)
    SuiteFolder(tmp_path, "by hand", {}, Plan(specs)).begin()
    status, printed, wrong = call("describe", tmp_path)
    assert status == 0, wrong
    assert printed.count("all columns") == 2  # another seed's is the same network


def test_ctrl_c_during_the_imports_leaves_no_traceback(monkeypatch, capsys):
    class Impatient:
        def find_spec(self, name, path=None, target=None):
            if name == "colonnade.cli.main":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "colonnade.cli.main")
    monkeypatch.delattr(package.cli, "main")
    monkeypatch.setattr(sys, "meta_path", [Impatient(), *sys.meta_path])
    assert door() == 130
    assert capsys.readouterr().err == "colonnade: Stopped.\n"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_a_live_page_ends_by_ctrl_c_and_is_stopped_by_sigterm(
    tmp_path, monkeypatch, number, status
):
    from colonnade.reports.live.server import LiveServer

    monkeypatch.setattr(LiveServer, "serve_forever", lambda _: signal.raise_signal(number))
    assert main(["report", str(poles(tmp_path / "out").path), "--watch"]) == status


SWEEP = ("sweep", "pong-soup-mini", "--budget", "0.01", "--tasks", "zoom", "--jobs", "2")


def test_a_sweep_survives_a_kill_and_refuses_a_second_command(tmp_path: Path, call: Call) -> None:
    out = tmp_path / "out"
    arguments = [*SWEEP, "--top", "1", "--methods", "progressive-2", "--out", str(out)]
    first = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.DEVNULL)
    runs = out / "runs"
    while len(list(runs.glob("*/DONE"))) < 3:
        assert first.poll() is None
        time.sleep(0.05)
    status, _, errors = call(*arguments)
    assert status == 1
    assert f"is being written by process {first.pid} (" in errors
    first.kill()
    first.wait()
    done = colonnade(*arguments)
    assert "10 of 10 runs complete" in done.stdout
    assert len(list(runs.glob("*/DONE"))) == 10
    assert "the best 1 of 2 jobs" in (out / "report.html").read_text()
    assert len((out / "jobs.csv").read_text().splitlines()) == 1 + 6
    chosen = read_json(out / "choices.json").values()
    assert sorted(choice["of"] for choice in chosen) == [2, 2]
    for path in runs.glob("*/metrics.jsonl"):
        steps = [row["step"] for row in map(json.loads, path.read_text().splitlines())]
        assert steps[:-2] == sorted(set(steps[:-2])), "no row is there twice"


def test_failed_jobs_of_a_sweep_are_listed_and_begun_again_on_demand(
    tmp_path: Path, call: Call
) -> None:
    out = tmp_path / "out"
    wild = ("--range", "learning_rate=1e38,1e-3", "--methods", "scratch", "--top", "1")
    arguments = [*SWEEP, *wild, "--seed", "1", "--out", out]
    status, printed, errors = call(*arguments)
    assert status == 1
    assert "1 of 2 runs complete, 1 failed" in printed
    assert "1 run failed:" in errors
    assert "Training diverged" in errors
    assert "\n    | " in errors, "the end of the log"
    assert "--retry begins them again" in errors
    log = next(path for path in out.glob("runs/*/log.txt") if path.read_text())
    assert log.read_text().count("Traceback") == 1
    status, _, errors = call(*arguments)
    assert status == 1
    assert "Training diverged" in errors
    assert log.read_text().count("Traceback") == 1, "it was left as it was"
    assert call(*arguments, "--retry")[0] == 1
    assert log.read_text().count("Traceback") == 2


def test_a_long_suite_says_what_it_costs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    monkeypatch.setattr("colonnade.experiments.execution.execute.execute", lambda *_, **__: [])
    monkeypatch.setattr("colonnade.reports.suite.write_report", lambda suite: suite.path)
    two = Resources(2)
    monkeypatch.setattr("colonnade.experiments.execution.executors.this_machine", lambda: two)
    _, printed, errors = call("run", "atari-transfer", "--out", tmp_path / "out")
    assert errors == ""
    assert re.search(
        r"291 runs, about 1 d \d+ h on this machine \(2 cores, 2 at once\); "
        r"--budget 0\.1 for about 2 h \d\d min\.",
        printed,
    )
    options = ("--budget", "0.1", "--tasks", "boxing", "hero", "--methods", "progressive")
    _, printed, _ = call("run", "atari-transfer", "--out", tmp_path / "two", *options)
    assert "47 runs, about " in printed


def test_a_sentence_that_says_all_stands_without_the_lines_that_raised_it(tmp_path: Path) -> None:
    for last, shown in (
        ("colonnade.errors.ColonnadeError: The disk is full.", False),
        ("colonnade.training.recorder.DivergedError: Training diverged.", True),
    ):
        log = tmp_path / "log.txt"
        log.write_text(f"Traceback\n  raise\n{last}\n")
        lines = _failure_lines([Failure("first", "Why.", log)], retry=False)
        assert any("raise" in line for line in lines) is shown


def test_help_names_every_learner_that_an_unknown_one_is_answered_with(call: Call) -> None:
    _, printed, _ = call("run", "--help")
    words = " ".join(printed.replace("│", " ").split())
    assert all(f'"{name}"' in words for name in LEARNERS)
