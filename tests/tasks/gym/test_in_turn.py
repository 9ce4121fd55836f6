"""Environments in turn against Gymnasium's own vector environment of the same."""

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from colonnade.tasks import GymTask
from colonnade.tasks.gym.in_turn import InTurn
from colonnade.tasks.vector import rewards_as_they_came


class Telling(gymnasium.Env):
    """Ends after so many steps, and says more than it is asked for."""

    action_space = Discrete(2)

    def __init__(self, length, mixed):
        self._length = length
        part = Box(-100, 100, (2,), np.float64)
        self.observation_space = Dict({"a": part, "b": part}) if mixed else part
        self._mixed = mixed
        self._told = np.zeros(2)  # the same array at every step

    def _seen(self):
        self._told[:] = self._time, self.np_random.random()
        return {"a": self._told, "b": -self._told} if self._mixed else self._told

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._time = 0
        return self._seen(), {"lives_on": True, "said": 0}

    def step(self, action):
        self._time += 1
        over = self._time == self._length
        said = {"raw_rewards": 7.0 * self._time, "said": self._time}
        return self._seen(), float(action), over and action == 0, over and action == 1, said


def flat(value):
    return list(value.values()) if isinstance(value, dict) else [value]


@pytest.mark.parametrize("mixed", [False, True])
def test_steps_are_those_of_gymnasium(mixed):
    makers = [lambda length=length: Telling(length, mixed) for length in (2, 3, 5)]
    ours = InTurn(makers)
    theirs = SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP)
    ours.reset(seed=3)
    theirs.reset(seed=3)
    draw = np.random.default_rng(0)
    for _ in range(12):
        actions = draw.integers(0, 2, 3)
        mine, others = ours.step(actions), theirs.step(actions)
        for a, b in zip(flat(mine[0]), flat(others[0]), strict=True):
            np.testing.assert_array_equal(a, b)
        for a, b in zip(mine[1:4], others[1:4], strict=True):
            np.testing.assert_array_equal(a, b)
        read = {k for k in others[4] if k.strip("_") in ("lives_on", "final_obs")}
        assert set(mine[4]) == read
        for name in read:
            assert repr(mine[4][name]) == repr(others[4][name])


@pytest.mark.parametrize("processes", [False, True])
def test_rewards_are_those_of_the_steps_whatever_an_environment_calls_raw(processes):
    envs = GymTask(lambda: Telling(4, False), name="telling", processes=processes).make_vec(2)
    envs.reset(seed=0)
    for _ in range(6):
        _, rewards, _, _, info = envs.step(np.array([0, 1]))
        assert rewards_as_they_came(rewards, info).tolist() == [0, 1]
    envs.close()


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("processes", [False, True])
def test_what_a_task_shows_is_not_written_over(mixed, processes):
    task = GymTask(lambda: Telling(4, mixed), name="telling", processes=processes)
    envs = task.make_vec(2)
    shown = [envs.reset(seed=0)[0]]
    first = [part.copy() for part in flat(shown[0])]
    shown += [envs.step(np.zeros(2, np.int64))[0] for _ in range(6)]
    envs.close()
    for a, b in zip(flat(shown[0]), first, strict=True):
        np.testing.assert_array_equal(a, b)
    assert [flat(each)[0][0, 0] for each in shown] == [0, 1, 2, 3, 0, 1, 2]


@pytest.mark.parametrize("processes", [False, True])
def test_the_last_observation_is_not_written_over_by_the_next_episode(processes):
    task = GymTask(telling, steps=100, name="telling", processes=processes)
    envs = task.make_vec(2)
    envs.reset(seed=0)
    for _ in range(5):
        observations, *_, info = envs.step(np.zeros(2, int))
    assert np.array([place[0] for place in info["final_obs"]]).ravel().tolist() == [5, 5]
    assert observations[..., 0].ravel().tolist() == [0, 0]
    envs.close()


def telling():
    return Telling(5, mixed=False)
