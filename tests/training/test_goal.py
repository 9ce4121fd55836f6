"""A goal is reached by a block of episodes, and ends a task there."""

import json

import pytest

from colonnade.errors import UsageError
from colonnade.learners import A2C
from colonnade.methods import Scratch
from colonnade.networks import ColumnSpec, Conv, Dense
from colonnade.tasks import MiniPongTask
from colonnade.training import MemoryRecorder, TrainingOptions, train_sequence
from colonnade.training.goal import Goal
from colonnade.types import Episode


def episodes(*returns):
    return [Episode(value, 1, 0) for value in returns]


def test_blocks_do_not_overlap():
    goal = Goal(3, 1.0)
    assert not goal.reached(episodes(0, 1, 1))
    assert not goal.reached(episodes(1, 1))  # three ones in a row, but in two blocks
    assert goal.mean == pytest.approx(2 / 3)
    assert goal.reached(episodes(1, 0, 0))
    assert (goal.mean, goal.episodes) == (1.0, 6)


def test_counts_survive_being_written():
    goal, other = Goal(3, 1.0), Goal(3, 1.0)
    goal.reached(episodes(1, 1))
    other.load_state(json.loads(json.dumps(goal.state())))
    assert other.reached(episodes(1))


def test_without_a_block_there_is_no_goal():
    assert not Goal(0, -100.0).reached(episodes(1, 1, 1))


def test_a_task_ends_where_its_goal_is_reached():
    tasks = [MiniPongTask("pong", steps=20_000), MiniPongTask("zoom", steps=400)]
    options = TrainingOptions(
        num_envs=4, curve_steps=100, goal_episodes=6, goal_return=-5.0, device="cpu"
    )
    recorder = MemoryRecorder()
    column = ColumnSpec((Conv(4, 4, 2), Dense(8)))
    train_sequence(tasks, Scratch(column), A2C(), options=options, recorder=recorder)
    first, second = (row for row in recorder.history if row["kind"] == "goal")
    assert first["reached"]
    assert first["episodes"] == 6
    assert first["step"] < 2_000
    curve = [row for row in recorder.history if row["kind"] == "curve"]
    assert curve[-1]["task"] == second["task"] == "mini-pong/zoom"
    assert max(row["step"] for row in curve if row["task_index"] == 0) == first["step"]


def test_a_negative_block_is_refused():
    with pytest.raises(
        UsageError, match="goal_episodes of TrainingOptions must be a whole number at least 0"
    ):
        TrainingOptions(goal_episodes=-1)
