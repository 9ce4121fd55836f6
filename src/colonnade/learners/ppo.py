"""Proximal policy optimisation (Schulman et al. 2017)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from colonnade.checks import ABOVE_0, AT_LEAST_1, check_fields
from colonnade.errors import UsageError
from colonnade.learners.acting.policies import ActorCritic, advantages_of
from colonnade.learners.acting.recent import RecentSteps
from colonnade.learners.compute import Compute
from colonnade.learners.descent.backward import Pass
from colonnade.learners.descent.optimisation import Optimisation, clip_gradient, trainable
from colonnade.learners.descent.reference import Reference, statistics_kept
from colonnade.learners.hyperparameters import COMMON
from colonnade.learners.on_policy import OnPolicyTrainer, recent_steps
from colonnade.learners.processes.epochs import EpochsTrainer
from colonnade.learners.processes.trainer import unwatched
from colonnade.learners.trainer import Lesson, Trainer
from colonnade.memory_layout import take
from colonnade.networks import mode_matters
from colonnade.ops.scalars import scalar
from colonnade.types import Inputs, Metrics, Network, Penalty, Rollout, State, TaskSpec
from colonnade.watching import beat


class Judged(NamedTuple):
    """A network's output [T, N, outputs] before a step, and what it is compared with there.

    See `Minibatch` for the others.
    """

    output: Tensor
    actions: Tensor
    log_probs: Tensor
    advantages: Tensor
    targets: Tensor


class Minibatch(NamedTuple):
    """Part of a rollout, and what the network is compared with there, each [T, N, ...].

    Attributes:
        inputs: What the network sees.
        state: Before the first step; each [N, ...].
        starts: Where episodes begin.
        actions: That were taken.
        log_probs: Of the actions, before the update.
        advantages: Normalised.
        targets: Of the values.
        reference: Where the log-probabilities come from, if not from the policy that acted.
    """

    inputs: Inputs
    state: State
    starts: Tensor
    actions: Tensor
    log_probs: Tensor
    advantages: Tensor
    targets: Tensor
    reference: Reference | None

    def judged(self, output: Tensor) -> Judged:
        """Put the network's output beside what it is compared with."""
        return Judged(output, self.actions, self.log_probs, self.advantages, self.targets)

    def randomness(self) -> AbstractContextManager[None]:
        """Let the network draw the random numbers that the log-probabilities came about with."""
        return nullcontext() if self.reference is None else self.reference.repeated()


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
    workers: int = 1
    """Processes that each play an equal share of the environments and differentiate the loss on
    their share of each minibatch, with one thread; every step waits for all of them and takes their
    mean gradient. One does everything in this process."""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        own = {"epochs": AT_LEAST_1, "minibatches": AT_LEAST_1, "clip": ABOVE_0}
        check_fields(self, COMMON | own | {"workers": AT_LEAST_1})

    def build(self, network: Network, spec: TaskSpec, compute: Compute) -> PPOLearner:
        """Make a learner for one task over the network's parameters that require gradients."""
        return PPOLearner(self, network, spec, compute)

    @property
    def on_processor(self) -> bool:
        """Whether it learns in the processor's memory alone, which its workers share."""
        return self.workers > 1

    def memory(self, lesson: Lesson) -> RecentSteps | None:
        """Keep the last steps, where nobody says when tasks change.

        Raises:
            UsageError: There are workers, who show nobody what they see.
        """
        if not lesson.told and self.workers > 1:
            raise unwatched(type(self).__name__)
        return recent_steps(lesson)

    def trainer(self, lesson: Lesson) -> Trainer:
        """Make the environments of a task and a learner, and join them.

        Raises:
            UsageError: There is too little to split into minibatches.
        """
        learner = self.build(lesson.network, lesson.spec, lesson.compute)
        if self.workers > 1:
            return EpochsTrainer(self, lesson, learner.optimisation)
        self.check_network(lesson.network, lesson.num_envs)
        return OnPolicyTrainer(self, lesson, learner)

    def check_network(self, network: Network, num_envs: int) -> None:
        """Check that what a worker collects can be split into minibatches; see `Fitting`.

        Raises:
            UsageError: There are fewer steps, or environments of a recurrent network.
        """
        share = num_envs // self.workers
        self.size(self.rollout_steps, share, bool(network.initial_state(num_envs)))

    def size(self, steps: int, environments: int, recurrent: bool) -> int:
        """Say how many are split into minibatches: steps, or environments of a recurrent network.

        Raises:
            UsageError: They are fewer than minibatches.
        """
        size, what = (environments, "environments") if recurrent else (steps, "steps a rollout")
        if size < self.minibatches:
            raise UsageError(
                f"PPO can't split {size} {what} into {self.minibatches} minibatches; "
                f"use fewer minibatches or more {what}."
            )
        return size

    def orders(self, size: int) -> Tensor:
        """Draw in which order each epoch goes through a rollout: [epochs, size]."""
        return torch.stack([torch.randperm(size) for _ in range(self.epochs)])

    def split(
        self,
        network: Network,
        rollout: Rollout,
        orders: Tensor,
        spec: TaskSpec,
        compute: Compute,
        advantages: Tensor | None = None,
        worker: int = 0,
    ) -> Iterator[Minibatch]:
        """Split a rollout into `epochs` x `minibatches` parts.

        By time where steps are independent, and by environment, whose steps then stay in order,
        where the network is recurrent.

        Advantages are normalised over the minibatch, all workers' parts together; where that is a
        single step, over the rollout, since less its own mean it would be zero.

        Args:
            network: Before any step of the update.
            rollout: Of one worker.
            orders: [epochs, size], as `orders` drew them.
            spec: The task.
            compute: Where and in which precision.
            advantages: [W, T, N] of all workers' rollouts; None where there is one.
            worker: Whose rollout it is.
        """
        axis = 1 if rollout.recurrent else 0
        orders = orders.to(rollout.rewards.device)
        every = orders.tensor_split(self.minibatches, 1)
        indices = [part[epoch] for epoch in range(self.epochs) for part in every]
        sizes = [len(index) for index in indices]

        def parts(value: Tensor, axis: int = axis) -> list[Tensor]:
            split = value.index_select(axis, orders.flatten()).split(sizes, axis)
            return [part.contiguous() for part in split]

        references = self._references(network, rollout, indices, axis, spec, compute)
        if advantages is None:
            advantages = advantages_of(rollout, self.gamma, self.lam).unsqueeze(0)
        normalised = _normalised(parts(advantages, axis + 1), advantages)
        for index, reference, starts, actions, log_probs, together, targets in zip(
            indices,
            references,
            parts(rollout.starts),
            parts(rollout.actions),
            parts(rollout.log_probs),
            normalised,
            parts(advantages[worker] + rollout.values),
            strict=True,
        ):
            yield Minibatch(
                # Inputs one by one: there may be much of them, and they must lie as ever.
                {name: take(value, axis, index) for name, value in rollout.inputs.items()},
                {name: value.index_select(0, index) for name, value in rollout.state.items()},
                starts,
                actions,
                log_probs if reference is None else reference.log_probs,
                together[worker],
                targets,
                reference,
            )

    def differentiate(
        self, through: Pass, minibatch: Minibatch, spec: TaskSpec, penalty: Penalty
    ) -> tuple[Judged, Tensor | None]:
        """Set the gradient of the clipped objective (Schulman et al. 2017, Eq. 7 and 9).

        The derivative by the network's output is written out, and by its parameters `through` goes.

        Args:
            through: The network; its parameters' `grad` must be None.
            minibatch: What the objective is taken over.
            spec: The task.
            penalty: Added to the loss.

        Returns:
            What `losses` takes, and the penalty [] if there is one.
        """
        with minibatch.randomness():
            output, back = through(minibatch.inputs, minibatch.state, minibatch.starts)
        held = penalty()
        judged = minibatch.judged(output)
        _, actions, before, advantages, targets = judged
        with torch.no_grad():
            policy, values = self.parted(output, spec)
            log_probs, by_output = policy.differentiated(actions)
            # On the first minibatch the network is still the one that acted: the ratio is one.
            ratio = (log_probs - before).exp()
            gain, bound = self._gains(ratio, advantages)
            # d ratio / d log-probability is the ratio; beyond the bound nothing is gained.
            count = ratio.numel()
            by_log_prob = (advantages * scalar(-1 / count)).mul_(ratio)
            by_log_prob.masked_fill_(gain > bound, 0.0)
            by_entropy = scalar(-self.entropy_cost) / count if self.entropy_cost else None
            by_value = (values - targets).mul_(scalar(2 / count)).mul_(scalar(self.value_cost))
            by_policy = by_output(by_log_prob, by_entropy)
            back(torch.cat([by_policy, by_value.unsqueeze(-1)], -1), held)
        return judged, None if held is None else held.detach()

    @torch.no_grad()
    def losses(self, judged: Sequence[Judged], spec: TaskSpec) -> Metrics:
        """Average the parts of the loss over minibatches."""
        if len({each.output.shape for each in judged}) > 1:
            each_own = [self.losses([each], spec) for each in judged]
            return {n: torch.stack([own[n] for own in each_own]).mean() for n in each_own[0]}
        output, actions, before, advantages, targets = map(torch.stack, zip(*judged, strict=True))
        policy, values = self.parted(output, spec)
        log_ratio = policy.log_prob(actions) - before
        ratio = log_ratio.exp()
        parts = {
            "policy_loss": -torch.min(*self._gains(ratio, advantages)),
            "value_loss": (values - targets).square(),
            "entropy": policy.entropy(),
            "kl": ratio - 1 - log_ratio,
        }
        return {name: value.flatten(1).mean(1).mean() for name, value in parts.items()}

    def _gains(self, ratio: Tensor, advantages: Tensor) -> tuple[Tensor, Tensor]:
        """Return what probability ratios gain, and its upper bound."""
        return ratio * advantages, ratio.clamp(1 - self.clip, 1 + self.clip) * advantages

    def _references(
        self,
        network: Network,
        rollout: Rollout,
        indices: Sequence[Tensor],
        axis: int,
        spec: TaskSpec,
        compute: Compute,
    ) -> Sequence[Reference | None]:
        """Evaluate all minibatches before any step, where training mode changes the policy.

        Elsewhere the log-probabilities of the policy that acted serve as they are.
        """
        if not isinstance(network, nn.Module) or not mode_matters(network):
            return [None] * len(indices)

        def evaluate(index: Tensor) -> Tensor:
            part = _part(rollout, index, axis)
            return self.unroll(network, part, spec, compute)[0].log_prob(part.actions)

        with statistics_kept(network):
            return [Reference(partial(evaluate, index), compute.device) for index in indices]


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
        """Take `epochs` x `minibatches` gradient steps.

        Returns:
            The parts of the loss and the gradient's norm, averaged over minibatches.
        """
        config, descent, network = self._config, self.optimisation, self._network
        spec, compute = self._spec, self._compute
        descent.anneal(rollout.steps)
        steps, environments = rollout.rewards.shape
        orders = config.orders(config.size(steps, environments, rollout.recurrent))
        through = Pass(network, compute)
        judged: list[Judged] = []
        norms: list[Tensor] = []
        penalties: list[Tensor] = []
        for minibatch in config.split(network, rollout, orders, spec, compute):
            beat()
            descent.clear()
            each, held = config.differentiate(through, minibatch, spec, penalty)
            norm = clip_gradient(descent.parameters, config.clip_norm)
            descent.step()
            judged.append(each)
            penalties += [] if held is None else [held]
            norms.append(norm)
        return (
            ({"penalty": torch.stack(penalties).mean()} if penalties else {})
            | config.losses(judged, spec)
            | {"gradient_norm": torch.stack(norms).mean()}
        )


def _part(rollout: Rollout, index: Tensor, axis: int) -> Rollout:
    return rollout.of_environments(index) if axis else rollout.at_times(index)


def _normalised(parts: Sequence[Tensor], rollout: Tensor) -> Sequence[Tensor]:
    """Bring each minibatch's advantages to mean 0 and deviation 1; a single one by the rollout's.

    A rollout of a single step has no scale to take: its advantage stays as it is.

    Args:
        parts: Of each minibatch [W, T, N], of all W workers.
        rollout: All that were collected.
    """
    if len({part.shape for part in parts}) > 1:
        return [_normalised([part], rollout)[0] for part in parts]
    rows = torch.stack(list(parts))
    over = rows.flatten(1) if parts[0].numel() > 1 else rollout.reshape(1, -1)
    if over.numel() == 1:
        return parts
    mean, deviation = (value.view(-1, 1, 1, 1) for value in (over.mean(1), over.std(1) + 1e-8))
    return ((rows - mean) / deviation).unbind()
