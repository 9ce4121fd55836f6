"""States are those that the policy meets, with what it remembers there."""

from dataclasses import dataclass

import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from worlds import Counting, CountingTask

from colonnade.analysis.policies.states import policy_states
from colonnade.errors import UsageError
from colonnade.networks import LSTM, ColumnSpec, Dense, ProgressiveNetwork
from colonnade.seeding import generator


def network_for(task, *stages):
    network = ProgressiveNetwork()
    spec = ColumnSpec(stages)
    network.add_column(spec, task.spec.input_shapes, task.spec.outputs, generator(0))
    return network


@dataclass(frozen=True)
class LongTask(CountingTask):
    """Episodes of 500 steps in every environment."""

    def make_vec(self, num_envs, threads=1):
        return SyncVectorEnv(
            [lambda: Counting(500)] * num_envs, autoreset_mode=AutoresetMode.SAME_STEP
        )


def seen(states):
    return torch.cat([part.inputs["observation"] for part in states]).ravel()


def test_states_are_those_of_whole_episodes_each_with_the_same_chance():
    task = LongTask()
    network = network_for(task, Dense(3))
    steps = seen(policy_states(task, network, 2000, num_envs=4))
    assert len(steps) == 2000
    # Four episodes of 500 steps have 2000: every step of them comes once.
    assert torch.equal(steps.sort().values, torch.arange(500.0).repeat_interleave(4))
    some = seen(policy_states(task, network, 400, num_envs=4))
    assert len(some) == 400
    # A fair draw's mean lies within 4 standard errors, and each fifth has its share.
    assert abs(float(some.mean()) - 249.5) < 4 * 144.3 / 20
    counts = torch.histc(some, 5, 0, 500)
    assert (counts - 80).abs().max() < 4 * (80 * 0.8) ** 0.5


def test_short_episodes_count_by_their_length_and_batches_by_their_size():
    task = CountingTask()  # episodes of 3 and 4 steps
    network = network_for(task, Dense(3))
    parts = list(policy_states(task, network, 20, num_envs=2, batch=6))
    assert all(part.count <= 6 for part in parts)
    assert sum(part.count for part in parts) == 20
    assert sorted(seen(parts[:2]).tolist()) == [0, 0, 1, 1, 2, 2, 3]  # one episode of each


def test_memories_are_those_of_playing_step_by_step():
    task = CountingTask()
    network = network_for(task, Dense(3), LSTM(4))
    (states,) = policy_states(task, network, 3, num_envs=1, batch=14)
    order = states.inputs["observation"].ravel().argsort()
    memory = network.initial_state(1)
    for t in order.tolist():
        for name, part in memory.items():
            torch.testing.assert_close(states.state[name][t : t + 1], part)
        with torch.no_grad():
            _, memory = network(states.inputs["observation"][t : t + 1], memory)


def test_same_seed_same_states_and_counts_from_one():
    task = CountingTask()
    network = network_for(task, Dense(3))

    def inputs(seed):
        return seen(policy_states(task, network, 40, seed=seed, num_envs=4))

    assert torch.equal(inputs(3), inputs(3))
    with pytest.raises(UsageError, match="count=0"):
        next(policy_states(task, network, 0))
