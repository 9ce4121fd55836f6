"""Advantage actor-critic: the synchronous form of A3C (Mnih et al. 2016)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from colonnade.checks import AT_LEAST_0, AT_LEAST_1, BELOW_1, check_fields
from colonnade.learners.acting.policies import ActorCritic, advantages_of
from colonnade.learners.acting.recent import RecentSteps
from colonnade.learners.compute import Compute
from colonnade.learners.descent.backward import Pass
from colonnade.learners.descent.optimisation import Optimisation, clip_gradient, trainable
from colonnade.learners.descent.rmsprop import RMSProp
from colonnade.learners.hyperparameters import COMMON
from colonnade.learners.on_policy import OnPolicyTrainer, recent_steps
from colonnade.learners.processes.data_parallel import DataParallelTrainer
from colonnade.learners.processes.trainer import unwatched
from colonnade.learners.trainer import Lesson, Trainer
from colonnade.ops.scalars import scalar
from colonnade.types import Metrics, Network, Penalty, Rollout, TaskSpec

_OWN = {"decay": BELOW_1, "mean_square_start": AT_LEAST_0, "workers": AT_LEAST_1}


@dataclass(frozen=True)
class A2C(ActorCritic):
    """Hyperparameters of A2C; the defaults are Mnih et al. 2016 where they state a value."""

    learning_rate: float = 7e-4
    """Step size of RMSProp at the start; annealed linearly to zero over the task's budget."""
    entropy_cost: float = 1e-2
    """Weight of the policy's entropy (nats), added to the objective."""
    value_cost: float = 0.5
    """Weight of the squared error of the value."""
    gamma: float = 0.99
    """Discount factor."""
    lam: float = 1.0
    """Decay of generalised advantage estimation; 1 gives the paper's n-step returns."""
    rollout_steps: int = 5
    """Steps between updates (t_max)."""
    clip_norm: float = 40.0
    """Largest norm of the gradient (of the loss summed over time, averaged over environments)."""
    decay: float = 0.99
    """Decay of RMSProp's mean square."""
    epsilon: float = 1e-8
    """Added to RMSProp's mean square, under the root."""
    mean_square_start: float = 0.0
    """Where RMSProp's mean square starts. 0 makes the first steps long, up to 10 times the rate;
    1, as in TensorFlow, makes some hundred of them short."""
    anneal: bool = True
    """Whether the learning rate falls linearly to zero."""
    workers: int = 1
    """Processes that each play an equal share of the environments and differentiate the loss on
    it, with one thread; every step waits for all of them and takes their mean gradient. One does
    everything in this process. As many as there are cores is fastest on a processor."""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_fields(self, COMMON | _OWN)

    def build(self, network: Network, spec: TaskSpec, compute: Compute) -> A2CLearner:
        """Make a learner for one task over the network's parameters that require gradients."""
        return A2CLearner(self, network, spec, compute)

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
        """Make the environments of a task and a learner, and join them."""
        learner = self.build(lesson.network, lesson.spec, lesson.compute)
        if self.workers > 1:
            return DataParallelTrainer(self, lesson, learner.optimisation)
        return OnPolicyTrainer(self, lesson, learner)

    def differentiate(
        self, through: Pass, rollout: Rollout, spec: TaskSpec, penalty: Penalty
    ) -> Metrics:
        """Set the gradient of the loss of an advantage actor-critic on a rollout.

        The loss is summed over time and averaged over environments: the mean over N workers of what
        each A3C worker accumulates in t_max steps (Mnih et al. 2016, Alg. S3). The penalty is
        summed over time too, so that its weight against the mean loss of a step is the same with
        every learner. The derivative by the network's output is written out, and by its parameters
        `through` goes.

        Args:
            through: The network; its parameters' `grad` must be None.
            rollout: What the loss is taken over.
            spec: The task.
            penalty: Added to the loss.

        Returns:
            The parts of the loss, averaged over steps.
        """
        advantages = advantages_of(rollout, self.gamma, self.lam)
        output, back = through(rollout.inputs, rollout.state, rollout.starts)
        held, steps = penalty(), len(rollout.rewards)
        with torch.no_grad():
            policy, values = self.parted(output, spec)
            log_probs, by_output = policy.differentiated(rollout.actions)
            error = advantages + rollout.values - values
            entropy = policy.entropy()
            # Of the mean over all steps, times T; as single floats, as which tensors round it.
            total, count = np.float32(steps), np.float32(error.numel())
            by_entropy = -total * np.float32(self.entropy_cost) / count
            by_policy = by_output(
                advantages * scalar(float(-total / count)),
                scalar(float(by_entropy)) if self.entropy_cost else None,
            )
            by_square = total * np.float32(self.value_cost) / count
            by_value = (error * scalar(2.0)).mul_(scalar(float(by_square))).neg_()
            gradient = torch.cat([by_policy, by_value.unsqueeze(-1)], -1)
        back(gradient, None if held is None else held * steps)
        return ({} if held is None else {"penalty": held.detach()}) | {
            "policy_loss": -(log_probs * advantages).mean(),
            "value_loss": error.square().mean(),
            "entropy": entropy.mean(),
        }


class A2CLearner:
    """Trains an actor-critic network, one gradient step a rollout."""

    def __init__(self, config: A2C, network: Network, spec: TaskSpec, compute: Compute) -> None:
        """Set up RMSProp without momentum or centring, as Rusu et al. 2016 state."""
        self._config = config
        self._network = network
        self._spec = spec
        self._compute = compute
        self.optimisation = Optimisation(
            RMSProp(
                trainable(network),
                lr=config.learning_rate,
                decay=config.decay,
                epsilon=config.epsilon,
                start=config.mean_square_start,
            ),
            budget=spec.steps if config.anneal else None,
        )

    def update(self, rollout: Rollout, penalty: Penalty) -> Metrics:
        """Take one gradient step on a rollout.

        Returns:
            The parts of the loss, averaged over steps, and the gradient's norm.
        """
        config, descent = self._config, self.optimisation
        descent.anneal(rollout.steps)
        descent.clear()
        through = Pass(self._network, self._compute)
        metrics = config.differentiate(through, rollout, self._spec, penalty)
        norm = clip_gradient(descent.parameters, config.clip_norm)
        descent.step()
        return metrics | {"gradient_norm": norm}
