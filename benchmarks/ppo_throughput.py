"""PPO on Pong: against the emulator alone, against Stable-Baselines3, and with four columns.

All sides use Rusu et al.'s network of 12 maps, 16 environments, and the same number of threads, or
of workers that have one thread each; rollouts are of 128 steps, gone through three times in four
minibatches. Figures:

- `ppo_vs_emulator`: training steps/s over those of the emulator alone, same environments;
  `one_process_vs_emulator`: the same without workers, all threads in one process;
- `ppo_one_core_vs_emulator_core`: on one thread, as where every core has its own run;
- `ppo_vs_sb3`: over those of Stable-Baselines3's PPO (its SubprocVecEnv);
- `ppo_fourth_column_vs_first`: training a fourth column over training a first.
"""

from collections.abc import Callable

from _alternate import alternate, arguments, report

ARGS = arguments(__doc__)
ENVS = 16

import torch  # noqa: E402
from _atari import emulator, ours, stable_baselines3  # noqa: E402

from colonnade.learners import PPO  # noqa: E402


def one_core(work: Callable[[], int]) -> Callable[[], int]:
    """Let torch use a single thread for a piece of work."""

    def alone() -> int:
        torch.set_num_threads(1)
        try:
            return work()
        finally:
            torch.set_num_threads(ARGS.threads)

    return alone


def main() -> None:
    """Measure and report."""
    torch.set_num_threads(ARGS.threads)
    ppo = PPO(workers=ARGS.threads)
    sides = {  # those with processes first: they fork, which is safest before other threads exist
        "sb3": stable_baselines3("PPO", 2048, n_steps=128, batch_size=512, n_epochs=3),
        "ppo": ours(ppo, ENVS, ARGS.threads),
        "ppo_one_core": one_core(ours(PPO(), ENVS, 1)),
        "fourth_column": ours(ppo, ENVS, ARGS.threads, columns=4),
        "one_process": ours(PPO(), ENVS, ARGS.threads),
        "emulator": emulator(ENVS, ARGS.threads),
        "emulator_core": emulator(ENVS, 1),
    }
    rounds, seconds = (1, 0.5) if ARGS.quick else (9, 4.0)
    rate = alternate(sides, rounds=rounds, seconds=seconds)
    report(
        {
            "ppo_vs_emulator": rate["ppo"] / rate["emulator"],
            "one_process_vs_emulator": rate["one_process"] / rate["emulator"],
            "ppo_vs_sb3": rate["ppo"] / rate["sb3"],
            "ppo_one_core_vs_emulator_core": rate["ppo_one_core"] / rate["emulator_core"],
            "ppo_fourth_column_vs_first": rate["fourth_column"] / rate["ppo"],
            **{f"{name}_steps_per_second": value for name, value in rate.items()},
        }
    )


if __name__ == "__main__":
    main()
