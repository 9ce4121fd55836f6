"""Acting without dropout, learning with it: PPO's ratio is one until something is learned."""

import copy
import dataclasses
import random

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn
from torch.nn.utils import parametrizations

from colonnade.learners import PPO, Collector, Compute, ppo
from colonnade.learners.descent.reference import Reference
from colonnade.methods import Dropout, Finetune, OutputOnly, PathFinetune, Progressive
from colonnade.networks import (
    LSTM,
    ColumnSpec,
    Conv,
    Custom,
    Dense,
    ModularSpec,
    atari_modules,
    column_preset,
    mode_matters,
)
from colonnade.networks.progressive.presets import COLUMN_PRESETS
from colonnade.ops import evaluation
from colonnade.tasks import MiniPongTask
from colonnade.types import OBSERVATION, PROPRIOCEPTION, Rollout, TaskSpec

CPU = Compute(torch.device("cpu"))
TASK = MiniPongTask("pong", steps=10**6)


class Jitter(nn.Module):
    """A user's module that draws from everything there is to draw from while it learns."""

    def __init__(self, shape):
        super().__init__()
        self.linear = nn.Linear(shape[0], 5)

    def forward(self, x):
        if self.training:
            noise = random.gauss(0, 1) + np.random.normal() + torch.randn(())  # noqa: NPY002
            return self.linear(x) * (1 + noise)
        return self.linear(x)


def flat(*makers):
    return lambda shape: nn.Sequential(nn.Flatten(), nn.LazyLinear(5), *(make() for make in makers))


def half():
    return nn.Dropout(0.5)


def norm():
    return nn.BatchNorm1d(5)


def stages(factory, *above):
    return (Conv(4, 4, 2), Custom(factory, (5,)), *above)


def column(factory, *above, **options):
    return ColumnSpec(stages(factory, *above), output_gain=2.0, **options)


NETWORKS = {
    "dropout": Progressive(column(flat(half))),
    "batch norm": Progressive(column(flat(norm), Dense(6))),
    "recurrent": Progressive(column(flat(half), LSTM(4))),
    "a user's class": Progressive(ColumnSpec((Dense(4), Custom(Jitter, (5,))), output_gain=2.0)),
    "a column's dropout": Dropout(ColumnSpec((Conv(4, 4, 2), Dense(8)), output_gain=2.0)),
    "modules": PathFinetune(ModularSpec((Custom(flat(half), (5,)), Dense(4)), modules=3, active=2)),
}


def collected(network, config):
    """A rollout as the collector makes it, and the learner that it is for."""
    learner = config.build(network, TASK.spec, CPU)
    policy = config.policy(network, TASK.spec, CPU, torch.Generator().manual_seed(0))
    with Collector(TASK, network, policy, CPU, steps=12, num_envs=6) as collector:
        collector.begin(1)
        for _ in range(3):
            rollout = collector.collect()
        return learner, rollout


STILL = PPO(learning_rate=1e-30, epochs=3, minibatches=3, entropy_cost=0.0)
"""Steps too small to change a weight: every pass is as the first."""


@pytest.mark.parametrize("name", NETWORKS)
def test_the_ratio_is_one_until_a_step_is_taken(name, monkeypatch):
    method = copy.deepcopy(NETWORKS[name])
    network = method.begin_task(TASK.spec)
    network.train()
    assert mode_matters(network)
    learner, rollout = collected(network, STILL)
    metrics = learner.update(rollout, lambda: None)
    assert metrics["kl"].item() == 0.0
    # Against the policy that acted it would be far from one: this is what is put right.
    monkeypatch.setattr(ppo, "mode_matters", lambda network: False)
    assert learner.update(rollout, lambda: None)["kl"].item() > 1e-4


def test_the_reference_is_the_network_before_any_step_of_the_update():
    """After a first real step the ratio leaves one, by as much as the weights moved."""
    network = copy.deepcopy(NETWORKS["dropout"]).begin_task(TASK.spec)
    learner, rollout = collected(network, dataclasses.replace(STILL, learning_rate=0.01))
    assert learner.update(rollout, lambda: None)["kl"].item() > 1e-6


def test_statistics_move_once_a_minibatch_and_by_learning_alone():
    network = copy.deepcopy(NETWORKS["batch norm"]).begin_task(TASK.spec)
    batch_norm = next(m for m in network.modules() if isinstance(m, nn.BatchNorm1d))
    learner, rollout = collected(network, STILL)
    assert batch_norm.num_batches_tracked == 0
    learner.update(rollout, lambda: None)
    assert batch_norm.num_batches_tracked == STILL.epochs * STILL.minibatches


def test_random_numbers_go_on_after_an_update():
    """Repeating the draws of a minibatch repeats none of those that follow."""
    network = copy.deepcopy(NETWORKS["a user's class"]).begin_task(TASK.spec)
    learner, rollout = collected(network, STILL)
    seen = []
    for _ in range(3):
        learner.update(rollout, lambda: None)
        seen.append((torch.rand(()).item(), np.random.rand(), random.random()))  # noqa: NPY002
    assert all(len(set(draws)) == 3 for draws in zip(*seen, strict=True))


def test_what_a_penalty_draws_is_not_what_the_network_draws_next():
    reference = Reference(lambda: torch.rand(3), CPU.device)
    torch.rand(5)
    before = torch.get_rng_state()
    with reference.repeated():
        assert torch.equal(torch.rand(3), reference.log_probs)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", COLUMN_PRESETS)
def test_columns_without_code_compute_alike(name):
    method = Finetune(column_preset(name))
    images = spaces.Box(0, 255, (3, 64, 64), np.uint8)
    seen: spaces.Space = images
    if name.endswith(("both", "proprioception")):
        seen = spaces.Dict({OBSERVATION: images, PROPRIOCEPTION: spaces.Box(-1, 1, (18,))})
    spec = TaskSpec("toy", seen, spaces.Discrete(3), steps=10)
    network = method.begin_task(spec)
    assert not mode_matters(network)


def test_paths_without_code_compute_alike():
    images = spaces.Box(0, 255, (4, 84, 84), np.uint8)
    spec = TaskSpec("toy", images, spaces.Discrete(3), steps=10)
    assert not mode_matters(PathFinetune(atari_modules()).begin_task(spec))


def hooked(module):
    module.register_forward_hook(lambda module, inputs, output: output)
    return module


@pytest.mark.parametrize(
    ("module", "matters"),
    [
        (nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.GELU(), nn.Flatten()), False),
        (nn.Conv2d(3, 4, 3), False),
        (nn.GroupNorm(2, 4), False),
        (nn.LSTM(3, 4), False),
        (nn.GRU(3, 4, num_layers=2, dropout=0.1), True),
        (nn.Dropout(0.1), True),
        (nn.AlphaDropout(0.1), True),
        (nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), True),
        (nn.InstanceNorm1d(3, track_running_stats=True), True),
        (nn.RReLU(), True),
        (nn.TransformerEncoderLayer(4, 2), True),
        (parametrizations.spectral_norm(nn.Linear(3, 4)), True),
        (hooked(nn.Linear(3, 4)), True),
        (Jitter((3,)), True),
        (nn.Dropout(0.1).eval(), False),
    ],
)
def test_which_modules_differ(module, matters):
    assert mode_matters(module) is matters


def test_frozen_parts_always_evaluate():
    """Whoever calls `train`, and whatever else is unfrozen, so that nothing frozen counts."""
    noisy = column(flat(half, norm))
    method = Progressive(lambda task, index: noisy if index == 0 else column_preset("tiny"))
    first = method.begin_task(TASK.spec)
    second = method.begin_task(dataclasses.replace(TASK.spec, id="second"))
    for network in (first, second, method.network, copy.deepcopy(method.network)):
        network.train()
        old = network.columns[0]
        assert not any(m.training for stage in old.stages for m in stage.modules())
        assert not mode_matters(network)
    with evaluation(second):
        pass
    assert not any(m.training for stage in second.columns[0].stages for m in stage.modules())
    features = OutputOnly(noisy)
    features.begin_task(TASK.spec)
    network = features.begin_task(dataclasses.replace(TASK.spec, id="second"))
    network.train()
    assert not mode_matters(network)
    network.eval()
    network.unfreeze()  # lets it learn; it does not say that it learns now
    assert not any(m.training for m in network.modules())
    network.train()
    assert mode_matters(network)


def arms(steps, envs, actions, rewards, log_probs):
    """A rollout of one-step episodes of a two-armed bandit."""
    ended = torch.ones(steps, envs, dtype=torch.bool)
    return Rollout(
        inputs={"observation": torch.ones(steps, envs, 1)},
        actions=actions.unsqueeze(-1),
        rewards=rewards,
        terminated=ended,
        truncated=~ended,
        starts=ended,
        log_probs=log_probs,
        values=torch.zeros(steps, envs),
        final_values=torch.zeros(steps, envs),
        last_value=torch.zeros(envs),
        state={},
    )


BANDIT = TaskSpec("arms", spaces.Box(0, 1, (1,)), spaces.Discrete(2), steps=10**6)


def preference(config, steps, envs=1, updates=20):
    """Probability of the arm that pays 1, not 0, after some updates."""
    network = Finetune(ColumnSpec((Dense(8),), activation="tanh")).begin_task(BANDIT)
    learner = config.build(network, BANDIT, CPU)

    def policy():
        output = network({"observation": torch.ones(1, 1)})[0][0]
        return output[:2].log_softmax(-1).detach()

    for _ in range(updates):
        log_policy = policy()
        actions = torch.multinomial(log_policy.exp(), steps * envs, replacement=True)
        actions = actions.view(steps, envs)
        rollout = arms(steps, envs, actions, (actions == 1).float(), log_policy[actions])
        learner.update(rollout, lambda: None)
    return policy()[1].exp().item()


@pytest.mark.parametrize(("steps", "minibatches"), [(8, 8), (8, 5), (8, 2), (1, 1)])
def test_ppo_learns_whatever_the_size_of_its_minibatches(steps, minibatches):
    config = PPO(learning_rate=0.03, rollout_steps=steps, minibatches=minibatches, anneal=False)
    assert preference(config, steps) > 0.9


def test_a_single_step_is_normalised_over_the_rollout():
    advantages = torch.tensor([[1.0], [2.0], [6.0]])[None]  # [W, T, N]
    deviation = np.std([1, 2, 6], ddof=1)
    for value, expected in zip(
        ppo._normalised(advantages.split(1, 1), advantages),
        (advantages[0] - 3) / deviation,
        strict=True,
    ):
        torch.testing.assert_close(value, expected.view(1, 1, 1).float())
    pair, single = ppo._normalised(advantages.split(2, 1), advantages)
    expected = torch.tensor([[[-0.5], [0.5]]]) / np.std([1, 2], ddof=1)
    torch.testing.assert_close(pair, expected)
    assert single.item() == pytest.approx(3 / deviation)
    assert ppo._normalised([advantages[:, 2:]], advantages[:, 2:])[0].item() == 6
