"""Training stops anywhere and goes on exactly; it learns; it notices divergence."""

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from interrupting import Interrupting, without_clock
from short_sequences import COLUMN, LEARNER, TASKS

from colonnade.errors import UsageError
from colonnade.learners import A2C, DQN, PPO
from colonnade.methods import EWC, Finetune, OutputOnly, PathFinetune, Progressive, Scratch
from colonnade.networks import LSTM, ColumnSpec, Conv, Dense
from colonnade.tasks import GymTask, MiniPongTask
from colonnade.training import (
    DivergedError,
    Interrupted,
    MemoryRecorder,
    TrainingOptions,
    evaluate,
    read_tensors,
    train_sequence,
    write_tensors,
)

OPTIONS = TrainingOptions(num_envs=4, segment_steps=240, curve_steps=100, device="cpu")


def uninterrupted(make=Progressive):
    method, recorder = make(COLUMN), Interrupting(10**6)
    train_sequence(TASKS, method, LEARNER, seed=1, options=OPTIONS, recorder=recorder)
    return method, recorder


@pytest.mark.parametrize(
    ("make", "rollouts"),
    [(Progressive, 1), (Progressive, 4), (Progressive, 10), (OutputOnly, 12), (Finetune, 12)],
)
def test_interrupted_runs_end_with_the_same_numbers(make, rollouts):
    expected, reference = uninterrupted(make)
    recorder = Interrupting(rollouts)
    for _ in range(40):
        method = make(COLUMN)  # a new process knows only what the recorder kept
        try:
            train_sequence(TASKS, method, LEARNER, seed=1, options=OPTIONS, recorder=recorder)
            break
        except Interrupted:
            recorder.resume_for(max(rollouts, 5))  # a segment has 4 rollouts
    else:
        pytest.fail("never finished")
    assert without_clock(recorder.history) == without_clock(reference.history)
    for name, value in expected.network.state_dict().items():
        assert torch.equal(value, method.network.state_dict()[name]), name


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Finetune, "Task 'b' needs 4 outputs"),
        (Progressive, "has shape \\(6,\\)"),
        (PathFinetune, "Task 'b' gives 'observation' of shape \\(6,\\), but the modules were made"),
    ],
)
def test_no_task_is_learned_before_a_later_one_is_refused(make, words):
    tasks = [GymTask("CartPole-v1", 500, name="a"), GymTask("Acrobot-v1", 500, name="b")]
    recorder = MemoryRecorder()
    torch.manual_seed(3)
    drawn = torch.get_rng_state()
    with pytest.raises(UsageError, match=words):
        train_sequence(tasks, make(), PPO(), options=OPTIONS, recorder=recorder)
    assert recorder.history == []
    assert torch.equal(torch.get_rng_state(), drawn)


def test_an_environment_in_a_tasks_place_is_told_from_one():
    with pytest.raises(UsageError, match="make an environment a task by GymTask"):
        train_sequence([gymnasium.make("CartPole-v1")], Finetune(), PPO())


class InFiles(Interrupting):
    """Keeps checkpoints in a file, whose header moves tensors beside multiples of 64 bytes."""

    def __init__(self, stop_at, path):
        super().__init__(stop_at)
        self._path = path

    def save_checkpoint(self, tensors, meta):
        write_tensors(self._path, tensors, {"meta": meta, "header": "longer"})

    def load_checkpoint(self):
        if not self._path.exists():
            return None
        tensors, meta = read_tensors(self._path)
        return tensors, meta["meta"]


def test_a_column_that_reads_a_frozen_lstm_goes_on_exactly_from_a_file(tmp_path):
    def train(recorder):
        method = Progressive(ColumnSpec((Conv(4, 8, 8), LSTM(8))))
        options = TrainingOptions(num_envs=2, segment_steps=80, curve_steps=80, device="cpu")
        tasks = [MiniPongTask(name, steps=160) for name in ("pong", "zoom")]
        train_sequence(tasks, method, A2C(), options=options, recorder=recorder)
        return method.state()[0]

    expected = train(None)
    recorder = InFiles(28, tmp_path / "file")
    with pytest.raises(Interrupted):
        train(recorder)
    recorder.resume_for(1000)
    resumed = train(recorder)
    assert all(torch.equal(resumed[name], value) for name, value in expected.items())


def test_the_curve_accounts_for_every_step_once():
    _, recorder = uninterrupted()
    for index, task in enumerate(TASKS):
        steps = [row["step"] for row in recorder.history if row["task_index"] == index]
        assert steps == sorted(set(steps))
        assert task.spec.steps <= steps[-1] < task.spec.steps + 60  # one rollout at most
        assert max(b - a for a, b in zip([0, *steps], steps, strict=False)) <= 160


def test_a_finished_run_trains_no_more():
    method, recorder = uninterrupted()
    rows = len(recorder.history)
    again = Progressive(COLUMN)
    train_sequence(TASKS, again, LEARNER, seed=1, options=OPTIONS, recorder=recorder)
    assert len(recorder.history) == rows
    for name, value in method.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name])


def test_rows_of_one_training_after_another_follow_each_other():
    recorder = MemoryRecorder()
    for task in TASKS:
        train_sequence([task], Finetune(COLUMN), LEARNER, options=OPTIONS, recorder=recorder)
    shown = list(dict.fromkeys(row["task"] for row in recorder.history))
    assert shown == [task.spec.id for task in TASKS]


class Depth(gymnasium.Env):
    """A depth camera's numbers of 16 bits, or of more."""

    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, kind):
        self.observation_space = gymnasium.spaces.Box(0, 60000, (1, 6, 6), kind)

    def _seen(self):
        return self.np_random.integers(0, 60000, (1, 6, 6)).astype(self.observation_space.dtype)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._age = 0
        return self._seen(), {}

    def step(self, action):
        self._age += 1
        return self._seen(), float(action), self._age > 9, False, {}


@pytest.mark.parametrize("kind", [np.uint16, np.uint32, np.uint64])
@pytest.mark.parametrize(
    ("make", "learner", "rollouts"),
    [
        (lambda: EWC(ColumnSpec((Dense(4),)), samples=16), A2C(), 9),
        (
            lambda: Finetune(ColumnSpec((Dense(4),))),
            DQN(warm_up=16, replay=64, explore_steps=50, target_every=20, batch_size=8),
            70,
        ),
    ],
    ids=["held", "replayed"],
)
def test_unsigned_numbers_are_learned_from_and_gone_on_with(kind, make, learner, rollouts):
    options = TrainingOptions(num_envs=2, segment_steps=64, curve_steps=32, device="cpu")
    task = GymTask(lambda: Depth(kind), steps=192, name="depth")
    found = []
    for at_once in (10**6, rollouts):
        recorder = Interrupting(at_once)
        for _ in range(20):
            method = make()
            try:
                train_sequence([task], method, learner, options=options, recorder=recorder)
                break
            except Interrupted:
                recorder.resume_for(at_once)
        found.append((method.network.state_dict(), without_clock(recorder.history)))
    (once, rows), (resumed, other_rows) = found
    assert rows == other_rows
    assert all(torch.equal(value, resumed[name]) for name, value in once.items())


def test_a_checkpoint_of_other_tasks_is_refused():
    _, recorder = uninterrupted()
    with pytest.raises(UsageError, match="belongs to the tasks"):
        train_sequence(TASKS[:1], Progressive(COLUMN), LEARNER, options=OPTIONS, recorder=recorder)


def test_nan_stops_training_says_where_and_keeps_the_checkpoint():
    class Poisoned(Progressive):
        calls = 0

        def penalty(self):
            self.calls += 1
            return torch.tensor(float("nan")) if self.calls > 18 else None

    recorder = Interrupting(10**6)
    with pytest.raises(DivergedError, match=r"step 300 of task 'mini-pong/pong': penalty became"):
        train_sequence(TASKS, Poisoned(COLUMN), LEARNER, seed=1, options=OPTIONS, recorder=recorder)
    tensors, meta = recorder.load_checkpoint()
    assert meta["step"] == 240
    assert all(torch.isfinite(value).all() for value in tensors.values())


def test_infinite_weights_are_never_saved():
    class Exploding(Progressive):
        def on_segment(self, episodes):
            with torch.no_grad():
                self.network.newest.output.weight.fill_(float("inf"))

    recorder = Interrupting(10**6)
    one_rollout = TrainingOptions(num_envs=4, segment_steps=60, curve_steps=60, device="cpu")
    with pytest.raises(DivergedError, match=r"columns\.0\.output\.weight became NaN or inf"):
        train_sequence(TASKS, Exploding(COLUMN), LEARNER, options=one_rollout, recorder=recorder)
    assert recorder.load_checkpoint() is None


@pytest.mark.parametrize("field", ["num_envs", "threads", "segment_steps", "curve_steps"])
def test_options_must_be_positive(field):
    with pytest.raises(
        UsageError, match=f"{field} of TrainingOptions must be a whole number at least 1; got 0"
    ):
        TrainingOptions(**{field: 0})


def test_tasks_need_distinct_ids():
    with pytest.raises(UsageError, match="its own id"):
        train_sequence([TASKS[0], TASKS[0]], Scratch(), LEARNER)


def test_evaluation_is_reproducible_and_random_play_is_poor():
    task = TASKS[0]
    first = evaluate(task, None, episodes=10, seed=4, num_envs=4, device="cpu")
    second = evaluate(task, None, episodes=10, seed=4, num_envs=4, device="cpu")
    assert (first == second).all()
    assert len(set(evaluate(task, None, episodes=40, seed=5, device="cpu"))) > 1


@pytest.mark.slow
@pytest.mark.parametrize("learner", [A2C(learning_rate=2e-3, rollout_steps=10), PPO()])
@pytest.mark.parametrize("seed", range(3))
def test_learners_solve_mini_pong(learner, seed):
    task, method = MiniPongTask("pong", steps=300_000), Scratch()
    options = TrainingOptions(num_envs=32, segment_steps=100_000, device="cpu")
    train_sequence([task], method, learner, seed=seed, options=options)
    assert evaluate(task, method.network_for(task.spec.id), episodes=100).mean() > 0.8


class _Endless(gymnasium.Env[Any, Any]):
    """Never ends."""

    observation_space = gymnasium.spaces.Box(0, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        return np.zeros(2, np.float32), {}

    def step(self, action):
        return np.zeros(2, np.float32), 1.0, False, False, {}


@pytest.mark.parametrize(("ends_after", "limit"), [(None, 300), (200, 150)])
def test_evaluating_an_episode_without_end_stops_at_a_limit(ends_after, limit):
    gymnasium.register("endless/Now-v0", _Endless, max_episode_steps=ends_after)
    try:
        task = GymTask("endless/Now-v0")
        with pytest.raises(UsageError, match=f"'gym/endless/Now-v0'.*more than {limit} steps"):
            evaluate(task, None, episodes=2, device="cpu", limit=limit)
        if ends_after:
            whole = evaluate(task, None, episodes=3, device="cpu", limit=ends_after)
            assert whole.tolist() == [ends_after] * 3
        with pytest.raises(UsageError, match="limit of evaluate must be a whole number at least 1"):
            evaluate(task, None, limit=0)
    finally:
        gymnasium.registry.pop("endless/Now-v0")
