"""How long a suite will take, worked by hand."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from finished import AROUND, run_spec

from colonnade.experiments.execution.resources import Resources
from colonnade.experiments.launch import cost
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.store.folders import SuiteFolder

FOUR = [Resources(4)]


def suite_of(path: Path, name: str, runs: int, done: int, **changes: Any) -> SuiteFolder:
    """Runs of 1000 steps; those that are done took 2 seconds each."""
    one = replace(run_spec("run", "scratch", "mini-pong/pong"), **changes)
    specs = [replace(one, label=f"run {n}", seed=n) for n in range(runs)]
    suite = SuiteFolder(path, name, {}, Plan(tuple(specs)))
    suite.begin()
    for spec in specs[:done]:
        folder = suite.run(spec.id).path
        folder.mkdir(parents=True)
        timing = {**AROUND["timing"], "training_seconds": 2.0}
        result = {**AROUND, "scores": [], "timing": timing}
        (folder / "spec.json").write_text(json.dumps(spec.to_json()))
        (folder / "result.json").write_text(json.dumps(result))
        (folder / "DONE").touch()
    return suite


def test_the_time_that_is_left(tmp_path: Path) -> None:
    suite = suite_of(tmp_path / "measured", "mine.json", runs=43, done=3)
    ids = [spec.id for spec in suite.plan.runs]
    # 40 runs of 1000 steps at 500 a second, four at once: 20 seconds.
    said = cost.estimate(suite, ids, None, FOUR)
    assert said is not None
    assert said.startswith("40 runs, about 20 s on this machine (4 cores, 4 at once)")
    known = suite_of(tmp_path / "known", "pong-soup-mini", runs=1, done=0)
    known = replace(known, basis=replace(known.basis, steps_per_second=50))
    # Two cores make 50 steps a second together, so one run makes 25: 40 seconds.
    said = cost.estimate(known, [known.plan.runs[0].id], 1, FOUR)
    assert said is not None
    assert said.startswith("1 run, about 40 s")


def test_runs_that_may_end_early_take_so_long_at_most(tmp_path: Path) -> None:
    for name, options, words in (
        ("goal", {"goal_episodes": 10, "goal_return": 5.0}, "3 runs, up to 3 s on"),
        ("patience", {"patience": 2}, "3 runs, up to 3 s on"),
        ("neither", {"goal_episodes": 0, "segment_steps": 100}, "3 runs, about 3 s on"),
    ):
        # Two of 1000 steps at once, at 500 a second.
        suite = suite_of(tmp_path / name, "mine.json", runs=6, done=3, training_options=options)
        ids = [spec.id for spec in suite.plan.runs]
        said = cost.estimate(suite, ids, 2, FOUR)
        assert said is not None
        assert said.startswith(words)


def test_runs_of_several_workers_wait_for_one_another(tmp_path: Path) -> None:
    workers = {"learner": "a2c", "learner_options": {"workers": 3}}
    suite = suite_of(tmp_path / "measured", "mine.json", runs=13, done=3, **workers)
    # 10 runs of 1000 steps at 500 a second, one after another: 20 seconds.
    said = cost.estimate(suite, [spec.id for spec in suite.plan.runs], None, FOUR)
    assert said is not None
    assert said.startswith("10 runs, about 20 s on this machine (4 cores, one at once)")
    known = suite_of(tmp_path / "known", "pong-soup-mini", runs=1, done=0, **workers)
    known = replace(known, basis=replace(known.basis, steps_per_second=50))
    # 25 steps a second on each of its three cores: 13.3 seconds.
    said = cost.estimate(known, [known.plan.runs[0].id], None, FOUR)
    assert said is not None
    assert said.startswith("1 run, about 13 s")


def test_a_cluster_counts_by_all_its_machines_but_a_run_by_one(tmp_path: Path) -> None:
    workers = {"learner": "a2c", "learner_options": {"workers": 3}}
    suite = suite_of(tmp_path, "mine.json", runs=13, done=3, **workers)
    # A run has two cores of the larger one; of six together three runs at once: 6.67 seconds.
    machines = [Resources(2), Resources(2), Resources(2)]
    ids = [spec.id for spec in suite.plan.runs]
    said = cost.estimate(suite, ids, None, machines, "a Ray cluster of 3 nodes")
    assert said == "10 runs, about 7 s on a Ray cluster of 3 nodes (6 cores, 3 at once)."


def test_runs_wait_for_those_that_they_start_from(tmp_path: Path) -> None:
    source = run_spec("source", "scratch", "mini-pong/pong")
    second = replace(run_spec("second", "finetune", "mini-pong/zoom"), parent=source.id)
    third = replace(run_spec("third", "finetune", "mini-pong/noisy"), parent=second.id)
    alone = [replace(source, label=f"alone {n}", seed=n) for n in range(2)]
    plan = Plan((source, second, third, *alone))
    suite = SuiteFolder(tmp_path, "pong-soup-mini", {}, plan)
    suite = replace(suite, basis=replace(suite.basis, steps_per_second=200))
    ids = [spec.id for spec in plan.runs]
    # 100 steps a second each. Five runs of 1000 on four cores: 12.5 s, but three in a row: 30 s.
    said = cost.estimate(suite, ids, None, FOUR)
    assert said is not None
    assert said.startswith("5 runs, about 30 s")
    said = cost.estimate(suite, [source.id, third.id, *(one.id for one in alone)], None, FOUR)
    assert said is not None
    assert said.startswith("4 runs, about 10 s")
    said = cost.estimate(suite, ids, 1, FOUR)
    assert said is not None
    assert said.startswith("5 runs, about 50 s")


def test_runs_that_a_goal_ended_took_fewer_steps(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, "mine.json", runs=13, done=3)
    for folder in suite.runs[:3]:
        result = json.loads((folder.path / "result.json").read_text())
        rows = [("random", 1000), ("trained", 250)]
        result["scores"] = [
            {"kind": "evaluation", "task": "mini-pong/pong", "policy": policy, "step": step,
             "episodes": 1, "return_mean": 0.0, "return_std": 0.0}
            for policy, step in rows
        ]  # fmt: skip
        (folder.path / "result.json").write_text(json.dumps(result))
    ids = [spec.id for spec in suite.plan.runs]
    # 250 steps in 2 seconds: 10 runs of 1000, one after another, are 80 seconds.
    said = cost.estimate(suite, ids, 1, FOUR)
    assert said is not None
    assert said.startswith("10 runs, about 1 min 20 s")


def test_what_is_not_begun_again_costs_nothing(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, "mine.json", runs=13, done=3)
    ids = [spec.id for spec in suite.plan.runs]
    for spec, name in zip(suite.plan.runs[3:5], ("failed.json", "stopped.json"), strict=True):
        suite.run(spec.id).path.mkdir()
        (suite.run(spec.id).path / name).write_text('{"reason": "so it was"}')
    for retry, said in ((True, "9 runs, about 18 s"), (False, "8 runs, about 16 s")):
        text = cost.estimate(suite, ids, 1, FOUR, retry=retry)
        assert text is not None
        assert text.startswith(said)
