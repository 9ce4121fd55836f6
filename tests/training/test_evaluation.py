"""What is scored follows from the seed, and disturbs nothing."""

from typing import ClassVar

import gymnasium
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

from colonnade.errors import UsageError
from colonnade.experiments.trained.films.camera import FilmedTask
from colonnade.learners import A2C, DQN, PPO, Supervised
from colonnade.learners import compute as learning
from colonnade.methods import Finetune
from colonnade.networks import ColumnSpec, Custom, Dense
from colonnade.tasks import DataTask, GymTask, MiniPongTask
from colonnade.tasks.frames import film_strip
from colonnade.training import TrainingOptions, evaluate, train_sequence
from colonnade.types import TaskSpec

X = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()


class Noisy(torch.nn.Module):
    """Draws whenever it computes."""

    def __init__(self, shape):
        super().__init__()
        self.layer = torch.nn.Linear(shape[0], 8)

    def forward(self, x):
        return self.layer(x) + 0.5 * torch.randn(len(x), 8)


NOISY = ColumnSpec((Custom(Noisy, (8,)), Dense(8)), laterals="none")


def trained(task, column, learner, **options):
    method = Finetune(column)
    chosen = TrainingOptions(device="cpu", **options)
    train_sequence([task], method, learner, seed=0, options=chosen)
    return method.state()[0]


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_scores_of_examples_follow_from_the_seed_and_leave_the_global_stream():
    task = DataTask("d", (X, Y), (X, Y), steps=200)
    network = Finetune(NOISY).begin_task(task.spec)
    before = torch.get_rng_state()
    one = evaluate(task, network, device="cpu", seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(evaluate(task, network, device="cpu", seed=3), one)
    others = [evaluate(task, network, device="cpu", seed=seed) for seed in range(4, 8)]
    assert any(not np.array_equal(one, other) for other in others)


@pytest.mark.parametrize("options", [{"test_episodes": 1}, {"segment_steps": 140}])
def test_scores_of_examples_do_not_change_what_is_learned(options):
    task = DataTask("d", (X, Y), (X, Y), steps=600)
    learner = Supervised(batch_size=20)
    plain = trained(task, NOISY, learner, segment_steps=200)
    assert same(plain, trained(task, NOISY, learner, **{"segment_steps": 200, **options}))


def test_a_loader_that_is_scored_goes_on_drawing_as_if_it_had_not():
    def task():
        data, stream = TensorDataset(X, Y), torch.Generator()
        sampler = RandomSampler(data, replacement=True, num_samples=200, generator=stream)
        loader = DataLoader(data, 20, sampler=sampler)
        return DataTask("d", loader, loader, steps=900)

    column, learner = ColumnSpec((Dense(8),)), Supervised()
    plain = trained(task(), column, learner, segment_steps=140)
    assert same(plain, trained(task(), column, learner, segment_steps=140, test_episodes=1))


def test_scores_have_the_precision_of_training(monkeypatch):
    monkeypatch.setattr(learning, "_native_bfloat16", lambda device: True)
    seen = set()

    class Watching(torch.nn.Module):
        def __init__(self, shape):
            super().__init__()
            self.layer = torch.nn.Linear(torch.Size(shape).numel(), 8)

        def forward(self, x):
            seen.add(torch.is_autocast_enabled("cpu"))
            return self.layer(x.flatten(1))

    column = ColumnSpec((Custom(Watching, (8,)), Dense(8)), laterals="none")
    task, learner = MiniPongTask("pong", steps=64), PPO(rollout_steps=8, epochs=1)
    seen.clear()
    trained(task, column, learner, num_envs=4, precision="float32", test_episodes=1)
    assert seen == {False}
    trained(task, column, learner, num_envs=4, test_episodes=1)
    assert seen == {False, True}


class Three(gymnasium.Env):
    """Episodes of three steps."""

    def __init__(self, render_mode=None):
        self.observation_space = gymnasium.spaces.Box(-9, 9, (1,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.taken = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.taken += 1
        return np.zeros(1, np.float32), 1.0, self.taken >= 3, False, {}


class OfLateResets:
    """Gymnasium's own default: the next episode begins a step later."""

    spec = TaskSpec("late", Three().observation_space, Three().action_space, 100)

    def make_vec(self, num_envs, threads=1):
        return gymnasium.vector.SyncVectorEnv([Three] * num_envs)


@pytest.mark.parametrize("learner", [A2C(), DQN(replay=100, warm_up=40)])
def test_environments_that_reset_a_step_later_are_refused(learner):
    with pytest.raises(UsageError, match=r"begin the next episode in the step that ends one"):
        trained(OfLateResets(), ColumnSpec((Dense(4),)), learner, num_envs=2)


class Robot(Three):
    """There is one of it, and it counts who moves it."""

    metadata: ClassVar = {"real_time": True, "render_modes": []}
    steps = 0

    def step(self, action):
        type(self).steps += 1
        return super().step(action)


def test_a_robot_plays_all_episodes_alone_and_for_no_picture():
    task = GymTask(Robot)
    assert film_strip(task, 0) is None
    assert Robot.steps == 0
    assert evaluate(task, None, episodes=10).tolist() == [3.0] * 10
    assert evaluate(FilmedTask(task, 1), None, episodes=3).tolist() == [3.0] * 3
