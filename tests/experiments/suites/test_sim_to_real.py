"""The arm's suites: who starts from what, with what column, and by which hyperparameters."""

from pathlib import Path

import pytest

from colonnade.experiments.execution.analyses import check_analysable
from colonnade.experiments.launch.rehearsal import Rehearsal
from colonnade.experiments.launch.sweep import plan_sweep
from colonnade.experiments.plans.plan import SuiteOptions
from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.plans.sweep import Sweep
from colonnade.experiments.suites import suite_from_name
from colonnade.experiments.suites.designs import reaching
from colonnade.experiments.suites.sim_to_real import columns, conveyor, gaps, mini, robot
from colonnade.methods import Scratch
from colonnade.tasks.arm import JacoTask

DEFAULT = SuiteOptions()


def test_the_papers_protocol_is_the_robots_suite() -> None:
    plan = robot.plan(DEFAULT)
    grid = [spec for spec in plan.runs if spec.label.startswith("source")]
    tries = [spec for spec in plan.runs if spec.label.startswith("try")]
    robots = [spec for spec in plan.runs if spec.target == "jaco/robot-mild"]
    assert (len(grid), len(tries), len(robots)) == (30, 30, 25)
    assert len({spec.learner_options["learning_rate"] for spec in grid}) == 30
    rates = [float(str(spec.learner_options["learning_rate"])) for spec in grid]
    costs = [float(str(spec.learner_options["entropy_cost"])) for spec in grid]
    assert 5e-5 < min(rates) < 2e-4 < 1e-3 < max(rates) < 5e-3
    assert 1e-5 < min(costs) < 1e-4 < 1e-3 < max(costs) < 1e-2
    first = {plan.parents(spec) for spec in (*tries, *robots) if spec.method != "scratch"}
    assert first == {tuple(spec.id for spec in grid)}, "the best of all"
    for spec in robots:
        models = [run for run in tries if run.id in plan.models(spec)]
        assert len(models) == 10
        own = "progressive" if spec.method == "scratch" else spec.method
        assert {run.method for run in models} == {own}
        assert {run.target for run in models} == {"jaco/perspective-subtle"}, "in simulation"
        wide = "wide" in str(spec.column)
        assert {"wide" in str(run.column) for run in models} == {wide}
        assert spec.steps == 60_000
    assert [entry.method for entry in plan.comparisons][:5] == [
        "scratch", "scratch-wide", "finetune", "progressive-2", "progressive-2-wide",
    ]  # fmt: skip


def test_the_short_protocol_chooses_in_simulation_for_each_method_from_the_shipped_column() -> None:
    plan = robot.short(DEFAULT)
    tries = [spec for spec in plan.runs if spec.label.startswith("try")]
    robots = [spec for spec in plan.runs if spec.target == "jaco/robot-mild"]
    assert (len(tries), len(robots), len(plan.runs)) == (20, 15, 35)
    drawn = {
        method: [spec.learner_options["learning_rate"] for spec in tries if spec.method == method]
        for method in ("finetune", "progressive")
    }
    assert drawn["finetune"] == drawn["progressive"]
    assert len(set(drawn["finetune"])) == 10
    for spec in robots:
        own = "finetune" if spec.method == "finetune" else "progressive"
        assert set(plan.models(spec)) == {run.id for run in tries if run.method == own}
        assert (spec.parent is None) == (spec.method == "scratch")
    assert {spec.parent for spec in (*tries, *robots)} == {None, "bundled:reach-source"}
    assert sum("domains" in spec.analyses for spec in robots) == 1


@pytest.mark.parametrize("learner", ["ppo", "a2c", "a3c"])
def test_the_papers_learners_and_one_arm_for_single_threaded_a2c(learner: str) -> None:
    for spec in mini.plan(SuiteOptions(learner=learner)).runs:
        assert spec.learner == learner
        assert spec.training_options["num_envs"] == (1 if learner == "a2c" else 16)
        Rehearsal().check(spec)


def test_every_network_is_built_before_any_work() -> None:
    for module in (mini, gaps, conveyor, columns):
        plan = module.plan(SuiteOptions(seeds=1))
        rehearsal = Rehearsal(plan)
        for spec in plan.runs:
            rehearsal.check(spec)


def test_a_sweep_of_the_gaps_draws_the_papers_ranges_for_both_methods() -> None:
    plan = plan_sweep(suite_from_name("sim-to-real-gaps"), Sweep(jobs=3, top=3), DEFAULT)
    assert len(plan.runs) == 3 * 4 * 2
    drawn: dict[int, set[object]] = {}
    for spec in plan.runs:
        drawn.setdefault(spec.seed, set()).add(spec.learner_options["learning_rate"])
    assert [len(rates) for rates in drawn.values()] == [1, 1, 1], "all at the same draws"
    assert len(set.union(*drawn.values())) == 3


def test_a_sweep_of_the_robots_suite_chooses_its_source_itself() -> None:
    plan = plan_sweep(suite_from_name("sim-to-real"), Sweep(jobs=3, top=1), DEFAULT)
    assert len(plan.selections) == 1
    assert not any(spec.learner_from for spec in plan.runs)


def test_without_the_shipped_column_a_source_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaching, "bundled_columns", lambda: ())
    plan = mini.plan(DEFAULT)
    assert plan.runs[0].label == "source reach, seed 0"
    assert {plan.parents(spec) for spec in plan.runs if spec.method != "scratch"} == {
        (),
        (plan.runs[0].id,),
    } - {()}


def test_the_third_column_starts_from_the_second_and_sees_no_pixels_itself() -> None:
    plan = conveyor.plan(SuiteOptions(seeds=1))
    second, before, third = plan.runs
    assert plan.parents(third) == (before.id,)
    assert before.target == "jaco/robot-mild"
    assert [spec.target for spec in (second, third)] == ["jaco/robot-conveyor"] * 2
    assert all(spec.tasks[0].options == {"view": "both"} for spec in plan.runs)
    assert "proprioception" in str(third.column)
    assert "init" not in dict(third.column)  # type: ignore[arg-type]


def test_an_analysis_that_does_not_fit_is_refused_before_any_work() -> None:
    spec = next(spec for spec in mini.plan(DEFAULT).runs if spec.method == "finetune")
    other = RunSpec.from_json(spec.to_json() | {"analyses": ["zero-shot"]})
    with pytest.raises(Exception, match="only a run of method 'progressive' with a parent has"):
        Rehearsal().check(other)
    with pytest.raises(Exception, match="score the first of several columns"):
        check_analysable(["domains"], [JacoTask()], Scratch())


def test_the_describes_columns_are_the_papers(capsys: pytest.CaptureFixture[str]) -> None:
    titles = [title for title, _ in robot.networks()]
    assert len(titles) == 3
    assert Path(robot.__file__).name == "robot.py"
