"""States are those that the policy meets, with what it remembers there."""

import pytest
import torch
from worlds import CountingTask

from colonnade.analysis.states import policy_states
from colonnade.errors import UsageError
from colonnade.networks import LSTM, ColumnSpec, Dense, ProgressiveNetwork
from colonnade.seeding import generator


def network_for(task, *stages):
    network = ProgressiveNetwork()
    spec = ColumnSpec(stages)
    network.add_column(spec, task.spec.input_shapes, task.spec.outputs, generator(0))
    return network


def test_observations_come_in_order_with_the_stride_and_count_asked_for():
    task = CountingTask()
    network = network_for(task, Dense(3))
    parts = list(policy_states(task, network, 20, stride=2, num_envs=1, batch=6))
    assert [part.count for part in parts] == [6, 6, 6, 2]
    seen = torch.cat([part.inputs["observation"] for part in parts]).ravel().tolist()
    every = [t for _ in range(20) for t in range(3)]  # episodes of three steps
    assert seen == every[:40:2]
    assert all(not part.state for part in parts)


def test_memories_are_those_of_playing_step_by_step():
    task = CountingTask()
    network = network_for(task, Dense(3), LSTM(4))
    (states,) = policy_states(task, network, 14, num_envs=1, batch=14)
    memory = network.initial_state(1)
    for t, observation in enumerate(states.inputs["observation"]):
        if t % 3 == 0:
            memory = network.initial_state(1)
        for name, part in memory.items():
            torch.testing.assert_close(states.state[name][t : t + 1], part)
        with torch.no_grad():
            _, memory = network(observation[None], memory)


def test_same_seed_same_states_and_counts_from_one():
    task = CountingTask()
    network = network_for(task, Dense(3))

    def inputs(seed):
        parts = policy_states(task, network, 40, seed=seed, num_envs=4)
        return torch.cat([part.inputs["observation"] for part in parts])

    assert torch.equal(inputs(3), inputs(3))
    with pytest.raises(UsageError, match="stride=0"):
        next(policy_states(task, network, 10, stride=0))
