"""Small worlds whose every number is known."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from colonnade.types import TaskSpec


class Counting(gymnasium.Env):
    """Observation t at step t; reward 10 t; ends after `length` steps, cut off in odd episodes."""

    def __init__(self, length: int) -> None:
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(2)
        self._length = length
        self._episode = -1

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._t = 0
        self._episode += 1
        return self._observation(), {}

    def step(self, action):
        reward = 10.0 * self._t
        self._t += 1
        over = self._t == self._length
        odd = self._episode % 2 == 1
        return self._observation(), reward, over and not odd, over and odd, {}

    def _observation(self):
        return np.array([self._t], np.float32)


@dataclass(frozen=True)
class CountingTask:
    """Environments whose episodes last 3, 4, ... steps."""

    steps: int = 100
    reward_clip: float | None = None

    @property
    def spec(self) -> TaskSpec:
        env = Counting(3)
        return TaskSpec(
            "counting", env.observation_space, env.action_space, self.steps, self.reward_clip
        )

    def make_vec(self, num_envs: int, threads: int = 1) -> SyncVectorEnv:
        return SyncVectorEnv(
            [lambda n=n: Counting(3 + n) for n in range(num_envs)],
            autoreset_mode=AutoresetMode.SAME_STEP,
        )


class ClockNetwork(torch.nn.Module):
    """Value = observation + steps since the episode began, which it counts in its state."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = torch.nn.Parameter(torch.zeros(2))

    def initial_state(self, batch):
        return {"age": torch.zeros(batch, 1)}

    def precompute(self, inputs, state):
        return inputs, state

    def forward(self, inputs, state=None):
        x = inputs["observation"]
        value = x + state["age"]
        return torch.cat([self.logits.expand(len(x), 2), value], -1), {"age": state["age"] + 1}

    def unroll(self, inputs, state, starts):
        outputs = []
        for t in range(len(starts)):
            state = {"age": torch.where(starts[t, :, None], 0.0, state["age"])}
            output, state = self.forward({"observation": inputs["observation"][t]}, state)
            outputs.append(output)
        return torch.stack(outputs), state


MARK = "COLONNADE_TEST_WORKERS"


class Slow(Counting):
    """Steps forever once a file is there; registered, so that it may run in other processes."""

    def __init__(self):
        super().__init__(3)

    def step(self, action):
        while Path(os.environ[MARK]).exists():
            time.sleep(0.01)
        return super().step(action)


gymnasium.register("worlds/Slow-v0", entry_point=Slow)
