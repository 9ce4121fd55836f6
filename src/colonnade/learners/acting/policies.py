"""What the actor-critic learners share: acting with a network, and running it over a rollout."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from colonnade.learners.compute import Compute
from colonnade.ops import MultiCategorical, gae
from colonnade.types import Inputs, Network, Rollout, State


class Decision(NamedTuple):
    """What a policy does at one step of N environments."""

    actions: Tensor
    """[N, A] int64."""
    log_probs: Tensor
    """[N]."""
    values: Tensor
    """[N]."""
    state: State


Policy = Callable[[Inputs, State], Decision]


def policy_of(output: Tensor, sizes: tuple[int, ...]) -> MultiCategorical:
    """Read the policy off an actor-critic's output [..., outputs], whose last entry is the value.

    Args:
        output: In any precision; the policy is float32.
        sizes: Number of choices of each action component.
    """
    return MultiCategorical(output[..., :-1].float(), sizes)


def actor_critic_policy(
    network: Network,
    sizes: tuple[int, ...],
    compute: Compute,
    generator: torch.Generator,
    greedy: bool = False,
) -> Policy:
    """Make the policy that samples (or takes the mode of) an actor-critic network's output."""

    @torch.no_grad()
    def decide(inputs: Inputs, state: State) -> Decision:
        with compute.autocast():
            output, state = network(inputs, state)
        policy = policy_of(output, sizes)
        actions = policy.mode() if greedy else policy.sample(generator)
        return Decision(actions, policy.log_prob(actions), output[..., -1].float(), state)

    return decide


def evaluate_rollout(
    network: Network, rollout: Rollout, sizes: tuple[int, ...], compute: Compute
) -> tuple[MultiCategorical, Tensor]:
    """Run the present network over a rollout: its policy, and its values [T, N]."""
    with compute.autocast():
        output = rollout.outputs(network)
    return policy_of(output, sizes), output[..., -1].float()


def advantages_of(rollout: Rollout, gamma: float, lam: float) -> Tensor:
    """Generalised advantage estimates [T, N] of a rollout, by the values it was collected with."""
    return gae(
        rollout.rewards,
        rollout.values,
        rollout.terminated,
        rollout.truncated,
        rollout.final_values,
        rollout.last_value,
        gamma=gamma,
        lam=lam,
    )
