"""Training on fresh experience: collect a rollout, learn from it, collect the next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor

from colonnade.learners.actor_critic import Policy
from colonnade.learners.collection import Collector
from colonnade.learners.compute import Compute
from colonnade.learners.optimisation import Optimisation
from colonnade.learners.trainer import Advance, Streams
from colonnade.types import (
    Distribution,
    Metrics,
    Network,
    Penalty,
    Rollout,
    Task,
    environments_of,
)


class OnPolicyLearner(Protocol):
    """Learns from rollouts of its own policy."""

    optimisation: Optimisation

    def policy(self, generator: torch.Generator, greedy: bool = False) -> Policy:
        """Make the policy that collects experience."""
        ...

    def update(self, rollout: Rollout, penalty: Penalty) -> Metrics:
        """Learn from a rollout."""
        ...

    def likelihood(self, output: Tensor) -> Distribution:
        """Return what the network's output means."""
        ...


class OnPolicyTrainer:
    """A learner and the environments that it acts in."""

    def __init__(
        self,
        task: Task,
        network: Network,
        learner: OnPolicyLearner,
        penalty: Penalty,
        compute: Compute,
        rollout_steps: int,
        num_envs: int,
        threads: int,
    ) -> None:
        """Make the environments; call `reset` before use."""
        self._learner = learner
        self._penalty = penalty
        self._generator = torch.Generator(compute.device)
        self._collector = Collector(
            environments_of(task),
            network,
            learner.policy(self._generator),
            compute,
            steps=rollout_steps,
            num_envs=num_envs,
            threads=threads,
        )
        self.likelihood = learner.likelihood
        self.state = learner.optimisation.state
        self.load_state = learner.optimisation.load_state

    def __enter__(self) -> OnPolicyTrainer:
        """Return the trainer."""
        return self

    def __exit__(self, *exception: Any) -> None:
        """Close the environments."""
        self._collector.__exit__(*exception)

    def reset(self, streams: Streams) -> None:
        """Begin new episodes with newly seeded random streams."""
        self._generator.manual_seed(streams("actions"))
        torch.manual_seed(streams("learning"))
        self._collector.reset(streams("environments"))

    def advance(self) -> Advance:
        """Collect a rollout and learn from it."""
        rollout = self._collector.collect()
        metrics = self._learner.update(rollout, self._penalty)
        episodes, self._collector.episodes = self._collector.episodes, []
        return Advance(rollout.steps, metrics, episodes)

    def samples(self) -> Iterator[Rollout]:
        """Yield rollouts without learning."""
        while True:
            yield self._collector.collect()
