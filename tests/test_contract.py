"""One table of every method with every learner: what may move, what must not."""

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
TASKS = [MiniPongTask(variant, steps=320) for variant in ("pong", "h-flip", "noisy")]

pairs = pytest.mark.parametrize(
    ("method", "learner", "column"),
    [
        (method, learner, column)
        for method in METHODS
        if method not in ("ewc-one-anchor", "ewc-online")  # differ from "ewc" in arithmetic alone
        for learner in LEARNERS
        for column in (FEED_FORWARD, RECURRENT)
        # Nothing leads from one example to the next, so recurrent weights could not learn.
        if (learner, column) != ("supervised", RECURRENT)
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value.stages)}stages",
)


MOVE_ON = ("finetune", "ewc", "ewc-one-anchor", "ewc-online", "l2", "dropout")
"""Methods whose one column goes on learning, all of it."""


def make(method, column):
    """Make a method; those that estimate a Fisher take few samples, to be quick."""
    options = {"samples": 40} if method.startswith("ewc") else {}
    return method_from_name(method, column=column, **options)


def labelled(task):
    """Make a data set of pictures like a task's, under the task's name."""
    seed = sum(map(ord, task.spec.id))
    frames = torch.randint(0, 256, (160, 2, 16, 16), generator=torch.Generator().manual_seed(seed))
    frames, labels = frames.to(torch.uint8), frames[:, 0, 0, 0] % 3
    return DataTask(task.spec.id, train=(frames, labels), test=(frames, labels), steps=320)


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


@pytest.fixture(scope="module")
def frames():
    envs = TASKS[0].make_vec(5)
    observations, _ = envs.reset(seed=0)
    return torch.from_numpy(observations)


@pairs
def test_what_moves_and_what_stays(method, learner, column, frames):
    made = make(method, column)
    learn(made, learner, TASKS[:1])
    before = {k: v.clone() for k, v in made.network.state_dict().items()}
    first = output_of(made.network_for("mini-pong/pong"), frames)
    learn(made, learner, TASKS[1:2])
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
        assert torch.equal(output_of(made.network_for("mini-pong/pong"), frames), first)
        fresh = [name for name in after if name.startswith(f"columns.{last}.")]
        assert fresh
        assert not set(fresh) & set(before)


@pairs
def test_every_trainable_parameter_learns(method, learner, column):
    made = make(method, column)
    start: dict[str, torch.Tensor] = {}
    begin = made.begin_task

    def spying_begin(spec, outputs):
        view = begin(spec, outputs)
        start.clear()
        start.update({k: p.detach().clone() for k, p in made.network.named_parameters()})
        return view

    made.begin_task = spying_begin
    learn(made, learner, TASKS[:2])
    for name, parameter in made.network.named_parameters():
        changed = not torch.equal(parameter, start[name])
        assert changed == parameter.requires_grad, name


@pairs
def test_same_seed_same_weights(method, learner, column):
    first, second = (make(method, column) for _ in range(2))
    learn(first, learner, TASKS[:2], workers=1)  # several depend on timing
    torch.rand(7)  # the caller's use of the global stream must not matter
    learn(second, learner, TASKS[:2], workers=1)
    for name, value in first.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[name]), name


def test_number_of_columns_of_each_method():
    counts = {}
    for name in METHODS:
        made = make(name, FEED_FORWARD)
        learn(made, "a2c", TASKS)
        counts[name] = len(made.network.columns)
    assert counts == {
        "scratch": 3,
        "output-only": 1,
        "random-column": 4,
        "progressive": 3,
        **dict.fromkeys(MOVE_ON, 1),
    }
