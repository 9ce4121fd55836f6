"""DQN on Pong, one environment, an update of 32 every 4 steps: against Stable-Baselines3's DQN.

Its DQN is single: the target network chooses too, a forward pass less in an update. Figures:

- `dqn_vs_sb3_small`: agent steps/s of ours, double, over those of Stable-Baselines3, Rusu et al.'s
  network of 12 maps; `dqn_vs_sb3_small_single`: of ours single, like for like;
  `dqn_8_vs_sb3_small`: of ours, double, with 8 environments side by side;
- `dqn_vs_sb3_paper` and `dqn_vs_sb3_paper_single`: the same on the network of Kirkpatrick et al.
  2017, 32, 64 and 128 maps, a dense layer of 1024 and 18 actions, 6.6 M parameters;
- `replay_bytes_per_step` and `replay_bytes_per_step_sb3`: of memory, for a step remembered.
"""

from collections.abc import Callable

from _alternate import alternate, arguments, report

ARGS = arguments(__doc__)

import gymnasium  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402

from colonnade.learners import DQN, Compute, Lesson  # noqa: E402
from colonnade.networks import (  # noqa: E402
    ColumnSpec,
    Conv,
    Dense,
    ProgressiveNetwork,
    atari_column,
)
from colonnade.tasks import AtariTask  # noqa: E402

REPLAY = 10_000
"""Steps: enough to draw from, and filled while warming up."""

WARM_UP = 1000


class Side:
    """A network, of ours and of Stable-Baselines3.

    Args:
        column: Of ours.
        maps: Of the three convolutions of Stable-Baselines3's.
        units: Of its dense layer.
        full: Whether there are all 18 actions, or Pong's 6.
    """

    def __init__(
        self, column: ColumnSpec, maps: tuple[int, int, int], units: int, full: bool
    ) -> None:
        self.column, self.maps, self.units, self.full = column, maps, units, full

    def ours(self, *, double: bool, num_envs: int = 1) -> Callable[[], int]:
        """Training by Colonnade, in 64 steps or a few more."""
        task = AtariTask("pong", steps=10**9, full_action_space=self.full)
        spec = task.spec
        # Both play by their networks, but for one action of a hundred.
        config = DQN(replay=REPLAY, warm_up=WARM_UP, double=double, explore_start=0.01)
        network = ProgressiveNetwork()
        network.add_column(self.column, spec.input_shapes, config.outputs(spec))
        compute = Compute.choose(spec, "cpu")
        lesson = Lesson(
            task, network.view(), lambda: None, compute, num_envs=num_envs, threads=ARGS.threads
        )
        trainer = config.trainer(lesson).__enter__()
        trainer.begin(lambda stream: 0)
        for _ in range(WARM_UP // 64 + 1):
            trainer.advance()
        return lambda: trainer.advance().steps

    def stable_baselines3(self) -> Callable[[], int]:
        """Training by Stable-Baselines3 with its Atari wrappers."""
        import stable_baselines3 as sb3
        from stable_baselines3.common.env_util import make_atari_env
        from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
        from stable_baselines3.common.vec_env import VecFrameStack

        first, second, third = self.maps
        units = self.units

        class Features(BaseFeaturesExtractor):
            def __init__(self, space: gymnasium.spaces.Box) -> None:
                super().__init__(space, units)
                sizes = [(space.shape[0], first, 8, 4), (first, second, 4, 2)]
                sizes.append((second, third, 3, 1))
                convs = [m for i, o, k, s in sizes for m in (nn.Conv2d(i, o, k, s), nn.ReLU())]
                last = nn.Linear(third * 49, units)
                self.body = nn.Sequential(*convs, nn.Flatten(), last, nn.ReLU())

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.body(x)

        game = {"frameskip": 1, "repeat_action_probability": 0.0, "full_action_space": self.full}
        envs = make_atari_env("ALE/Pong-v5", n_envs=1, seed=0, env_kwargs=game)
        model = sb3.DQN(
            "CnnPolicy",
            VecFrameStack(envs, 4),
            buffer_size=REPLAY,
            learning_starts=WARM_UP,
            train_freq=4,
            gradient_steps=1,
            batch_size=32,
            target_update_interval=7500,
            exploration_initial_eps=0.01,
            exploration_final_eps=0.01,
            policy_kwargs={
                "features_extractor_class": Features,
                "net_arch": [],
                "optimizer_class": torch.optim.RMSprop,
                "optimizer_kwargs": {"alpha": 0.95, "eps": 0.01},
            },
            device="cpu",
        )
        model.learn(WARM_UP)

        def work() -> int:
            model.learn(64, reset_num_timesteps=False)
            return 64

        return work


SMALL = Side(atari_column(), (12, 12, 12), 256, full=False)
PAPER = Side(
    ColumnSpec((Conv(32, 8, 4), Conv(64, 4, 2), Conv(128, 3, 1), Dense(1024))),
    (32, 64, 128),
    1024,
    full=True,
)


def main() -> None:
    """Measure and report."""
    torch.set_num_threads(ARGS.threads)
    sides = {
        "sb3_small": SMALL.stable_baselines3(),
        "small": SMALL.ours(double=True),
        "small_single": SMALL.ours(double=False),
        "small_8": SMALL.ours(double=True, num_envs=8),
        "sb3_paper": PAPER.stable_baselines3(),
        "paper": PAPER.ours(double=True),
        "paper_single": PAPER.ours(double=False),
    }
    rounds, seconds = (3, 0.8) if ARGS.quick else (9, 4.0)
    rate = alternate(sides, rounds=rounds, seconds=seconds)
    task = AtariTask("pong").spec
    steps = DQN().replay
    report(
        {
            "dqn_vs_sb3_small": rate["small"] / rate["sb3_small"],
            "dqn_vs_sb3_small_single": rate["small_single"] / rate["sb3_small"],
            "dqn_8_vs_sb3_small": rate["small_8"] / rate["sb3_small"],
            "dqn_vs_sb3_paper": rate["paper"] / rate["sb3_paper"],
            "dqn_vs_sb3_paper_single": rate["paper_single"] / rate["sb3_paper"],
            "replay_bytes_per_step": DQN().memory_bytes(task, 1) / steps,
            "replay_bytes_per_step_sb3": 2 * 4 * 84 * 84,
            **{f"{name}_steps_per_second": value for name, value in rate.items()},
        }
    )


if __name__ == "__main__":
    main()
