"""The states that a policy meets on a task: what its sensitivity is averaged over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from colonnade.errors import UsageError
from colonnade.learners import Acting, Compute, torch_threads, usual_acting, whole_episodes
from colonnade.seeding import derive, generator
from colonnade.types import Inputs, Network, State, Task, environments_of

_KEPT = 4096
"""States that are drawn from one set of episodes, at most."""


@dataclass(frozen=True)
class States:
    """B situations in which a policy decides.

    Attributes:
        inputs: What the network sees, each [B, ...].
        state: What the network remembers, each [B, ...]; empty for a feed-forward network.
    """

    inputs: Inputs
    state: State = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Number of situations, B."""
        return len(next(iter(self.inputs.values())))


def policy_states(
    task: Task,
    network: Network,
    count: int = 10_000,
    *,
    learner: Acting | None = None,
    seed: int = 0,
    num_envs: int = 16,
    batch: int = 256,
) -> Iterator[States]:
    """Play a task with a network's own policy and yield the states it comes to.

    The policy is not greedy, so that states follow the distribution `rho(s, a)` of Rusu et al.
    2016: they are drawn from all steps of whole episodes, each with the same chance (see
    `colonnade.learners.whole_episodes`). The network is neither trained nor changed.

    Args:
        task: What to play.
        network: What plays it.
        count: How many states.
        learner: Whose network it is; an actor-critic's by default.
        seed: Of the environments, of the actions and of what is drawn.
        num_envs: How many to play side by side.
        batch: How many states to yield at a time, at most.

    Yields:
        Batches of states, until there have been `count`.

    Raises:
        UsageError: A count is below 1, or the task has no environments.
    """
    if min(count, num_envs, batch) < 1:
        raise UsageError(
            f"States are counted from 1; got count={count}, num_envs={num_envs}, batch={batch}."
        )
    spec = task.spec
    compute = Compute.choose(spec, str(next(iter(network.named_parameters()))[1].device))
    plain = _Uncached(network)
    stream = generator(seed, "states", device=compute.device)
    policy = (learner or usual_acting(spec)).policy(plain, spec, compute, stream)
    with torch_threads(1):
        rollouts = whole_episodes(
            environments_of(task),
            plain,
            policy,
            compute,
            seed=derive(seed, "states"),
            num_envs=num_envs,
            window=1,
            kept=min(count, _KEPT),
            batch=batch,
        )
        for rollout in rollouts:
            inputs = {name: value[0, :count].clone() for name, value in rollout.inputs.items()}
            memory = {name: value[:count].clone() for name, value in rollout.state.items()}
            yield States(inputs, memory)
            count -= rollout.steps
            if count <= 0:
                rollouts.close()
                return


def joined(parts: Iterable[States]) -> States:
    """Put states one after another."""
    every = list(parts)

    def join(name: str, kind: str) -> Tensor:
        return torch.cat([getattr(part, kind)[name] for part in every])

    return States(
        {name: join(name, "inputs") for name in every[0].inputs},
        {name: join(name, "state") for name in every[0].state},
    )


class _Uncached(torch.nn.Module):
    """A network that computes nothing ahead, so that rollouts hold the raw inputs."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self._network = network

    def initial_state(self, batch: int) -> State:
        return self._network.initial_state(batch)

    def precompute(self, inputs: Inputs, state: State) -> tuple[Inputs, State]:
        return inputs, state

    def forward(self, inputs: Inputs | Tensor, state: State | None = None) -> tuple[Tensor, State]:
        return self._network(inputs, state)

    def unroll(self, inputs: Inputs, state: State, starts: Tensor) -> tuple[Tensor, State]:
        return self._network.unroll(inputs, state, starts)
