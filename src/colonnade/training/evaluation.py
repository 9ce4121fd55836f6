"""How well a network, or chance, plays a task or knows a data set."""

from __future__ import annotations

import math
from collections import Counter
from contextlib import closing
from typing import Any

import numpy as np
import torch
from torch import Tensor

from colonnade.checks import ABOVE_0, ANY, flag, having, real, whole
from colonnade.errors import UsageError
from colonnade.learners import (
    Acting,
    Collector,
    Compute,
    Decision,
    Policy,
    Precision,
    torch_threads,
    usual_acting,
)
from colonnade.ops import evaluation
from colonnade.records import shown
from colonnade.seeding import derive, generator, kept_globals
from colonnade.tasks.data.reading import batches_of
from colonnade.tasks.gym.real_time import in_real_time
from colonnade.training.normalizing import normalization_of
from colonnade.types import (
    Actions,
    DatasetTask,
    Inputs,
    Network,
    Split,
    State,
    Task,
    environments_of,
)
from colonnade.watching import beat

_FEWEST = 10
"""Episodes from which a standard error is believed."""

_CHUNK = 32
"""Agent steps between looks at the finished episodes."""

EPISODE_LIMIT = 100_000
"""Agent steps that an episode may last where a policy is scored, unless more is asked for."""

_EXAMPLES = 1000
"""Labelled examples that a network sees at once."""


def evaluate(
    task: Task,
    network: Network | None,
    *,
    learner: Acting | None = None,
    episodes: int | None = None,
    seed: int = 0,
    num_envs: int = 8,
    device: str = "auto",
    greedy: bool = False,
    split: Split = "test",
    limit: int = EPISODE_LIMIT,
    env_threads: int = 1,
    error: float | None = None,
    precision: Precision = "auto",
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Play whole episodes and return their undiscounted, unclipped returns.

    Of a data set, say of each example whether the network's label is right: 1 or 0, whose mean is
    the accuracy.

    Every environment plays equally many, so that short episodes are not favoured. The network is
    neither trained nor changed, but moved to the device.

    Args:
        task: What to play, or the data set.
        network: What plays it, or labels it; None plays uniformly random actions, and of a data
            set gives the chance of guessing an example's label, 1 / labels.
        learner: Whose networks these are, and so how they act and what their output means; by
            default an actor-critic's, or of a data set a classifier's.
        episodes: How many returns to give, by default 10; of a data set, how many examples, by
            default all.
        seed: Of the environments and of the sampled actions; of what is random about examples that
            are read anew.
        num_envs: How many to play side by side; of what runs in real time there is one.
        device: A torch device name, or "auto".
        greedy: Take the best action instead of sampling.
        split: Part of a data set.
        limit: Agent steps that an episode may last; Atari's end after 27,000.
        env_threads: Threads for environments that can use several, on which no number depends.
        error: Standard error of the mean return that suffices: as soon as the error is no
            larger, after ten episodes and two of each environment at the earliest, the rest is not
            played. None plays all episodes. Of a data set all examples count.
        precision: As in `TrainingOptions`.

    Returns:
        [episodes] returns, or fewer where their error suffices.

    Raises:
        UsageError: An episode has not ended within the limit, a number is not whole
            or, but for the seed, below 1, or the error is not above 0.
    """
    having("task of evaluate", task, "a task", "spec")
    if network is not None and not isinstance(network, torch.nn.Module):
        raise UsageError(f"network of evaluate must be a network or None; got {shown(network)}.")
    if learner is not None:
        having("learner of evaluate", learner, "a learner's configuration", "policy", "likelihood")
    limit, num_envs = whole("limit of evaluate", limit), whole("num_envs of evaluate", num_envs)
    env_threads = whole("env_threads of evaluate", env_threads)
    seed, greedy = whole("seed of evaluate", seed, ANY), flag("greedy of evaluate", greedy)
    if episodes is not None:
        episodes = whole("episodes of evaluate", episodes)
    if error is not None:
        error = real("error of evaluate", error, ABOVE_0)
    spec = task.spec
    seen = normalization_of(task)
    if network is not None and seen is not None and not seen.known:
        raise UsageError(
            f"Task {spec.id!r} normalises what it shows by what was seen in training, and this "
            "object of it has seen none; evaluate the task that was trained, or the network that "
            "colonnade.load gives."
        )
    learner, compute = learner or usual_acting(spec), Compute.choose(spec, device, precision)
    if network is not None:
        network.to(compute.device)
    if isinstance(task, DatasetTask):
        with evaluation(network), kept_globals(derive(seed, "evaluation globals")):
            return _right(task, network, learner, split, compute, episodes, seed)
    episodes = episodes or 10
    num_envs = 1 if in_real_time(task) else min(num_envs, episodes)
    stream = generator(seed, "evaluation actions", device=compute.device)
    policy: Policy
    if network is None:
        network = _NoNetwork()
        policy = _uniform_policy(spec.actions, num_envs, stream)
    else:
        policy = learner.policy(network, spec, compute, stream, greedy)
    share = -(-episodes // num_envs)
    rounds = np.empty((0, num_envs))
    with (
        torch_threads(1),
        kept_globals(derive(seed, "evaluation globals")),
        Collector(
            environments_of(task),
            network,
            policy,
            compute,
            steps=_CHUNK,
            num_envs=num_envs,
            threads=env_threads,
        ) as collector,
    ):
        collector.begin(derive(seed, "evaluation"))
        while len(rounds) < share and _sufficient(rounds, error) is None:
            collector.collect()
            played: list[list[float]] = [[] for _ in range(num_envs)]
            for episode in collector.episodes:
                played[episode.environment].append(episode.total_return)
            whole_rounds = min(share, *map(len, played))
            rounds = np.array([returns[:whole_rounds] for returns in played]).T
            _check_limit(spec.id, collector, num_envs, limit)
    return rounds[: _sufficient(rounds, error)].ravel()[:episodes]


def _sufficient(rounds: np.ndarray[Any, Any], error: float | None) -> int | None:
    """Return after how many rounds [R, N] of an episode of each environment the error suffices.

    At the first such round, so that nothing depends on how many were played at once.
    """
    if error is None:
        return None
    for count in range(2, len(rounds) + 1):
        returns = rounds[:count]
        enough = returns.size >= _FEWEST
        if enough and returns.std(ddof=1) <= error * math.sqrt(returns.size):
            return count
    return None


def _check_limit(task: str, collector: Collector, num_envs: int, limit: int) -> None:
    """Refuse an episode, ended or under way, that is longer than the limit."""
    ended: Counter[int] = Counter()
    for episode in collector.episodes:
        ended[episode.environment] += episode.length
    under_way = [collector.taken - ended[env] for env in range(num_envs)]
    if max([*under_way, *(episode.length for episode in collector.episodes)]) > limit:
        raise UsageError(
            f"An episode of task {task!r} has lasted for more than {limit:,} steps; give the "
            "environment an end, as with gymnasium's max_episode_steps, or evaluate with a higher "
            "`limit`, which is `evaluation_limit` in the spec of a run."
        )


def _right(
    task: DatasetTask,
    network: Network | None,
    learner: Acting,
    split: Split,
    compute: Compute,
    count: int | None,
    seed: int,
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Say of the first examples whether each is labelled rightly, or the chance that it is."""
    spec, parts, left = task.spec, [], math.inf if count is None else count
    with closing(batches_of(task, split, _EXAMPLES, seed)) as batches:
        for examples in batches:
            beat()
            if network is None:
                parts.append(np.full(examples.steps, 1 / spec.action_sizes[0]))
            else:
                inputs = {name: v.to(compute.device) for name, v in examples.inputs.items()}
                with torch.no_grad(), compute.autocast():
                    output, _ = network(inputs)
                found = learner.likelihood(output, spec).mode().squeeze(-1).cpu()
                parts.append((found == examples.targets.cpu()).numpy().astype(np.float64))
            left -= examples.steps
            if left <= 0:
                break
    return np.concatenate(parts)[:count]


class _NoNetwork(torch.nn.Module):
    """Stands where the collector wants a network that sees nothing."""

    def initial_state(self, batch: int) -> State:
        return {}

    def precompute(self, inputs: Inputs, state: State) -> tuple[Inputs, State]:
        return {}, state

    def forward(self, inputs: Inputs | Tensor, state: State | None = None) -> tuple[Tensor, State]:
        raise AssertionError("never called")

    def unroll(self, inputs: Inputs, state: State, starts: Tensor) -> tuple[Tensor, State]:
        raise AssertionError("never called")


def _uniform_policy(form: Actions, count: int, stream: torch.Generator) -> Policy:
    def decide(inputs: Inputs, state: State) -> Decision:
        zeros = torch.zeros(count, device=stream.device)
        return Decision(form.random(count, stream), zeros, zeros, state)

    return decide
