"""Tasks that come back: schedules of visits, and what every method does at a return."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from interrupting import Interrupting, without_clock

from colonnade.errors import UsageError
from colonnade.learners import A2C, A3C, PPO
from colonnade.methods import METHODS, PATH_METHODS, Progressive, method_from_name
from colonnade.networks import ColumnSpec, Conv, Dense, ModularSpec
from colonnade.tasks import MiniPongTask
from colonnade.training import (
    Interrupted,
    MemoryRecorder,
    TrainingOptions,
    Visit,
    in_random_order,
    train_sequence,
)
from colonnade.training.schedule import each_once

COLUMN = ColumnSpec((Conv(4, 4, 2), Dense(8)))
MODULES = ModularSpec((Conv(4, 4, 2), Dense(8)), modules=4, active=2)
OPTIONS = TrainingOptions(num_envs=4, segment_steps=160, curve_steps=80, device="cpu")
# Files keep names in their order, which is not that of learning.
TASKS = [MiniPongTask("pong", steps=320), MiniPongTask("h-flip", steps=320)]
PONG, FLIP = (task.spec.id for task in TASKS)
LEARNER = A2C(rollout_steps=20)


def make(name):
    options = {"samples": 40} if name.startswith("ewc") else {}
    options |= {"population": 4, "episodes": 1} if name == "pathnet" else {}
    if name in PATH_METHODS:
        return method_from_name(name, network=MODULES, **options)
    return method_from_name(name, column=COLUMN, **options)


def weights(method):
    return {name: value.clone() for name, value in method.state()[0].items()}


class Watching(MemoryRecorder):
    """Keeps the method's weights at the end of every visit."""

    def __init__(self, method):
        super().__init__()
        self.ends = []
        self._method = method

    def save_checkpoint(self, tensors, meta):
        if meta["finished"]:
            self.ends.append(weights(self._method))


def visits(*names, steps=160):
    return [Visit(name, steps) for name in names]


def moved(one, other):
    return {
        name
        for name in one
        if not torch.equal(one[name], other[name]) and not name.startswith(("penalty/", "kept/"))
    }


@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 100))
def test_random_orders_visit_all_tasks_alike_and_none_twice_in_a_row(count, rounds, seed):
    tasks = [MiniPongTask(v, steps=100) for v in ("pong", "noisy", "zoom", "white", "black")]
    order = in_random_order(tasks[:count], rounds, seed)
    assert set(Counter(visit.task for visit in order).values()) == {rounds}
    assert all(visit.steps == 100 // rounds for visit in order)
    names = [visit.task for visit in order]
    assert count == 1 or all(a != b for a, b in pairwise(names))
    assert order == in_random_order(tasks[:count], rounds, seed)


def test_each_task_once_is_what_happens_without_a_schedule():
    histories = []
    for schedule in (None, each_once(TASKS)):
        recorder = MemoryRecorder()
        method = Progressive(COLUMN)
        train_sequence(
            TASKS, method, LEARNER, options=OPTIONS, recorder=recorder, schedule=schedule
        )
        histories.append((without_clock(recorder.history), weights(method)))
    (rows, first), (others, second) = histories
    assert rows == others
    assert all("visit" not in row for row in rows)
    assert not moved(first, second)


RETURNS = {
    **dict.fromkeys(("scratch", "progressive", "random-column"), "played"),
    **dict.fromkeys(("finetune", "output-only", "dropout"), "learned"),
    **dict.fromkeys(("ewc", "ewc-one-anchor", "ewc-online", "l2", "replay"), "learned"),
    "pathnet": "played",
    "path-de-novo": "learned",
    "path-finetune": "learned",
}
"""What each method does with a task that comes back after another."""


@pytest.mark.parametrize("name", sorted({*METHODS, *PATH_METHODS} - {"joint"}))
def test_what_each_method_does_when_a_task_comes_back(name):
    method = make(name)
    recorder = Watching(method)
    schedule = visits(PONG, FLIP, PONG)
    train_sequence(TASKS, method, LEARNER, options=OPTIONS, recorder=recorder, schedule=schedule)
    _, before, after = recorder.ends
    assert before.keys() == after.keys() or name.startswith(("ewc", "l2", "replay"))
    numbers = [row["visit"] for row in recorder.history if row["kind"] == "curve"]
    if RETURNS[name] == "played":
        assert not moved(before, after)
        assert set(numbers) == {0, 1}
        assert any("nothing is trained in visit 3" in note for note in recorder.notes)
        return
    changed = moved(before, after)
    assert changed
    assert numbers == sorted(numbers)
    assert set(numbers) == {0, 1, 2}
    if name == "output-only":
        assert all(".output." in entry for entry in changed)
    if name == "path-de-novo":
        assert all(entry.startswith("0.") for entry in changed), "the first task's own network"
    if name == "path-finetune":
        assert any(entry.startswith("0.heads.0") for entry in changed)
        assert not any(entry.startswith("0.heads.1") for entry in changed)


def test_the_newest_column_goes_on_learning_when_its_task_comes_back():
    method = Progressive(COLUMN)
    recorder = Watching(method)
    schedule = visits(PONG, FLIP, PONG, FLIP)
    train_sequence(TASKS, method, LEARNER, options=OPTIONS, recorder=recorder, schedule=schedule)
    changed = moved(recorder.ends[2], recorder.ends[3])
    assert changed
    assert all(name.startswith("columns.1.") for name in changed)
    assert len(method.network.columns) == 2


@pytest.mark.parametrize("name", ["progressive", "finetune", "ewc", "path-finetune", "pathnet"])
def test_a_schedule_goes_on_exactly_where_it_was_stopped(name):
    schedule = visits(PONG, FLIP, PONG, FLIP)
    whole, recorder = make(name), MemoryRecorder()
    train_sequence(TASKS, whole, LEARNER, options=OPTIONS, recorder=recorder, schedule=schedule)
    stopped = Interrupting(0)
    for _ in range(100):
        method = make(name)
        stopped.resume_for(3)
        try:
            train_sequence(
                TASKS, method, LEARNER, options=OPTIONS, recorder=stopped, schedule=schedule
            )
            break
        except Interrupted:
            pass
    assert not moved(weights(whole), weights(method))
    assert without_clock(stopped.history) == without_clock(recorder.history)


def test_tests_score_every_task_visited_so_far_once():
    recorder = MemoryRecorder()
    options = TrainingOptions(
        num_envs=4, segment_steps=160, curve_steps=80, device="cpu", test_episodes=1
    )
    schedule = visits(FLIP, PONG, FLIP)
    train_sequence(
        TASKS, make("finetune"), LEARNER, options=options, recorder=recorder, schedule=schedule
    )
    tests = [row for row in recorder.history if row["kind"] == "test"]
    shown = {
        (row["visit"], row["task"], row["tested"], row["tested_index"])
        for row in tests
        if row["step"] == 0
    }
    assert shown == {
        (0, FLIP, FLIP, 1),
        (1, PONG, FLIP, 1),
        (1, PONG, PONG, 0),
        (2, FLIP, FLIP, 1),
        (2, FLIP, PONG, 0),
    }


class Silent:
    """A method that does not say what it does at a return."""

    def __init__(self):
        self._inner = Progressive(COLUMN)

    def begin_task(self, spec):
        return self._inner.begin_task(spec)

    network_for = penalty = on_segment = end_task = state = load_state = begin_task


def test_schedules_that_cannot_be_learned_are_explained():
    with pytest.raises(UsageError, match=r"'mini-pong/pong' comes back.*Silent.*revisit"):
        train_sequence(TASKS, Silent(), LEARNER, schedule=visits(PONG, FLIP, PONG))
    with pytest.raises(UsageError, match="never visits task 'mini-pong/h-flip'"):
        train_sequence(TASKS, make("ewc"), LEARNER, schedule=visits(PONG, PONG))
    with pytest.raises(UsageError, match=r"task in the schedule.*mini-pong/pong"):
        train_sequence(TASKS, make("ewc"), LEARNER, schedule=visits("mini-pong/pang", FLIP))
    with pytest.raises(UsageError, match="steps"):
        Visit(PONG, 0)


def test_a_checkpoint_of_another_schedule_is_refused():
    recorder = Interrupting(4)
    with pytest.raises(Interrupted):
        train_sequence(
            TASKS, make("ewc"), LEARNER, options=OPTIONS, recorder=recorder,
            schedule=visits(PONG, FLIP, PONG),
        )  # fmt: skip
    recorder.resume_for(100)
    with pytest.raises(UsageError, match="another schedule"):
        train_sequence(TASKS, make("ewc"), LEARNER, options=OPTIONS, recorder=recorder)


@pytest.mark.parametrize(
    "learner",
    [LEARNER, A2C(rollout_steps=20, workers=2), PPO(rollout_steps=20), A3C(rollout_steps=20)],
)
def test_a_visits_own_budget_is_what_the_learning_rate_falls_over(learner):
    task = MiniPongTask("pong", steps=320)
    short = MiniPongTask("pong", steps=160)
    visited, alone = make("finetune"), make("finetune")
    if isinstance(learner, A3C):
        learner = replace(learner, workers=1)
    train_sequence([task], visited, learner, options=OPTIONS, schedule=visits(PONG, steps=160))
    train_sequence([short], alone, learner, options=OPTIONS)
    assert not moved(weights(visited), weights(alone))
