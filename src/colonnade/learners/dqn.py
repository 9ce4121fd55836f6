"""Deep Q-networks (Mnih et al. 2015), double (van Hasselt et al. 2016), as EWC was tried on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colonnade.checks import ABOVE_0, AT_LEAST_0, AT_LEAST_1, BELOW_1, SHARE, check_fields
from colonnade.errors import UsageError
from colonnade.learners.acting.action_values import ActionValues, choices, epsilon_greedy
from colonnade.learners.acting.memory import check_memory
from colonnade.learners.acting.remembering import observed_inputs, seen_and_carried
from colonnade.learners.acting.replay import Replay
from colonnade.learners.acting.replay_size import FEWER, replay_bytes
from colonnade.learners.acting.transitions import Transitions
from colonnade.learners.compute import Compute
from colonnade.learners.descent.optimisation import Optimisation, clip_gradient, trainable
from colonnade.learners.descent.rmsprop import RMSProp
from colonnade.learners.off_policy import OffPolicyTrainer, check_share, check_start, make_replay
from colonnade.learners.trainer import Lesson, Policy
from colonnade.ops import evaluation
from colonnade.types import Inputs, Metrics, Network, Penalty, State, TaskSpec, Twofold

Reduction = Literal["sum", "mean"]
"""Whether a minibatch's losses are added up or averaged, before the gradient is clipped."""


@dataclass(frozen=True)
class DQN:
    """Hyperparameters of a deep Q-network.

    The defaults are those of Kirkpatrick et al. 2017 (supplement on Atari, text and Table S2) where
    it states one; [chosen] marks those it does not. Steps are agent steps, of all environments
    together, and those of one task, whose clock they are.

    Raises:
        UsageError: A value has the wrong type or is out of range, or the replay is smaller than a
            minibatch.
    """

    learning_rate: float = 2.5e-4
    """Step size of RMSProp; it stays (supplement)."""
    decay: float = 0.95
    """Decay of RMSProp's mean square (supplement); there is no momentum."""
    epsilon: float = 0.01
    """Added to RMSProp's mean square, under the root, as Mnih et al.'s own code has it. The
    supplement states instead the largest rate that RMSProp will apply, 2.5e-3, ten times the
    learning rate, which is this: 1 / sqrt(0.01) = 10 [inferred]."""
    gamma: float = 0.99
    """Discount factor (supplement)."""
    batch_size: int = 32
    """Transitions of a minibatch (supplement)."""
    update_every: int = 4
    """Steps between updates (supplement)."""
    replay: int = 50_000
    """Steps that the replay holds (supplement)."""
    warm_up: int = 50_000
    """Steps before learning starts (supplement)."""
    target_every: int = 7_500
    """Steps between copies of the network to the target network (Table S2, whose "steps" are taken
    for the agent's; Mnih et al. 2015 have 10,000 updates of the parameters)."""
    explore_start: float = 1.0
    """Chance of a random action until `warm_up` steps (supplement)."""
    explore_end: float = 0.01
    """Chance of a random action in the end (supplement)."""
    explore_steps: int = 1_000_000
    """Steps after `warm_up` over which the chance falls linearly (supplement: from 50,000 to
    1,050,000, "frames" in Table S2 and "time steps" in the text, taken for agent steps)."""
    test_epsilon: float = 0.01
    """Chance of a random action when a network is tested [chosen: as in the end of learning]."""
    double: bool = True
    """Whether the network chooses the next action, whose value the target network gives (van
    Hasselt et al. 2016, "Double DQN"; the supplement's); else the target network does both."""
    n: int = 1
    """Steps of reward before the value that is bootstrapped from [chosen; the supplement has 1]."""
    clip_td: float = 1.0
    """Largest TD error that the gradient sees ("each gradient from Q-learning is clipped to 1" in
    the supplement; so do Mnih et al. 2015)."""
    clip_norm: float = 50.0
    """Largest norm of the whole gradient, after that (supplement)."""
    reduction: Reduction = "sum"
    """Whether a minibatch's losses are added up or averaged [chosen: added up, as by the backward
    pass of Mnih et al.'s own code; the mean's gradients are a 32nd, far below `epsilon`'s root]."""
    keep_features: bool = True
    """Whether the replay keeps what frozen columns compute of an observation (a column of 12 maps:
    27 kB a step, four times the frame). If not, each update computes it anew [chosen]."""

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

    def memory_bytes(self, spec: TaskSpec, num_envs: int) -> int:
        """Return the bytes of a full replay of a task, without what frozen columns compute."""
        return replay_bytes(self.replay, num_envs, observed_inputs(spec))

    def check(self, spec: TaskSpec, num_envs: int) -> None:
        """Refuse a task before anything is trained.

        Args:
            spec: Its steps are those of all visits together.
            num_envs: Environments stepped side by side.

        Raises:
            UsageError: Its actions are not Discrete, its steps end before learning starts, the
                replay is too small for so many environments, or memory will not do for it.
        """
        choices(spec)
        check_start(self, spec.id, spec.steps)
        check_share(self, num_envs)
        check_memory(
            self.memory_bytes(spec, num_envs),
            f"The replay of task {spec.id!r} with {self.replay:,} steps",
            FEWER,
        )

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

    def memory(self, lesson: Lesson) -> Replay:
        """Make the replay of a task, whose clock is exploration's too.

        Raises:
            UsageError: The task's actions are not Discrete, its steps end before learning starts,
                or memory will not do.
        """
        choices(lesson.spec)
        return make_replay(self, lesson)

    def trainer(self, lesson: Lesson) -> OffPolicyTrainer:
        """Join environments of a task, a learner and the lesson's replay, or a new one.

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
        self._tables = [(*_place(network, name), name) for name in self.target]

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
        norm = clip_gradient(descent.parameters, config.clip_norm)
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
        "Double DQN"), where R is the n steps' discounted reward and g is gamma^n, or 0 where
        nothing follows; plain DQN takes the argmax of Q' itself (Mnih et al. 2015).
        """
        following = seen_and_carried(batch.next_inputs)
        both = self._twofold(*following)
        chooser, later = self._one_by_one(*following) if both is None else both
        best = later.gather(1, chooser.argmax(1, keepdim=True))[:, 0]
        # Not the product alone: what is seen of an episode's end may be no number.
        return batch.returns + torch.where(batch.discounts > 0, batch.discounts * best, 0.0)

    def _twofold(self, inputs: Inputs, state: State) -> tuple[Tensor, Tensor] | None:
        """Return the values of the network and of the target network, where one pass gives both."""
        network = self._network
        if not self._config.double or state or not isinstance(network, Twofold):
            return None
        with self._compute.autocast():
            both = network.twofold(inputs, self.target)
        return None if both is None else (both[0], both[1].float())

    def _one_by_one(self, inputs: Inputs, state: State) -> tuple[Tensor, Tensor]:
        """Return the values by which the next action is chosen, and the target network's."""
        network = self._network
        with evaluation(network), self._compute.autocast():
            if not self._config.keep_features:  # once for both networks, which share what is frozen
                inputs, state = network.precompute(inputs, state)
            with self._target_in_place():
                later = network(inputs, state)[0].float()
            return (network(inputs, state)[0] if self._config.double else later), later

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

    @contextmanager
    def _target_in_place(self) -> Iterator[None]:
        """Let the network compute with the target network's values, without gradients.

        `torch.func.functional_call` does the same, and half of a small network's forward pass goes
        into its searching for the parameters.
        """
        own = [table[key] for table, key, _ in self._tables]
        try:
            for table, key, name in self._tables:
                table[key] = self.target[name]
            yield
        finally:
            for (table, key, _), value in zip(self._tables, own, strict=True):
                table[key] = value

    def _moving(self) -> dict[str, Tensor]:
        """Return what learning may move, by name: parameters that learn, and statistics."""
        fixed = {name for name, _ in self._network.named_parameters()} - self._learning
        return {
            name: value
            for name, value in self._network.state_dict().items()
            if name not in fixed and isinstance(value, Tensor)
        }


def _place(network: nn.Module, name: str) -> tuple[dict[str, Any], str]:
    """Return the table of its module in which a parameter or a statistic is found, and the key."""
    home, _, key = name.rpartition(".")
    module = network.get_submodule(home)
    return (module._parameters if key in module._parameters else module._buffers), key
