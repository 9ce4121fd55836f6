"""The real thing, small: train, kill, resume, play, on MiniPong."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import imageio.v3 as imageio
import pytest
import torch
from rich.console import Console

from colonnade.cli.display import Display
from colonnade.errors import ColonnadeError, UsageError
from colonnade.experiments.execution.execute import execute
from colonnade.experiments.execution.run import train_run
from colonnade.experiments.plans.build import build_column
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.store.lock import FolderLock
from colonnade.experiments.store.recorder import RunRecorder
from colonnade.experiments.trained.play import play
from colonnade.learners.a2c import A2CLearner
from colonnade.networks import column_preset
from colonnade.reports.suite import write_report
from colonnade.seeding import derive
from colonnade.tasks import DataTask, MiniPongTask, task_from_name
from colonnade.tasks.vector import AnyVectorEnv
from colonnade.training import Interrupted, Row, evaluate
from colonnade.types import Metrics, Penalty, Rollout

SPEC = RunSpec(
    label="two small tasks",
    method="progressive",
    tasks=(TaskBudget("mini-pong/pong", 1600), TaskBudget("mini-pong/zoom", 1600)),
    learner="a2c",
    column="tiny",
    training_options={"num_envs": 8, "segment_steps": 400, "curve_steps": 200},
    evaluation_episodes=4,
)


def worker_command(suite: Path, run: str, env_threads: int) -> list[str]:
    return [
        sys.executable,
        "-c",
        "import os, sys; from pathlib import Path;"
        "from colonnade.experiments.execution.server import train;"
        "from colonnade.experiments.store.folders import SuiteFolder;"
        "suite = SuiteFolder.read(Path(sys.argv[1]));"
        "sys.exit(train(suite, sys.argv[2], int(sys.argv[3]), os.getppid()))",
        str(suite),
        run,
        str(env_threads),
    ]


def begin(path: Path, *specs: RunSpec) -> SuiteFolder:
    suite = SuiteFolder(path, "test", {}, Plan(specs or (SPEC,)))
    suite.begin()
    return suite


def comparable(rows: list[Row]) -> list[Row]:
    return [{k: v for k, v in row.items() if k != "steps_per_second"} for row in rows]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> SuiteFolder:
    suite = begin(tmp_path_factory.mktemp("whole"))
    train_run(suite.path, SPEC)
    return suite


def test_a_complete_run_says_everything(whole: SuiteFolder) -> None:
    folder = whole.run(SPEC.id)
    result = folder.result()
    assert folder.done
    assert RunSpec.from_json(result["spec"]) == SPEC
    assert result["versions"]["torch"] == torch.__version__
    assert result["hardware"]["cores"] >= 1
    assert result["timing"]["training_seconds"] > 0
    assert [(s["task"], s["policy"], s["episodes"]) for s in result["scores"]] == [
        (task.name, policy, 4) for task in SPEC.tasks for policy in ("random", "trained")
    ]
    tensors, meta = folder.weights()
    assert meta["tasks"] == {"mini-pong/pong": 0, "mini-pong/zoom": 1}
    assert len(meta["network"]["columns"]) == 2
    assert tensors
    assert imageio.imread(folder.frames_path).shape[2] == 3
    assert not list(folder.path.glob("checkpoint-*")), "a complete run needs none"


def test_a_run_that_went_on_began_when_it_was_begun_first(tmp_path: Path) -> None:
    suite = begin(tmp_path)
    seen: list[float] = []

    def later() -> bool:
        seen.append(time.time())
        return len(seen) > 60 and bool(list(suite.run(SPEC.id).path.glob("checkpoint-*")))

    with pytest.raises(Interrupted):
        train_run(suite.path, SPEC, stop=later)
    stopped = time.time()
    train_run(suite.path, SPEC)
    timing = suite.run(SPEC.id).result()["timing"]
    assert timing["started"] <= seen[0] < stopped < timing["finished"]


def test_an_episode_without_end_fails_before_training(tmp_path: Path) -> None:
    spec = replace(SPEC, evaluation_limit=3)
    suite = begin(tmp_path, spec)
    with pytest.raises(UsageError, match="'mini-pong/pong' has lasted for more than 3 steps"):
        train_run(suite.path, spec)
    folder = suite.run(spec.id)
    assert not folder.metrics_path.exists() or not folder.metrics()
    assert not list(folder.path.glob("checkpoint*"))


def test_the_limit_of_an_episode_is_also_that_of_scores_while_learning(tmp_path, monkeypatch):
    asked = []

    def noting(*arguments, **options):
        asked.append(options["limit"])
        return evaluate(*arguments, **options)

    monkeypatch.setattr("colonnade.training.monitoring.evaluate", noting)
    training = {**SPEC.training_options, "test_episodes": 1, "patience": 1}
    spec = replace(SPEC, tasks=SPEC.tasks[:1], evaluation_limit=200_000, training_options=training)
    train_run(begin(tmp_path, spec).path, spec)
    assert set(asked) == {200_000}


def test_chance_is_scored_alike_in_every_run(whole: SuiteFolder) -> None:
    chance = evaluate(
        task_from_name("mini-pong/zoom"),
        None,
        episodes=4,
        seed=derive(0, "random policy", "mini-pong/zoom"),
    )
    row = whole.run(SPEC.id).result()["scores"][2]
    assert (row["policy"], row["step"]) == ("random", 1600)
    assert (row["return_mean"], row["return_std"]) == (chance.mean(), chance.std())


def test_killed_and_resumed_equals_never_stopped(tmp_path: Path, whole: SuiteFolder) -> None:
    suite = begin(tmp_path)
    folder = suite.run(SPEC.id)
    folder.path.mkdir()
    worker = subprocess.Popen(
        worker_command(suite.path, SPEC.id, 1), stderr=subprocess.PIPE, env=os.environ
    )
    while not list(folder.path.glob("checkpoint-000002*")) and worker.poll() is None:
        time.sleep(0.001)
    worker.send_signal(signal.SIGKILL)
    worker.communicate()
    assert not folder.done, "the worker was to be killed on its way"
    with folder.metrics_path.open("a") as file:
        file.write('{"kind":"curve","task":"mini-pong/po')
    train_run(suite.path, SPEC)
    reference = whole.run(SPEC.id)
    assert comparable(folder.metrics()) == comparable(reference.metrics())
    tensors, _ = folder.weights()
    for name, tensor in reference.weights()[0].items():
        assert torch.equal(tensors[name], tensor), name
    assert "torn" in folder.result()["notes"][0]


def test_how_many_runs_train_at_once_changes_no_number(tmp_path: Path) -> None:
    """A column wide enough for its sums to be split among threads, if there were several."""
    wide = {"stages": [{"kind": "conv", "maps": 32, "kernel": 3, "stride": 1}] * 2}
    specs = [
        replace(SPEC, tasks=(TaskBudget("mini-pong/pong", 640),), column=wide, seed=seed)
        for seed in (0, 1)
    ]
    suites = []
    for jobs in (1, 2):
        suite = begin(tmp_path / str(jobs), *specs)
        assert not execute(
            suite, suite.plan, jobs=jobs, display=Display(Console(quiet=True), "test")
        )
        suites.append(suite)
    one, two = suites
    for spec in specs:
        assert comparable(one.run(spec.id).metrics()) == comparable(two.run(spec.id).metrics())
        weights = two.run(spec.id).weights()[0]
        for name, tensor in one.run(spec.id).weights()[0].items():
            assert torch.equal(weights[name], tensor), name
        assert one.run(spec.id).path.joinpath("weights.safetensors").read_bytes() == (
            two.run(spec.id).path.joinpath("weights.safetensors").read_bytes()
        )


def test_the_threads_of_a_spec_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = (TaskBudget("mini-pong/pong", 80),)
    spec = replace(SPEC, tasks=tasks, training_options={**SPEC.training_options, "threads": 2})
    used: list[int] = []
    update = A2CLearner.update

    def watched(self: A2CLearner, rollout: Rollout, penalty: Penalty) -> Metrics:
        used.append(torch.get_num_threads())
        return update(self, rollout, penalty)

    emulators: list[int] = []
    make = MiniPongTask.make_vec

    def counted(self: MiniPongTask, num_envs: int, threads: int = 1) -> AnyVectorEnv:
        emulators.append(threads)
        return make(self, num_envs, threads)

    monkeypatch.setattr(A2CLearner, "update", watched)
    monkeypatch.setattr(MiniPongTask, "make_vec", counted)
    suite = begin(tmp_path, spec)
    train_run(suite.path, spec, env_threads=3)
    assert set(used) == {2}
    scoring_and_learning = [count for count in emulators if count == 3]
    assert len(scoring_and_learning) == 3  # of the random policy, of training, of the trained one
    assert suite.run(spec.id).result()["training"]["threads"] == 2
    assert suite.run(spec.id).result()["hardware"]["threads"] == 2


def test_dying_between_done_and_the_last_cleaning_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = begin(tmp_path)
    folder = suite.run(SPEC.id)
    with monkeypatch.context() as patch:
        patch.setattr(RunRecorder, "clear_checkpoints", lambda self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train_run(suite.path, SPEC)
    assert folder.done
    before = folder.metrics()
    train_run(suite.path, SPEC)
    assert folder.metrics() == before
    assert not list(folder.path.glob("checkpoint-*"))


def test_scores_say_how_far_a_task_was_learned(tmp_path: Path) -> None:
    goal = {"goal_episodes": 3, "goal_return": -3.5}  # even a random policy reaches it
    spec = replace(SPEC, training_options={**SPEC.training_options, **goal})
    suite = begin(tmp_path, spec)
    train_run(suite.path, spec)
    rows = suite.run(spec.id).metrics()
    ends = {row["task"]: row["step"] for row in rows if row["kind"] == "goal" and row["reached"]}
    assert ends["mini-pong/pong"] < 1600
    for score in suite.run(spec.id).result()["scores"]:
        assert score["step"] == ends.get(score["task"], 1600)


def test_ppo_goes_on_exactly_from_a_checkpoint(tmp_path: Path) -> None:
    # Its optimiser is fused: it walks through memory and knows no strides.
    spec = replace(SPEC, learner="ppo", learner_options={"rollout_steps": 10, "minibatches": 2})
    whole, parted = begin(tmp_path / "whole", spec), begin(tmp_path / "parted", spec)
    train_run(whole.path, spec)
    with pytest.raises(Interrupted):
        train_run(parted.path, spec, stop=lambda: len(parted.run(spec.id).metrics()) == 3)
    train_run(parted.path, spec)
    assert comparable(parted.run(spec.id).metrics()) == comparable(whole.run(spec.id).metrics())


def test_stop_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    suite = begin(tmp_path)
    folder = suite.run(SPEC.id)
    with pytest.raises(Interrupted):
        train_run(suite.path, SPEC, stop=lambda: bool(list(folder.path.glob("checkpoint*"))))
    assert len(list(folder.path.glob("checkpoint*"))) == 1
    assert not folder.done


def test_a_run_stopped_before_scoring_goes_on_there(tmp_path: Path, whole: SuiteFolder) -> None:
    suite = begin(tmp_path)
    folder = suite.run(SPEC.id)
    rows = len(whole.run(SPEC.id).metrics()) - 4
    with pytest.raises(Interrupted, match="before scoring"):
        train_run(suite.path, SPEC, stop=lambda: len(folder.metrics()) == rows)
    train_run(suite.path, SPEC)
    assert comparable(folder.metrics()) == comparable(whole.run(SPEC.id).metrics())


def test_a_worker_answers_sigterm(tmp_path: Path) -> None:
    long = replace(SPEC, tasks=(TaskBudget("mini-pong/pong", 10**8),))
    suite = begin(tmp_path, long)
    worker = subprocess.Popen(
        worker_command(suite.path, long.id, 1), stderr=subprocess.PIPE, text=True
    )
    while not list(suite.run(long.id).path.glob("checkpoint*")) and worker.poll() is None:
        time.sleep(0.02)
    worker.terminate()
    _, log = worker.communicate(timeout=30)
    assert worker.returncode == 143
    assert "the last checkpoint is kept" in log


def test_a_child_starts_from_its_parents_column(tmp_path: Path) -> None:
    parent = replace(SPEC, label="parent", tasks=SPEC.tasks[:1])
    child = replace(SPEC, label="child", tasks=SPEC.tasks[1:], parent=parent.id)
    suite = begin(tmp_path, parent, child)
    with pytest.raises(ColonnadeError, match=f"Run {parent.id}.* isn't complete"):
        train_run(suite.path, child)
    train_run(suite.path, parent)
    train_run(suite.path, child)
    first, _ = suite.run(parent.id).weights()
    both, meta = suite.run(child.id).weights()
    assert len(meta["network"]["columns"]) == 2
    assert all(torch.equal(both[name], tensor) for name, tensor in first.items())


def test_tasks_that_are_recognised_need_not_come_back(tmp_path: Path) -> None:
    spec = replace(SPEC, labels={"kind": "forget-me-not"})
    suite = begin(tmp_path, spec)
    train_run(suite.path, spec)
    rows = suite.run(spec.id).metrics()
    assert {"switch", "contexts"} <= {row["kind"] for row in rows}
    assert suite.run(spec.id).done
    write_report(suite)


def test_divergence_is_reported_and_checkpoints_kept(tmp_path: Path) -> None:
    wild = replace(SPEC, label="wild", learner_options={"learning_rate": 1e38, "anneal": False})
    suite = begin(tmp_path, wild)
    with pytest.raises(ColonnadeError, match=r"diverged at step .* of task 'mini-pong/pong'"):
        train_run(suite.path, wild)
    assert "diverged" in suite.run(wild.id).status()["error"]


def test_columns_by_name_by_change_and_by_description() -> None:
    tiny = column_preset("tiny")
    assert build_column("tiny") == tiny
    assert build_column("default") is None
    assert build_column({"preset": "tiny", "alpha": 1.0}) == replace(tiny, alpha=1.0)
    assert build_column(tiny.to_dict()) == tiny


@pytest.mark.parametrize("kind", ["gif", "mp4"])
def test_a_film_shows_whole_episodes(tmp_path: Path, whole: SuiteFolder, kind: str) -> None:
    film = tmp_path / f"film.{kind}"
    played = play(whole, None, "mini-pong/pong", episodes=2, film=film, seed=3)
    assert played.returns.shape == (2,)
    pictures = imageio.imread(film)
    assert pictures.ndim == 4
    assert min(pictures.shape[1:3]) >= 240
    again = play(whole, SPEC.id[:5], "mini-pong/pong", episodes=2, film=None, seed=3)
    assert again.returns.tolist() == played.returns.tolist()


def test_a_film_that_cannot_be_written(tmp_path: Path, whole: SuiteFolder) -> None:
    film = tmp_path / "film.gif"
    film.mkdir()
    with pytest.raises(ColonnadeError, match=r"film\.gif could not be written: Is a directory"):
        play(whole, None, None, episodes=1, film=film, seed=0)
    assert list(tmp_path.iterdir()) == [film]


def test_playing_what_is_not_there(tmp_path: Path, whole: SuiteFolder) -> None:
    with pytest.raises(UsageError, match=r"ends in \.webp, \.gif or \.mp4"):
        play(whole, None, None, episodes=1, film=Path("film.avi"), seed=0)
    with pytest.raises(UsageError, match="Unknown complete run 'zzz'"):
        play(whole, "zzz", None, episodes=1, film=None, seed=0)
    with pytest.raises(UsageError, match="did you mean 'mini-pong/zoom'"):
        play(whole, None, "mini-pong/zom", episodes=1, film=None, seed=0)
    with pytest.raises(UsageError, match="at least 1, but 0 came"):
        play(whole, None, None, episodes=0, film=None, seed=0)
    with pytest.raises(ColonnadeError, match=r"No run in .* is complete"):
        play(begin(tmp_path), None, None, episodes=1, film=None, seed=0)


def test_the_beginning_of_an_id_must_be_that_of_one_run(tmp_path: Path) -> None:
    twins = [replace(SPEC, seed=seed) for seed in (0, 1)]
    suite = begin(tmp_path, *twins)
    for spec in twins:
        suite.run(spec.id).path.mkdir()
        (suite.run(spec.id).path / "DONE").touch()
    with pytest.raises(UsageError, match=r"2 complete runs begin with 'two'.*two-small-tasks-"):
        play(suite, "two", None, episodes=1, film=None, seed=0)
    with pytest.raises(ColonnadeError, match=rf"{twins[1].id}/spec\.json is missing"):
        play(suite, twins[1].id, None, episodes=1, film=None, seed=0)


def test_a_worker_waits_for_one_whose_parent_was_killed(tmp_path: Path) -> None:
    folder = begin(tmp_path).run(SPEC.id)
    folder.path.mkdir()
    lock = FolderLock(folder.path)
    lock.__enter__()
    threading.Timer(0.3, lock.__exit__).start()
    with pytest.raises(Interrupted):
        train_run(tmp_path, SPEC, stop=lambda: True, patience=30)
    with FolderLock(folder.path), pytest.raises(ColonnadeError, match="being written by process"):
        train_run(tmp_path, SPEC, stop=lambda: True)


def test_the_worker_names_its_errors_last(tmp_path: Path) -> None:
    suite = begin(tmp_path)
    folder = suite.run(SPEC.id).path
    folder.mkdir()
    (folder / "metrics.jsonl").write_text("{}\n")
    done = subprocess.run(
        [sys.executable, *worker_command(suite.path, SPEC.id, 1)[1:]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "spec.json is missing" in done.stderr.splitlines()[-1]


def test_a_data_set_without_validation_examples_is_scored_without_them(tmp_path, monkeypatch):
    spec = RunSpec(
        "labels", "finetune", (TaskBudget("digits/all", 320),), "supervised", {"preset": "mlp"}
    )
    suite = SuiteFolder(tmp_path / "out", "mine", {}, Plan((spec,)))
    suite.begin()
    digits = task_from_name("digits/all")
    parts = [digits.examples(split) for split in ("train", "test")]
    train, test = ((part.inputs["observation"], part.targets) for part in parts)
    mine = DataTask("digits/all", train=train, test=test, steps=320)
    monkeypatch.setattr("colonnade.experiments.execution.run.build_tasks", lambda spec: [mine])
    train_run(suite.path, spec)
    scores = suite.run(spec.id).result()["scores"]
    assert [row["policy"] for row in scores] == ["random", "trained"]
    assert "labels" in write_report(suite).read_text()
