"""Names to tasks and back."""

import pytest

from colonnade.errors import UsageError
from colonnade.tasks import (
    AtariTask,
    GymTask,
    MiniPongTask,
    PongSoupTask,
    TMazeTask,
    task_from_name,
    task_names,
)


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
    ],
)
def test_wrong_names_suggest_the_nearest(name, options, sentence):
    with pytest.raises(UsageError, match=sentence):
        task_from_name(name, **options)
