"""Learners, methods and analyses where actions are numbers and not choices."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box

import colonnade
from colonnade.analysis.policies.sensitivity import activation_fisher
from colonnade.errors import UsageError
from colonnade.learners import A2C, A3C, DQN, PPO
from colonnade.learners.acting.policies import ActorCritic
from colonnade.methods import EWC, Progressive, Scratch
from colonnade.networks import ColumnSpec, Dense
from colonnade.ops import DiagonalGaussian
from colonnade.tasks import GymTask
from colonnade.testing import check_learner, check_task
from colonnade.training import TrainingOptions, evaluate, train_sequence

COLUMN = ColumnSpec((Dense(16),), activation="tanh")


class Aim(gymnasium.Env):
    """One step; the nearer the two numbers are to twice what is seen, the better."""

    observation_space = Box(-1, 1, (2,), np.float32)
    action_space = Box(-4, 4, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._seen = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        return self._seen, {}

    def step(self, action):
        assert self.action_space.contains(action)
        off = action - 2 * self._seen
        return self._seen.copy(), -float((off**2).sum()), True, False, {}


gymnasium.register("test/Aim-v0", Aim)


@pytest.mark.parametrize(
    "learner",
    [
        A2C(rollout_steps=10),
        A2C(rollout_steps=10, workers=2),
        A3C(rollout_steps=10, workers=1),
        PPO(rollout_steps=10, minibatches=2, epochs=1),
    ],
    ids=["a2c", "a2c-2", "a3c", "ppo"],
)
def test_learners_keep_their_contract(learner):
    tasks = [GymTask("Pendulum-v1", steps=320, name=name) for name in ("one", "other")]
    check_learner(learner, tasks=tasks, column=COLUMN)


def test_the_task_keeps_its_contract():
    check_task(GymTask("Pendulum-v1"))


def test_ppo_learns_where_to_aim():
    task = GymTask("test/Aim-v0", steps=16_000)
    method = Scratch(COLUMN)
    learner = PPO(learning_rate=3e-3, rollout_steps=32, minibatches=4, epochs=6, entropy_cost=0.0)
    train_sequence([task], method, learner, seed=0, options=TrainingOptions(num_envs=16))
    network = method.network_for(task.spec.id)
    # At random: 2 (E a^2 + 4 E s^2) = 2 (16 / 3 + 4 / 3) = 13.3 below 0.
    assert evaluate(task, None, episodes=400).mean() == pytest.approx(-13.3, abs=1.5)
    assert evaluate(task, network, episodes=100).mean() > -1.0
    sure = evaluate(task, network, episodes=100, greedy=True)
    assert sure.mean() > -0.5
    policy = colonnade.TrainedPolicy(network, task.spec, PPO(), greedy=True)
    np.testing.assert_allclose(policy(np.float32([0.5, -0.25])), [1.0, -0.5], atol=0.4)
    assert policy(np.zeros((3, 2))).shape == (3, 2)


def test_ewc_takes_the_fisher_of_means_and_widths():
    tasks = [GymTask("test/Aim-v0", steps=640, name=name) for name in ("one", "other")]
    method = EWC(COLUMN, lam=1.0, samples=60)
    train_sequence(tasks, method, A2C(rollout_steps=10), seed=0)
    penalty = method.penalty()
    assert penalty is not None
    assert 0 < float(penalty.detach()) < 1e6


def test_which_features_a_policy_of_numbers_leans_on():
    tasks = [GymTask("test/Aim-v0", steps=320, name=name) for name in ("one", "other")]
    method = Progressive(COLUMN)
    train_sequence(tasks, method, A2C(rollout_steps=10), seed=0)
    spec = tasks[1].spec
    view = method.network_for("other")
    states = torch.rand(200, 2) * 2 - 1
    found = activation_fisher(
        view, [{"observation": states}], lambda out: ActorCritic().likelihood(out, spec)
    )
    # The slow way: E of squared gradients of log pi by a feature, from drawn actions.
    again = activation_fisher(
        view,
        [{"observation": states.repeat(200, 1)}],
        lambda out: DiagonalGaussian(out[:, :-1]),
        actions="sampled",
        generator=torch.Generator().manual_seed(0),
    )
    for site, statistics in found.sites.items():
        drawn = again.sites[site].squared_gradients
        np.testing.assert_allclose(
            statistics.squared_gradients.sum(), drawn.sum(), rtol=0.1, err_msg=str(site)
        )


def test_dqn_says_that_it_needs_choices():
    task = GymTask("test/Aim-v0", steps=640)
    with pytest.raises(UsageError, match="DQN needs Discrete actions"):
        train_sequence([task], Scratch(COLUMN), DQN())
