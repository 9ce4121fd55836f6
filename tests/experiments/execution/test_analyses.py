"""Analyses that can't be made are refused before any work, and cost nothing that was learned."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from colonnade.errors import ColonnadeError, UsageError
from colonnade.experiments.execution import analyses, run, zero_shot
from colonnade.experiments.execution.analyses import analyse
from colonnade.experiments.execution.run import train_run
from colonnade.experiments.launch.rehearsal import Rehearsal
from colonnade.experiments.plans.build import build_learner, build_method, build_tasks
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.results.overlaps import overlaps
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.reports.suite import write_report
from colonnade.training import read_tensors

SPEC = RunSpec(
    label="two permutations",
    method="ewc",
    tasks=tuple(TaskBudget(f"permuted-digits/{number}", 200) for number in range(2)),
    learner="supervised",
    column="default",
    analyses=("fisher-overlap",),
)
POLES = tuple(TaskBudget("CartPole-v1", 100, {"name": name}) for name in ("left", "right"))
PONGS = tuple(TaskBudget(f"mini-pong/{name}", 100) for name in ("pong", "zoom"))


def begin(path: Path, spec: RunSpec = SPEC) -> SuiteFolder:
    return SuiteFolder(path, "mine.json", {}, Plan((spec,))).begin()


@pytest.mark.parametrize("method", ["finetune", "output-only", "ewc", "l2", "dropout", "replay"])
def test_tasks_that_learn_the_same_weights_are_compared(method: str) -> None:
    spec = replace(SPEC, method=method)
    Rehearsal().check(spec)
    tasks, built, learner = build_tasks(spec), build_method(spec), build_learner(spec)
    for task in tasks:
        built.begin_task(task.spec)
    assert analyse("fisher-overlap", tasks, built, learner)


def test_runs_alike_are_each_asked_for_their_own_tasks() -> None:
    rehearsal = Rehearsal()
    for numbers in ((0, 1), (2, 3)):
        tasks = tuple(TaskBudget(f"permuted-digits/{number}", 200) for number in numbers)
        rehearsal.check(replace(SPEC, tasks=tasks))


LSTM = {"stages": [{"kind": "lstm", "units": 4}]}
CONTEXTS = {"kind": "forget-me-not"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        *(
            ({"method": method}, r"learned the same weights, but .* such as 'ewc' or 'finetune'")
            for method in ("progressive", "scratch", "random-column", "pathnet", "path-finetune")
        ),
        ({"tasks": POLES, "learner": "ppo", "column": LSTM}, "of task 'left' is recurrent; leave"),
        (
            {"tasks": PONGS, "learner": "ppo", "column": "tiny", "labels": CONTEXTS},
            r"recognises contexts instead \('labels'\); leave 'fisher-overlap' out",
        ),
    ],
)
def test_others_are_refused_before_any_work(changes: dict[str, Any], message: str) -> None:
    spec = replace(SPEC, **changes)
    Rehearsal().check(replace(spec, analyses=()))
    with pytest.raises(UsageError, match=message):
        Rehearsal().check(spec)


def test_a_layer_that_no_longer_learns_has_no_overlap() -> None:
    tasks, method, learner = build_tasks(SPEC), build_method(SPEC), build_learner(SPEC)
    for task in tasks:
        network = method.begin_task(task.spec)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("stages.1.bias"):
                parameter.fill_(-1e3)
    rows = analyse("fisher-overlap", tasks, method, learner)
    assert [row["overlap"] for row in rows] == [None, None, pytest.approx(1)]


def test_a_run_of_such_a_layer_can_be_read(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(analyses, "fisher_overlap", lambda *_: {"a": math.nan, "b": 0.5})
    suite = begin(tmp_path / "out")
    train_run(suite.path, SPEC)
    write_report(suite)
    ((values,),) = overlaps(Results(suite)).values()
    np.testing.assert_array_equal(values, [np.nan, 0.5])
    rows = [row for row in suite.run(SPEC.id).metrics() if row["kind"] == "overlap"]
    assert [row["overlap"] for row in rows] == [None, 0.5]


def test_an_analysis_that_fails_costs_no_weights(tmp_path: Path, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise UsageError("It can't be measured.")

    suite = begin(tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr(run, "analyse", fail)
        with pytest.raises(UsageError, match="can't be measured"):
            train_run(suite.path, SPEC)
    folder = suite.run(SPEC.id)
    learned, _ = read_tensors(folder.path / "weights.safetensors")
    assert not folder.done
    train_run(suite.path, SPEC)
    again, _ = folder.weights()
    assert folder.done
    assert all(torch.equal(again[name], value) for name, value in learned.items())
    kinds = [row["kind"] for row in folder.metrics()]
    assert kinds.count("evaluation") == len(
        [row for row in folder.result()["scores"] if row["kind"] == "evaluation"]
    )


def test_scores_that_are_no_numbers_end_a_run_before_its_training(
    tmp_path: Path, monkeypatch
) -> None:
    suite = begin(tmp_path / "out")
    monkeypatch.setattr(run, "evaluate", lambda *_, **__: np.array([1.0, math.inf]))
    with pytest.raises(ColonnadeError, match="one of the random policy's is inf; look at the rew"):
        train_run(suite.path, SPEC)
    assert suite.run(SPEC.id).metrics() == []


def test_what_is_played_follows_the_seed_and_the_options_of_its_run(monkeypatch) -> None:
    spec = replace(SPEC, method="progressive", tasks=PONGS, learner="ppo", column="tiny")
    tasks, method, learner = build_tasks(spec), build_method(spec), build_learner(spec)
    for task in tasks:
        method.begin_task(task.spec)
    asked: list[dict[str, Any]] = []

    def scored(*_: object, **options: Any) -> np.ndarray[Any, Any]:
        asked.append(options)
        return np.zeros(2)

    monkeypatch.setattr(zero_shot, "evaluate", scored)
    for seed in (0, 0, 1):
        scoring = zero_shot.Scoring(seed, "cpu", "float32", limit=60)
        analyse("zero-shot", tasks, method, learner, scoring)
    assert asked[0] == asked[1]
    assert asked[0]["seed"] != asked[2]["seed"]
    assert {(o["device"], o["precision"], o["limit"]) for o in asked} == {("cpu", "float32", 60)}
