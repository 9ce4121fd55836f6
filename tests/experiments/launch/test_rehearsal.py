"""What is wrong with a spec is found before any work."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from colonnade.errors import UsageError
from colonnade.experiments.launch.rehearsal import Rehearsal
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.spec import RunSpec, TaskBudget

PONG, POLE = TaskBudget("mini-pong/pong", 100), TaskBudget("CartPole-v1", 100)
SPEC = RunSpec("a run", "progressive", (PONG,), "a2c", "tiny")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "progresive"}, "did you mean 'progressive'"),
        ({"method_options": {"random_columns": 2}}, "random_columns"),
        ({"method_options": {"column": "tiny"}}, "a field of its own"),
        (
            {"method": "ewc", "method_options": {"lam": "much"}},
            r"must be 0 or more; got 'much'",
        ),
        ({"learner": "a2cc"}, "did you mean 'a2c'"),
        ({"learner_options": {"learning_rte": 1.0}}, "did you mean 'learning_rate'"),
        ({"learner_options": {"learning_rate": -1}}, "learning_rate of A2C must be a number"),
        ({"training_options": {"num_env": 4}}, "did you mean 'num_envs'"),
        (
            {"training_options": {"num_envs": "many"}},
            "num_envs of TrainingOptions must be a whole number; got 'many'",
        ),
        ({"training_options": {"precision": "float23"}}, "did you mean 'float32'"),
        ({"training_options": {"device": "cdua"}}, "Device 'cdua' can't be used"),
        ({"column": "tinny"}, "did you mean 'tiny'"),
        ({"column": {"preset": "tinny"}}, "did you mean 'tiny'"),
        ({"column": {"preset": "tiny", "alfa": 1.0}}, "did you mean 'alpha'"),
        ({"column": {"preset": "tiny", "input": "pixels"}}, "Unknown input 'pixels'"),
        ({"column": "atari"}, "kernel of 4x4 is larger than the map"),
        ({"tasks": (TaskBudget("mini-pong/zom", 10),)}, "did you mean"),
        ({"tasks": (PONG, PONG)}, "must differ"),
        ({"tasks": (POLE,)}, r"maps of shape \(C, H, W\)"),
        ({"parent": "bundled:nothing"}, "Unknown bundled column"),
        (
            {
                "learner": "ppo",
                "column": {"stages": [{"kind": "dense", "units": 4}, {"kind": "lstm", "units": 4}]},
                "training_options": {"num_envs": 3},
            },
            "can't split 3 environments into 4 minibatches",
        ),
    ],
)
def test_mistakes(changes: dict[str, Any], message: str) -> None:
    Rehearsal().check(SPEC)
    with pytest.raises(UsageError, match=message):
        Rehearsal().check(replace(SPEC, **changes))


@pytest.mark.parametrize("method", ["finetune", "output-only"])
def test_a_parent_with_other_actions(method: str) -> None:
    parent = replace(SPEC, tasks=(TaskBudget("atari/pong", 100),))
    tasks = (TaskBudget("atari/breakout", 100),)
    child = replace(parent, method=method, tasks=tasks, parent=parent.id)
    rehearsal = Rehearsal()
    rehearsal.check(parent)
    with pytest.raises(UsageError, match=r"needs 5 outputs .* has 7; give all tasks the same"):
        rehearsal.check(child)
    rehearsal.check(replace(child, method="progressive"))


def test_contexts_that_a_parent_will_recognise_are_refused_before_it_is_trained() -> None:
    untold = {"kind": "forget-me-not", "size": 16}
    parent = replace(SPEC, labels=untold)
    told = replace(SPEC, label="told")
    child = replace(parent, label="child", parent=parent.id)
    after = replace(parent, label="after", parent=told.id)
    rehearsal = Rehearsal(Plan((parent, told, child, after)))
    for spec in (parent, told, after, replace(child, labels={})):
        rehearsal.check(spec)
    with pytest.raises(UsageError, match="starts from holds 'context-0' already"):
        rehearsal.check(child)


def test_networks_are_those_of_training_and_built_once_for_runs_that_are_alike() -> None:
    rehearsal = Rehearsal()
    method = rehearsal.method(SPEC)
    assert rehearsal.method(replace(SPEC, seed=1, label="other", learner="ppo")) is method
    assert rehearsal.method(replace(SPEC, method="scratch")) is not method
    child = replace(SPEC, tasks=(TaskBudget("mini-pong/zoom", 10), PONG), parent=SPEC.id)
    assert len(rehearsal.method(child).network.columns) == 3
    assert len(method.network.columns) == 1, "a child leaves its parent as it is"
    first, grown = method.network.state_dict(), rehearsal.method(child).network.state_dict()
    assert all(torch.equal(grown[name], tensor) for name, tensor in first.items())


def test_paths_of_all_environments_fit_workers_that_share_them() -> None:
    spec = replace(
        SPEC,
        method="pathnet",
        column="default",
        tasks=(POLE,),
        method_options={"population": 4},
        learner="ppo",
        learner_options={"workers": 2, "rollout_steps": 8, "minibatches": 2},
        training_options={"num_envs": 4},
    )
    Rehearsal().check(spec)
    with pytest.raises(UsageError, match="2 environments can't follow 4 paths"):
        Rehearsal().check(replace(spec, training_options={"num_envs": 2}))
