"""The states that a policy meets on a task: what its sensitivity is averaged over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from colonnade.errors import UsageError
from colonnade.learners import Collector, Compute, actor_critic_policy, torch_threads
from colonnade.seeding import derive, generator
from colonnade.types import Inputs, Network, State, Task, environments_of


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
    seed: int = 0,
    stride: int = 1,
    num_envs: int = 16,
    batch: int = 256,
) -> Iterator[States]:
    """Play a task with a network's own policy and yield the states it comes to.

    The policy samples its actions, so that states follow the distribution `rho(s, a)` of Rusu et
    al. 2016, and the network is neither trained nor changed.

    Args:
        task: What to play.
        network: An actor-critic for it.
        count: How many states.
        seed: Of the environments and of the actions.
        stride: Take every so many-th step of each environment; neighbours resemble each other.
        num_envs: How many to play side by side.
        batch: How many states to yield at a time, about.
    """
    if min(count, stride, num_envs, batch) < 1:
        raise UsageError(
            f"States are counted from 1; got count={count}, stride={stride}, num_envs={num_envs}, "
            f"batch={batch}."
        )
    spec = task.spec
    compute = Compute.choose(spec, str(next(iter(network.named_parameters()))[1].device))
    plain = _Uncached(network)
    policy = actor_critic_policy(
        plain, spec.action_sizes, compute, generator(seed, "states", device=compute.device)
    )
    taken = -(-batch // num_envs)
    environments = environments_of(task)
    with (
        torch_threads(1),
        Collector(
            environments, plain, policy, compute, steps=taken * stride, num_envs=num_envs
        ) as collector,
    ):
        collector.reset(derive(seed, "states"))
        while count > 0:
            rollout = collector.collect()
            memories = _memories(network, rollout.inputs, rollout.state, rollout.starts)
            found = States(
                {name: value[::stride].flatten(0, 1) for name, value in rollout.inputs.items()},
                {name: value[::stride].flatten(0, 1) for name, value in memories.items()},
            )
            yield _first(found, count)
            count -= found.count


@torch.no_grad()
def _memories(network: Network, inputs: Inputs, state: State, starts: Tensor) -> State:
    """Follow a recurrent network through a rollout: its state before each step, [T, N, ...]."""
    if not state:
        return {}
    initial, before = network.initial_state(starts.shape[1]), []
    for t, start in enumerate(starts):
        state = {
            name: torch.where(start.view(-1, *[1] * (part.dim() - 1)), initial[name], part)
            for name, part in state.items()
        }
        before.append(state)
        _, state = network({name: value[t] for name, value in inputs.items()}, state)
    return {name: torch.stack([each[name] for each in before]) for name in state}


def _first(states: States, count: int) -> States:
    return States(
        {name: value[:count].clone() for name, value in states.inputs.items()},
        {name: value[:count].clone() for name, value in states.state.items()},
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
