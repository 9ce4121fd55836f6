"""A small Q-network's learner and trainer, on the world of signs and on one that only ticks."""

from dataclasses import dataclass

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from signs import SignsTask

from colonnade.learners import DQN, Compute, Lesson
from colonnade.networks import ColumnSpec, Dense, ProgressiveNetwork
from colonnade.types import TaskSpec

TASK = SignsTask()
CPU = Compute(torch.device("cpu"))
SMALL = DQN(
    warm_up=40,
    replay=200,
    batch_size=16,
    target_every=50,
    explore_steps=100,
    learning_rate=1e-3,
)


def network(outputs=3, units=4, shapes=None, stages=None):
    made = ProgressiveNetwork()
    spec = ColumnSpec(stages or (Dense(units),), activation="tanh")
    made.add_column(spec, shapes or {"observation": (2,)}, outputs)
    return made


def trainer(config, task=TASK, num_envs=2, steps=10_000, stages=None, all_steps=None):
    made = network(config.outputs(task.spec), shapes=task.spec.input_shapes, stages=stages)
    lesson = Lesson(
        task, made, lambda: None, CPU, num_envs=num_envs, steps=steps, all_steps=all_steps
    )
    return config.trainer(lesson)


class Ticking(gymnasium.Env):
    """Shows the number of the step, and is cut off after three; each step is worth 3."""

    observation_space = gymnasium.spaces.Box(0, 9, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._t = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self._t += 1
        return np.full(1, self._t, np.float32), 3.0, False, self._t == 3, {}


@dataclass(frozen=True)
class TickingTask:
    spec = TaskSpec("ticking", Ticking.observation_space, Ticking.action_space, 900, 1.0)

    def make_vec(self, num_envs, threads=1):
        return SyncVectorEnv([Ticking] * num_envs, autoreset_mode=AutoresetMode.SAME_STEP)
