"""How networks whose output is a distribution act: actor-critics, and classifiers."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from colonnade.learners.compute import Compute
from colonnade.learners.trainer import Acting, Decision, Policy
from colonnade.ops import DiagonalGaussian, MultiCategorical, gae
from colonnade.types import Inputs, Network, Rollout, State, TaskSpec

PolicyDistribution = MultiCategorical | DiagonalGaussian
"""Of choices, or of numbers."""


class _Sampling(ABC):
    """Acts by what the output means: samples of it, or its mode."""

    def outputs(self, spec: TaskSpec) -> int:
        """Say how wide a network's output must be."""
        return spec.outputs

    @abstractmethod
    def likelihood(self, output: Tensor, spec: TaskSpec) -> PolicyDistribution:
        """Return what an output [..., outputs] means, in float32."""

    def values(self, output: Tensor) -> Tensor:
        """Return what an output [..., outputs] says of a state's value [...]: nothing, 0."""
        return torch.zeros_like(output[..., 0])

    def policy(
        self,
        network: Network,
        spec: TaskSpec,
        compute: Compute,
        generator: torch.Generator,
        greedy: bool = False,
    ) -> Policy:
        """Make the policy that samples, or takes the mode of, what a network's output means."""

        @torch.no_grad()
        def decide(inputs: Inputs, state: State) -> Decision:
            with compute.autocast():
                output, state = network(inputs, state)
            policy = self.likelihood(output, spec)
            actions = policy.mode() if greedy else policy.sample(generator)
            return Decision(actions, policy.log_prob(actions), self.values(output), state)

        return decide


class ActorCritic(_Sampling):
    """What makes a policy, logits or means and widths, and one value."""

    def likelihood(self, output: Tensor, spec: TaskSpec) -> PolicyDistribution:
        """Return the policy that an output [..., outputs] means."""
        return _meant(output[..., :-1].float(), spec)

    def values(self, output: Tensor) -> Tensor:
        """Return the value [...] that ends an output [..., outputs]."""
        return output[..., -1].float()

    def unroll(
        self, network: Network, rollout: Rollout, spec: TaskSpec, compute: Compute
    ) -> tuple[PolicyDistribution, Tensor]:
        """Run a network over a rollout: its policy, and its values [T, N]."""
        with compute.autocast():
            output = rollout.outputs(network)
        return self.parted(output.float(), spec)

    def parted(self, output: Tensor, spec: TaskSpec) -> tuple[PolicyDistribution, Tensor]:
        """Return the policy and the values [...] that an output [..., outputs] means."""
        # Taken apart at once, whose gradient is put together at once.
        policy, value = output.split([output.shape[-1] - 1, 1], -1)
        return _meant(policy, spec), value.squeeze(-1)


def _meant(policy: Tensor, spec: TaskSpec) -> PolicyDistribution:
    """Return the policy that the logits, or the means and widths, of an output mean."""
    if spec.actions.continuous:
        return DiagonalGaussian(policy)
    return MultiCategorical(policy, spec.action_sizes)


class Classifier(_Sampling):
    """Logits of labels, those of all heads one after another."""

    def likelihood(self, output: Tensor, spec: TaskSpec) -> MultiCategorical:
        """Return the distribution over a task's labels that an output [..., outputs] means.

        Where tasks have heads of their own, the other heads' logits say nothing; nor do those of
        labels that came with later tasks.
        """
        sizes = spec.action_sizes
        first = sum(spec.head_widths[: spec.head])
        return MultiCategorical(output.narrow(-1, first, sum(sizes)).float(), sizes)


def usual_acting(spec: TaskSpec) -> Acting:
    """Take a network of no known learner for an actor-critic; for a data set, for a classifier."""
    return Classifier() if spec.labelled else ActorCritic()


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
