import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from colonnade.errors import ColonnadeError, UsageError
from colonnade.experiments.launch.rehearsal import Rehearsal
from colonnade.experiments.plans.build import build_learner
from colonnade.experiments.plans.plan import Comparison, Plan, SuiteOptions
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.store.files import write_json
from colonnade.experiments.store.folders import RunFolder, SuiteFolder
from colonnade.experiments.store.lock import FolderLock
from colonnade.experiments.store.parents import read_parent
from colonnade.experiments.suites import SUITES, suite_from_name
from colonnade.experiments.suites.progressive.pong_soup import FULL, SHORT
from colonnade.experiments.suites.progressive.pong_soup_mini import MINI
from colonnade.learners import A2C
from colonnade.tasks.pong.variants import VARIANTS


def folder(path: Path, **options: int | float) -> SuiteFolder:
    plan = MINI.plan(SuiteOptions(**options))  # type: ignore[arg-type]
    return SuiteFolder(path, "pong-soup-mini", dict(options), plan)


def test_a_folder_is_read_as_it_was_begun(tmp_path: Path) -> None:
    suite = folder(tmp_path / "out", seeds=1)
    suite.begin()
    assert SuiteFolder.read(tmp_path / "out") == suite


def test_more_seeds_extend_a_folder(tmp_path: Path) -> None:
    folder(tmp_path, seeds=1).begin()
    folder(tmp_path, seeds=2).begin()
    assert len(SuiteFolder.read(tmp_path).plan.runs) == len(MINI.plan(SuiteOptions(seeds=2)).runs)


def test_a_folder_of_another_suite_or_other_options_is_refused(tmp_path: Path) -> None:
    folder(tmp_path, seeds=2, budget=0.5).begin()
    with pytest.raises(UsageError, match=r"seeds=2, budget=0\.5, but .* seeds=2, budget=0\.1 was"):
        folder(tmp_path, seeds=2, budget=0.1).begin()
    with pytest.raises(UsageError, match="belongs to suite 'pong-soup-mini'"):
        SuiteFolder(tmp_path, "demo", {}, folder(tmp_path, seeds=2, budget=0.5).plan).begin()


def test_a_run_that_the_same_options_no_longer_plan_is_named(tmp_path: Path) -> None:
    first = folder(tmp_path, seeds=1).begin()
    less = replace(first, plan=Plan(first.plan.runs[:1]))
    with pytest.raises(UsageError) as told:
        less.begin()
    assert str(told.value) == (
        f"{tmp_path} was begun with the same options, but 'pong-soup-mini' or Colonnade has "
        f"changed since: run {first.plan.runs[1].label!r} is no longer planned; choose another "
        "--out, or restore what has changed."
    )


def test_a_folder_with_other_things_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UsageError, match=r"no suite\.json, so it isn't Colonnade's"):
        folder(tmp_path).begin()
    with pytest.raises(UsageError, match=r"holds no suite\.json; give a folder"):
        SuiteFolder.read(tmp_path)


def test_a_suite_file_of_another_format_or_without_runs(tmp_path: Path) -> None:
    write_json(tmp_path / "suite.json", {"format": 99})
    with pytest.raises(UsageError, match=r"format 99, but this version .* reads format 1"):
        SuiteFolder.read(tmp_path)
    write_json(tmp_path / "suite.json", {"format": 1})
    with pytest.raises(UsageError, match=r"runs of .* must be a list; got None"):
        SuiteFolder.read(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is none"),
        (b"not a weights file", "safetensors"),
        (b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ", "another program wrote the file"),
    ],
)
def test_weights_that_are_missing_or_foreign(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "weights.safetensors").write_bytes(content)
    with pytest.raises(ColonnadeError, match=message):
        RunFolder(tmp_path).weights()


def test_a_recorded_run_is_not_to_be_deleted_for_its_weights(tmp_path: Path) -> None:
    run = folder(tmp_path, seeds=1).begin().runs[0]
    run.path.mkdir()
    (run.path / "DONE").touch()
    with pytest.raises(ColonnadeError) as told:
        run.weights()
    assert str(told.value) == (
        f"The weights of {run.path} were not kept, so it can't be played or analysed; train the "
        "run again in another folder."
    )


@pytest.mark.parametrize(
    ("plan", "advice"),
    [
        ({"measures": 2}, "delete .* to train the run again"),
        ({}, "train the run again in another folder"),
    ],
)
def test_only_where_a_folder_goes_on_a_run_is_to_be_deleted(
    tmp_path: Path, plan: dict[str, int], advice: str
) -> None:
    write_json(tmp_path / "suite.json", plan)
    run = RunFolder(tmp_path / "runs" / "a")
    run.path.mkdir(parents=True)
    with pytest.raises(ColonnadeError, match=rf"json is missing.*; restore it, or {advice}\."):
        run.spec  # noqa: B018
    (run.path / "weights.safetensors").touch()
    with pytest.raises(ColonnadeError, match=rf"cut short .* Restore it, or {advice}\."):
        run.weights()


def test_parents_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ColonnadeError, match="isn't complete"):
        read_parent(tmp_path, "pong-12345678")
    with pytest.raises(UsageError, match="Unknown bundled column 'nope'"):
        read_parent(tmp_path, "bundled:nope")


def test_pong_soup_has_every_cell_of_the_figure() -> None:
    plan = FULL.plan(SuiteOptions(seeds=2))
    places = [(e.method, e.source, e.target) for e in plan.comparisons if e.seed == 1]
    count = {method: sum(p[0] == method for p in places) for method, *_ in places}
    assert count == {
        "scratch": 8,
        "random-column": 8,
        "output-only": 21,
        "finetune": 21,
        "progressive-2": 21,
        "progressive-3": 18,
    }
    assert len(set(places)) == len(places)
    # 8 scratch runs serve as sources too; the middle columns of chains are 2-column runs.
    assert len(plan.runs) == 2 * sum(count.values())


def test_chains_grow_from_the_two_column_run_of_their_sources() -> None:
    plan = FULL.plan(SuiteOptions(seeds=1))
    third = next(s for s in plan.runs if s.label == "progressive pong, noisy to zoom, seed 0")
    selected = plan.select(lambda run: run == third.id)
    line = ["scratch pong, seed 0", "progressive pong to noisy, seed 0", third.label]
    assert [spec.label for spec in selected.runs] == line
    for parent, child in pairwise(selected.runs):
        assert plan.parents(child) == (parent.id,)


def test_options_change_budgets_seeds_and_learner() -> None:
    plan = MINI.plan(SuiteOptions(seeds=3, budget=0.5, learner="a2c"))
    assert {spec.seed for spec in plan.runs} == {0, 1, 2}
    assert {spec.steps for spec in plan.runs} == {MINI.target_steps // 2, MINI.source_steps // 2}
    assert {spec.learner for spec in plan.runs} == {"a2c"}


def test_sources_alone_are_done_at_a_goal() -> None:
    plan = SHORT.plan(SuiteOptions(seeds=1))
    done = [spec.label for spec in plan.runs if "goal_return" in spec.training_options]
    assert done == ["source pong, seed 0"]


@pytest.mark.parametrize("wrong", [{"seeds": 0}, {"budget": 0.0}, {"budget": float("nan")}])
def test_impossible_options(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        SuiteOptions(**wrong)  # type: ignore[arg-type]


def test_names_in_every_suite_exist() -> None:
    for suite in SUITES:
        plan = suite.plan(SuiteOptions(seeds=1))
        rehearsal = Rehearsal(plan)
        for spec in plan.runs:
            rehearsal.check(spec)


def test_seeds_of_other_sets_of_games_are_each_rehearsed_with_their_own() -> None:
    plan = suite_from_name("ewc-stream").plan(SuiteOptions(games=2))
    rehearsal, found = Rehearsal(plan), [spec for spec in plan.runs if spec.labels]
    assert len({spec.tasks[-1].name for spec in found}) > 1
    for spec in found:
        rehearsal.check(spec)


@pytest.mark.parametrize("learner", ["a2c", "a3c"])
def test_suites_in_the_emulator_learn_as_recorded(learner: str) -> None:
    recorded = Path(__file__).parents[3] / "results" / "pong-to-15.json"
    specs = [RunSpec.from_json(data) for data in json.loads(recorded.read_text())]
    (known,) = [build_learner(spec) for spec in specs if spec.learner == learner]
    assert isinstance(known, A2C)
    for suite in SUITES:
        plan = suite.plan(SuiteOptions(seeds=1, learner=learner))
        for spec in (spec for spec in plan.runs if spec.id not in plan.tries):
            if spec.learner == learner and spec.target.startswith(("atari/", "pong-soup/")):
                built = build_learner(spec)
                assert isinstance(built, A2C)
                assert replace(built, workers=known.workers) == known, suite.name


def test_pong_soup_learns_every_variant() -> None:
    assert sorted(FULL.targets) == sorted(VARIANTS)


def test_unknown_suite() -> None:
    with pytest.raises(UsageError, match="did you mean 'pong-soup'"):
        suite_from_name("pong-sop")


def test_plans_refuse_orphans_and_repetitions() -> None:
    first = RunSpec("a", "scratch", (TaskBudget("mini-pong/pong", 1),), "ppo", "tiny")
    child = RunSpec("b", "finetune", first.tasks, "ppo", "tiny", parent=first.id)
    assert Plan((first, child)).parents(child) == (first.id,)
    with pytest.raises(UsageError, match="list the parent first"):
        Plan((child, first))
    with pytest.raises(UsageError, match="listed 2 times"):
        Plan((first, first))
    with pytest.raises(UsageError, match="starts from run ''"):
        Plan((replace(child, parent=""),))
    compared = Comparison(first.id, "scratch", None, "pong", 0)
    assert Plan((first,), (compared,)).comparisons == (compared,)
    with pytest.raises(UsageError, match="names run 'gone', which is not among the runs; list"):
        Plan((first,), (replace(compared, run="gone"),))


@pytest.mark.parametrize(
    "content",
    [
        {"format": 1, "runs": []},
        {"format": 1, "runs": [], "comparisons": [3]},
        {"format": 1, "runs": [], "comparisons": [{"run": "a"}]},
        {"format": 1, "runs": [3], "comparisons": []},
    ],
)
def test_a_foreign_suite_file_is_refused(tmp_path: Path, content: dict[str, Any]) -> None:
    (tmp_path / "suite.json").write_text(json.dumps(content))
    with pytest.raises(UsageError, match=r"suite\.json"):
        SuiteFolder.read(tmp_path)


@pytest.mark.parametrize("name", ["result.json", "network.json"])
def test_a_foreign_result_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{}")
    folder = RunFolder(tmp_path)
    with pytest.raises(ColonnadeError, match=rf"{name} lacks .*delete .* to train the run again"):
        folder.result() if name == "result.json" else folder.network()


@pytest.mark.parametrize(
    "left",
    [
        ["lock"],
        ["lock", "lock-holder.txt"],
        [".lock-holder.txt.4711.tmp", "lock"],
        [".suite.json.4711.tmp", "lock", "lock-holder.txt"],
    ],
)
def test_a_command_goes_on_where_one_was_killed_as_it_began(
    tmp_path: Path, left: list[str]
) -> None:
    for name in left:
        (tmp_path / name).write_text("{")
    folder(tmp_path).begin()
    assert not list(tmp_path.glob(".*.tmp"))
    assert SuiteFolder.read(tmp_path).name == "pong-soup-mini"
    (tmp_path / "suite.json").unlink()
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UsageError, match=r"no suite\.json"):
        folder(tmp_path).begin()


def test_of_two_that_begin_at_once_one_is_told_of_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter = FolderLock.__enter__
    first: list[SuiteFolder] = []

    def beaten(lock: FolderLock) -> FolderLock:
        """Let another command begin the folder after this one looked and before it locks."""
        if not first:
            first.append(SuiteFolder(tmp_path, "demo", {}, folder(tmp_path).plan))
            first[0].begin()
        return enter(lock)

    monkeypatch.setattr(FolderLock, "__enter__", beaten)
    with pytest.raises(UsageError, match="belongs to suite 'demo'"):
        folder(tmp_path).begin()
    assert SuiteFolder.read(tmp_path).name == "demo"
