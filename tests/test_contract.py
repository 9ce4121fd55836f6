"""One table of every method with every learner: what may move, what must not."""

from functools import cache

import pytest
import torch

from colonnade.learners import LEARNERS, learner_from_name
from colonnade.methods import METHODS, method_from_name
from colonnade.networks import LSTM, ColumnSpec, Conv, Dense
from colonnade.tasks import DataTask, MiniPongTask
from colonnade.training import TrainingOptions, train_sequence

FEED_FORWARD = ColumnSpec((Conv(4, 4, 2), Dense(8)))
RECURRENT = ColumnSpec((Conv(4, 4, 2), Dense(8), LSTM(6)))
OPTIONS = TrainingOptions(num_envs=4, segment_steps=1000, curve_steps=100, device="cpu")
TASKS = [MiniPongTask(variant, steps=160) for variant in ("pong", "h-flip", "noisy")]

pairs = pytest.mark.parametrize(
    ("method", "learner", "column"),
    [
        # A recurrent column has all that a feed-forward one has; where it is tried, that is enough.
        pytest.param(
            method,
            learner,
            column,
            marks=[pytest.mark.slow]
            if column is FEED_FORWARD and learner != "supervised" and method != "replay"
            else [],
        )
        for method in METHODS
        if method not in ("ewc-one-anchor", "ewc-online")  # differ from "ewc" in arithmetic alone
        for learner in LEARNERS
        for column in (FEED_FORWARD, RECURRENT)
        # Nothing leads from one example to the next, so recurrent weights could not learn.
        if (learner, column) != ("supervised", RECURRENT)
        # What is learned again are single steps; and what is joined are labels.
        if (method, column) != ("replay", RECURRENT)
        if method != "joint" or (learner, column) == ("supervised", FEED_FORWARD)
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value.stages)}stages",
)


MOVE_ON = ("finetune", "ewc", "ewc-one-anchor", "ewc-online", "l2", "dropout", "replay", "joint")
"""Methods whose one column goes on learning, all of it."""


def make(method, column):
    """Make a method; those that estimate a Fisher take few samples, to be quick."""
    options = {"samples": 40} if method.startswith("ewc") else {}
    if method in ("replay", "joint"):
        options = {"examples": 50, "batch_size": 20}
    return method_from_name(method, column=column, **options)


def labelled(task):
    """Make a data set of pictures like a task's, under the task's name."""
    seed = sum(map(ord, task.spec.id))
    frames = torch.randint(0, 256, (160, 2, 16, 16), generator=torch.Generator().manual_seed(seed))
    frames, labels = frames.to(torch.uint8), frames[:, 0, 0, 0] % 3
    return DataTask(task.spec.id, train=(frames, labels), test=(frames, labels), steps=160)


def small(learner, workers=2):
    options = {"rollout_steps": 20}
    if learner == "supervised":
        return learner_from_name(learner, batch_size=40)
    if learner == "dqn":
        return learner_from_name(learner, warm_up=40, replay=200, batch_size=16, target_every=50)
    if learner == "a3c":
        options |= {"workers": workers}
    if learner == "ppo":
        options |= {"minibatches": 2, "epochs": 1}
    return learner_from_name(learner, **options)


def learn(method, learner, tasks=TASKS, **options):
    tasks = list(map(labelled, tasks)) if learner == "supervised" else tasks
    train_sequence(tasks, method, small(learner, **options), seed=3, options=OPTIONS)


def output_of(network, frames):
    network.train()  # learners do so; frozen parts must not care
    with torch.no_grad():
        state = network.initial_state(len(frames))
        return network({"observation": frames}, state)[0]


class Trained:
    """A method that has learned two tasks, and what was noted meanwhile.

    Attributes:
        method: As it is in the end.
        begun: Parameters when the second task began.
        after_one: All of the network after the first task.
        first: What the network then said of the first task's frames.
    """

    def __init__(self, name, learner, column, **options):
        self.method = made = make(name, column)
        begin = made.begin_task

        def spying_begin(spec, outputs):
            view = begin(spec, outputs)
            self.begun = copies(made.network.named_parameters())
            return view

        made.begin_task = spying_begin
        learn(made, learner, TASKS[:1], **options)
        self.after_one = copies(made.network.state_dict().items())
        self.first = output_of(made.network_for("mini-pong/pong"), frames())
        learn(made, learner, TASKS[1:2], **options)


def copies(named):
    return {name: value.detach().clone() for name, value in named}


@cache
def trained(method, learner, column):
    return Trained(method, learner, column)


@cache
def frames():
    envs = TASKS[0].make_vec(5)
    observations, _ = envs.reset(seed=0)
    return torch.from_numpy(observations)


@pairs
def test_what_moves_and_what_stays(method, learner, column):
    record = trained(method, learner, column)
    made, before = record.method, record.after_one
    after = made.network.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    last = len(made.network.columns) - 1
    if method in MOVE_ON:
        assert any("output" in name for name in moved)
        assert any("stages.0" in name for name in moved)
    elif method == "output-only":
        assert moved
        assert all(".output." in name for name in moved)
    else:
        assert not moved
        assert torch.equal(output_of(made.network_for("mini-pong/pong"), frames()), record.first)
        fresh = [name for name in after if name.startswith(f"columns.{last}.")]
        assert fresh
        assert not set(fresh) & set(before)


@pairs
def test_every_trainable_parameter_learns(method, learner, column):
    record = trained(method, learner, column)
    for name, parameter in record.method.network.named_parameters():
        changed = not torch.equal(parameter, record.begun[name])
        assert changed == parameter.requires_grad, name


@pairs
def test_same_seed_same_weights(method, learner, column):
    if learner == "a3c":  # several workers depend on timing
        first = Trained(method, learner, column, workers=1)
    else:
        first = trained(method, learner, column)
    torch.rand(7)  # the caller's use of the global stream must not matter
    second = Trained(method, learner, column, workers=1)
    for name, value in first.method.network.state_dict().items():
        assert torch.equal(value, second.method.network.state_dict()[name]), name


def test_number_of_columns_of_each_method():
    counts = {}
    for name in METHODS:
        made = make(name, FEED_FORWARD)
        learn(made, "supervised" if name == "joint" else "a2c", TASKS)
        counts[name] = len(made.network.columns)
    assert counts == {
        "scratch": 3,
        "output-only": 1,
        "random-column": 4,
        "progressive": 3,
        **dict.fromkeys(MOVE_ON, 1),
    }
