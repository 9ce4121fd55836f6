"""Tasks that networks and scores know by other ids than their names, or that share a name."""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
from finished import POLE, balancing_network, run_spec, write_suite

from colonnade.cli.analyze import analyze
from colonnade.errors import UsageError
from colonnade.experiments.execution.run import train_run
from colonnade.experiments.plans.build import build_task
from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.experiments.plans.spec import RunSpec, TaskBudget, TaskVisit
from colonnade.experiments.results.pathnet.paths import Paths
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.files import write_json
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.store.metrics import MetricsFile
from colonnade.experiments.store.reading import read_json
from colonnade.experiments.suites.pathnet.pong_soup import MINI
from colonnade.experiments.suites.progressive.pong_soup import SHORT
from colonnade.experiments.titles import option_titles, task_title
from colonnade.experiments.trained.analysis import RunAnalysis
from colonnade.experiments.trained.analysis_options import AnalysisOptions
from colonnade.experiments.trained.comparison import new_vision
from colonnade.experiments.trained.play import play
from colonnade.experiments.trained.prune import prune_run
from colonnade.experiments.trained.prune_options import PruneOptions
from colonnade.experiments.trained.sensitivity import known_analysis
from colonnade.records import write
from colonnade.reports.suite import write_report
from colonnade.tasks.mazes.paper_levels import LEVELS

Fabricate = Callable[..., SuiteFolder]

TWICE = (
    TaskBudget("mini-pong/pong", 20_000),
    TaskBudget("mini-pong/pong", 20_000, {"name": "other"}),
)


def test_a_task_is_called_by_its_users_name_or_by_its_own() -> None:
    assert TaskBudget("CartPole-v1", 1).is_called("gym/CartPole-v1")
    assert TaskBudget("gym/CartPole-v1", 1).is_called("gym/CartPole-v1")
    assert TaskBudget("atari/MsPacman", 1).is_called("atari/ms_pacman")
    assert TaskBudget("t-maze/010", 1).is_called("t-maze/10")
    assert not TaskBudget("atari/no such game", 1).is_called("atari/ms_pacman")
    pong, other = TWICE
    assert (pong.is_called("mini-pong/pong"), pong.is_called("other")) == (True, False)
    assert (other.is_called("mini-pong/pong"), other.is_called("other")) == (False, True)
    # A task that was learned before stands before others in a network's list.
    assert pong.id_among(["mini-pong/pong", "other"]) == "mini-pong/pong"
    assert other.id_among(["mini-pong/pong", "something", "other"]) == "other"
    assert pong.id_among(["a", "b"]) == "b"
    assert set(write(other)) == {"name", "steps", "options"}


def test_tasks_of_files_and_of_data_are_called_by_their_own_ids(tmp_path: Path) -> None:
    level = write(LEVELS["maze-y"])
    (tmp_path / "mine.json").write_text(json.dumps(level | {"name": "mine"}))
    (tmp_path / "copy.json").write_text(json.dumps(level | {"name": "track-3"}))
    tasks = (
        TaskBudget(f"labyrinth/{tmp_path}/mine.json", 10),
        TaskBudget(f"doom-labyrinth/{tmp_path}/copy.json", 20),
        TaskBudget("digits/pair-3-5", 30, {"noise": 0.5}),
        TaskBudget("permuted-digits/03", 40),
    )
    ids = ("labyrinth/mine", "doom-labyrinth/track-3", "digits/pair-3-5-noise-50")
    ids = (*ids, "permuted-digits/3")
    for task, own in zip(tasks, ids, strict=True):
        assert build_task(task).spec.id == own
        assert [task.is_called(name) for name in ids] == [name == own for name in ids]
    spec = replace(run_spec("files", "ewc", "x"), tasks=tasks)
    # A level that is called as a stock one is played, not the stock one.
    assert [Plan((spec,)).task(spec, own) for own in ids] == [*tasks]
    spec = replace(spec, visits=tuple(TaskVisit(name, 10) for name in (*ids, tasks[1].name)))
    assert spec.visited == (0, 1, 2, 3, 1)
    gone = replace(spec, visits=(TaskVisit("labyrinth/other", 10),))
    with pytest.raises(UsageError, match=r"^Unknown task in 'visits' 'labyrinth/other'"):
        _ = gone.visited


def test_the_plan_finds_tasks_by_the_names_of_their_users() -> None:
    named = replace(TWICE[0], options={"name": "first"})
    spelt = TaskBudget("atari/MsPacman", 20_000, {"episodic_life": True})
    spec = replace(run_spec("twice", "progressive", "x"), tasks=(named, TWICE[1], TWICE[0], spelt))
    plan = Plan((spec,))
    ids = ("first", "other", "mini-pong/pong", "atari/ms_pacman")
    assert [plan.task(spec, name) for name in ids] == [*spec.tasks]


def test_scores_of_one_name_are_the_last_tasks(fabricate: Fabricate) -> None:
    first = SHORT.plan(SuiteOptions(seeds=1)).runs[0]
    suite = fabricate(Plan((replace(first, tasks=TWICE),)), name="mine.json")
    (folder,) = suite.runs
    result = folder.result()
    result["scores"] = [
        {"kind": "evaluation", "task": task, "policy": policy, "step": 1, "episodes": 25,
         "return_mean": value, "return_std": 1.0}
        for task, values in (("mini-pong/pong", (1.0, 2.0)), ("other", (3.0, 4.0)))
        for policy, value in zip(("random", "trained"), values, strict=True)
    ]  # fmt: skip
    (folder.path / "result.json").write_text(json.dumps(result))
    (run,) = Results(suite).runs.values()
    assert run.score("random")["return_mean"] == 3  # type: ignore[index]
    assert run.final_score == 4
    result |= {"scores": result["scores"][:2], "pruning": {}}
    (folder.path / "result.json").write_text(json.dumps(result))
    (run,) = Results(suite).runs.values()
    assert run.score("trained") is None, "the score on another task is not that on the last one"
    assert math.isnan(run.final_score)


def test_other_options_have_a_random_score_and_frames_of_their_own(fabricate: Fabricate) -> None:
    plan = SHORT.plan(SuiteOptions(seeds=1))
    first = plan.runs[0]
    options = ({}, {"wind": 3}, {"name": "my_own"})
    specs = [replace(first, tasks=(replace(first.tasks[0], options=o),)) for o in options]
    suite = fabricate(Plan(tuple(specs)), name="mine.json")
    for place, spec in enumerate(specs):
        path = suite.run(spec.id).path
        text = (path / "result.json").read_text()
        words = f'"return_mean": {-20.0 + place}'
        (path / "result.json").write_text(text.replace('"return_mean": -20.0', words, 1))
        imageio.imwrite(path / "frames.png", np.full((8, 8, 3), place, np.uint8))
    results = Results(suite)
    assert [score.mean for score in results.random_scores.values()] == [-20, -19, -18]
    area = [results.area(run) for run in results.runs.values()]
    means = [np.nanmean(run.learning.pooled) for run in results.runs.values()]
    assert len(set(area)) == len(set(means)) == 3
    titles = list(option_titles(spec.tasks[0].key for spec in specs).values())
    assert titles[1:] == [f'{titles[0]} {{"wind": 3}}', "my_own"]
    page = write_report(suite).read_text()
    for title in (titles[0], f"{titles[0]} {{&#34;wind&#34;: 3}}", "my_own"):
        assert f"<figcaption>{title}</figcaption>" in page
    assert page.count("data:image/png;base64") == 3


def test_a_users_name_is_not_respelled() -> None:
    assert task_title("mini-pong/my_own") == "mini-pong/my_own"
    assert task_title("atari/my_game") == "atari/my_game"
    assert task_title("mini-pong/vh-flip") == "VH-flip"
    assert task_title("atari/ms_pacman") == "Ms pacman"


# --- bare Gymnasium ids ---------------------------------------------------------------------------


@pytest.fixture
def bare(tmp_path: Path) -> SuiteFolder:
    """A pole that is named as Gymnasium does, and after it the same with a name of its own."""
    one = run_spec("bare", "progressive", "CartPole-v1")
    named = TaskBudget("CartPole-v1", 1000, {"name": "other"})
    two = replace(run_spec("twice", "progressive", "CartPole-v1"), tasks=(*one.tasks, named))
    network = balancing_network()
    return write_suite(
        tmp_path / "out", [(one, network, {POLE: 1}), (two, network, {POLE: 0, "other": 1})]
    )


def test_a_bare_id_is_played_analysed_and_pruned(bare: SuiteFolder) -> None:
    one, two = bare.runs
    assert play(bare, one.id, None, 1, None, 0).task == POLE
    assert play(bare, two.id, None, 1, None, 0).task == "other"
    assert play(bare, two.id, POLE, 1, None, 0).task == POLE
    silent = AnalysisOptions(states=60, episodes=0)
    for folder, task in ((one, POLE), (two, "other")):
        analyze(folder.path, None, silent, jobs=1)
        found = RunAnalysis.load(folder.path)
        assert found is not None
        assert found.task == task
        assert known_analysis(folder, None, silent) is not None, "it need not be measured again"
    quick = PruneOptions(states=60, episodes=1, bound=0.5, tasks=("other", POLE))
    place = prune_run(two.path, quick).path
    rows = json.loads((place / "result.json").read_text())["scores"]
    assert rows[-1]["task"] == "other"


def test_a_bare_id_is_in_the_picture_of_transfer(bare: SuiteFolder) -> None:
    one, _ = bare.runs
    analyze(one.path, None, AnalysisOptions(states=60, episodes=0), jobs=1)
    found = RunAnalysis.load(one.path)
    assert found is not None

    class Known:
        runs = Results(bare).runs

        def relative_area(self, run: object) -> float:
            return 1.5

    found = replace(found, level_names=("conv",))
    ((vision, score, task, columns),) = new_vision([found], Known())  # type: ignore[arg-type]
    assert (vision, score, task, columns) == (pytest.approx(0), 1.5, POLE, 2)


# --- PathNet --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> SuiteFolder:
    tiny = replace(
        MINI,
        targets=("noisy",),
        source_steps=600,
        target_steps=600,
        seeds=1,
        pathnet={"population": 4, "episodes": 1, "rivals": 2},
        training_options={"curve_steps": 300, "segment_steps": 600, "num_envs": 4},
        evaluation_episodes=1,
    )
    plan = tiny.plan(SuiteOptions(device="cpu"))
    (entry,) = (e for e in plan.comparisons if e.method == "pathnet")
    plan = Plan(plan.select(entry.run.__eq__).runs)
    suite = SuiteFolder(tmp_path_factory.mktemp("paths") / "out", "mine.json", {}, plan).begin()
    for spec in plan.runs:
        train_run(suite.path, spec)
    return suite


@pytest.mark.parametrize("target", ["CartPole-v1", "mini-pong/pong"])
def test_the_last_history_of_paths_is_the_last_tasks(
    paths: SuiteFolder, target: str, tmp_path: Path
) -> None:
    spec = paths.plan.runs[-1]
    options = {"name": "other"} if target == "mini-pong/pong" else {}
    tasks = (TaskBudget("mini-pong/pong", 600), TaskBudget(target, 600, options))
    renamed: RunSpec = replace(spec, tasks=tasks, parent=None)
    suite = SuiteFolder(tmp_path / "out", "mine.json", {}, Plan((renamed,))).begin()
    folder = suite.run(renamed.id).path
    shutil.copytree(paths.run(spec.id).path, folder)
    (folder / "spec.json").write_text(json.dumps(renamed.to_json()))
    result = read_json(folder / "result.json") | {"spec": renamed.to_json()}
    del result["files"]
    write_json(folder / "result.json", result)
    (folder / "metrics.jsonl").unlink()
    metrics = MetricsFile(folder / "metrics.jsonl")
    for row in paths.run(spec.id).metrics():
        metrics.append(row)
    text = json.dumps(read_json(folder / "network.json"))
    own = "other" if options else "gym/CartPole-v1"
    write_json(folder / "network.json", json.loads(text.replace("mini-pong/noisy", own)))
    (expected,) = Paths(Results(paths)).reuse()
    (found,) = Paths(Results(suite)).reuse()
    assert (found.shared, found.overlap) == (expected.shared, expected.overlap)
    assert "Reuse of modules" in write_report(suite).read_text()
