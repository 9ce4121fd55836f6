"""Deep Q-networks (Mnih et al. 2015), double (van Hasselt et al. 2016), as EWC was tried on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils import clip_grad_norm_

from colonnade.checks import ABOVE_0, AT_LEAST_0, AT_LEAST_1, BELOW_1, SHARE, check_fields
from colonnade.errors import UsageError
from colonnade.learners.acting.action_values import ActionValues, choices, epsilon_greedy
from colonnade.learners.acting.remembering import seen_and_carried
from colonnade.learners.acting.replay_size import replay_bytes
from colonnade.learners.acting.transitions import Transitions
from colonnade.learners.compute import Compute
from colonnade.learners.descent.optimisation import Optimisation, trainable
from colonnade.learners.descent.rmsprop import RMSProp
from colonnade.learners.off_policy import OffPolicyTrainer
from colonnade.learners.trainer import Lesson, Policy
from colonnade.ops import evaluation
from colonnade.types import Metrics, Network, Penalty, TaskSpec

_ATARI = {"observation": ((4, 84, 84), torch.uint8)}

Reduction = Literal["sum", "mean"]
"""Whether a minibatch's losses are added up or averaged, before the gradient is clipped."""


@dataclass(frozen=True)
class DQN:
    """Hyperparameters of a deep Q-network.

    The defaults are those of Kirkpatrick et al. 2017 (supplement, Table S2) where it states one;
    [chosen] marks those it does not. Steps are agent steps, of all environments together.
    """

    learning_rate: float = 2.5e-4
    """Step size of RMSProp; it stays (Table S2)."""
    decay: float = 0.95
    """Decay of RMSProp's mean square (Table S2)."""
    epsilon: float = 0.01
    """Added to RMSProp's mean square, under the root. Table S2 states the largest rate that it may
    come to, 2.5e-3, ten times the learning rate: 1 / sqrt(0.01) = 10."""
    gamma: float = 0.99
    """Discount factor (Table S2)."""
    batch_size: int = 32
    """Transitions of a minibatch (Table S2)."""
    update_every: int = 4
    """Steps between updates (Table S2)."""
    replay: int = 50_000
    """Steps that the replay holds (Table S2)."""
    warm_up: int = 50_000
    """Steps before learning starts (Table S2)."""
    target_every: int = 7_500
    """Steps between copies of the network to the target network (Table S2)."""
    explore_start: float = 1.0
    """Chance of a random action until `warm_up` steps (Table S2)."""
    explore_end: float = 0.01
    """Chance of a random action in the end (Table S2)."""
    explore_steps: int = 1_000_000
    """Steps after `warm_up` over which the chance falls linearly (Table S2: from 50,000 to
    1,050,000)."""
    test_epsilon: float = 0.01
    """Chance of a random action when a network is tested [chosen: as in the end of learning]."""
    double: bool = True
    """Whether the network chooses the next action, whose value the target network gives (double
    DQN, van Hasselt et al. 2016, Eq. 4; the supplement's); else the target network does both."""
    n: int = 1
    """Steps of reward before the value that is bootstrapped from [chosen; the supplement has 1]."""
    clip_td: float = 1.0
    """Largest TD error that the gradient sees ("each gradient from Q-learning is clipped to 1")."""
    clip_norm: float = 50.0
    """Largest norm of the gradient (supplement)."""
    reduction: Reduction = "sum"
    """Whether a minibatch's losses are added up or averaged [chosen: added up; RMSProp's epsilon
    and the norm are not scaled by the batch's size then, and the mean's gradients are a 32nd]."""

    def __post_init__(self) -> None:
        """Refuse values out of range, and those that do not fit one another."""
        whole = ("batch_size", "update_every", "replay", "target_every", "explore_steps", "n")
        shares = ("gamma", "explore_start", "explore_end", "test_epsilon")
        above = ("learning_rate", "epsilon", "clip_td", "clip_norm")
        check_fields(
            self,
            dict.fromkeys(whole, AT_LEAST_1)
            | dict.fromkeys(shares, SHARE)
            | dict.fromkeys(above, ABOVE_0)
            | {"decay": BELOW_1, "warm_up": AT_LEAST_0},
        )
        if self.replay < self.batch_size:
            raise UsageError(
                f"A replay of {self.replay:,} steps is smaller than a batch of {self.batch_size}; "
                "let DQN remember more (replay), or take smaller batches (batch_size)."
            )

    @property
    def memory_bytes(self) -> int:
        """Bytes of a full replay of Atari's frames."""
        return replay_bytes(self.replay, 1, _ATARI)

    def outputs(self, spec: TaskSpec) -> int:
        """Say how wide a network's output must be: a value for each action.

        Raises:
            UsageError: The task's actions are not Discrete.
        """
        return choices(spec)

    def policy(
        self,
        network: Network,
        spec: TaskSpec,
        compute: Compute,
        generator: torch.Generator,
        greedy: bool = False,
    ) -> Policy:
        """Make the policy by which a network is tested: epsilon-greedy with `test_epsilon`."""
        chance = 0.0 if greedy else self.test_epsilon
        return epsilon_greedy(network, spec, compute, generator, lambda: chance)

    def likelihood(self, output: Tensor, spec: TaskSpec) -> ActionValues:
        """Return what an output [..., actions] means: Gaussians around the actions' values."""
        return ActionValues(output.float())

    def exploration(self, steps: int) -> float:
        """Return the chance of a random action after so many steps of the task."""
        done = min(1.0, max(0, steps - self.warm_up) / self.explore_steps)
        return self.explore_start + (self.explore_end - self.explore_start) * done

    def build(self, network: Network, spec: TaskSpec, compute: Compute) -> DQNLearner:
        """Make a learner for one task over the network's parameters that require gradients."""
        return DQNLearner(self, network, compute)

    def trainer(self, lesson: Lesson) -> OffPolicyTrainer:
        """Make a replay, the environments of a task and a learner, and join them.

        Raises:
            UsageError: The task's actions are not Discrete, its steps end before learning starts,
                or memory will not do for the replay.
        """
        choices(lesson.spec)
        learner = self.build(lesson.network, lesson.spec, lesson.compute)
        return OffPolicyTrainer(self, lesson, learner)


class DQNLearner:
    """Trains a Q-network, one gradient step a minibatch.

    Attributes:
        optimisation: Of the network.
        target: Values of the target network's parameters and statistics, by name; what is frozen
            is shared.
    """

    def __init__(self, config: DQN, network: Network, compute: Compute) -> None:
        """Set up RMSProp, and copy the target network."""
        if not isinstance(network, nn.Module):
            raise UsageError(
                f"DQN needs a network that is a torch.nn.Module, to copy it; got a "
                f"{type(network).__name__}."
            )
        self._config = config
        self._network: Any = network
        self._compute = compute
        named = trainable(network)
        self._learning = {name for name, _ in named}
        self.optimisation = Optimisation(
            RMSProp(named, lr=config.learning_rate, decay=config.decay, epsilon=config.epsilon),
            budget=None,
        )
        self.target = {name: value.clone() for name, value in self._moving().items()}

    def update(self, batch: Transitions, penalty: Penalty) -> Metrics:
        """Take one gradient step on a minibatch (Mnih et al. 2015, Alg. 1).

        Returns:
            The mean loss of a transition, the mean value of what was done, the mean absolute TD
            error and the gradient's norm.
        """
        config, descent = self._config, self.optimisation
        targets = self.targets(batch)
        with self._compute.autocast():
            output, _ = self._network(*seen_and_carried(batch.inputs))
        values = output.float().gather(1, batch.actions)[:, 0]
        # Quadratic up to clip_td and linear beyond: its gradient is the clipped TD error.
        loss = F.huber_loss(values, targets, delta=config.clip_td)
        held = penalty()
        descent.optimizer.zero_grad()
        whole = loss if held is None else loss + held
        (whole * batch.steps if config.reduction == "sum" else whole).backward()
        norm = clip_grad_norm_(descent.parameters, config.clip_norm)
        descent.optimizer.step()
        return ({} if held is None else {"penalty": held.detach()}) | {
            "loss": loss.detach(),
            "value": values.detach().mean(),
            "td_error": (targets - values.detach()).abs().mean(),
            "gradient_norm": norm,
        }

    @torch.no_grad()
    def targets(self, batch: Transitions) -> Tensor:
        """Return what the values of the actions taken should be, [B].

        R + g Q'(s', argmax_a Q(s', a)) with the target network's Q' (van Hasselt et al. 2016,
        Eq. 4), where R is the n steps' discounted reward and g is gamma^n, or 0 where nothing
        follows; plain DQN takes the argmax of Q' itself (Mnih et al. 2015).
        """
        following = seen_and_carried(batch.next_inputs)
        with evaluation(self._network), self._compute.autocast():
            later = functional_call(self._network, self.target, following)[0].float()
            chooser = self._network(*following)[0] if self._config.double else later
        best = later.gather(1, chooser.argmax(1, keepdim=True))[:, 0]
        # Not the product alone: what is seen of an episode's end may be no number.
        return batch.returns + torch.where(batch.discounts > 0, batch.discounts * best, 0.0)

    @torch.no_grad()
    def refresh(self) -> None:
        """Make the target network equal to the network."""
        for name, value in self._moving().items():
            self.target[name].copy_(value)

    @torch.no_grad()
    def load_target(self, values: Mapping[str, Tensor]) -> None:
        """Take up the values of a target network that was saved."""
        for name, value in self.target.items():
            value.copy_(values[name])

    def _moving(self) -> dict[str, Tensor]:
        """Return what learning may move, by name: parameters that learn, and statistics."""
        fixed = {name for name, _ in self._network.named_parameters()} - self._learning
        return {
            name: value
            for name, value in self._network.state_dict().items()
            if name not in fixed and isinstance(value, Tensor)
        }
