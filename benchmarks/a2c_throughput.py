"""A2C on Pong: against the emulator alone, against Stable-Baselines3, and with four columns.

All sides use Rusu et al.'s network of 12 maps and the same number of threads, or of workers that
have one thread each. Figures:

- `a2c_vs_emulator`: training steps/s over those of the emulator alone, same environments;
  `one_process_vs_emulator`: the same without workers, all threads in one process.
- `a2c_vs_sb3`: over those of Stable-Baselines3's A2C, 16 environments each (its SubprocVecEnv);
  `a2c_64_vs_sb3`: ours with the 64 environments of the other figures.
- `fourth_column_vs_first`: training a fourth column over training a first.
"""

from collections.abc import Callable

from _alternate import alternate, arguments, report

ARGS = arguments(__doc__)
ENVS = 64

import gymnasium  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402

from colonnade.learners import A2C, Compute, Lesson  # noqa: E402
from colonnade.networks import ProgressiveNetwork, atari_column  # noqa: E402
from colonnade.tasks import AtariTask  # noqa: E402

TASK = AtariTask("pong", steps=10**9)


def emulator() -> Callable[[], int]:
    """Random actions, nothing else."""
    envs = TASK.make_vec(ENVS, ARGS.threads)
    envs.reset(seed=0)
    actions = np.random.default_rng(0).integers(0, 6, (50, ENVS))

    def work() -> int:
        for row in actions:
            envs.step(row)
        return actions.size

    return work


def colonnade(columns: int, num_envs: int, workers: int = ARGS.threads) -> Callable[[], int]:
    """Training of the last of `columns` columns; several workers have one thread each."""
    spec = TASK.spec
    network = ProgressiveNetwork()
    for _ in range(columns):
        network.add_column(atari_column(), spec.input_shapes, spec.outputs)
    config = A2C(workers=workers)
    compute = Compute.choose(spec, "cpu")
    trainer = config.trainer(
        Lesson(TASK, network.view(), lambda: None, compute, num_envs=num_envs, threads=ARGS.threads)
    ).__enter__()
    trainer.begin(lambda stream: 0)
    return lambda: sum(trainer.advance().steps for _ in range(10))


def stable_baselines3() -> Callable[[], int]:
    """Stable-Baselines3's A2C with its Atari wrappers, 16 processes and the same network."""
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
    model = sb3.A2C("CnnPolicy", stack, policy_kwargs=policy, device="cpu", n_steps=5)
    model.learn(80)

    def work() -> int:
        model.learn(800, reset_num_timesteps=False)
        return 800

    return work


def main() -> None:
    """Measure and report."""
    torch.set_num_threads(ARGS.threads)
    # Those with processes first: they fork, which is safest before other threads exist.
    sides = {
        "sb3_16": stable_baselines3(),
        "a2c": colonnade(1, ENVS),
        "a2c_16": colonnade(1, 16),
        "fourth_column": colonnade(4, ENVS),
        "one_process": colonnade(1, ENVS, workers=1),
        "emulator": emulator(),
    }
    rounds, seconds = (3, 1.0) if ARGS.quick else (9, 4.0)
    rate = alternate(sides, rounds=rounds, seconds=seconds)
    report(
        {
            "a2c_vs_emulator": rate["a2c"] / rate["emulator"],
            "one_process_vs_emulator": rate["one_process"] / rate["emulator"],
            "a2c_vs_sb3": rate["a2c_16"] / rate["sb3_16"],
            "a2c_64_vs_sb3": rate["a2c"] / rate["sb3_16"],
            "fourth_column_vs_first": rate["fourth_column"] / rate["a2c"],
            **{f"{name}_steps_per_second": value for name, value in rate.items()},
        }
    )


if __name__ == "__main__":
    main()
