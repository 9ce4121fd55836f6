"""Environments in processes: one that hangs is named and ended."""

import os
import signal
import time

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from colonnade.errors import HungError
from colonnade.tasks.gym.env_processes import EnvProcesses
from colonnade.watching import HANG_SECONDS, set_limit


@pytest.fixture
def limit():
    set_limit(0.5)
    yield
    set_limit(HANG_SECONDS)


@pytest.fixture
def long_limit():
    set_limit(10)
    yield
    set_limit(HANG_SECONDS)


@pytest.mark.usefixtures("limit")
@pytest.mark.parametrize("call", ["step", "reset", "call"])
def test_one_that_never_answers_is_named_and_all_are_ended(call):
    makers = [lambda: gymnasium.make("CartPole-v1") for _ in range(2)]
    envs = EnvProcesses("CartPole-v1", makers, autoreset_mode=AutoresetMode.SAME_STEP)
    envs.reset(seed=0)
    envs.step(np.zeros(2, np.int64))
    pids = [process.pid for process in envs.processes]
    os.kill(pids[1], signal.SIGSTOP)
    begun = time.monotonic()
    sentence = rf"Environment 1 of CartPole-v1 \(process {pids[1]}\), in its {call}, gave no sign"
    calls = {
        "step": lambda: envs.step(np.zeros(2, np.int64)),
        "reset": lambda: envs.reset(seed=1),
        "call": lambda: envs.get_attr("spec"),
    }
    with pytest.raises(HungError, match=sentence):
        calls[call]()
    assert 0.4 < time.monotonic() - begun < 5
    assert not any(process.is_alive() for process in envs.processes)
    envs.close()


@pytest.mark.usefixtures("long_limit")
def test_a_step_shorter_than_the_limit_is_waited_for():
    class Slow(gymnasium.Wrapper):
        def step(self, action):
            time.sleep(0.6)
            return super().step(action)

    makers = [lambda: Slow(gymnasium.make("CartPole-v1"))]
    envs = EnvProcesses("slow", makers, autoreset_mode=AutoresetMode.SAME_STEP)
    envs.reset(seed=0)
    for _ in range(2):
        envs.step(np.zeros(1, np.int64))
    envs.close()
