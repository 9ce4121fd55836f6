"""What is learned from: rollouts, labelled examples, and what episodes came to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor

from colonnade.memory_layout import take
from colonnade.types.network import Inputs, Network, State


class Batch(Protocol):
    """Experience to learn from or to estimate with: a `Rollout`, or `Examples`."""

    @property
    def inputs(self) -> Inputs:
        """What the network sees."""
        ...

    @property
    def actions(self) -> Tensor:
        """What was done, or what would be right: [..., A]; see `Actions`."""
        ...

    @property
    def steps(self) -> int:
        """Number of agent steps or of examples."""
        ...

    def outputs(self, network: Network) -> Tensor:
        """Run a network over the batch: [..., outputs]."""
        ...


@dataclass(frozen=True)
class Examples:
    """B labelled examples.

    Attributes:
        inputs: Each [B, ...].
        targets: [B] int64 labels.
        passed: How often all examples of the task had come before these.
    """

    inputs: Inputs
    targets: Tensor
    passed: int = 0

    @property
    def actions(self) -> Tensor:
        """The labels as the one component of an action: [B, 1]."""
        return self.targets.unsqueeze(-1)

    @property
    def steps(self) -> int:
        """Number of examples, B."""
        return len(self.targets)

    def outputs(self, network: Network) -> Tensor:
        """Run a network over the examples: [B, outputs]."""
        return network(self.inputs)[0]


class Episode(NamedTuple):
    """A finished episode; of a data set, a minibatch and the share of it that was right.

    Attributes:
        total_return: Undiscounted, unclipped.
        length: Agent steps, or examples.
        environment: Which of the N environments it was in.
        step: Agent steps, or examples, that the task had been learned for when it ended.
    """

    total_return: float
    length: int
    environment: int
    step: int = 0


@dataclass
class Rollout:
    """T steps of N environments, as collected; `terminated` and `truncated` stay apart.

    Attributes:
        inputs: Each [T, N, ...], as `Network.precompute` returned them.
        actions: [T, N, A], one column per action component; see `Actions`.
        rewards: [T, N] float32, clipped if the task says so.
        terminated: [T, N] bool; the episode ended in this step and nothing follows.
        truncated: [T, N] bool; the episode was cut off, and its value continues.
        starts: [T, N] bool; this step is the first of an episode.
        log_probs: [T, N] of the actions taken, under the policy that took them.
        values: [T, N] predicted at each step.
        final_values: [T, N] value of the final observation where truncated, else 0.
        last_value: [N] value of the observation after the last step.
        state: The network's state before the first step.
    """

    inputs: Inputs
    actions: Tensor
    rewards: Tensor
    terminated: Tensor
    truncated: Tensor
    starts: Tensor
    log_probs: Tensor
    values: Tensor
    final_values: Tensor
    last_value: Tensor
    state: State

    @property
    def steps(self) -> int:
        """Number of agent steps, T x N."""
        return self.rewards.numel()

    def outputs(self, network: Network) -> Tensor:
        """Run a network over the rollout: [T, N, outputs]."""
        return network.unroll(self.inputs, self.state, self.starts)[0]

    def at_times(self, index: Tensor) -> Rollout:
        """Select steps [B] of all environments; only where no state links the steps."""
        return self._select(0, index)

    def of_environments(self, index: Tensor) -> Rollout:
        """Select environments [B] with all their steps, in order."""
        return self._select(1, index)

    def map(
        self, steps: Callable[[Tensor], Tensor], environments: Callable[[Tensor], Tensor]
    ) -> Rollout:
        """Apply one function to what is [T, N, ...], and another to what is [N, ...]."""
        return Rollout(
            inputs={name: steps(value) for name, value in self.inputs.items()},
            actions=steps(self.actions),
            rewards=steps(self.rewards),
            terminated=steps(self.terminated),
            truncated=steps(self.truncated),
            starts=steps(self.starts),
            log_probs=steps(self.log_probs),
            values=steps(self.values),
            final_values=steps(self.final_values),
            last_value=environments(self.last_value),
            state={name: environments(value) for name, value in self.state.items()},
        )

    def _select(self, axis: int, index: Tensor) -> Rollout:
        def pick(value: Tensor) -> Tensor:
            return take(value, axis, index)

        def pick_environments(value: Tensor) -> Tensor:
            return value if axis == 0 else value.index_select(0, index)

        return self.map(pick, pick_environments)

    @property
    def recurrent(self) -> bool:
        """Whether the order of steps matters to the network: it carries a state."""
        return bool(self.state)
