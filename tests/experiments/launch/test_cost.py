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
