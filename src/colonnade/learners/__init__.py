"""How one task is learned: A2C and PPO, over one shared way of collecting experience.

A learner's configuration (`A2C`, `PPO`) is a frozen dataclass; its `build` makes the learner for
one task. The loop is::

    learner = config.build(network, task.spec, compute)
    policy = learner.policy(generator)
    with Collector(task, network, policy, compute, steps=config.rollout_steps, num_envs=16) as c:
        c.reset(seed)
        while learning:
            learner.update(c.collect(), penalty)
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Protocol

import torch
from torch import Tensor

from colonnade.errors import UsageError, unknown_name
from colonnade.learners.a2c import A2C
from colonnade.learners.actor_critic import Decision, Policy, actor_critic_policy
from colonnade.learners.collection import Collector, Episode
from colonnade.learners.compute import Compute, Precision, torch_threads
from colonnade.learners.optimisation import Optimisation
from colonnade.learners.ppo import PPO
from colonnade.types import Metrics, Network, Penalty, Rollout, TaskSpec


class Learner(Protocol):
    """What training asks of a learner."""

    optimisation: Optimisation

    def policy(self, generator: torch.Generator, greedy: bool = False) -> Policy:
        """Make the policy that collects experience."""
        ...

    def update(self, rollout: Rollout, penalty: Penalty) -> Metrics:
        """Learn from a rollout."""
        ...

    def log_likelihood(self, rollout: Rollout) -> Tensor:
        """Log-probability [T, N] of what was done, with its graph."""
        ...


class LearnerConfig(Protocol):
    """A learner's hyperparameters, and how to build it."""

    @property
    def rollout_steps(self) -> int:
        """Steps in every environment between updates."""
        ...

    def build(self, network: Network, spec: TaskSpec, compute: Compute) -> Learner:
        """Make a learner for one task over the network's parameters that require gradients."""
        ...


LEARNERS: dict[str, type[A2C] | type[PPO]] = {"a2c": A2C, "ppo": PPO}


def learner_from_name(name: str, **options: Any) -> A2C | PPO:
    """Make a learner's configuration by name, with some hyperparameters changed.

    Raises:
        UsageError: The learner or a hyperparameter is unknown, or a value has the wrong type.
    """
    if name not in LEARNERS:
        raise unknown_name("learner", name, LEARNERS)
    config = LEARNERS[name]
    kinds = {field.name: type(field.default) for field in fields(config)}
    for option, value in options.items():
        if option not in kinds:
            raise unknown_name(f"{name} option", option, kinds)
        kind = kinds[option]
        if type(value) is not kind and not (kind is float and type(value) is int):
            raise UsageError(
                f"{name} option {option!r} must be of type {kind.__name__}; got {value!r}."
            )
    return config(**options)


__all__ = [
    "A2C",
    "LEARNERS",
    "PPO",
    "Collector",
    "Compute",
    "Decision",
    "Episode",
    "Learner",
    "LearnerConfig",
    "Policy",
    "Precision",
    "actor_critic_policy",
    "learner_from_name",
    "torch_threads",
]
