"""A3C on Pong with two workers against A2C with two threads, the same environments and network.

Both train Rusu et al.'s network of 12 maps. Figures:

- `a3c_vs_a2c`: training steps/s of A3C over those of A2C, 64 environments in all.
- `a3c_vs_a2c_16`: the same with 16 environments, so 8 for each worker.
"""

from collections.abc import Callable

from _alternate import alternate, arguments, report

ARGS = arguments(__doc__)

import torch  # noqa: E402

from colonnade.learners import A2C, A3C, Compute, Lesson  # noqa: E402
from colonnade.networks import ProgressiveNetwork, atari_column  # noqa: E402
from colonnade.tasks import AtariTask  # noqa: E402

WORKERS = 2
TASK = AtariTask("pong", steps=10**9)


def training(config: A2C, num_envs: int) -> Callable[[], int]:
    """Training of one column."""
    spec = TASK.spec
    network = ProgressiveNetwork()
    network.add_column(atari_column(), spec.input_shapes, spec.outputs)
    compute = Compute.choose(spec, "cpu")
    trainer = config.trainer(
        Lesson(TASK, network.view(), lambda: None, compute, num_envs=num_envs, threads=WORKERS)
    )
    trainer.begin(len)
    # A3C's advance lasts about a second.
    advances = 1 if isinstance(config, A3C) else 10

    def work() -> int:
        return sum(trainer.advance().steps for _ in range(advances))

    return work


def main() -> None:
    """Measure and report."""
    torch.set_num_threads(WORKERS)
    sides = {  # A3C's workers first: they are forked, which is safest before other threads exist
        "a3c_64": training(A3C(workers=WORKERS), 64),
        "a3c_16": training(A3C(workers=WORKERS), 16),
        "a2c_64": training(A2C(), 64),
        "a2c_16": training(A2C(), 16),
    }
    rounds, seconds = (3, 1.0) if ARGS.quick else (9, 6.0)
    rate = alternate(sides, rounds=rounds, seconds=seconds)
    report(
        {
            "a3c_vs_a2c": rate["a3c_64"] / rate["a2c_64"],
            "a3c_vs_a2c_16": rate["a3c_16"] / rate["a2c_16"],
            **{f"{name}_steps_per_second": value for name, value in rate.items()},
        }
    )


if __name__ == "__main__":
    main()
