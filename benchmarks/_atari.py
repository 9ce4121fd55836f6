"""The sides that benchmarks on Pong compare: the emulator, training here, Stable-Baselines3's."""

from collections.abc import Callable
from typing import Any, Literal

import gymnasium
import numpy as np
import torch
from torch import nn

from colonnade.allocation import keep_memory
from colonnade.learners import A2C, PPO, Compute, Lesson
from colonnade.networks import ProgressiveNetwork, atari_column
from colonnade.tasks import AtariTask

TASK = AtariTask("pong", steps=10**9)


def emulator(num_envs: int, threads: int) -> Callable[[], int]:
    """Random actions, nothing else."""
    envs = TASK.make_vec(num_envs, threads)
    envs.reset(seed=0)
    actions = np.random.default_rng(0).integers(0, 6, (50, num_envs))

    def work() -> int:
        for row in actions:
            envs.step(row)
        return actions.size

    return work


def trainer(config: A2C | PPO, num_envs: int, threads: int, columns: int = 1) -> Any:
    """Make what trains the last of `columns` columns, and begin.

    Args:
        config: The learner; several workers have one thread each.
        num_envs: Environments.
        threads: That step them, where there are no workers.
        columns: Of the network of 12 maps.
    """
    keep_memory()  # as `train_sequence` does
    spec = TASK.spec
    network = ProgressiveNetwork()
    for _ in range(columns):
        network.add_column(atari_column(), spec.input_shapes, spec.outputs)
    compute = Compute.choose(spec, "cpu")
    made = config.trainer(
        Lesson(TASK, network.view(), lambda: None, compute, num_envs=num_envs, threads=threads)
    ).__enter__()
    made.begin(lambda stream: 0)
    return made


def ours(
    config: A2C | PPO, num_envs: int, threads: int, *, columns: int = 1, advances: int = 1
) -> Callable[[], int]:
    """Train, by several advances in one piece of work; see `trainer`."""
    made = trainer(config, num_envs, threads, columns)
    return lambda: sum(made.advance().steps for _ in range(advances))


def stable_baselines3(
    learner: Literal["A2C", "PPO"], steps: int, **options: Any
) -> Callable[[], int]:
    """Stable-Baselines3 with its Atari wrappers, 16 processes and the same network.

    Args:
        learner: Its class.
        steps: Of all environments, in one piece of work.
        **options: Of the learner.
    """
    import stable_baselines3 as sb3
    from stable_baselines3.common.env_util import make_atari_env
    from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
    from stable_baselines3.common.vec_env import SubprocVecEnv, VecFrameStack

    class Features(BaseFeaturesExtractor):
        def __init__(self, space: gymnasium.spaces.Box) -> None:
            super().__init__(space, 256)
            sizes = [(space.shape[0], 8, 4), (12, 4, 2), (12, 3, 1)]
            convs = [m for c, k, s in sizes for m in (nn.Conv2d(c, 12, k, s), nn.ReLU())]
            self.body = nn.Sequential(*convs, nn.Flatten(), nn.Linear(588, 256), nn.ReLU())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.body(x)

    envs = make_atari_env(
        "ALE/Pong-v5",
        n_envs=16,
        seed=0,
        env_kwargs={"frameskip": 1, "repeat_action_probability": 0.0},
        vec_env_cls=SubprocVecEnv,
        vec_env_kwargs={"start_method": "fork"},
    )
    policy = {"features_extractor_class": Features, "net_arch": []}
    stack = VecFrameStack(envs, 4)
    model = getattr(sb3, learner)("CnnPolicy", stack, policy_kwargs=policy, device="cpu", **options)

    def work() -> int:
        model.learn(steps, reset_num_timesteps=False)
        return steps

    return work
