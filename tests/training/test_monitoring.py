"""Scores of all tasks so far, and early stopping, against evaluations made by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from interrupting import Interrupting, without_clock
from torch import nn

from colonnade.errors import UsageError
from colonnade.learners import A2C, PPO, Supervised
from colonnade.methods import EWC, Finetune, PathNet
from colonnade.networks import ColumnSpec, Conv, Custom, Dense, ModularSpec
from colonnade.tasks import DataTask, MiniPongTask
from colonnade.training import (
    Interrupted,
    MemoryRecorder,
    TrainingOptions,
    evaluate,
    train_sequence,
)

COLUMN = ColumnSpec((Dense(12),), output_gain=1.0)
LEARNER = Supervised(batch_size=20, learning_rate=0.1)


def examples(seed, flip=False, count=60):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 5)).astype(np.float32)
    y = (x[:, seed % 5] > 0).astype(np.int64)
    return x, 1 - y if flip else y


def data_task(number, flip=False, steps=240):
    return DataTask(
        f"task {number}",
        train=examples(number),
        test=examples(number + 10),
        validation=examples(number, flip),
        steps=steps,
    )


TASKS = [data_task(0), data_task(1)]
OPTIONS = TrainingOptions(segment_steps=60, curve_steps=60, device="cpu", test_episodes=1)


def learn(tasks, method, options=OPTIONS, recorder=None, learner=LEARNER):
    recorder = recorder or MemoryRecorder()
    train_sequence(tasks, method, learner, seed=2, options=options, recorder=recorder)
    return recorder.history


def accuracy(task, network, split="test"):
    part = task.examples(split)
    output, _ = network({"observation": part.inputs["observation"]})
    return float((output.argmax(1) == part.targets).double().mean())


def test_all_tasks_so_far_are_scored_before_and_after_every_segment():
    method = Finetune(COLUMN)
    rows = [row for row in learn(TASKS, method) if row["kind"] == "test"]
    places = [(row["task_index"], row["step"], row["tested_index"]) for row in rows]
    first = [(0, step, 0) for step in range(0, 241, 60)]
    second = [(1, step, tested) for step in range(0, 241, 60) for tested in (0, 1)]
    assert places == first + second
    for row in rows[-2:]:
        task = TASKS[row["tested_index"]]
        assert row["tested"] == task.spec.id
        assert row["return_mean"] == pytest.approx(accuracy(task, method.network))
        assert row["episodes"] == 60


def test_scores_at_segment_ends_are_those_of_shorter_runs():
    rows = [row for row in learn(TASKS[:1], Finetune(COLUMN)) if row["kind"] == "test"]
    for row in rows[1:]:
        method, task = Finetune(COLUMN), data_task(0, steps=row["step"])
        learn([task], method, TrainingOptions(segment_steps=60, device="cpu"))
        assert accuracy(task, method.network) == pytest.approx(row["return_mean"])


def test_looking_changes_nothing():
    plain, watched = Finetune(COLUMN), Finetune(COLUMN)
    learn(TASKS, plain, TrainingOptions(segment_steps=60, device="cpu"))
    learn(TASKS, watched, TrainingOptions(segment_steps=60, device="cpu", test_episodes=1))
    for name, value in plain.network.state_dict().items():
        assert torch.equal(value, watched.network.state_dict()[name])


def test_a_task_ends_when_validation_falls_and_its_best_weights_return():
    harmful = data_task(0, flip=True, steps=1200)  # the better it learns, the worse it validates
    options = TrainingOptions(segment_steps=60, device="cpu", patience=3)
    method = Finetune(COLUMN)
    rows = learn([harmful], method, options)
    scores = [row["return_mean"] for row in rows if row["kind"] == "validation"]
    best = max(range(len(scores)), key=lambda i: (scores[i], i))
    assert len(scores) == best + 1 + 4  # more than 3 in a row, that is 4
    assert len(scores) < 20
    until_best = Finetune(COLUMN)
    short = data_task(0, flip=True, steps=60 * (best + 1))
    learn([short], until_best, TrainingOptions(segment_steps=60, device="cpu"))
    for name, value in until_best.network.state_dict().items():
        assert torch.equal(value, method.network.state_dict()[name]), name
    assert accuracy(harmful, method.network, "validation") == pytest.approx(scores[best])


def test_scores_are_those_of_the_networks_that_are_kept():
    tasks = [data_task(0, flip=True, steps=1200), data_task(1)]
    options = TrainingOptions(segment_steps=60, device="cpu", patience=3, test_episodes=1)
    method = Finetune(COLUMN)
    scored = []

    class Watching(MemoryRecorder):
        def save_checkpoint(self, tensors, meta):
            if meta["finished"] and meta["visit"] == 0:
                scored.append(accuracy(tasks[0], method.network))

    rows = [row for row in learn(tasks, method, options, Watching()) if row["kind"] == "test"]
    last = [row for row in rows if row["task_index"] == 0][-1]
    assert last["return_mean"] == pytest.approx(scored[0])
    first_of_next = next(row for row in rows if row["task_index"] == 1)
    assert first_of_next["tested_index"] == 0
    assert first_of_next["return_mean"] == last["return_mean"]  # nothing was learned in between
    worse = [row["return_mean"] for row in rows if row["task_index"] == 0][-2]
    assert worse != last["return_mean"], "the network that was given up should score otherwise"


def test_a_network_counts_once_for_patience():
    # A minibatch is 20 examples, so that five segments of 4 examples pass with one update.
    harmful = data_task(0, flip=True, steps=1200)
    options = TrainingOptions(segment_steps=4, device="cpu", patience=3)
    rows = learn([harmful], Finetune(COLUMN), options)
    validated = [row for row in rows if row["kind"] == "validation"]
    steps = [row["step"] for row in validated]
    assert steps == sorted(set(steps))
    assert steps == list(range(20, steps[-1] + 1, 20))
    scores = [row["return_mean"] for row in validated]
    best = max(range(len(scores)), key=lambda i: (scores[i], i))
    assert len(scores) == best + 1 + 4


@pytest.mark.parametrize("patience", [2, 4])
def test_weights_and_path_come_back_together(patience):
    modular = ModularSpec((Dense(6), Dense(6)), modules=6, active=2)
    method = PathNet(modular, population=6, episodes=1)
    harmful = data_task(0, flip=True, steps=4000)
    options = TrainingOptions(segment_steps=60, device="cpu", patience=patience)
    rows = learn([harmful], method, options)
    scores = [row["return_mean"] for row in rows if row["kind"] == "validation"]
    assert len(scores) < 4000 // 60, "it should have gone back"
    # What plays the task from now on is what was validated as the best.
    kept = method.network_for("task 0")
    assert accuracy(harmful, kept, "validation") == pytest.approx(max(scores))
    assert method.histories["task 0"]["best"] == method.tasks["task 0"].path


def test_ewc_consolidates_the_best_weights():
    options = TrainingOptions(segment_steps=60, device="cpu", patience=2)
    method = EWC(COLUMN, samples=30)
    learn([data_task(0, flip=True, steps=1200)], method, options)
    for name, value in method.network.named_parameters():
        assert torch.equal(method.consolidation.quadratic.centre[name], value)


def test_early_stopping_looks_at_all_tasks_so_far():
    rows = learn(TASKS, Finetune(COLUMN), TrainingOptions(segment_steps=60, patience=9))
    validation = [row for row in rows if row["kind"] == "validation"]
    assert [row["task_index"] for row in validation] == [0] * 4 + [1] * 4
    method = Finetune(COLUMN)
    learn(TASKS, method, TrainingOptions(segment_steps=60))
    means = [accuracy(task, method.network, "validation") for task in TASKS]
    assert validation[-1]["return_mean"] == pytest.approx(np.mean(means))


@pytest.mark.parametrize("stop_at", [1, 7, 14, 20])
def test_interrupted_runs_end_with_the_same_numbers(stop_at):
    options = TrainingOptions(segment_steps=60, device="cpu", test_episodes=1, patience=2)
    tasks = [data_task(0, flip=True, steps=600), data_task(1)]
    reference, expected = Interrupting(10**6), EWC(COLUMN, samples=30)
    learn(tasks, expected, options, reference)
    recorder = Interrupting(stop_at)
    for _ in range(30):
        method = EWC(COLUMN, samples=30)
        try:
            learn(tasks, method, options, recorder)
            break
        except Interrupted:
            json.loads(recorder.kept[1]) if recorder.kept else None
            recorder.resume_for(max(stop_at, 4))
    assert without_clock(recorder.history) == without_clock(reference.history)
    for name, value in expected.network.state_dict().items():
        assert torch.equal(value, method.network.state_dict()[name]), name


def test_old_environments_are_played_again():
    tasks = [MiniPongTask("pong", steps=120), MiniPongTask("h-flip", steps=120)]
    options = TrainingOptions(num_envs=4, segment_steps=120, test_episodes=2, device="cpu")
    column = ColumnSpec((Conv(4, 4, 2), Dense(8)))
    learner = PPO(rollout_steps=15, minibatches=2, epochs=1)
    rows = learn(tasks, Finetune(column), options, learner=learner)
    tests = [row for row in rows if row["kind"] == "test"]
    assert [(r["task_index"], r["tested_index"]) for r in tests] == [
        (0, 0),
        (0, 0),
        (1, 0),
        (1, 1),
        (1, 0),
        (1, 1),
    ]
    assert all(row["episodes"] == 2 for row in tests)
    assert tests[1]["return_mean"] == tests[2]["return_mean"]  # nothing learned in between


class Dropping(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.linear = nn.Linear(shape[0], 6)

    def forward(self, x):
        return nn.functional.dropout(self.linear(x), 0.9, self.training)


def test_networks_are_scored_in_evaluation_mode_and_left_in_training_mode():
    method = Finetune(ColumnSpec((Custom(Dropping, (6,)),), output_gain=1.0))
    network = method.begin_task(TASKS[0].spec)
    network.train()
    scores = [evaluate(TASKS[0], network).mean() for _ in range(4)]
    assert len(set(scores)) == 1
    assert all(module.training for module in network.modules())


def test_chance_knows_one_label_in_two():
    np.testing.assert_array_equal(evaluate(TASKS[0], None), np.full(60, 0.5))


@pytest.mark.parametrize("name", ["patience", "test_episodes"])
def test_wrong_options_are_explained(name):
    with pytest.raises(
        UsageError, match=f"{name} of TrainingOptions must be a whole number at least 0; got -1"
    ):
        TrainingOptions(**{name: -1})


@pytest.mark.parametrize("extra", [{"test_episodes": 2}, {"patience": 2}])
def test_a_population_is_scored_while_it_learns(extra):
    options = TrainingOptions(num_envs=4, segment_steps=256, curve_steps=128, device="cpu")
    options = replace(options, **extra)
    tasks = [MiniPongTask(variant, steps=512) for variant in ("pong", "noisy")]
    rows = learn(tasks, PathNet(population=4, episodes=1), options, learner=A2C())
    scored = [row for row in rows if row["kind"] in ("test", "validation")]
    assert {row["task_index"] for row in scored} == {0, 1}
