"""A world of one-step wisdom: choose by the sign of the first number, ignore the second."""

from dataclasses import dataclass

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from colonnade.networks import ColumnSpec, Dense, ProgressiveNetwork
from colonnade.types import TaskSpec

LENGTH = 20


class Signs(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._t = 0
        return self._look(), {}

    def step(self, action):
        reward = float(action == (self._seen[0] > 0))
        self._t += 1
        return self._look(), reward, self._t == LENGTH, False, {}

    def _look(self):
        self._seen = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        return self._seen


@dataclass(frozen=True)
class SignsTask:
    @property
    def spec(self) -> TaskSpec:
        return TaskSpec("signs", Signs.observation_space, Signs.action_space, 100)

    def make_vec(self, num_envs: int, threads: int = 1) -> SyncVectorEnv:
        return SyncVectorEnv([Signs] * num_envs, autoreset_mode=AutoresetMode.SAME_STEP)


def expert(reuses: bool) -> ProgressiveNetwork:
    """Two columns that play it well; the second reads the first's features, or has its own."""
    network = ProgressiveNetwork()
    spec = ColumnSpec((Dense(3),), activation="tanh", laterals="linear")
    for _ in range(2):
        network.add_column(spec, {"observation": (2,)}, outputs=3)
    with torch.no_grad():
        for p in network.parameters():
            p.zero_()
        for k in range(2):
            network.column(k).stage(0).weight[0, 0] = 20.0  # the sign
            network.column(k).stage(0).weight[1, 1] = 20.0  # what does not matter
        (transfer,) = network.newest.output.lateral.transfers
        weight = transfer.weight if reuses else network.newest.output.weight
        weight[0, 0], weight[1, 0] = -8.0, 8.0
    return network
