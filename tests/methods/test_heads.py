"""Heads of unequal width, and heads and labels that come with later tasks, in one column."""

import numpy as np
import pytest
import torch
from interrupting import Interrupting, without_clock

from colonnade.errors import UsageError
from colonnade.learners import Classifier, Supervised
from colonnade.methods import EWC, Dropout, Finetune, OnlineEWC, OutputOnly
from colonnade.networks import ColumnSpec, Dense, ProgressiveNetwork
from colonnade.ops import Quadratic
from colonnade.tasks import DataTask, MiniPongTask
from colonnade.training import Interrupted, TrainingOptions, evaluate, train_sequence
from colonnade.types import TaskSpec

COLUMN = ColumnSpec((Dense(16),), activation="tanh", output_gain=1.0)


def labels_task(name, labels, head=0, heads=1, steps=2000):
    """Which of the first few features is the largest."""
    rng = np.random.default_rng(labels)
    x = rng.normal(size=(200, 6)).astype(np.float32)
    data = x, x[:, :labels].argmax(1)
    return DataTask(name, train=data, test=data, head=head, heads=heads, steps=steps)


GROWING = [
    labels_task("two", 2, 0, (2,)),
    labels_task("three", 3, 1, (2, 3)),
    labels_task("five", 5, 2, (2, 3, 5)),
]


def moved_on(method, tasks):
    for task in tasks:
        method.begin_task(task.spec)
    return method.network.newest


@pytest.mark.parametrize("method", [EWC, OnlineEWC, Finetune, OutputOnly, Dropout])
def test_each_task_has_its_logits_behind_those_before(method):
    made = method(COLUMN)
    output = moved_on(made, GROWING).output
    assert output.weight.shape == (10, 16)
    raw = torch.randn(4, 10)
    for task, (begin, end) in zip(GROWING, [(0, 2), (2, 5), (5, 10)], strict=True):
        expected = raw[:, begin:end].log_softmax(-1)
        assert torch.equal(Classifier().likelihood(raw, task.spec).log_probs[:, 0], expected)


def test_what_was_there_stays_bit_for_bit():
    method = Finetune(COLUMN)
    network = method.begin_task(GROWING[0].spec)
    x = torch.randn(5, 6)
    before = network(x)[0].detach()
    old = {name: p.detach().clone() for name, p in network.named_parameters()}
    widened = method.begin_task(GROWING[1].spec)
    for name, value in old.items():
        assert torch.equal(dict(widened.named_parameters())[name][: len(value)], value), name
    torch.testing.assert_close(widened(x)[0][:, :2], before)
    assert all(p.requires_grad for p in widened.parameters())
    assert widened(x)[0][:, 2:].std() > 0


@pytest.mark.parametrize("kind", ["linear", "adapter"])
def test_laterals_into_the_output_stay_too(kind):
    network = ProgressiveNetwork()
    spec = ColumnSpec((Dense(8),), output_laterals=kind, output_gain=1.0)
    for _ in range(2):
        network.add_column(spec, {"observation": (6,)}, 3)
    x = torch.randn(5, 6)
    before = network(x)[0].detach()
    network.widen_output(7, torch.Generator().manual_seed(1))
    after = network(x)[0]
    torch.testing.assert_close(after[:, :3], before)
    assert after.shape == (5, 7)
    with pytest.raises(UsageError, match="width 7 can't be widened to 6"):
        network.widen_output(6)


def test_a_widened_layer_that_was_frozen_stays_frozen():
    network = ProgressiveNetwork()
    network.add_column(COLUMN, {"observation": (6,)}, 3)
    network.newest.output.freeze()
    network.widen_output(4)
    assert not any(p.requires_grad for p in network.newest.output.parameters())
    assert network.newest.output.frozen


def test_a_shared_head_grows_with_the_labels_and_never_shrinks():
    method = EWC(COLUMN)
    newest = moved_on(method, [labels_task(str(n), n) for n in (2, 4, 3)])
    assert newest.output.weight.shape == (4, 16)
    assert method.heads == (4,)


def test_earlier_tasks_may_come_again():
    method = Finetune(COLUMN)
    newest = moved_on(method, [*GROWING, labels_task("two again", 2, 0, (2,))])
    assert newest.outputs == 10
    assert method.heads == (2, 3, 5)


def test_the_penalty_is_that_of_the_outputs_there_were_and_leaves_new_ones_free():
    """Against the sum over tasks, each with the Fisher it had where it had one (Eq. 3)."""
    rng = torch.Generator().manual_seed(3)

    def draw(*shape):
        return torch.rand(shape, generator=rng)

    quadratic, terms = Quadratic(), []
    place = draw(2, 4)
    for rows in (2, 3, 6):
        grown = torch.cat([place, draw(rows - len(place), 4)])
        quadratic.widen({"w": grown})
        place = grown + 0.1 * draw(rows, 4)
        fisher = draw(rows, 4)
        quadratic.merge({"w": fisher}, {"w": place})
        terms.append((fisher, place))
    theta = torch.cat([draw(6, 4), draw(1, 4)]).requires_grad_()
    quadratic.widen({"w": theta})
    value = quadratic({"w": theta})
    expected = sum(
        0.5 * (fisher * (theta[: len(fisher)] - anchor) ** 2).sum() for fisher, anchor in terms
    )
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)
    (gradient,) = torch.autograd.grad(value, theta, retain_graph=True)
    (plain,) = torch.autograd.grad(expected, theta)
    torch.testing.assert_close(gradient, plain, rtol=1e-4, atol=1e-5)
    assert not gradient[6].any()
    theta.grad = None
    quadratic.add_gradient({"w": theta})
    torch.testing.assert_close(theta.grad, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", [EWC, OnlineEWC])
def test_ewc_remembers_through_unequal_and_later_heads(method):
    learner = Supervised(learning_rate=0.05)
    held = method(COLUMN, lam=100.0)
    train_sequence(GROWING, held, learner, options=TrainingOptions(device="cpu"))
    scores = [evaluate(t, held.network_for(t.spec.id)).mean() for t in GROWING]
    assert min(scores[:2]) > 0.9
    assert scores[2] > 0.75  # of five labels
    assert held.penalty() is not None


def run(recorder):
    method = EWC(COLUMN, lam=10.0, samples=50)
    options = TrainingOptions(segment_steps=500, curve_steps=500, device="cpu", test_episodes=1)
    train_sequence(GROWING, method, Supervised(), options=options, recorder=recorder)
    return method


def test_widened_columns_and_penalties_go_on_from_checkpoints_exactly():
    whole = Interrupting(10**6)
    expected = run(whole)
    cut = Interrupting(7)
    for _ in range(40):
        try:
            found = run(cut)
            break
        except Interrupted:
            cut.resume_for(7)
    else:
        raise AssertionError("never came to an end")
    for name, value in expected.network.state_dict().items():
        assert torch.equal(found.network.state_dict()[name], value), name
    assert without_clock(cut.history) == without_clock(whole.history)


def test_a_state_keeps_the_heads_and_old_states_without_them_go_on():
    method = EWC(COLUMN)
    moved_on(method, GROWING[:2])
    tensors, meta = method.state()
    back = EWC(COLUMN)
    back.load_state(tensors, meta)
    assert back.heads == (2, 3)
    del meta["heads"]
    old = EWC(COLUMN)
    old.load_state(tensors, meta)
    old.begin_task(GROWING[2].spec)
    assert old.network.newest.outputs == 10


def refused(method, *specs):
    """What is said of the last task."""
    for spec in specs[:-1]:
        method.begin_task(spec)
    with pytest.raises(UsageError) as caught:
        method.begin_task(specs[-1])
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_other_heads_than_before_are_explained():
    message = refused(EWC(), GROWING[1].spec, labels_task("odd", 3, 0, (3, 2)).spec)
    assert "has heads of widths [3, 2]" in message
    assert "as in head=2, heads=(2, 3, 3)" in message
    assert "Atari" not in message


def test_actors_with_other_actions_are_still_refused():
    pong = MiniPongTask("pong").spec
    other = TaskSpec("other", pong.observation_space, labels_task("x", 5).spec.action_space, 10)
    assert "(Atari: full_action_space)" in refused(EWC(), pong, other)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"head": 2, "heads": 2}, "with heads=2 it should be from 0 to 1; got 2"),
        ({"head": -1}, "with heads=1 it should be 0; got -1"),
        ({"head": "a"}, "it should be 0; got 'a'"),
        ({"heads": 0}, "whole numbers of 1 or more; got 0"),
        ({"heads": 2.5}, "got 2.5"),
        ({"heads": (2, 0)}, "got (2, 0)"),
        ({"heads": ()}, "got ()"),
        (
            {"heads": (2, 3), "classes": 3},
            "Head 0 of task 'x' has the width 2 in heads=(2, 3), but",
        ),
        ({"heads": (1, 3)}, "the head's width of 1, but 1 came; make that head 2 wide in heads="),
    ],
)
def test_heads_that_are_not_there_are_explained(options, words):
    x, y = np.zeros((4, 2), np.float32), np.arange(4) % 2
    with pytest.raises(UsageError) as caught:
        DataTask("x", train=(x, y), test=(x, y), **options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_numbers_of_numpy_are_numbers():
    x, y = np.zeros((4, 2), np.float32), np.arange(4) % 2
    heads = list(np.array([2, 3]))
    task = DataTask("x", (x, y), (x, y), classes=y.max() + 1, steps=np.int64(9), heads=heads)
    assert (task.spec.head_widths, task.spec.outputs, task.spec.steps) == ((2, 3), 5, 9)
    equal = DataTask("x", (x, y), (x, y), head=np.int64(1), heads=np.int64(3))
    assert equal.spec.head_widths == (2, 2, 2)


def test_only_data_sets_have_several_heads():
    pong = MiniPongTask("pong").spec
    with pytest.raises(UsageError, match="3 heads and environments; only data sets"):
        TaskSpec("x", pong.observation_space, pong.action_space, 10, heads=3)
