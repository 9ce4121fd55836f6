"""Experience replay: what is kept, how it is drawn, and what its loss comes to."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from colonnade.errors import UsageError
from colonnade.learners import A2C, DQN, Supervised
from colonnade.methods import EWC, Finetune, Joint, Replay
from colonnade.methods.replay import _shares
from colonnade.networks import LSTM, ColumnSpec, Dense
from colonnade.tasks import DataTask, MiniPongTask, task_from_name
from colonnade.training import (
    TrainingOptions,
    evaluate,
    read_tensors,
    train_sequence,
    write_tensors,
)
from colonnade.types import Examples, Rollout

COLUMN = ColumnSpec((Dense(4),))
WORDS = "abcdef"


def data(name, labels=3, **more):
    x = torch.randn(40, 5, generator=torch.Generator().manual_seed(WORDS.index(name[0])))
    y = torch.arange(40) % labels
    return DataTask(name, train=(x, y), test=(x, y), steps=40, **more)


def batches(x, y, size=7):
    """Endless minibatches, pass after pass."""
    while True:
        for begin in range(0, len(x), size):
            part = slice(begin, begin + size)
            yield Examples({"observation": x[part]}, y[part])


def end(method, x, y):
    method.end_task(batches(x, y), lambda output: None)


def cross_entropy(network, x, label, first=0, size=3):
    """Of one example, by hand."""
    with torch.no_grad():
        logits = network({"observation": x})[0][0, first : first + size].double().numpy()
    return float(np.log(np.exp(logits).sum()) - logits[label])


def after_two(method):
    """Learn "a", of one example again and again, then "b", of another; "c" is under way."""
    for place, name in enumerate("abc"):
        method.begin_task(data(name).spec)
        if name != "c":
            x = torch.full((1, 5), place + 1.0)
            end(method, x.repeat(9, 1), torch.full((9,), place + 1))
    return method


@pytest.mark.parametrize(
    ("make", "factor"),
    [
        (lambda: Replay(COLUMN, examples=9, batch_size=6), 1.0),
        (lambda: Replay(COLUMN, examples=9, batch_size=6, weight=0.25), 0.25),
        (lambda: Joint(COLUMN, examples=9, batch_size=6), 1.0),
    ],
)
def test_the_penalty_is_the_mean_cross_entropy_of_all_earlier_tasks_alike(make, factor):
    method = after_two(make())
    network = method.network_for("c")
    each = [cross_entropy(network, torch.full((1, 5), n + 1.0), n + 1) for n in (0, 1)]
    assert abs(each[0] - each[1]) > 1e-3
    assert float(method.penalty().detach()) == pytest.approx(factor * sum(each) / 2, rel=1e-5)


def test_its_gradient_is_that_of_the_loss():
    method = after_two(Replay(COLUMN, examples=9, batch_size=6))
    method.penalty().backward()
    found = method.network.newest.output.bias.grad.clone()
    step = 1e-3
    for place in range(3):
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                method.network.newest.output.bias[place] += sign * step
                values.append(float(method.penalty()))
                method.network.newest.output.bias[place] -= sign * step
        assert float(found[place]) == pytest.approx((values[0] - values[1]) / (2 * step), abs=1e-3)


def test_nothing_is_added_before_a_task_has_ended_and_a_task_is_not_replayed_to_itself():
    method = Replay(COLUMN, examples=9, batch_size=6)
    spec = data("a").spec
    method.begin_task(spec)
    assert method.penalty() is None
    end(method, torch.ones(9, 5), torch.zeros(9, dtype=torch.int64))
    assert method.penalty() is not None  # of a context that is nobody's yet
    method.revisit(spec)
    assert method.penalty() is None


def test_as_many_examples_are_kept_as_asked_for_the_newest_of_a_task_that_returns():
    method = Replay(COLUMN, examples=10)
    method.begin_task(data("a").spec)
    x = torch.arange(40.0).repeat_interleave(5).view(40, 5)
    end(method, x, torch.arange(40) % 3)
    kept = method._kept["a"]
    assert kept.inputs["observation"][:, 0].tolist() == list(range(10))
    assert kept.targets.tolist() == [n % 3 for n in range(10)]
    assert kept.inputs["observation"].untyped_storage().nbytes() == 10 * 5 * 4
    end_again = Replay(COLUMN, examples=10)
    end_again.load_state(*method.state())
    end_again.revisit(data("a").spec)
    end(end_again, x + 100, torch.arange(40) % 3)
    assert end_again._kept["a"].inputs["observation"][:, 0].tolist() == list(range(100, 110))


@given(st.integers(1, 200), st.integers(1, 30))
def test_shares_add_up_and_differ_by_one_at_most(total, parts):
    shares = _shares(total, parts)
    assert (sum(shares), len(shares)) == (total, parts)
    assert max(shares) - min(shares) <= 1


def test_of_a_batch_smaller_than_the_tasks_all_have_their_turn():
    torch.manual_seed(0)
    drawn = np.sum([_shares(1, 3) for _ in range(300)], axis=0)
    assert drawn.min() > 70


def test_labels_are_learned_by_the_head_of_their_task():
    method = Replay(COLUMN, examples=9, batch_size=6)
    tasks = [data("a", head=0, heads=(3, 2)), data("b", labels=2, head=1, heads=(3, 2))]
    for number, task in enumerate(tasks):
        method.begin_task(task.spec)
        end(method, torch.full((9, 5), number + 1.0), torch.ones(9, dtype=torch.int64))
    method.begin_task(data("c", head=0, heads=(3, 2)).spec)
    network = method.network_for("c")
    by_hand = [
        cross_entropy(network, torch.full((1, 5), 1.0), 1, 0, 3),
        cross_entropy(network, torch.full((1, 5), 2.0), 1, 3, 2),
    ]
    assert float(method.penalty().detach()) == pytest.approx(sum(by_hand) / 2, rel=1e-5)


def rollouts(steps=4, envs=2):
    torch.manual_seed(5)
    frames = torch.empty(steps, envs, 2, 16, 16, dtype=torch.uint8)  # the next takes its place
    while True:
        frames.random_(0, 256)
        zeros = torch.zeros(steps, envs)
        off = zeros.bool()
        yield Rollout(
            {"observation": frames}, zeros[..., None].long(), zeros, off, off, off, zeros, zeros,
            zeros, zeros[0], {},
        )  # fmt: skip


@pytest.mark.parametrize("gains", [False, True])
def test_of_an_environment_the_outputs_are_held_where_they_were(gains):
    method = Replay(ColumnSpec((Dense(4),), task_gains=gains), examples=20, batch_size=400)
    pong, zoom = (MiniPongTask(name).spec for name in ("pong", "zoom"))
    method.begin_task(pong)
    method.end_task(rollouts(), lambda output: None)
    method.begin_task(zoom)
    assert float(method.penalty().detach()) == pytest.approx(0.0, abs=1e-9)
    with torch.no_grad():
        moved = method.network.newest.output
        (moved.gains.biases[0] if gains else moved.bias)[:2] += torch.tensor([0.5, -2.0])
    assert float(method.penalty().detach()) == pytest.approx((0.5**2 + 2.0**2) / 2, rel=1e-4)
    kept = method._kept[pong.id]
    assert len(kept.inputs["observation"].flatten(1).unique(dim=0)) == 20
    assert kept.inputs["observation"].shape == (20, 2, 16, 16)
    assert kept.targets.shape == (20, sum(pong.action_sizes) + 1)


def test_a_state_in_a_file_goes_on_with_the_same_draws(tmp_path):
    method = after_two(Replay(COLUMN, examples=9, batch_size=5))
    path = tmp_path / "state.safetensors"
    write_tensors(path, *method.state())
    other = Replay(COLUMN, examples=9, batch_size=5)
    other.load_state(*read_tensors(path))
    other.revisit(data("c").spec)
    losses = []
    for each in (method, other):
        torch.manual_seed(4)
        losses.append([float(each.penalty().detach()) for _ in range(5)])
    assert losses[0] == losses[1]
    assert len(set(losses[0])) > 1
    other.load_state(*EWC_STATE())
    assert other.penalty() is None


def EWC_STATE():  # noqa: N802
    method = EWC(COLUMN)
    method.begin_task(data("a").spec)
    return method.state()


@pytest.mark.parametrize("learner", [A2C(rollout_steps=10), DQN(replay=80, warm_up=20)])
def test_it_is_learned_with_by_agents(learner):
    tasks = [MiniPongTask(name, steps=160) for name in ("pong", "h-flip")]
    method = Replay(COLUMN, examples=30, batch_size=10)
    options = TrainingOptions(num_envs=4, segment_steps=80, curve_steps=80, device="cpu")
    train_sequence(tasks, method, learner, options=options)
    assert all(len(kept.targets) == 30 for kept in method._kept.values())


def test_it_keeps_what_finetuning_forgets():
    tasks = [task_from_name(f"permuted-digits/{n}", steps=8 * 1197) for n in range(3)]
    column = ColumnSpec((Dense(60),), output_gain=1.0)
    options = TrainingOptions(device="cpu", curve_steps=10_000)
    scores = {}
    for method in (Finetune(column), Replay(column, 200, 64), Joint(column, 1197, 64)):
        train_sequence(
            tasks, method, Supervised(learning_rate=0.03, batch_size=64), options=options
        )
        scores[type(method)] = np.mean(
            [evaluate(t, method.network_for(t.spec.id)).mean() for t in tasks]
        )
    assert scores[Finetune] + 0.02 < scores[Replay] < scores[Joint] + 0.02
    assert scores[Joint] > 0.93


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda: Replay(examples=0), "examples of Replay must be a whole number at least 1"),
        (lambda: Joint(batch_size=0), "batch_size of Joint must be a whole number at least 1"),
        (lambda: Replay(weight=0.0), "weight of Replay must be .*above 0"),
        (
            lambda: Replay(ColumnSpec((LSTM(4),))).begin_task(data("a").spec),
            "Replay learns single steps again, but the column has an LSTM",
        ),
        (
            lambda: Joint(COLUMN).begin_task(MiniPongTask("pong").spec),
            "Joint training learns the labels .* 'mini-pong/pong' is an environment",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(wrong, sentence):
    with pytest.raises(UsageError, match=sentence):
        wrong()


def test_joint_training_keeps_every_example_once():
    method, task = Joint(COLUMN), data("a")
    train_sequence([task], method, Supervised(batch_size=7), options=TrainingOptions(device="cpu"))
    kept = method._kept[task.spec.id]
    assert len(kept.targets) == 40
    assert len(torch.unique(kept.inputs["observation"], dim=0)) == 40


def test_bytes_and_numbers_of_two_tasks_go_through_the_network_apart():
    x = torch.randint(0, 256, (40, 5), dtype=torch.uint8)
    y = torch.arange(40) % 3
    tasks = [
        DataTask(name, train=(part, y), test=(part, y), steps=40)
        for name, part in (("bytes", x), ("numbers", x / 255), ("last", x / 255))
    ]
    method = Replay(COLUMN, examples=40, batch_size=40)
    train_sequence(tasks, method, Supervised(learning_rate=1e-9),
                   options=TrainingOptions(device="cpu"))  # fmt: skip
    method._current = "last"
    shown = []
    method._loss = lambda row, kept: shown.append(kept.inputs["observation"]) or torch.zeros(())
    method.penalty()
    assert {value.dtype for value in shown} == {torch.uint8, torch.float32}
    assert max(float(value.max()) for value in shown if value.dtype == torch.float32) <= 1


def test_a_parents_column_with_memory_is_refused_too():
    recurrent = ColumnSpec((Dense(4), LSTM(3)))
    parent = Finetune(recurrent)
    parent.begin_task(data("a").spec)
    method = Replay(COLUMN)
    method.load_state(*parent.state())
    with pytest.raises(UsageError, match="the column has an LSTM"):
        method.begin_task(data("b").spec)


def test_joint_training_keeps_all_of_a_task_however_many():
    x, y = torch.rand(60_500, 1), torch.arange(60_500) % 2
    big = DataTask("big", train=(x, y), test=(x[:9], y[:9]), steps=600)
    method = Joint(COLUMN)
    train_sequence([big], method, Supervised(batch_size=600))
    assert len(method.state()[0]["kept/0/targets"]) == 60_500
