"""Collected experience against worlds whose every number is known."""

from dataclasses import dataclass

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from worlds import ClockNetwork, CountingTask

from colonnade.errors import UsageError
from colonnade.learners import A2C, Collector, Compute
from colonnade.learners.trainer import Deferring
from colonnade.methods import Scratch
from colonnade.networks import ColumnSpec, Dense
from colonnade.tasks import GymTask
from colonnade.types import TaskSpec

CPU = Compute(torch.device("cpu"))


@pytest.fixture
def collector():
    task = CountingTask(reward_clip=5.0)
    network = ClockNetwork()
    policy = A2C().policy(network, task.spec, CPU, torch.Generator().manual_seed(0))
    with Collector(task, network, policy, CPU, steps=8, num_envs=2) as collector:
        collector.begin(0)
        yield collector


def test_every_step_is_experience_and_ends_are_told_apart(collector):
    rollout = collector.collect()
    # Environment 0 has episodes of 3 steps, environment 1 of 4; odd episodes are cut off.
    observations = rollout.inputs["observation"][..., 0]
    assert observations[:, 0].tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert observations[:, 1].tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    assert rollout.starts[:, 0].nonzero().flatten().tolist() == [0, 3, 6]
    assert rollout.starts[:, 1].nonzero().flatten().tolist() == [0, 4]
    assert rollout.terminated.nonzero().tolist() == [[2, 0], [3, 1]]
    assert rollout.truncated.nonzero().tolist() == [[5, 0], [7, 1]]


def test_final_values_are_those_of_the_last_observation_with_its_state(collector):
    rollout = collector.collect()
    # At the end of an episode of L steps the observation is L and the clock has counted L.
    expected = torch.zeros(8, 2)
    expected[5, 0], expected[7, 1] = 6.0, 8.0
    assert torch.equal(rollout.final_values * rollout.truncated, expected)


def test_last_value_belongs_to_the_observation_after_the_rollout(collector):
    first = collector.collect()
    assert first.last_value.tolist() == [4.0, 0.0]
    second = collector.collect()
    assert second.inputs["observation"][0, :, 0].tolist() == [2, 0]
    assert second.starts[0].tolist() == [False, True]
    assert second.values[0].tolist() == [4.0, 0.0]


def test_state_in_rollout_and_in_update_agree(collector):
    network = ClockNetwork()
    for _ in range(3):
        rollout = collector.collect()
        output, _ = network.unroll(rollout.inputs, rollout.state, rollout.starts)
        assert torch.equal(output[..., -1], rollout.values)


def test_rewards_are_clipped_for_learning_and_whole_for_reporting(collector):
    rollout = collector.collect()
    assert rollout.rewards.max() == 5.0
    of_first = [e for e in collector.episodes if e.environment == 0]
    assert [e.total_return for e in of_first] == [30.0, 30.0]  # 0 + 10 + 20
    assert [e.length for e in of_first] == [3, 3]


def test_reset_begins_anew(collector):
    collector.collect()
    collector.begin(0)
    rollout = collector.collect()
    assert rollout.starts[0].all()
    assert rollout.inputs["observation"][0].eq(0).all()
    assert rollout.values[0].eq(0).all()


class Slides(gymnasium.Env):
    """Shows the images [T, planes, height, width] that it is given, one a step."""

    def __init__(self, images):
        self._images = images
        self.observation_space = gymnasium.spaces.Box(0, 255, images.shape[1:], np.uint8)
        self.action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        self._t = 0
        return self._images[0], {}

    def step(self, action):
        self._t += 1
        return self._images[self._t], 0.0, False, False, {}


@dataclass(frozen=True)
class SlidesTask:
    images: np.ndarray  # [N, T, planes, height, width]

    @property
    def spec(self):
        env = Slides(self.images[0])
        return TaskSpec("slides", env.observation_space, env.action_space, 100)

    def make_vec(self, num_envs, threads=1):
        return SyncVectorEnv(
            [lambda images=images: Slides(images) for images in self.images],
            autoreset_mode=AutoresetMode.SAME_STEP,
        )


class Steered(gymnasium.vector.VectorWrapper):
    """Changes what a step returns."""

    def __init__(self, env, change):
        super().__init__(env)
        self._change = change

    def step(self, actions):
        return self._change(*self.env.step(actions))


def collected(change):
    network, task = ClockNetwork(), CountingTask()
    policy = A2C().policy(network, task.spec, CPU, torch.Generator().manual_seed(0))
    steered = CountingTask()
    object.__setattr__(steered, "make_vec", lambda n, threads=1: Steered(task.make_vec(n), change))
    with Collector(steered, network, policy, CPU, steps=8, num_envs=2) as collector:
        collector.begin(0)
        return collector.collect(), collector.episodes


def test_a_life_ends_no_episode_but_being_cut_off_does():
    def lives_on(observations, rewards, terminated, truncated, info):
        return observations, rewards, terminated, truncated, {**info, "lives_on": np.ones(2, bool)}

    rollout, episodes = collected(lives_on)
    # Environment 0 is cut off with its 6th step, environment 1 with its 8th.
    assert [(e.environment, e.length) for e in episodes] == [(0, 6), (1, 8)]
    assert rollout.starts.nonzero().tolist() == [[0, 0], [0, 1], [6, 0]]


def test_numbers_too_large_for_a_network_do_not_cancel():
    def large(observations, *rest):
        return np.array([[1e39], [-1e39]]), *rest

    with pytest.raises(UsageError, match="Environment 0 of task 'counting' gave NaN or infinity"):
        collected(large)


class BlindNetwork(ClockNetwork):
    def forward(self, inputs, state=None):
        outputs = self.logits.new_zeros(len(inputs["observation"]), 3)
        return outputs, {"age": state["age"] + 1}


@pytest.mark.parametrize("planes", [1, 3, 4, 5])
def test_images_arrive_plane_by_plane_in_channels_last_memory(planes):
    images = np.random.default_rng(0).integers(0, 256, (2, 9, planes, 5, 6), dtype=np.uint8)
    task, network = SlidesTask(images), BlindNetwork()
    policy = A2C().policy(network, task.spec, CPU, torch.Generator().manual_seed(0))
    with Collector(task, network, policy, CPU, steps=4, num_envs=2) as collector:
        collector.begin(0)
        for begin in (0, 4):
            found = collector.collect().inputs["observation"]
            expected = torch.from_numpy(images[:, begin : begin + 4]).transpose(0, 1)
            assert torch.equal(found, expected)
            assert found[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("id", ["Pendulum-v1", "CartPole-v1"])
def test_what_is_judged_in_one_pass_is_what_is_judged_step_by_step(id):
    task, rollouts = GymTask(id), []
    for at_once in (False, True):
        method = Scratch(ColumnSpec((Dense(16), Dense(8)), activation="tanh"))
        torch.manual_seed(0)
        network = method.begin_task(task.spec, task.spec.outputs)
        policy = A2C().policy(network, task.spec, CPU, torch.Generator().manual_seed(0))
        assert isinstance(policy, Deferring)

        def whole(inputs, state, policy=policy):
            return policy(inputs, state)

        given = whole if at_once else policy
        with Collector(task, network, given, CPU, steps=40, num_envs=3) as collector:
            collector.begin(0)
            rollouts.append((collector.collect(), collector.collect()))
    for deferred, stepped in zip(*rollouts, strict=True):
        for name in ("actions", "rewards", "log_probs", "values", "last_value", "final_values"):
            assert getattr(deferred, name).equal(getattr(stepped, name)), name
    last = rollouts[0][-1]  # inputs last as long as it is the latest
    output, _ = network.unroll(last.inputs, {}, last.starts)
    likely = A2C().likelihood(output, task.spec).log_prob(last.actions)
    torch.testing.assert_close(likely, last.log_probs)


def test_numbers_whose_squares_are_too_large_are_still_numbers():
    def large(observations, *rest):
        return np.float32([[1e30], [-1e30]]), *rest

    rollout, _ = collected(large)
    assert rollout.steps == 16
