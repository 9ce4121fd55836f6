"""A run that takes the hyperparameters of the best of others: it waits, and learns like it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from colonnade.errors import ColonnadeError, UsageError
from colonnade.experiments.execution.run import train_run
from colonnade.experiments.execution.schedule import Schedule
from colonnade.experiments.launch.changes import with_changes
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.selection import Selection
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.store.folders import RunFolder, SuiteFolder

TASK = (TaskBudget("mini-pong/pong", 200),)
OPTIONS = {"num_envs": 2, "curve_steps": 100, "device": "cpu"}


def tiny(label: str, **options: object) -> RunSpec:
    return RunSpec(
        label,
        "scratch",
        TASK,
        "ppo",
        "tiny",
        learner_options={"rollout_steps": 16, **options},
        training_options=OPTIONS,
        evaluation_episodes=1,
    )


TRIED = tiny("slow", learning_rate=1e-4), tiny("fast", learning_rate=3e-3)
CHOICE = Selection(tuple(spec.id for spec in TRIED))
CHILD = replace(tiny("child", learning_rate=0.5), learner_from=CHOICE.name, seed=3)
PLAN = Plan((*TRIED, CHILD), (), (CHOICE,))


def begun(path: Path) -> SuiteFolder:
    suite = SuiteFolder(path, "test", {}, PLAN)
    suite.begin()
    return suite


def curve(suite: SuiteFolder, run: str) -> list[dict[str, object]]:
    rows = suite.run(run).metrics()
    return [{k: v for k, v in row.items() if k != "steps_per_second"} for row in rows]


def test_it_learns_as_a_run_does_that_names_the_best_ones_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = begun(tmp_path / "out")
    for spec in TRIED:
        train_run(suite.path, spec)
    best = TRIED[1]
    scores = property(lambda folder: float(folder.id == best.id))
    monkeypatch.setattr(RunFolder, "score", scores)
    schedule = Schedule(suite, PLAN, retry=False)
    assert list(schedule.startable(lambda spec: True)) == [CHILD]
    train_run(suite.path, CHILD)
    by_name = replace(CHILD, learner_from=None, learner_options=best.learner_options)
    other = SuiteFolder(tmp_path / "other", "test", {}, Plan((by_name,)))
    other.begin()
    train_run(other.path, by_name)
    assert curve(suite, CHILD.id) == curve(other, by_name.id)
    used = suite.run(CHILD.id).result()["learner"]
    assert used["learning_rate"] == best.learner_options["learning_rate"]


def test_it_waits_for_all_that_are_tried_and_gives_up_where_all_failed(tmp_path: Path) -> None:
    suite = begun(tmp_path / "out")
    schedule = Schedule(suite, PLAN, retry=False)
    assert list(schedule.startable(lambda spec: True)) == [*TRIED]
    for spec in TRIED:
        suite.run(spec.id).path.mkdir(parents=True, exist_ok=True)
        assert list(schedule.startable(lambda spec: True)) == []
        schedule.fail(spec.id, "it diverged", final=True)
    assert list(schedule.startable(lambda spec: True)) == []
    assert schedule.failures[-1].reason == "it learns like the best of 2 runs, and none succeeded"
    with pytest.raises(ColonnadeError, match=r"doesn't say which run|choices\.json"):
        train_run(suite.path, CHILD)


def test_a_plan_keeps_what_is_tried_with_what_takes_it() -> None:
    kept = PLAN.select(CHILD.id.__eq__)
    assert kept.runs == PLAN.runs
    assert kept.selections == PLAN.selections
    assert Plan.from_json(json.loads(json.dumps(PLAN.to_json())), "here") == PLAN
    assert PLAN.parents(CHILD) == ()
    assert PLAN.waits_for(CHILD) == CHOICE.runs
    assert PLAN.place(TRIED[0].id).method == "source"
    with pytest.raises(UsageError, match="takes the hyperparameters of 'best:"):
        Plan((CHILD, *TRIED), (), (CHOICE,))
    with pytest.raises(UsageError, match="no selection of the runs before it"):
        Plan((*TRIED, CHILD))


def test_changes_reach_what_is_tried_and_the_choice_follows() -> None:
    changed = with_changes(PLAN, ["learner.gamma=0.9"])
    *tried, child = changed.runs
    assert child.learner_from == Selection(tuple(spec.id for spec in tried)).name
    assert child.learner_from != CHOICE.name
    assert changed.models(child) == tuple(spec.id for spec in tried)


def test_the_best_ones_column_is_taken_where_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = tuple(
        replace(tiny(f"alpha {alpha}"), column={"preset": "tiny", "alpha": alpha})
        for alpha in (0.25, 0.75)
    )
    choice = Selection(tuple(spec.id for spec in tried))
    child = replace(tiny("child"), learner_from=choice.name, column_too=True)
    suite = SuiteFolder(tmp_path / "out", "test", {}, Plan((*tried, child), (), (choice,)))
    suite.begin()
    for spec in tried:
        train_run(suite.path, spec)
    monkeypatch.setattr(RunFolder, "score", property(lambda folder: "alpha-0-75" in folder.id))
    assert suite.choose(choice) == tried[1].id
    train_run(suite.path, child)
    network = json.loads((suite.run(child.id).path / "network.json").read_text())
    (column,) = network["network"]["columns"]
    assert column["spec"]["alpha"] == 0.75
    with pytest.raises(UsageError, match="there is no 'learner_from'; give both or none"):
        replace(child, learner_from=None)


def test_a_selection_of_a_rank_has_a_name_and_a_form_of_its_own() -> None:
    second = replace(CHOICE, rank=1)
    assert second.name != CHOICE.name == replace(second, rank=0).name
    assert CHOICE.to_data() == [*CHOICE.runs]
    assert Selection.from_data(json.loads(json.dumps(second.to_data()))) == second
    for rank in (-1, 2):
        with pytest.raises(UsageError, match="'rank' of a selection is from 0 to 1"):
            replace(CHOICE, rank=rank)
    with pytest.raises(UsageError, match="Unknown key of a selection 'rnak'"):
        Selection.from_data({"runs": [*CHOICE.runs], "rnak": 1})


def test_specs_without_it_are_written_as_before() -> None:
    assert not {"learner_from", "column_too"} & TRIED[0].to_json().keys()
    assert RunSpec.from_json(CHILD.to_json()) == CHILD
