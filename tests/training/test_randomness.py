"""Whatever an environment draws from is seeded: each process its own stream, the same each time."""

import random
from dataclasses import dataclass
from typing import ClassVar

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from interrupting import Interrupting, without_clock

from colonnade.errors import UsageError
from colonnade.learners import A2C, PPO
from colonnade.methods import Finetune, OutputOnly
from colonnade.networks import ColumnSpec, Custom, Dense
from colonnade.seeding import globals_state, kept_globals, seed_globals
from colonnade.training import (
    Interrupted,
    MemoryRecorder,
    TrainingOptions,
    evaluate,
    train_sequence,
)
from colonnade.types import TaskSpec

DRAWS = {
    "random": random.random,
    "numpy": np.random.random,
    "torch": lambda: torch.rand(()).item(),
}


class Drawing(VectorEnv):
    """Episodes of five steps, each rewarded by a number that is drawn; of a user's own making."""

    def __init__(self, num_envs, source):
        self.num_envs = num_envs
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.single_observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
        self.single_action_space = gymnasium.spaces.Discrete(2)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._draw = DRAWS[source]

    def reset(self, *, seed=None, options=None):
        self._age = 0
        return np.zeros((self.num_envs, 1), np.float32), {}

    def step(self, actions):
        self._age += 1
        rewards = np.array([self._draw() for _ in range(self.num_envs)], np.float32)
        ended = np.full(self.num_envs, self._age % 5 == 0)
        observations = np.zeros((self.num_envs, 1), np.float32)
        nothing = np.zeros(self.num_envs, bool)
        return observations, rewards, ended, nothing, {"final_obs": observations}


@dataclass(frozen=True)
class DrawingTask:
    source: str
    steps: int = 400
    id: str = "drawing"

    @property
    def spec(self):
        env = Drawing(1, self.source)
        return TaskSpec(self.id, env.single_observation_space, env.single_action_space, self.steps)

    def make_vec(self, num_envs, threads=1):
        return Drawing(num_envs, self.source)


OPTIONS = TrainingOptions(num_envs=4, segment_steps=100, curve_steps=20, device="cpu")


def returns(source, learner, seed, recorder=None, method=Finetune, ids=("drawing",)):
    recorder = recorder or MemoryRecorder()
    train_sequence(
        [DrawingTask(source, id=name) for name in ids], method(ColumnSpec((Dense(4),))), learner,
        seed=seed, options=OPTIONS, recorder=recorder,
    )  # fmt: skip
    return [row["return_mean"] for row in recorder.history if row["kind"] == "curve"]


@pytest.mark.parametrize("source", DRAWS)
@pytest.mark.parametrize("learner", [PPO(rollout_steps=10, minibatches=2), A2C(workers=2)])
def test_seeds_and_workers_draw_their_own_and_the_same_each_time(source, learner):
    found = [returns(source, learner, seed) for seed in (0, 1, 0)]
    assert found[0] == found[2]
    assert not set(found[0]) & set(found[1])
    assert len(set(found[0])) == len(found[0])  # no two workers or episodes share a stream


@pytest.mark.parametrize("source", ["random", "numpy"])
@pytest.mark.parametrize("learner", [PPO(rollout_steps=10, minibatches=2), A2C(workers=2)])
def test_what_was_cut_off_goes_on_with_the_same_draws(source, learner):
    reference, recorder = MemoryRecorder(), Interrupting(8)
    returns(source, learner, 3, reference)
    for _ in range(20):
        try:
            returns(source, learner, 3, recorder)
            break
        except Interrupted:
            recorder.resume_for(8)
    assert without_clock(recorder.history) == without_clock(reference.history)
    assert not recorder.notes


class Forgetful(Drawing):
    """Shows how often it was ever stepped, so that it never comes back to where it was."""

    stepped = 0
    seeds: ClassVar[list[int]] = []

    def reset(self, *, seed=None, options=None):
        Forgetful.seeds.append(seed)
        return super().reset(seed=seed)

    def step(self, actions):
        Forgetful.stepped += 1
        observations, *rest = super().step(actions)
        observations[:] = Forgetful.stepped % 1000 / 1000
        return observations, *rest


# The second of the latter reads what frozen layers make of an observation, and no observation.
@pytest.mark.parametrize(
    ("method", "ids"), [(Finetune, ("drawing",)), (OutputOnly, ("other", "drawing"))]
)
def test_environments_that_do_not_come_back_begin_anew_and_it_is_told(method, ids, monkeypatch):
    monkeypatch.setattr(
        DrawingTask, "make_vec", lambda self, n, threads=1: Forgetful(n, self.source)
    )
    anew = []
    for seed in (0, 1):
        recorder = Interrupting(12)
        for _ in range(20):
            try:
                returns("numpy", A2C(), seed, recorder, method, ids)
                break
            except Interrupted:
                Forgetful.seeds.clear()
                recorder.resume_for(12)
        told = "Environments of task 'drawing' did not come back to where they were"
        assert any(told in note for note in recorder.notes)
        anew.append(Forgetful.seeds[-1])
    assert anew[0] != anew[1]  # another run's episodes are others


class Made(torch.nn.Module):
    """A stage whose weight is drawn from numpy's global generator when it is made."""

    def __init__(self, shape):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.full(shape, np.random.random()))  # noqa: NPY002

    def forward(self, x):
        return x * self.weight


class MadeVector(Drawing):
    """Draws its rewards' size when it is made."""

    def __init__(self, num_envs, source):
        super().__init__(num_envs, source)
        size = self._draw()
        self._draw = lambda: size


def test_what_is_drawn_while_things_are_made_follows_the_seed(monkeypatch):
    monkeypatch.setattr(
        DrawingTask, "make_vec", lambda self, n, threads=1: MadeVector(n, self.source)
    )
    found = []
    for disturbance in (1, 2):
        seed_globals(disturbance)
        method, recorder = Finetune(ColumnSpec((Custom(Made, (1,)), Dense(4)))), MemoryRecorder()
        task = DrawingTask("numpy", steps=80)
        train_sequence([task], method, A2C(), seed=4, options=OPTIONS, recorder=recorder)
        score = evaluate(task, None, episodes=4, seed=2).tolist()
        found.append((method.network.state_dict(), without_clock(recorder.history), score))
    (weights, rows, score), (other, other_rows, other_score) = found
    assert all(torch.equal(value, other[name]) for name, value in weights.items())
    assert rows == other_rows
    assert score == other_score


def test_training_leaves_the_global_generators_alone():
    seed_globals(5)
    before = globals_state()
    returns("numpy", PPO(rollout_steps=10, minibatches=2), 0)
    assert globals_state() == before
    with kept_globals():
        random.random(), np.random.random(), torch.rand(())  # noqa: NPY002
    assert globals_state() == before


class Broken(Drawing):
    """Gives what is no number, in its seventh step or at an episode's begin or end."""

    where = "reward"

    def reset(self, *, seed=None, options=None):
        observations, info = super().reset(seed=seed)
        if self.where == "reset":
            observations[2] = np.inf
        return observations, info

    def step(self, actions):
        observations, rewards, ended, _, info = super().step(actions)
        if self._age == 7 and self.where in ("reward", "observation"):
            (rewards if self.where == "reward" else observations)[2] = np.nan
        if self.where == "final":  # cut off, so that the value of what is last seen counts
            info["final_obs"] = observations.astype(np.float64)
            info["final_obs"][2] = 1e300
            return observations, rewards, np.zeros_like(ended), ended, info
        return observations, rewards, ended, np.zeros_like(ended), info


@pytest.mark.parametrize(
    ("where", "what", "step"),
    [
        ("reward", "the reward", 7),
        ("observation", r"the observation \(observation\)", 7),
        ("reset", r"the observation \(observation\)", 1),
        ("final", r"the observation \(observation\)", 5),
    ],
)
def test_what_is_no_number_names_the_environment(where, what, step, monkeypatch):
    monkeypatch.setattr(Broken, "where", where)
    monkeypatch.setattr(DrawingTask, "make_vec", lambda self, n, threads=1: Broken(n, self.source))
    sentence = f"Environment 2 of task 'drawing' gave NaN or infinity as {what}, in step {step};"
    with pytest.raises(UsageError, match=sentence):
        returns("numpy", A2C(), 0)
