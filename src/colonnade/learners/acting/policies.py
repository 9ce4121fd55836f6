"""How networks whose output is a distribution act: actor-critics, and classifiers."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from colonnade.errors import UsageError
from colonnade.learners.compute import Compute
from colonnade.learners.trainer import Acted, Acting, Decision, Policy
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
        return _SampledPolicy(self, network, spec, compute, generator, greedy)


class _SampledPolicy:
    """Acts by samples, or the mode, of what a network's output means; see `Deferring`."""

    def __init__(
        self,
        meaning: _Sampling,
        network: Network,
        spec: TaskSpec,
        compute: Compute,
        generator: torch.Generator,
        greedy: bool,
    ) -> None:
        self._meaning, self._network, self._spec = meaning, network, spec
        self._compute, self._generator, self._greedy = compute, generator, greedy

    def act(self, inputs: Inputs, state: State) -> Acted:
        with self._compute.autocast():
            output, state = self._network(inputs, state)
        policy = self._meaning.likelihood(output, self._spec)
        actions = policy.mode() if self._greedy else policy.sample(self._generator)
        return Acted(actions, output, state)

    def judge(self, output: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        policy = self._meaning.likelihood(output, self._spec)
        return policy.log_prob(actions), self._meaning.values(output)

    @torch.no_grad()
    def __call__(self, inputs: Inputs, state: State) -> Decision:
        acted = self.act(inputs, state)
        return Decision(acted.actions, *self.judge(acted.output, acted.actions), acted.state)


class AtOnce:
    """Makes a `Deferring` policy of one that judges at once.

    Args:
        policy: The policy.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def __call__(self, inputs: Inputs, state: State) -> Decision:
        """Act and judge."""
        return self._policy(inputs, state)

    def act(self, inputs: Inputs, state: State) -> Acted:
        """Act; the output is what was judged."""
        decided = self._policy(inputs, state)
        judged = torch.stack([decided.log_probs, decided.values], -1)
        return Acted(decided.actions.clone(), judged, decided.state)

    def judge(self, output: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Return what was judged."""
        log_probs, values = output.unbind(-1)
        return log_probs, values


class ActorCritic(_Sampling):
    """What makes a policy, logits or means and widths, and one value."""

    def __init_subclass__(cls) -> None:
        """Refuse a loss of one's own under its old name, which nothing would call."""
        super().__init_subclass__()
        if "loss" in vars(cls):
            raise UsageError(
                f"{cls.__name__} has a method 'loss', which is not called; override "
                "'differentiate', which sets the gradient of the loss."
            )

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
        policy, value = torch.split_with_sizes(output, [output.shape[-1] - 1, 1], -1)
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
