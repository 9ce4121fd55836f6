"""Names to tasks and back."""

import numpy as np
import pytest

from colonnade.errors import UsageError
from colonnade.experiments.plans.build import build_task
from colonnade.experiments.plans.spec import TaskBudget
from colonnade.learners import A2C
from colonnade.methods import method_from_name
from colonnade.records import read, write
from colonnade.tasks import (
    AtariTask,
    GymTask,
    MiniPongTask,
    PongSoupTask,
    TMazeTask,
    task_from_name,
    task_names,
)
from colonnade.training import TrainingOptions, train_sequence


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("atari/seaquest", AtariTask("seaquest", steps=5)),
        ("atari/MsPacman", AtariTask("ms_pacman", steps=5)),
        ("pong-soup/h-flip", PongSoupTask("h-flip", steps=5)),
        ("mini-pong/zoom", MiniPongTask("zoom", steps=5)),
        ("t-maze/07", TMazeTask(7, steps=5)),
        ("gym/CartPole-v1", GymTask("CartPole-v1", steps=5)),
        ("CartPole-v1", GymTask("CartPole-v1", steps=5)),
        ("toy/Dict-v0", GymTask("toy/Dict-v0", steps=5)),
        ("toy_envs:toy/Dict-v0", GymTask("toy_envs:toy/Dict-v0", steps=5)),
    ],
)
def test_a_name_stands_for_a_task(name, task):
    assert task_from_name(name, steps=5) == task


def test_every_listed_name_makes_the_task_of_that_name():
    names = task_names()
    assert len(set(names)) == len(names) > 100
    for name in names:
        task = task_from_name(name)
        # An Atari game's spec loads its ROM: a hundred of them take a while.
        made = f"atari/{task.game}" if isinstance(task, AtariTask) else task.spec.id
        assert made == name


def test_options_are_the_tasks_fields_or_the_environments_own():
    assert task_from_name("atari/pong", noop_max=0) == AtariTask("pong", noop_max=0)
    made = task_from_name("CartPole-v1", reward_clip=1.0, sutton_barto_reward=True)
    assert made == GymTask("CartPole-v1", reward_clip=1.0, options={"sutton_barto_reward": True})


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("mini-pnog/zoom", {}, "'mini-pnog/zoom'.*'mini-pong/zoom'"),
        ("mini-pong/zom", {}, "variant 'zom'.*'zoom'"),
        ("pong-soup/hflip", {}, "variant 'hflip'.*'h-flip'"),
        ("atari/pnog", {}, "game 'pnog'.*'pong'"),
        ("gym/CartPol-v1", {}, "'CartPol-v1'.*'CartPole-v1'"),
        ("CartPol-v1", {}, "'CartPol-v1'.*'CartPole-v1'"),
        ("t-maze/long", {}, "corridor of 1 step or more, as in 't-maze/10'; got 'long'"),
        ("t-maze/0", {}, "corridor of 1 step or more.*got '0'"),
        ("atari/pong", {"frameskip": 2}, "option.*'frameskip'.*'frame_skip'"),
        ("mini-pong/zoom", {"variant": "pong"}, "option.*'variant'"),
        ("CartPole-v1", {"options": "x"}, "'options' of task 'CartPole-v1' are arg.*but 'x' came"),
    ],
)
def test_wrong_names_suggest_the_nearest(name, options, sentence):
    with pytest.raises(UsageError, match=sentence):
        task_from_name(name, **options)


@pytest.mark.parametrize(
    ("make", "usual"),
    [
        (MiniPongTask, "mini-pong/pong"),
        (TMazeTask, "t-maze/10"),
        (lambda **given: PongSoupTask("zoom", **given), "pong-soup/zoom"),
        (lambda **given: AtariTask("pong", **given), "atari/pong"),
        (lambda **given: GymTask("CartPole-v1", **given), "gym/CartPole-v1"),
    ],
)
def test_a_task_can_be_given_a_name(make, usual):
    assert make().spec.id == usual
    assert make(name="my own").spec.id == "my own"
    assert make(name="my own") != make()
    for name in ("", "  ", 3, "two\nlines"):
        with pytest.raises(UsageError, match=r"must be a (line of )?text"):
            make(name=name)


def test_an_environment_appears_twice_in_a_sequence_under_two_names():
    budgets = [
        TaskBudget("CartPole-v1", 300, {"name": "default reward"}),
        TaskBudget("CartPole-v1", 300, {"name": "other", "sutton_barto_reward": True}),
    ]
    tasks = [build_task(read(TaskBudget, write(budget))) for budget in budgets]
    assert tasks[1] == GymTask(
        "CartPole-v1", 300, options={"sutton_barto_reward": True}, name="other"
    )
    method = method_from_name("progressive")
    train_sequence(tasks, method, A2C(), options=TrainingOptions(num_envs=2, device="cpu"))
    assert list(method.columns) == ["default reward", "other"]
    rewards = [task.make_vec(1) for task in tasks]
    assert [env.reset(seed=0)[0].shape for env in rewards] == [(1, 4)] * 2
    assert [env.step(np.array([0]))[1][0] for env in rewards] == [1.0, 0.0]


def test_a_budget_without_a_name_is_written_as_before():
    assert write(TaskBudget("mini-pong/zoom", 5)) == {"name": "mini-pong/zoom", "steps": 5}


def test_an_unknown_gymnasium_id_is_answered_with_few_names_and_the_way_to_others():
    with pytest.raises(UsageError) as error:
        GymTask("FlappyBird-v0")
    assert len(str(error.value)) < 400
    assert "pip install flappy-bird-gymnasium" in str(error.value)
    with pytest.raises(UsageError) as error:
        task_from_name("highway-v0x")
    assert len(str(error.value)) < 500
