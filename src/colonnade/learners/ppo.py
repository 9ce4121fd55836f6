"""Proximal policy optimisation (Schulman et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from colonnade.checks import ABOVE_0, AT_LEAST_1, check_fields
from colonnade.errors import UsageError
from colonnade.learners.acting.policies import ActorCritic, advantages_of
from colonnade.learners.acting.recent import RecentSteps
from colonnade.learners.compute import Compute
from colonnade.learners.descent.optimisation import Optimisation, trainable
from colonnade.learners.descent.reference import Reference, statistics_kept
from colonnade.learners.hyperparameters import COMMON
from colonnade.learners.on_policy import OnPolicyTrainer, recent_steps
from colonnade.learners.trainer import Lesson
from colonnade.networks import mode_matters
from colonnade.types import Metrics, Network, Penalty, Rollout, TaskSpec
from colonnade.watching import beat


@dataclass(frozen=True)
class PPO(ActorCritic):
    """Hyperparameters of PPO; the defaults suit Atari with 16 environments."""

    learning_rate: float = 7e-4
    """Step size of Adam at the start; annealed linearly to zero over the task's budget."""
    entropy_cost: float = 1e-2
    """Weight of the policy's entropy (nats), added to the objective."""
    value_cost: float = 0.5
    """Weight of the squared error of the value."""
    gamma: float = 0.99
    """Discount factor."""
    lam: float = 0.95
    """Decay of generalised advantage estimation."""
    rollout_steps: int = 128
    """Steps in every environment between updates."""
    epochs: int = 3
    """Passes over each rollout."""
    minibatches: int = 4
    """Parts a rollout is split into, by time (feed-forward) or by environment (recurrent).
    Advantages are normalised over each part; over the rollout where a part is a single step."""
    clip: float = 0.1
    """Largest change of the probability ratio from one that is still rewarded."""
    clip_norm: float = 0.5
    """Largest norm of the gradient of the mean loss."""
    epsilon: float = 1e-5
    """Added to Adam's root mean square."""
    anneal: bool = True
    """Whether the learning rate falls linearly to zero."""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        own = {"epochs": AT_LEAST_1, "minibatches": AT_LEAST_1, "clip": ABOVE_0}
        check_fields(self, COMMON | own)

    def build(self, network: Network, spec: TaskSpec, compute: Compute) -> PPOLearner:
        """Make a learner for one task over the network's parameters that require gradients."""
        return PPOLearner(self, network, spec, compute)

    def memory(self, lesson: Lesson) -> RecentSteps | None:
        """Keep the last steps, where nobody says when tasks change."""
        return recent_steps(lesson)

    def trainer(self, lesson: Lesson) -> OnPolicyTrainer:
        """Make the environments of a task and a learner, and join them."""
        learner = self.build(lesson.network, lesson.spec, lesson.compute)
        return OnPolicyTrainer(self, lesson, learner)


class PPOLearner:
    """Trains an actor-critic network, several passes over each rollout."""

    def __init__(self, config: PPO, network: Network, spec: TaskSpec, compute: Compute) -> None:
        """Set up Adam."""
        self._config = config
        self._network = network
        self._spec = spec
        self._compute = compute
        self.optimisation = Optimisation(
            torch.optim.Adam(
                trainable(network), lr=config.learning_rate, eps=config.epsilon, fused=True
            ),
            budget=spec.steps if config.anneal else None,
        )

    def update(self, rollout: Rollout, penalty: Penalty) -> Metrics:
        """Take `epochs` x `minibatches` gradient steps (Schulman et al. 2017, Eq. 7 and 9).

        Minibatches are drawn over time where steps are independent, and over environments, whose
        steps then stay in order, where the network is recurrent.

        Advantages are normalised over the minibatch; where that is a single step, over the rollout,
        since less its own mean it would be zero.

        Returns:
            The parts of the loss and the gradient's norm, averaged over minibatches.
        """
        config, descent = self._config, self.optimisation
        descent.anneal(rollout.steps)
        every = advantages_of(rollout, config.gamma, config.lam)
        axis = 1 if rollout.recurrent else 0
        minibatches = [
            index for _ in range(config.epochs) for index in self._minibatches(rollout, axis)
        ]
        references = self._references(rollout, minibatches, axis)
        total: Metrics = {}
        for index, reference in zip(minibatches, references, strict=True):
            beat()
            part = _part(rollout, index, axis)
            own = every.index_select(axis, index)
            targets, advantages = own + part.values, _normalised(own, every)
            with nullcontext() if reference is None else reference.repeated():
                policy, values = config.unroll(self._network, part, self._spec, self._compute)
            # On the first minibatch the network is still the one that acted: the ratio is one.
            before = part.log_probs if reference is None else reference.log_probs
            log_ratio = policy.log_prob(part.actions) - before
            ratio = log_ratio.exp()
            clipped = ratio.clamp(1 - config.clip, 1 + config.clip)
            policy_loss = -torch.min(ratio * advantages, clipped * advantages).mean()
            value_loss = (targets - values).square().mean()
            entropy = policy.entropy().mean()
            loss = policy_loss + config.value_cost * value_loss - config.entropy_cost * entropy
            metrics = {} if (held := penalty()) is None else {"penalty": held.detach()}
            descent.optimizer.zero_grad()
            (loss if held is None else loss + held).backward()
            metrics |= {
                "policy_loss": policy_loss.detach(),
                "value_loss": value_loss.detach(),
                "entropy": entropy.detach(),
                "gradient_norm": clip_grad_norm_(descent.parameters, config.clip_norm),
                "kl": (ratio - 1 - log_ratio).mean().detach(),
            }
            descent.optimizer.step()
            total = {name: total.get(name, 0) + value for name, value in metrics.items()}
        return {name: value / len(minibatches) for name, value in total.items()}

    def _references(
        self, rollout: Rollout, minibatches: Sequence[Tensor], axis: int
    ) -> Sequence[Reference | None]:
        """Evaluate all minibatches before any step, where training mode changes the policy.

        Elsewhere the log-probabilities of the policy that acted serve as they are.
        """
        network = self._network
        if not isinstance(network, nn.Module) or not mode_matters(network):
            return [None] * len(minibatches)

        def evaluate(index: Tensor) -> Tensor:
            part = _part(rollout, index, axis)
            policy, _ = self._config.unroll(network, part, self._spec, self._compute)
            return policy.log_prob(part.actions)

        with statistics_kept(network):
            return [
                Reference(partial(evaluate, index), self._compute.device) for index in minibatches
            ]

    def _minibatches(self, rollout: Rollout, axis: int) -> tuple[Tensor, ...]:
        size = rollout.rewards.shape[axis]
        if size < self._config.minibatches:
            what = "environments" if axis else "steps a rollout"
            raise UsageError(
                f"PPO can't split {size} {what} into {self._config.minibatches} minibatches; "
                f"use fewer minibatches or more {what}."
            )
        order = torch.randperm(size).to(rollout.rewards.device)
        return order.tensor_split(self._config.minibatches)


def _part(rollout: Rollout, index: Tensor, axis: int) -> Rollout:
    return rollout.of_environments(index) if axis else rollout.at_times(index)


def _normalised(advantages: Tensor, rollout: Tensor) -> Tensor:
    """Bring a minibatch's advantages to mean 0 and deviation 1; a single one by the rollout's.

    A rollout of a single step has no scale to take: its advantage stays as it is.
    """
    over = advantages if advantages.numel() > 1 else rollout
    if over.numel() == 1:
        return advantages
    return (advantages - over.mean()) / (over.std() + 1e-8)
