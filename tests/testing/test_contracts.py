"""Our own parts keep the shipped contracts, and parts that break one are found out."""

import ast
import dataclasses

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from torch import nn

from colonnade.learners import A2C, A3C, DQN, PPO, Supervised
from colonnade.methods import EWC, METHODS, PATH_METHODS, Progressive, Scratch, method_from_name
from colonnade.networks import LSTM, ColumnSpec, Conv, Custom, Dense, ModularSpec
from colonnade.tasks import AtariTask, DataTask, GymTask, MiniPongTask, TMazeTask
from colonnade.testing import (
    ContractError,
    check_column,
    check_learner,
    check_method,
    check_task,
)
from colonnade.testing.learners import COLUMN
from colonnade.types import TaskSpec

MODULES = ModularSpec((Conv(4, 4, 2), Dense(8)), modules=4, active=2)
IMAGES = {"observation": (2, 16, 16)}


@pytest.mark.parametrize("name", [*METHODS, *PATH_METHODS])
def test_our_methods(name):
    options = {"samples": 40} if name.startswith("ewc") else {}
    options |= {"population": 4, "episodes": 1} if name == "pathnet" else {}
    options |= {"network": MODULES} if name in PATH_METHODS else {"column": COLUMN}
    options |= {"examples": 30, "batch_size": 10} if name in ("replay", "joint") else {}
    of_labels = {"tasks": [numbers("low"), numbers("high")], "learner": Supervised(batch_size=20)}
    check_method(
        lambda: method_from_name(name, **options), **(of_labels if name == "joint" else {})
    )


def test_a_method_that_lets_a_returning_task_go():
    check_method(lambda: EWC(COLUMN, samples=40, own="released"))


@pytest.mark.parametrize(
    "learner",
    [
        A2C(rollout_steps=20),
        A2C(rollout_steps=20, workers=2),
        A3C(rollout_steps=20, workers=1),
        PPO(rollout_steps=20, minibatches=2, epochs=1),
        DQN(replay=80, warm_up=20, batch_size=4, target_every=40),
    ],
)
def test_our_learners(learner):
    check_learner(learner)


def test_a_learner_whose_processes_do_not_wait():
    check_learner(A3C(rollout_steps=20, workers=2), exact=False)


def numbers(name="numbers"):
    frames = torch.randint(0, 255, (40, 2, 16, 16)).to(torch.uint8)
    examples = frames, frames[:, 0, 0, 0] % 3
    return DataTask(name, train=examples, test=examples, steps=40)


@pytest.mark.parametrize(
    "task",
    [MiniPongTask("zoom"), TMazeTask(3), GymTask("CartPole-v1"), AtariTask("pong"), numbers()],
    ids=lambda task: task.spec.id,
)
def test_our_tasks(task):
    check_task(task)


@pytest.mark.parametrize(
    "column",
    [COLUMN, ColumnSpec((Conv(4, 4, 2), Dense(8), LSTM(6))), ColumnSpec((Dense(8),))],
    ids=lambda column: f"{len(column.stages)}stages",
)
def test_our_columns(column):
    check_column(column, IMAGES)


class Forgetful(Progressive):
    """Each of its mistakes is one that a method may make."""

    def __init__(self, mistake):
        super().__init__(COLUMN)
        self.mistake = mistake

    def network_for(self, task):
        if self.mistake == "unknown":
            return self.network.view(0)
        network = super().network_for(task)
        if self.mistake == "plays":
            with torch.no_grad():
                next(iter(self.network.parameters())).add_(1.0)
        return network

    def state(self):
        tensors, meta = super().state()
        if self.mistake == "json":
            meta = meta | {"seen": {1, 2}}
        if self.mistake == "state":
            tensors = tensors | {"extra/count": torch.rand(1)}
        return tensors, meta


MISTAKES = {
    "unknown": "never begun should raise a UsageError",
    "plays": "Playing should change nothing",
    "json": "should be JSON",
    "state": "same seed should give the same weights",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_methods_mistakes_are_found(mistake):
    with pytest.raises(ContractError, match=MISTAKES[mistake]):
        check_method(lambda: Forgetful(mistake))


class Vector(gymnasium.vector.VectorEnv):
    """A vector environment that keeps the contract, but for one mistake."""

    def __init__(self, num_envs, mistake):
        self.num_envs, self._mistake = num_envs, mistake
        same = mistake != "autoreset"
        mode = AutoresetMode.SAME_STEP if same else AutoresetMode.NEXT_STEP
        self.metadata = {"autoreset_mode": mode}
        self.single_observation_space = gymnasium.spaces.Box(-9, 9, (1,), np.float32)
        self.single_action_space = gymnasium.spaces.Discrete(2)
        batch = gymnasium.vector.utils.batch_space
        self.observation_space = batch(self.single_observation_space, num_envs)
        self.action_space = batch(self.single_action_space, num_envs)
        self._shown = np.zeros((num_envs, 1), np.float32)

    def reset(self, *, seed=None, options=None):
        self._rng = np.random.default_rng(None if self._mistake == "seed" else seed)
        self._shown[:] = 0
        return self._shown.copy(), {}

    def step(self, action):
        self._shown += self._rng.normal(size=self._shown.shape).clip(-0.1, 0.1).astype(np.float32)
        ended = self._rng.random(self.num_envs) < 0.2
        shown = self._shown if self._mistake == "written" else self._shown.copy()
        reward = np.ones(self.num_envs, np.int64 if self._mistake == "reward" else np.float32)
        info = {"final_obs": shown.copy()} if ended.any() and self._mistake != "final" else {}
        return shown, reward, ended, np.zeros_like(ended), info

    def state(self):
        return {"shown": self._shown.copy(), "rng": np.array(str(self._rng.bit_generator.state))}

    def load_state(self, state):
        self._shown[:] = state["shown"]
        if self._mistake != "load":
            self._rng.bit_generator.state = ast.literal_eval(str(state["rng"]))


@dataclasses.dataclass(frozen=True)
class Own:
    mistake: str = ""

    @property
    def spec(self):
        vector = Vector(1, "")
        space = gymnasium.spaces.Discrete(3 if self.mistake == "actions" else 2)
        return TaskSpec("own", vector.single_observation_space, space, 100)

    def make_vec(self, num_envs, threads=1):
        return Vector(num_envs, self.mistake)


def test_a_task_of_ones_own_keeps_the_contract():
    check_task(Own())


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        ("autoreset", "in the step in which one ends"),
        ("actions", r"says actions Discrete\(3\), but they are Discrete\(2\)"),
        ("seed", "same seed and actions should do the same"),
        ("written", "written to by a later step"),
        ("reward", "rewards of task 'own' should be floating-point"),
        ("final", "final_obs"),
        ("load", "should go on as they do"),
    ],
)
def test_a_tasks_mistakes_are_found(mistake, said):
    with pytest.raises(ContractError, match=said):
        check_task(Own(mistake))


class Unpenalised(A2C):
    """An A2C that leaves out what the method adds to the loss."""

    def trainer(self, lesson):
        return super().trainer(dataclasses.replace(lesson, penalty=lambda: None))


def test_a_learner_that_leaves_out_the_penalty_is_found():
    with pytest.raises(ContractError, match="penalty should be added"):
        check_learner(Unpenalised(rollout_steps=20))


class Mixing(nn.Module):
    """Normalises over the batch, which no column may."""

    def forward(self, value):
        return value - value.mean(dim=0, keepdim=True)


def test_a_column_that_mixes_its_batch_is_found():
    column = ColumnSpec((Dense(8), Custom(lambda shape: Mixing(), (8,))))
    with pytest.raises(ContractError, match="one observation by itself"):
        check_column(column, {"observation": (4,)})


def test_a_method_is_played_as_its_learner_plays():
    check_method(
        lambda: Scratch(COLUMN), learner=DQN(replay=80, warm_up=20, batch_size=4, target_every=40)
    )


class Poles:
    """Gymnasium's own vector environment, float64 rewards and final observations as objects."""

    spec = TaskSpec("poles", gymnasium.make("CartPole-v1").observation_space, Discrete(2), 400)

    def make_vec(self, num_envs, threads=1):
        makers = [lambda: gymnasium.make("CartPole-v1")] * num_envs
        return SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP)


class OneNumber(Poles):
    def make_vec(self, num_envs):
        return super().make_vec(num_envs)


def test_gymnasiums_own_vector_environments_are_tasks():
    check_task(Poles())


def test_environments_are_made_as_training_makes_them():
    with pytest.raises(ContractError, match=r"make_vec\(3, 1\) failed"):
        check_task(OneNumber())
