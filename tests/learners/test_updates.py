"""One update of each learner against the same step written out slowly."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from colonnade.errors import UsageError
from colonnade.learners import A2C, PPO, Compute, Lesson, learner_from_name, ppo
from colonnade.methods import Finetune, Scratch
from colonnade.networks import LSTM, ColumnSpec, Conv, Dense
from colonnade.tasks import MiniPongTask
from colonnade.training import TrainingOptions, train_sequence
from colonnade.types import Rollout, TaskSpec

CPU = Compute(torch.device("cpu"))
STEPS, ENVS, GAMMA = 4, 3, 0.9
SPEC = TaskSpec(
    "toy", spaces.Box(-1, 1, (2,), np.float32), spaces.Discrete(3), steps=STEPS * ENVS * 10
)


class Linear(nn.Module):
    """A linear actor-critic."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 4)

    def initial_state(self, batch):
        return {}

    def precompute(self, inputs, state):
        return inputs, state

    def forward(self, inputs, state=None):
        return self.layer(inputs["observation"]), {}

    def unroll(self, inputs, state, starts):
        return self.forward(inputs)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Linear()


@pytest.fixture
def rollout(network):
    torch.manual_seed(1)
    x = torch.randn(STEPS, ENVS, 2)
    output = network.layer(x).detach()
    actions = torch.randint(3, (STEPS, ENVS, 1))
    ends = torch.rand(STEPS, ENVS)
    return Rollout(
        inputs={"observation": x},
        actions=actions,
        rewards=torch.randn(STEPS, ENVS),
        terminated=ends < 0.2,
        truncated=(ends > 0.2) & (ends < 0.4),
        starts=torch.zeros(STEPS, ENVS, dtype=torch.bool),
        log_probs=output[..., :3].log_softmax(-1).gather(-1, actions)[..., 0],
        values=output[..., 3],
        final_values=torch.randn(STEPS, ENVS),
        last_value=torch.randn(ENVS),
        state={},
    )


def walk(r, t, n):
    """The discounted return from step t of environment n, walking forward."""
    total, discount = 0.0, 1.0
    for s in range(t, STEPS):
        total += discount * r.rewards[s, n].item()
        discount *= GAMMA
        if r.terminated[s, n]:
            return total
        if r.truncated[s, n]:
            return total + discount * r.final_values[s, n].item()
    return total + discount * r.last_value[n].item()


def test_a2c_takes_the_step_of_the_paper(network, rollout):
    config = A2C(gamma=GAMMA, clip_norm=0.5, epsilon=0.01, entropy_cost=0.3)
    by_hand = copy.deepcopy(network)
    losses = []
    for n in range(ENVS):
        for t in range(STEPS):
            output = by_hand.layer(rollout.inputs["observation"][t, n])
            log_policy = output[:3].log_softmax(-1)
            target = walk(rollout, t, n)
            advantage = target - output[3].item()
            entropy = -(log_policy.exp() * log_policy).sum()
            losses.append(
                -log_policy[rollout.actions[t, n, 0]] * advantage
                + config.value_cost * (target - output[3]) ** 2
                - config.entropy_cost * entropy
            )
    (sum(losses) / ENVS).backward()
    gradients = [p.grad for p in by_hand.parameters()]
    norm = torch.sqrt(sum(g.square().sum() for g in gradients))
    assert norm > config.clip_norm  # so that clipping is put to the test
    metrics = A2C.build(config, network, SPEC, CPU).update(rollout, lambda: None)
    assert metrics["gradient_norm"].item() == pytest.approx(norm.item(), rel=1e-5)
    for p, q, g in zip(network.parameters(), by_hand.parameters(), gradients, strict=True):
        g = g * config.clip_norm / norm
        mean_square = (1 - config.decay) * g.square()
        step = config.learning_rate * g / (mean_square + config.epsilon).sqrt()
        torch.testing.assert_close(p, q - step, rtol=1e-4, atol=1e-7)


def test_ppo_first_gradient_is_that_of_the_clipped_objective(network, rollout, monkeypatch):
    # This file's network is of a class unknown to Colonnade, which would not trust the rollout's.
    monkeypatch.setattr(ppo, "mode_matters", lambda network: False)
    config = PPO(gamma=GAMMA, epochs=1, minibatches=1, clip_norm=1e9, lam=1.0)
    # Move the acting policy away, so that some ratios are clipped and some are not.
    rollout.log_probs = rollout.log_probs + 0.2 * torch.randn(STEPS, ENVS)
    by_hand = copy.deepcopy(network)
    targets = torch.tensor([[walk(rollout, t, n) for n in range(ENVS)] for t in range(STEPS)])
    advantages = targets - rollout.values
    advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    losses = []
    for t in range(STEPS):
        for n in range(ENVS):
            output = by_hand.layer(rollout.inputs["observation"][t, n])
            log_policy = output[:3].log_softmax(-1)
            ratio = (log_policy[rollout.actions[t, n, 0]] - rollout.log_probs[t, n]).exp()
            a = advantages[t, n]
            gain = ratio * a
            if (a > 0 and ratio > 1 + config.clip) or (a < 0 and ratio < 1 - config.clip):
                gain = ratio.detach() * a  # clipped: no gradient
            entropy = -(log_policy.exp() * log_policy).sum()
            error = (targets[t, n] - output[3]) ** 2
            losses.append(-gain + config.value_cost * error - config.entropy_cost * entropy)
    (sum(losses) / len(losses)).backward()
    config.build(network, SPEC, CPU).update(rollout, lambda: None)
    for p, q in zip(network.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-4, atol=1e-6)


def test_ppo_ratio_is_one_on_the_first_pass(network, rollout):
    config = PPO(epochs=1, minibatches=1)
    metrics = config.build(network, SPEC, CPU).update(rollout, lambda: None)
    assert metrics["kl"].item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("config", [A2C(), PPO(minibatches=2)])
def test_penalty_is_added_to_the_loss(config, network, rollout):
    plain, held = copy.deepcopy(network), copy.deepcopy(network)
    config = dataclasses.replace(config, clip_norm=1e9)
    config.build(plain, SPEC, CPU).update(rollout, lambda: None)
    strong = lambda: 1e6 * held.layer.bias.square().sum()  # noqa: E731
    config.build(held, SPEC, CPU).update(rollout, strong)
    moved = held.layer.bias - network.layer.bias
    assert torch.equal(moved.sign(), -network.layer.bias.sign())
    assert not torch.equal(plain.layer.bias, held.layer.bias)


@pytest.mark.parametrize("config", [A2C(), PPO(minibatches=2)])
def test_learning_rate_falls_to_zero_over_the_budget(config, network, rollout):
    learner = config.build(network, SPEC, CPU)
    rates = []
    for _ in range(11):
        learner.update(rollout, lambda: None)
        rates.append(learner.optimisation.optimizer.param_groups[0]["lr"])
    expected = [config.learning_rate * max(0, 1 - i / 10) for i in range(11)]
    assert rates == pytest.approx(expected)


@pytest.mark.parametrize("config", [A2C(), PPO(minibatches=2)])
def test_saved_and_restored_learner_takes_the_same_steps(config, network, rollout):
    learner = config.build(network, SPEC, CPU)
    learner.update(rollout, lambda: None)
    twin = copy.deepcopy(network)
    other = config.build(twin, SPEC, CPU)
    tensors, meta = learner.optimisation.state()
    other.optimisation.load_state({k: v.clone() for k, v in tensors.items()}, dict(meta))
    for each in (learner, other):
        torch.manual_seed(5)
        each.update(rollout, lambda: None)
    for p, q in zip(network.parameters(), twin.parameters(), strict=True):
        assert torch.equal(p, q)


@pytest.mark.parametrize("config", [A2C(), PPO(minibatches=1)], ids=["a2c", "ppo"])
def test_likelihood_is_that_of_the_policy_that_acted(config, network, rollout):
    log_probs = config.likelihood(rollout.outputs(network), SPEC).log_prob(rollout.actions)
    torch.testing.assert_close(log_probs.detach(), rollout.log_probs)
    assert log_probs.requires_grad


def test_a_task_without_environments_is_refused(network):
    class Labels:
        spec = SPEC

    with pytest.raises(UsageError, match="no environments to act in"):
        A2C().trainer(Lesson(Labels(), network, lambda: None, CPU))


def test_frozen_network_is_refused(network):
    network.requires_grad_(False)
    with pytest.raises(UsageError, match="nothing to learn"):
        A2C().build(network, SPEC, CPU)


def test_too_many_minibatches_are_refused(network, rollout):
    with pytest.raises(UsageError, match="can't split 4 steps a rollout into 5"):
        PPO(minibatches=5).build(network, SPEC, CPU).update(rollout, lambda: None)


def test_too_few_environments_are_refused_before_any_is_made(monkeypatch):
    monkeypatch.setattr(MiniPongTask, "make_vec", None)
    column = ColumnSpec((Dense(8), LSTM(4)))
    options = TrainingOptions(num_envs=3)
    with pytest.raises(UsageError, match="can't split 3 environments into 4"):
        train_sequence([MiniPongTask("pong", steps=100)], Scratch(column), PPO(), options=options)


def test_names_and_options():
    assert learner_from_name("a2c", learning_rate=0.1) == A2C(learning_rate=0.1)
    with pytest.raises(UsageError, match="did you mean 'ppo'"):
        learner_from_name("pop")
    with pytest.raises(UsageError, match="did you mean 'learning_rate'"):
        learner_from_name("ppo", learning_rat=0.1)
    with pytest.raises(UsageError, match=r"epochs of PPO must be a whole number; got 1\.5"):
        learner_from_name("ppo", epochs=1.5)


@pytest.mark.parametrize(
    ("make", "option", "value"),
    [
        (A2C, "rollout_steps", 0),
        (A2C, "gamma", 2.0),
        (A2C, "learning_rate", -1e-3),
        (A2C, "learning_rate", float("nan")),
        (PPO, "minibatches", 0),
        (PPO, "epochs", 0),
        (PPO, "clip", -0.2),
    ],
)
def test_hyperparameters_out_of_range_are_refused(make, option, value):
    with pytest.raises(UsageError, match=f"{option} of {make.__name__} must be a (whole )?number"):
        make(**{option: value})


def test_ppo_learns_from_minibatches_of_one_step():
    options = TrainingOptions(num_envs=1, device="cpu")
    config = PPO(rollout_steps=4, minibatches=4, epochs=1)
    method = Finetune(ColumnSpec((Conv(4, 4, 2), Dense(8))))
    train_sequence([MiniPongTask("pong", steps=16)], method, config, options=options)
    assert all(p.isfinite().all() for p in method.network.parameters())
