"""Every number that a user gives is held to its kind and range where it is given."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from gymnasium import spaces

from colonnade.errors import UsageError
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.learners import A2C, A3C, PPO, Supervised
from colonnade.methods import Dropout, RandomColumn
from colonnade.networks import (
    LSTM,
    ColumnSpec,
    Conv,
    Custom,
    Dense,
    Join,
    ModularSpec,
    ProgressiveNetwork,
    mlp_column,
)
from colonnade.tasks import AtariTask, GymTask, MiniPongTask, PongSoupTask, TMazeTask
from colonnade.tasks.images.tasks import ImageTask, LabelsTask, PermutedTask
from colonnade.tasks.pong.variants import Look
from colonnade.training import evaluate
from colonnade.types import TaskSpec

COUNT = (0, -1, True, 2.0, 2.5, "3", None, math.nan, math.inf)
"""What is no whole number of 1 or more."""
COUNT_OR_NONE = tuple(value for value in COUNT if value is not None)
FROM_0 = (-1, -1e-9, math.nan, math.inf, -math.inf, "1", None, True, 10**400)
ABOVE_0 = (*FROM_0, 0, 0.0)
SHARE = (*FROM_0, 1.001, 2)
BELOW_1 = (*FROM_0, 1, 1.5)
ANY = (math.nan, math.inf, "1", None, False)
COUNT_OR_0 = tuple(value for value in COUNT if value is True or value != 0)
ABOVE_0_OR_NONE = tuple(value for value in ABOVE_0 if value is not None)
FLAG = (1, 0, None, "yes")

task = partial(
    TaskSpec,
    "toy",
    spaces.Box(-1, 1, (2,), np.float32),
    spaces.Discrete(3),
    steps=100,
    labelled=True,
    heads=2,
)
ACTOR_CRITICS = {
    "learning_rate": ABOVE_0,
    "entropy_cost": FROM_0,
    "value_cost": FROM_0,
    "gamma": SHARE,
    "lam": SHARE,
    "rollout_steps": COUNT,
    "clip_norm": ABOVE_0,
    "epsilon": FROM_0,
    "anneal": FLAG,
}
COLUMN = partial(ColumnSpec, (Dense(3),))
NUMBERS = {
    "PPO": (PPO, ACTOR_CRITICS | {"epochs": COUNT, "minibatches": COUNT, "clip": ABOVE_0}),
    "A2C": (A2C, ACTOR_CRITICS | {"workers": COUNT, "mean_square_start": FROM_0}),
    "A3C": (A3C, ACTOR_CRITICS | {"workers": COUNT}),
    "Supervised": (
        Supervised,
        {
            "batch_size": COUNT,
            "weight_decay": FROM_0,
            "learning_rate": ABOVE_0,
            "clip_norm": ABOVE_0,
            "momentum": BELOW_1,
            "anneal": FLAG,
        },
    ),
    "GymTask": (
        partial(GymTask, "CartPole-v1"),
        {"steps": COUNT, "reward_clip": ABOVE_0_OR_NONE, "processes": FLAG},
    ),
    "AtariTask": (
        partial(AtariTask, "pong"),
        {
            "steps": COUNT,
            "frame_skip": COUNT,
            "max_frames": COUNT,
            "noop_max": (-1, 0.5, 1.0, True, None),
            "repeat_action_probability": (*BELOW_1, "0"),
            "episodic_life": FLAG,
            "full_action_space": FLAG,
            "fire_reset": FLAG,
        },
    ),
    "MiniPongTask": (MiniPongTask, {"steps": COUNT}),
    "PongSoupTask": (partial(PongSoupTask, "pong"), {"steps": COUNT}),
    "TMazeTask": (
        TMazeTask,
        {"steps": COUNT, "length": tuple(value for value in COUNT if value != "3")},
    ),
    "ImageTask": (partial(ImageTask, "digits"), {"steps": COUNT_OR_0}),
    "PermutedTask": (
        partial(PermutedTask, "digits", number=0),
        {"steps": COUNT_OR_0, "number": COUNT_OR_0, "side": COUNT_OR_0},
    ),
    "LabelsTask": (
        partial(LabelsTask, "pair", "digits", (1, 2)),
        {"steps": COUNT_OR_0, "noise": SHARE, "all_labels": FLAG},
    ),
    "Look": (
        Look,
        {
            "background": (*COUNT_OR_0, 256),
            "ramp": (*COUNT, 1),
            "noise_sigma": FROM_0,
            "noise_seed": COUNT_OR_0,
        },
    ),
    "evaluate": (
        partial(evaluate, TMazeTask(1), None, device="cpu"),
        {
            "num_envs": COUNT,
            "episodes": COUNT_OR_NONE,
            "limit": COUNT,
            "seed": (1.5, 2.0, True, None, "3", math.nan),
            "greedy": FLAG,
        },
    ),
    "TaskSpec": (
        task,
        {
            "steps": COUNT,
            "reward_clip": ABOVE_0_OR_NONE,
            "labelled": FLAG,
        },
    ),
    "Conv": (
        partial(Conv, maps=2, kernel=3),
        {
            "maps": COUNT,
            "kernel": COUNT,
            "stride": COUNT,
            "adapter": COUNT_OR_NONE,
            "padding": (-1, 0.5, 1.0, True, None),
            "silent": FLAG,
        },
    ),
    "Dense": (partial(Dense, units=2), {"units": COUNT, "adapter": COUNT_OR_NONE, "silent": FLAG}),
    "LSTM": (
        partial(LSTM, units=2),
        {"units": COUNT, "adapter": COUNT_OR_NONE, "forget_bias": ANY},
    ),
    "Join": (partial(Join, "joints", units=2), {"units": COUNT}),
    "ColumnSpec": (
        COLUMN,
        {
            "alpha": FROM_0,
            "output_gain": FROM_0,
            "dropout": BELOW_1,
            "input_dropout": BELOW_1,
            "output_adapter": COUNT_OR_NONE,
        },
    ),
    "ModularSpec": (
        partial(ModularSpec, (Dense(3),)),
        {"modules": COUNT, "active": COUNT, "output_gain": FROM_0},
    ),
    "RandomColumn": (RandomColumn, {"random_columns": COUNT}),
    "Dropout": (Dropout, {"dropout": BELOW_1, "input_dropout": BELOW_1}),
}
MISTAKES = [
    (kind, name, value)
    for kind, (_, fields) in NUMBERS.items()
    for name, values in fields.items()
    for value in values
]


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    MISTAKES,
    ids=lambda value: str(value)[:20] if not isinstance(value, int) or value < 10**9 else "huge",
)
def test_a_number_out_of_range_is_refused_at_construction(kind, name, value):
    make = NUMBERS[kind][0]
    with pytest.raises(UsageError) as raised:
        make(**{name: value})
    sentence = str(raised.value)
    must_be = r"(a whole number|a number|True or False)"
    assert raised.match(rf"^{name} of {kind} must be {must_be}.*; got .+\.$"), sentence
    assert "\n" not in sentence


@pytest.mark.parametrize("kind", NUMBERS)
def test_the_defaults_and_numpys_numbers_make_sense(kind):
    make, fields = NUMBERS[kind]
    make()
    if "units" in fields:
        assert make(units=np.int64(2)) == make(units=2)


def test_the_ends_of_the_ranges_make_sense():
    PPO(entropy_cost=0, value_cost=0, gamma=1, lam=0, epsilon=0, rollout_steps=1, minibatches=1)
    ColumnSpec((Conv(1, 1, 1, 0),), alpha=0, output_gain=0, dropout=0, input_dropout=0.999)
    assert LSTM(1, forget_bias=-2).forget_bias == -2
    assert task(head=1, steps=1, reward_clip=1e-9).head == 1


OTHERS = {
    "a task's head": (lambda: task(head=2), "so that with heads=2 it should be from 0 to 1; got 2"),
    "bytes that are no pixels": (
        lambda: replace(task(), observation_space=spaces.Box(0, 1, (4,), np.uint8)),
        "uint8 observations from 0 to 1; bytes are read as pixels",
    ),
    "half a head": (lambda: task(head=0.5), "it should be from 0 to 1; got 0.5"),
    "a head before the first": (lambda: task(head=-1), "it should be from 0 to 1; got -1"),
    "no heads": (lambda: task(heads=0), "whole numbers of 1 or more; got 0"),
    "heads by yes and no": (lambda: task(heads=True), "whole numbers of 1 or more; got True"),
    "heads and a half": (lambda: task(heads=2.5), "whole numbers of 1 or more; got 2.5"),
    "a label and a half": (
        lambda: LabelsTask("pair", "digits", (1, 2.5)),
        "a label of task 'pair' must be a whole number; got 2.5",
    ),
    "a budget": (
        lambda: TaskBudget("p", 2.5),
        "steps of TaskBudget must be a whole number at least 1; got 2.5",
    ),
    "no budget": (
        lambda: TaskBudget("p", 0),
        "steps of TaskBudget must be a whole number at least 1; got 0",
    ),
    "a true budget": (
        lambda: TaskBudget("p", True),
        "steps of TaskBudget must be a whole number at least 1; got True",
    ),
    "a seed": (
        lambda: RunSpec("a", "b", (TaskBudget("p", 1),), "c", "d", seed=1.5),
        "seed of RunSpec must be a whole number; got 1.5",
    ),
    "a side": (lambda: Custom(Dense, (4, 0)), "side in out_shape of Custom must be a whole number"),
    "a hidden layer": (lambda: mlp_column((64, 2.5)), "units of Dense must be a whole number"),
    "an output": (
        lambda: ProgressiveNetwork().add_column(COLUMN(), {"x": (4,)}, 2.5),
        "output width must be a whole number at least 1; got 2.5",
    ),
    "an input": (
        lambda: ProgressiveNetwork().add_column(COLUMN(), {"x": (4, 8.0, 8)}, 2),
        "side of the input 'x' must be a whole number at least 1; got 8.0",
    ),
    "an input's shape": (
        lambda: ProgressiveNetwork().add_column(COLUMN(), {"x": 4}, 2),
        r"shape of the input 'x' should be as \(4, 84, 84\), but came as 4",
    ),
}


@pytest.mark.parametrize("mistake", OTHERS)
def test_other_mistakes(mistake):
    attempt, sentence = OTHERS[mistake]
    with pytest.raises(UsageError, match=sentence) as raised:
        attempt()
    assert "\n" not in str(raised.value)
