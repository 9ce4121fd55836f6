"""Steps are drawn from whole episodes, each with the same chance, of recurrent policies too."""

from contextlib import closing
from itertools import islice

import numpy as np
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from worlds import ClockNetwork, Counting, CountingTask

from colonnade.learners import A2C, Compute, whole_episodes

CPU = Compute(torch.device("cpu"))


class Episodes(CountingTask):
    """Episodes of 192 steps."""

    def make_vec(self, num_envs, threads=1):
        return SyncVectorEnv(
            [lambda: Counting(192)] * num_envs, autoreset_mode=AutoresetMode.SAME_STEP
        )


def rollouts(count, **options):
    task, network = Episodes(), ClockNetwork()
    policy = A2C().policy(network, task.spec, CPU, torch.Generator().manual_seed(0))
    with closing(whole_episodes(task, network, policy, CPU, seed=3, **options)) as found:
        return list(islice(found, count))


def test_steps_of_a_recurrent_policy_are_alike_likely():
    # Sequences of 128 steps: an episode holds one and a half.
    found = rollouts(40, window=128, num_envs=8, batch=10**6)
    steps = torch.cat([rollout.inputs["observation"].flatten() for rollout in found]).numpy()
    shares = np.histogram(steps, 3, (0, 192))[0] / len(steps)
    # By the grid of one phase alone the first third would have half of all.
    np.testing.assert_allclose(shares, 1 / 3, atol=0.06)


def test_sequences_go_on_from_the_state_that_they_begin_with():
    for rollout in rollouts(6, window=16, num_envs=4):
        output, _ = ClockNetwork().unroll(rollout.inputs, rollout.state, rollout.starts)
        torch.testing.assert_close(output[..., -1], rollout.values)
        assert len(rollout.rewards) == 16


def test_episodes_shorter_than_a_sequence_are_drawn_from_too():
    task, network = CountingTask(), ClockNetwork()  # episodes of 3, 4, 5, 6 steps
    policy = A2C().policy(network, task.spec, CPU, torch.Generator().manual_seed(0))
    with closing(whole_episodes(task, network, policy, CPU, seed=1, num_envs=4)) as found:
        for rollout in islice(found, 30):
            assert rollout.rewards.shape == (16, 4)  # a sequence of each environment


def test_an_episode_without_end_is_over_at_the_limit():
    (rollout,) = rollouts(1, window=16, num_envs=2, limit=64, batch=10**6)
    assert rollout.steps == 2 * 64
