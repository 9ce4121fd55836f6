"""The states that a policy meets, drawn from whole episodes: what a Fisher or an AFS averages over.

The first steps of some episodes say little of a policy that plays for hundreds. Here every
environment plays one episode from beginning to end, a fixed number of all their steps is drawn,
each with the same chance (reservoir sampling: Vitter 1985, algorithm R), and the next episodes
follow. How many processes learned, and how long their rollouts were, makes no difference.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from colonnade.learners.acting.collector import Collector
from colonnade.learners.acting.observed import buffer
from colonnade.learners.compute import Compute
from colonnade.learners.trainer import Policy
from colonnade.seeding import derive, kept_globals
from colonnade.types import EnvironmentTask, Network, Rollout

KEPT = 2048
"""Steps that are drawn from one set of episodes."""

LIMIT = 27_000
"""Steps after which an episode counts as over: half an hour of an Atari game."""

WINDOW = 16
"""Steps of a recurrent network's sequences, whatever its learner's rollouts are."""

_CHUNK = 16

_PER_STEP = (
    "actions", "rewards", "terminated", "truncated",
    "starts", "log_probs", "values", "final_values",
)  # fmt: skip


def whole_episodes(
    task: EnvironmentTask,
    network: Network,
    policy: Policy,
    compute: Compute,
    *,
    seed: int,
    window: int = WINDOW,
    num_envs: int = 16,
    kept: int = KEPT,
    batch: int = 256,
    limit: int = LIMIT,
) -> Generator[Rollout]:
    """Play whole episodes again and again, and yield what is drawn from them, in random order.

    Args:
        task: What to play.
        network: Whose frozen parts to compute and whose state to carry.
        policy: What decides.
        compute: Where and in which precision.
        seed: Of the environments and of what is drawn.
        window: For a recurrent network, the steps of a sequence. Its episodes are cut into
            sequences of so many, from a random place on, and sequences are drawn. The last of an
            episode goes on into the next one, as far on average as the first lacks its beginning,
            so that all steps of an episode are alike likely.
        num_envs: How many environments play an episode each at the same time.
        kept: Steps drawn from every `num_envs` episodes; all where there are fewer.
        batch: Steps to yield at a time, about.
        limit: Agent steps after which an episode counts as over.

    Yields:
        Rollouts [1, B] of independent steps, or [window, B] of a recurrent network's sequences.
    """
    recurrent = bool(network.initial_state(num_envs))
    window = window if recurrent else 1
    draw = np.random.default_rng(seed)
    with kept_globals(derive(seed, "constructors")):
        collector = Collector(
            task,
            network,
            policy,
            compute,
            steps=window if recurrent else _CHUNK,
            num_envs=num_envs,
        )
    with collector:
        for number in range(2**31):
            reservoir = _Reservoir(max(1, kept // window), draw)
            with kept_globals(derive(seed, "globals", number)):
                collector.begin(derive(seed, "episodes", number))
                collector.skip(int(draw.integers(window)))
                _play(collector, reservoir, num_envs, recurrent, limit)
            collector.episodes.clear()
            yield from reservoir.batches(max(1, batch // window))


def _play(
    collector: Collector, reservoir: _Reservoir, num_envs: int, recurrent: bool, limit: int
) -> None:
    """Play each environment's episode under way to its end, and offer all its steps."""
    later = np.zeros(num_envs, np.int64)  # episodes begun after the one under way
    taken = 0
    while len({episode.environment for episode in collector.episodes}) < num_envs:
        rollout = collector.collect()
        starts = rollout.starts.cpu().numpy().copy()
        if not taken:
            starts[0] = False  # what begins with the first step is under way
        begun = later + np.cumsum(starts, axis=0)
        later, own = begun[-1], begun == 0  # [T, N]
        if recurrent:
            reservoir.add(rollout, np.flatnonzero(own[0]))
        else:
            reservoir.add(independent(rollout), np.flatnonzero(own))
        taken += len(own)
        if taken >= limit:
            return


class _Reservoir:
    """At most K sequences, each of all that were offered with the same chance."""

    def __init__(self, size: int, draw: np.random.Generator) -> None:
        self._size, self._draw = size, draw
        self._offered = 0
        self._kept: Rollout | None = None

    def add(self, rollout: Rollout, chosen: np.ndarray[Any, np.dtype[np.int64]]) -> None:
        """Offer the sequences `chosen` of a rollout [T, N]."""
        numbers = np.arange(self._offered, self._offered + chosen.size)
        slots = np.where(numbers < self._size, numbers, self._draw.integers(0, numbers + 1))
        self._offered += chosen.size
        # Of several for one place the last stays, as if they came one by one.
        last = dict(zip(slots.tolist(), chosen.tolist(), strict=True))
        taken = [(slot, env) for slot, env in last.items() if slot < self._size]
        if not taken:
            return
        device = rollout.rewards.device
        places, envs = (torch.tensor(part, device=device) for part in zip(*taken, strict=True))
        if self._kept is None:
            self._kept = rollout.map(self._room, lambda value: self._room(value[None])[0])
        _write(self._kept, places, rollout.of_environments(envs))

    def batches(self, size: int) -> Iterator[Rollout]:
        """Yield what was kept in random order, `size` sequences at a time."""
        count = min(self._offered, self._size)
        if self._kept is None:
            return
        order = torch.from_numpy(self._draw.permutation(count)).to(self._kept.rewards.device)
        for index in order.split(size):
            yield self._kept.of_environments(index)

    def _room(self, value: Tensor) -> Tensor:
        """Make room for K sequences of a tensor [T, N, ...]."""
        like = value[0, :1].expand(self._size, *value.shape[2:])
        return buffer(len(value), like, value.device)


def _write(kept: Rollout, places: Tensor, part: Rollout) -> None:
    """Overwrite the sequences `places` of `kept` by those of `part`."""
    for name in _PER_STEP:
        getattr(kept, name).index_copy_(1, places, getattr(part, name))
    for name, value in kept.inputs.items():
        value.index_copy_(1, places, part.inputs[name])
    kept.last_value.index_copy_(0, places, part.last_value)
    for name, value in kept.state.items():
        value.index_copy_(0, places, part.state[name])


def independent(rollout: Rollout) -> Rollout:
    """Put the T x N steps of a feed-forward network's rollout side by side: [1, T x N]."""
    nothing = torch.zeros_like(rollout.values).flatten()
    return rollout.map(lambda value: value.flatten(0, 1).unsqueeze(0), lambda _: nothing)
