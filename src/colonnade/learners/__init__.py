"""How one task is learned: from fresh experience, from remembered, or from examples.

A learner's configuration (`A2C`, `A3C`, `PPO`; `DQN`; `Supervised`) is a frozen dataclass. Its
`trainer` is what training runs: experience and learner together, learning bit by bit. Its `build`
makes the learner alone, for a loop of one's own::

    learner = config.build(network, task.spec, compute)
    policy = config.policy(network, task.spec, compute, generator)
    with Collector(task, network, policy, compute, steps=config.rollout_steps, num_envs=16) as c:
        c.begin(seed)
        while learning:
            learner.update(c.collect(), penalty)
"""

from __future__ import annotations

from typing import Any

from colonnade.checks import text
from colonnade.learners.a2c import A2C
from colonnade.learners.a3c import A3C
from colonnade.learners.acting.collector import Collector
from colonnade.learners.acting.policies import ActorCritic, Classifier, usual_acting
from colonnade.learners.acting.sampling import whole_episodes
from colonnade.learners.compute import Compute, Precision, torch_threads
from colonnade.learners.dqn import DQN
from colonnade.learners.ppo import PPO
from colonnade.learners.processes.workers import WorkerDiedError, WorkerLostError
from colonnade.learners.supervised import Supervised
from colonnade.learners.trainer import (
    Acting,
    Advance,
    Decision,
    Demanding,
    Fitting,
    LearnerConfig,
    Lesson,
    Memory,
    Policy,
    Remembering,
    Streams,
    Trainer,
    Watch,
    prefixed,
    under,
)
from colonnade.parts.finding import find_config, own_names, own_part

LEARNERS: dict[str, type[A2C] | type[PPO] | type[DQN] | type[Supervised]] = {
    "a2c": A2C,
    "a3c": A3C,
    "ppo": PPO,
    "dqn": DQN,
    "supervised": Supervised,
}


_MEMBERS = ("outputs", "policy", "likelihood", "trainer")
"""What makes a learner's configuration one; see `LearnerConfig`."""


def learner_from_name(name: str, **options: Any) -> LearnerConfig:
    """Make a learner's configuration by name, with some hyperparameters changed.

    Raises:
        UsageError: The learner or a hyperparameter is unknown, a value has the wrong type, or a
            learner of a user's own (`colonnade.parts`) is none.
    """
    known = text("The name of a learner", name)
    made: LearnerConfig = find_config("learners", known, LEARNERS, options, _MEMBERS)
    return made


def name_of_learner(config: object) -> str | None:
    """Return the name by which `learner_from_name` makes such a configuration; None if by none."""
    own = (own_part("learners", name) for name in own_names("learners"))
    known = {**LEARNERS, **{part.name: part.make for part in own if part is not None}}
    return next((name for name, cls in known.items() if cls is type(config)), None)


__all__ = [
    "A2C",
    "A3C",
    "DQN",
    "LEARNERS",
    "PPO",
    "Acting",
    "ActorCritic",
    "Advance",
    "Classifier",
    "Collector",
    "Compute",
    "Decision",
    "Demanding",
    "Fitting",
    "LearnerConfig",
    "Lesson",
    "Memory",
    "Policy",
    "Precision",
    "Remembering",
    "Streams",
    "Supervised",
    "Trainer",
    "Watch",
    "WorkerDiedError",
    "WorkerLostError",
    "learner_from_name",
    "name_of_learner",
    "prefixed",
    "torch_threads",
    "under",
    "usual_acting",
    "whole_episodes",
]
