"""Changing an option of every run of a suite, as `--set` does."""

from dataclasses import replace
from pathlib import Path

import pytest

from colonnade.errors import UsageError
from colonnade.experiments.launch.changes import with_changes
from colonnade.experiments.launch.suite import begin
from colonnade.experiments.launch.sweep import begin_sweep, plan_sweep
from colonnade.experiments.plans.build import build_learner
from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.plans.sweep import Sweep
from colonnade.experiments.suites import suite_from_name
from colonnade.learners import PPO

MINI = suite_from_name("pong-soup-mini")
SMALL = SuiteOptions(seeds=1, tasks=("zoom",))


def mini() -> Plan:
    return MINI.plan(SuiteOptions(seeds=1))


def test_every_run_is_changed_and_nothing_else() -> None:
    before = mini()
    after = with_changes(
        before, ["learner.learning_rate=0.25", "column.alpha=1", "training.device=cpu"]
    )
    for old, new in zip(before.runs, after.runs, strict=True):
        assert new.learner_options == old.learner_options | {"learning_rate": 0.25}
        assert isinstance(old.column, dict)
        assert new.column == old.column | {"alpha": 1}
        assert new.training_options == old.training_options | {"device": "cpu"}
        same = ("label", "method", "tasks", "learner", "seed", "method_options")
        assert all(getattr(old, name) == getattr(new, name) for name in same)
    learner = build_learner(after.runs[0])
    assert isinstance(learner, PPO)
    assert learner.learning_rate == 0.25


def by_label(plan: Plan) -> dict[str, set[str]]:
    """The labels of each run's parents, by label."""
    labels = {spec.id: spec.label for spec in plan.runs}
    return {spec.label: {labels[p] for p in plan.parents(spec)} for spec in plan.runs}


def test_runs_start_from_the_changed_sources() -> None:
    before, after = mini(), with_changes(mini(), ["learner.gamma=0.9"])
    assert by_label(before) == by_label(after)
    assert any(spec.parent for spec in after.runs)
    assert not {spec.id for spec in before.runs} & {spec.id for spec in after.runs}
    ids = {spec.id for spec in after.runs}
    assert {entry.run for entry in after.comparisons} <= ids
    pairs = zip(before.comparisons, after.comparisons, strict=True)
    assert all((a.method, a.source, a.target) == (b.method, b.source, b.target) for a, b in pairs)


def test_a_sweep_starts_from_the_best_of_the_changed_sources() -> None:
    sweep, options = Sweep(jobs=3), SuiteOptions(tasks=("zoom",))
    before = plan_sweep(MINI, sweep, options)
    changed = SuiteOptions(tasks=("zoom",), set=("learner.gamma=0.9",))
    after = plan_sweep(MINI, sweep, changed)
    assert by_label(before) == by_label(after)
    assert len(after.selections) == len(before.selections) > 0
    assert not {s.name for s in before.selections} & {s.name for s in after.selections}


def test_no_change_changes_nothing() -> None:
    assert with_changes(mini(), []) == mini()


def test_the_column_of_a_preset_that_is_only_named_can_be_changed() -> None:
    spec = RunSpec("x", "scratch", (TaskBudget("mini-pong/pong", 10),), "ppo", "tiny")
    (changed,) = with_changes(Plan((spec,)), ["column.alpha=0.5"]).runs
    assert changed.column == {"preset": "tiny", "alpha": 0.5}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("learning_rate=1", r"KIND\.NAME=VALUE, as in .*, but 'learning_rate=1' came"),
        ("learner.learning_rate", "but 'learner.learning_rate' came"),
        ("learner.=1", "came"),
        ("learner.gamma=", "came"),
        ("lerner.gamma=1", "Unknown kind of option in --set 'lerner'; did you mean 'learner'"),
        ("learner.gama=0.9", "gamma"),
        ("learner.gamma=2", "from 0 to 1; got 2"),
        ("learner.gamma=high", "gamma"),
        ("training.num_env=3", "num_envs"),
        ("training.num_envs=0", "at least 1"),
        ("column.alfa=3", "alpha"),
        ("progressive.alpha=3", "Unknown progressive option 'alpha'"),
        ("ewc.lam=3", "Unknown kind of option in --set 'ewc'"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_begun(
    tmp_path: Path, given: str, message: str
) -> None:
    options = SuiteOptions(seeds=1, tasks=("zoom",), set=(given,))
    with pytest.raises(UsageError, match=message):
        begin(MINI, tmp_path / "out", options)
    assert not (tmp_path / "out").exists()


def test_a_methods_option_changes_its_runs_alone() -> None:
    suite = suite_from_name("ewc-pong-soup-mini")
    before = suite.plan(SuiteOptions(seeds=1))
    after = with_changes(before, ["ewc.lam=7"])
    changed = {new.method for old, new in zip(before.runs, after.runs, strict=True) if old != new}
    assert changed == {"ewc"}
    for spec in after.runs:
        assert spec.method_options.get("lam") == (7 if spec.method == "ewc" else None)


def test_runs_that_would_become_the_same_are_refused() -> None:
    run = RunSpec("x", "scratch", (TaskBudget("mini-pong/pong", 10),), "ppo", "tiny")
    twins = [replace(run, learner_options={"gamma": gamma}) for gamma in (0.8, 0.9)]
    with pytest.raises(UsageError, match="makes run 'x' the same as another"):
        with_changes(Plan(tuple(twins)), ["learner.gamma=0.5"])


def test_a_default_column_has_no_fields_to_change() -> None:
    spec = RunSpec("x", "scratch", (TaskBudget("mini-pong/pong", 10),), "ppo", "default")
    with pytest.raises(UsageError, match="a spec or suite that names its column"):
        with_changes(Plan((spec,)), ["column.alpha=0.5"])


def test_what_a_sweep_draws_cannot_be_set(tmp_path: Path) -> None:
    options = SuiteOptions(set=("learner.learning_rate=0.1",))
    with pytest.raises(UsageError, match="'learning_rate' is drawn for each job"):
        begin_sweep(MINI, tmp_path / "out", Sweep(jobs=2, top=1), options)


def test_a_folder_with_other_settings_is_refused(tmp_path: Path) -> None:
    begin(MINI, tmp_path, SMALL)
    changed = SuiteOptions(seeds=1, tasks=("zoom",), set=("learner.gamma=0.9",))
    with pytest.raises(UsageError, match=r"learner\.gamma=0\.9"):
        begin(MINI, tmp_path, changed)
