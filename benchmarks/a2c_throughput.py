"""A2C on Pong: against the emulator alone, against Stable-Baselines3, and with four columns.

All sides use Rusu et al.'s network of 12 maps and the same number of threads, or of workers that
have one thread each. Figures:

- `a2c_vs_emulator`: training steps/s over those of the emulator alone, same environments;
  `one_process_vs_emulator`: the same without workers, all threads in one process.
- `a2c_vs_sb3`: over those of Stable-Baselines3's A2C, 16 environments each (its SubprocVecEnv);
  `a2c_64_vs_sb3`: ours with the 64 environments of the other figures.
- `fourth_column_vs_first`: training a fourth column over training a first.
"""

from _alternate import alternate, arguments, report

ARGS = arguments(__doc__)
ENVS = 64

import torch  # noqa: E402
from _atari import emulator, ours, stable_baselines3  # noqa: E402

from colonnade.learners import A2C  # noqa: E402


def main() -> None:
    """Measure and report."""
    torch.set_num_threads(ARGS.threads)
    threads, a2c = ARGS.threads, A2C(workers=ARGS.threads)
    # Those with processes first: they fork, which is safest before other threads exist.
    sides = {
        "sb3_16": stable_baselines3("A2C", 800, n_steps=5),
        "a2c": ours(a2c, ENVS, threads, advances=10),
        "a2c_16": ours(a2c, 16, threads, advances=10),
        "fourth_column": ours(a2c, ENVS, threads, columns=4, advances=10),
        "one_process": ours(A2C(), ENVS, threads, advances=10),
        "emulator": emulator(ENVS, threads),
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
