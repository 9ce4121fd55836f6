"""Gradients of PPO and A2C, written out, against autograd's of their losses."""

import itertools

import pytest
import torch
from torch import nn

from colonnade.learners import A2C, PPO, Compute
from colonnade.learners.acting.policies import advantages_of
from colonnade.learners.descent.backward import Pass
from colonnade.learners.ppo import Minibatch
from colonnade.ops import DiagonalGaussian, MultiCategorical
from colonnade.types import Rollout

CPU = Compute(torch.device("cpu"))
T, N = 6, 4


class Layer(nn.Module):
    """A network whose output is a parameter."""

    def __init__(self, output):
        super().__init__()
        self.output = nn.Parameter(output)

    def unroll(self, inputs, state, starts):
        return self.output * 1.0, state


class Spec:
    """What a task says of its actions."""

    def __init__(self, sizes):
        self.action_sizes = sizes
        self.actions = type("Actions", (), {"continuous": not sizes})


def objective(config, policy, values, minibatch):
    """Schulman et al. 2017, Eq. 7 and 9, with signs turned."""
    ratio = (policy.log_prob(minibatch.actions) - minibatch.log_probs).exp()
    clipped = ratio.clamp(1 - config.clip, 1 + config.clip)
    a = minibatch.advantages
    gain = torch.min(ratio * a, clipped * a).mean()
    error = (values - minibatch.targets).square().mean()
    return -gain + config.value_cost * error - config.entropy_cost * policy.entropy().mean()


@pytest.mark.parametrize("sizes", [(), (3,), (4, 4), (3, 5, 2)])
@pytest.mark.parametrize("entropy_cost", [0.0, 0.3])
@pytest.mark.parametrize("held", [False, True])
def test_the_gradient_is_that_of_the_clipped_objective(sizes, entropy_cost, held):
    torch.manual_seed(len(sizes))
    config = PPO(clip=0.2, entropy_cost=entropy_cost, value_cost=0.7)
    output = torch.randn(T, N, (sum(sizes) or 4) + 1)
    if sizes:
        output[0, 0, 1] = -torch.inf  # a masked choice
        drawn = [torch.randint(0, size, (T, N)) for size in sizes]
        actions = torch.stack(drawn, -1)
        output[0, 1, 1] = -torch.inf  # which is taken all the same
        actions[0, :2, 0] = torch.tensor([0, 1])
    else:
        output[0, :, 2] = -7.0  # beyond the narrowest width, and beyond the widest
        output[1, :, 3] = 3.0
        actions = output[..., :2] + torch.randn(T, N, 2) * output[..., 2:4].clamp(-5, 2).exp()
    network = Layer(output)

    def parted():
        policy = network.output[..., :-1]
        kind = MultiCategorical(policy, sizes) if sizes else DiagonalGaussian(policy)
        return kind, network.output[..., -1]

    policy, values = parted()
    before = policy.log_prob(actions).detach() + 0.3 * torch.randn(T, N)  # some are clipped
    minibatch = Minibatch(
        {}, {}, torch.zeros(T, N), actions, before, torch.randn(T, N), torch.randn(T, N), None
    )
    penalty = (lambda: 0.1 * network.output[..., -1].square().sum()) if held else lambda: None
    judged, kept = config.differentiate(Pass(network, CPU), minibatch, Spec(sizes), penalty)
    metrics = config.losses([judged, judged], Spec(sizes))
    gradient, network.output.grad = network.output.grad, None
    loss = objective(config, policy, values, minibatch)
    (loss + penalty() if held else loss).backward()
    torch.testing.assert_close(gradient, network.output.grad, rtol=1e-6, atol=1e-7)
    parts = metrics["policy_loss"] + config.value_cost * metrics["value_loss"]
    torch.testing.assert_close(parts - entropy_cost * metrics["entropy"], loss.detach())
    assert (kept is not None) == held


@pytest.mark.parametrize("sizes", [(), (3,), (3, 5, 2)])
@pytest.mark.parametrize("entropy_cost", [0.0, 0.3])
@pytest.mark.parametrize("held", [False, True])
def test_the_gradient_is_that_of_an_actor_critic(sizes, entropy_cost, held):
    torch.manual_seed(len(sizes))
    config = A2C(gamma=0.9, entropy_cost=entropy_cost, value_cost=0.7)
    network = Layer(torch.randn(T, N, (sum(sizes) or 4) + 1))
    drawn = [torch.randint(0, size, (T, N)) for size in sizes]
    nothing = torch.zeros(T, N, dtype=torch.bool)
    rollout = Rollout(
        inputs={},
        actions=torch.stack(drawn, -1) if sizes else torch.randn(T, N, 2),
        rewards=torch.randn(T, N),
        terminated=torch.rand(T, N) < 0.2,
        truncated=nothing,
        starts=nothing,
        log_probs=torch.zeros(T, N),
        values=torch.randn(T, N),
        final_values=torch.zeros(T, N),
        last_value=torch.randn(N),
        state={},
    )
    penalty = (lambda: 0.1 * network.output[..., -1].square().sum()) if held else lambda: None
    metrics = config.differentiate(Pass(network, CPU), rollout, Spec(sizes), penalty)
    gradient, network.output.grad = network.output.grad, None
    by = network.output[..., :-1]
    policy = MultiCategorical(by, sizes) if sizes else DiagonalGaussian(by)
    advantages = advantages_of(rollout, 0.9, 1.0)
    error = advantages + rollout.values - network.output[..., -1]
    parts = {
        "policy_loss": -(policy.log_prob(rollout.actions) * advantages).mean(),
        "value_loss": error.square().mean(),
        "entropy": policy.entropy().mean(),
    }
    loss = parts["policy_loss"] + 0.7 * parts["value_loss"] - entropy_cost * parts["entropy"]
    if held:
        parts["penalty"] = penalty()
        loss = loss + parts["penalty"]
    (T * loss).backward()
    torch.testing.assert_close(gradient, network.output.grad, rtol=1e-6, atol=1e-7)
    assert set(metrics) == set(parts)
    for name, value in parts.items():
        torch.testing.assert_close(metrics[name], value.detach())


@pytest.mark.parametrize(("steps", "recurrent"), [(8, False), (7, False), (4, True)])
def test_minibatches_are_what_plain_indexing_gives(steps, recurrent):
    torch.manual_seed(0)
    config = PPO(minibatches=3, epochs=2)

    def drawn(*shape):
        return torch.randn(steps, 6, *shape)

    rollout = Rollout(
        inputs={"observation": drawn(3)},
        actions=drawn(2),
        rewards=drawn(),
        terminated=drawn() > 1,
        truncated=drawn() > 1,
        starts=drawn() > 1,
        log_probs=drawn(),
        values=drawn(),
        final_values=drawn(),
        last_value=torch.randn(6),
        state={"h": torch.randn(6, 4)} if recurrent else {},
    )
    axis = int(recurrent)
    orders = config.orders(rollout.rewards.shape[axis])
    advantages = torch.randn(2, steps, 6)  # of two workers
    made = config.split(
        nn.Identity(), rollout, orders, Spec(()), CPU, advantages=advantages, worker=1
    )
    indices = [index for order in orders for index in order.tensor_split(3)]
    for part, index in itertools.zip_longest(made, indices):
        pick = (slice(None), index) if recurrent else (index,)
        both = advantages[(slice(None), *pick)]
        expected = (both[1] - both.mean()) / (both.std() + 1e-8)
        torch.testing.assert_close(part.advantages, expected)
        torch.testing.assert_close(part.targets, (advantages[1] + rollout.values)[pick])
        assert part.actions.equal(rollout.actions[pick])
        assert part.log_probs.equal(rollout.log_probs[pick])
        assert part.starts.equal(rollout.starts[pick])
        assert part.inputs["observation"].equal(rollout.inputs["observation"][pick])
        assert not recurrent or part.state["h"].equal(rollout.state["h"][index])
