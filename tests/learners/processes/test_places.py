"""What several processes do with environments, buffers and robots as one process does."""

from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from torch import nn

from colonnade.learners import A2C, A3C, PPO
from colonnade.methods import EWC, Scratch
from colonnade.networks import ColumnSpec, Custom, Dense, mlp_column
from colonnade.tasks import GymTask, TMazeTask
from colonnade.training import TrainingOptions, train_sequence


class Room(gymnasium.Env):
    """What an episode brings was drawn when it was made."""

    observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self):
        self.gain = float(np.random.randint(1, 1000))  # noqa: NPY002

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 5
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.left -= 1
        return np.zeros(1, np.float32), self.gain, False, self.left == 0, {}


class Telling(Scratch):
    """Notes what the episodes of each environment brought."""

    def __init__(self):
        super().__init__(mlp_column((4,)))
        self.brought = {}

    def on_segment(self, episodes):
        for episode in episodes:
            self.brought.setdefault(episode.environment, set()).add(episode.total_return)


def test_what_constructors_draw_follows_from_the_place_among_all():
    found = []
    for learner in (A2C(), A2C(workers=2), A3C(workers=4)):
        method, task = Telling(), GymTask(Room, name="room", steps=400)
        train_sequence([task], method, learner, options=TrainingOptions(num_envs=4, device="cpu"))
        found.append(method.brought)
    assert found[0] == found[1] == found[2]
    assert len(set(map(tuple, found[0].values()))) == 4, "each drew its own"


class Centred(nn.Module):
    """Keeps a running mean, in place or as a new tensor each time."""

    def __init__(self, inputs, *, replaced):
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.linear = nn.Linear(inputs, 6)
        self.replaced = replaced

    def forward(self, features):
        if self.training:
            mean = 0.9 * self.mean + 0.1 * features.detach().mean(0)
            if self.replaced:
                self.mean = mean
            else:
                self.mean.copy_(mean)
        return self.linear(features - self.mean)


@pytest.mark.parametrize(
    "learner",
    [A2C(workers=2), A3C(workers=1), PPO(rollout_steps=10, minibatches=2, epochs=2)],
    ids=["a2c", "a3c", "ppo"],
)
def test_a_buffer_that_a_module_replaces_is_kept_as_one_it_writes_to(learner):
    ends = []
    for replaced in (False, True):
        stage = Custom(lambda shape, replaced=replaced: Centred(shape[0], replaced=replaced), (6,))
        method = Scratch(ColumnSpec((stage, Dense(4)), activation="tanh"))
        options = TrainingOptions(num_envs=4, device="cpu")
        train_sequence([TMazeTask(3, steps=400)], method, learner, options=options)
        ends.append(method.state()[0])
    assert ends[0].keys() == ends[1].keys()
    for name, value in ends[0].items():
        torch.testing.assert_close(value, ends[1][name], rtol=0, atol=0)
    (mean,) = (value for name, value in ends[1].items() if name.endswith("mean"))
    assert mean.abs().min() > 0.01


class Bot(gymnasium.Env):
    """Says in a file when it is opened, driven and closed."""

    metadata = {"real_time": True, "render_modes": []}  # noqa: RUF012
    observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, diary):
        self.diary = Path(diary)
        self.say("open")

    def say(self, what):
        with self.diary.open("a") as file:
            file.write(f"{what} {id(self)}\n")

    def reset(self, *, seed=None, options=None):
        self.taken = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.taken += 1
        return np.zeros(1, np.float32), 1.0, False, self.taken == 7, {}

    def close(self):
        self.say("close")


def test_a_robot_that_a3c_learns_is_open_once(tmp_path):
    diary = tmp_path / "diary"
    task = GymTask(Bot, name="bot", steps=60, options={"diary": str(diary)})
    options = TrainingOptions(num_envs=1, segment_steps=20, test_episodes=1, device="cpu")
    method = EWC(mlp_column((4,)), samples=10)
    train_sequence([task], method, A3C(workers=1), options=options)
    opened = [1 if line.startswith("open") else -1 for line in diary.read_text().splitlines()]
    assert len(opened) > 4, "scores and samples took it over"
    assert max(np.cumsum(opened)) == 1
