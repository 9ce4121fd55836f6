"""The parts keep the contracts of Colonnade; `pytest` runs this where the package is installed."""

import numpy as np
import torch
from corridors.column import GATED
from corridors.method import Tethered
from corridors.suite import CORRIDORS
from corridors.task import Corridors, corridors

from colonnade.experiments.plans.plan import SuiteOptions
from colonnade.learners import A2C
from colonnade.testing import check_column, check_method, check_task
from colonnade.training import TrainingOptions

OPTIONS = TrainingOptions(num_envs=4, segment_steps=80, curve_steps=40, device="cpu")


def test_the_task_keeps_its_contract() -> None:
    check_task(corridors("north", limit=8))


def test_the_shortest_way_is_worth_what_it_is() -> None:
    env = Corridors("north")
    seen, _ = env.reset(seed=3)
    row, column = divmod(int(np.argmax(seen)), 5)
    moves = [0] * row + ([1] * (2 - column) if column < 2 else [3] * (column - 2))
    steps = [env.step(move) for move in moves]
    assert [ended for *_, ended, _, _ in steps] == [False] * (len(moves) - 1) + [True]
    assert sum(step[1] for step in steps) == 1 - 0.1 * (len(moves) - 1)


def test_the_method_keeps_its_contract() -> None:
    tasks = [corridors("north", steps=160), corridors("east", steps=160)]
    learner = A2C(rollout_steps=10)
    check_method(lambda: Tethered(GATED), tasks=tasks, learner=learner, options=OPTIONS)


def test_the_penalty_is_the_squared_way_from_the_start() -> None:
    method = Tethered(GATED, strength=0.5)
    method.begin_task(corridors("north").spec)
    assert method.penalty() is None
    method.begin_task(corridors("east").spec)
    with torch.no_grad():
        for weight in method.network.parameters():
            weight += 0.1
    count = sum(weight.numel() for weight in method.network.parameters())
    penalty = method.penalty()
    assert penalty is not None
    torch.testing.assert_close(penalty, torch.tensor(0.25 * 0.01 * count))


def test_the_column_keeps_its_contract() -> None:
    check_column(GATED, {"observation": (25,)})


def test_the_suite_compares_three_targets() -> None:
    plan = CORRIDORS.plan(SuiteOptions(seeds=1))
    assert len(plan.runs) == 3 + 3 * 4
