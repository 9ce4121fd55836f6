"""Learners on Pong with their networks on a GPU, against the same on all processor cores.

The emulator runs on the processor either way. Both networks are Kirkpatrick et al.'s of 2017
(`paper`: 32, 64 and 128 maps, a dense layer of 1024; 6.6 M parameters with DQN's 18 actions) and
Rusu et al.'s of 2016 (`small`: 12 maps each, 256 units). Figures, for `a2c` with 64, `ppo` with 16
and `dqn` with 1 environment:

- `LEARNER_NETWORK_gpu_vs_processor`: agent steps/s of training with the network on the GPU over
  those on the processor, with workers where the learner has them.

The last line names the card. It ends with one sentence where there is no GPU.
"""

from collections.abc import Callable

from _alternate import alternate, arguments, report

ARGS = arguments(__doc__)

import torch  # noqa: E402

from colonnade.allocation import keep_memory  # noqa: E402
from colonnade.learners import A2C, DQN, PPO, Compute, LearnerConfig, Lesson  # noqa: E402
from colonnade.networks import (  # noqa: E402
    ColumnSpec,
    Conv,
    Dense,
    ProgressiveNetwork,
    atari_column,
)
from colonnade.tasks import AtariTask  # noqa: E402

COLUMNS = {
    "small": atari_column(),
    "paper": ColumnSpec((Conv(32, 8, 4), Conv(64, 4, 2), Conv(128, 3, 1), Dense(1024))),
}
ENVS = {"a2c": 64, "ppo": 16, "dqn": 1}
WARM_UP = 1000


def learner(name: str, workers: int) -> LearnerConfig:
    """Make a learner; DQN acts by its network but for one action of a hundred."""
    if name == "dqn":
        return DQN(replay=10_000, warm_up=WARM_UP, explore_start=0.01)
    return {"a2c": A2C, "ppo": PPO}[name](workers=workers)


def training(name: str, network: str, device: str) -> Callable[[], int]:
    """Begin to train; a piece of work is one advance."""
    keep_memory()
    task = AtariTask("pong", steps=10**9, full_action_space=name == "dqn")
    config = learner(name, ARGS.threads if device == "cpu" else 1)
    compute = Compute.choose(task.spec, device)
    built = ProgressiveNetwork()
    built.add_column(COLUMNS[network], task.spec.input_shapes, config.outputs(task.spec))
    view = built.to(compute.device).view()  # as `train_sequence` does
    lesson = Lesson(task, view, lambda: None, compute, num_envs=ENVS[name], threads=ARGS.threads)
    trainer = config.trainer(lesson).__enter__()
    trainer.begin(lambda stream: 0)
    steps = 0
    while name == "dqn" and steps < WARM_UP:
        steps += trainer.advance().steps
    return lambda: trainer.advance().steps


def main() -> None:
    """Measure and report."""
    if not torch.cuda.is_available():
        raise SystemExit("There is no GPU on this machine that torch can use.")
    torch.set_num_threads(ARGS.threads)
    pairs = [(name, network) for name in ENVS for network in COLUMNS]
    sides = {  # those with processes first, which fork
        f"{name}_{network}_{device}": training(name, network, device)
        for device in ("cpu", "cuda")
        for name, network in pairs
    }
    rounds, seconds = (3, 0.8) if ARGS.quick else (7, 3.0)
    rate = alternate(sides, rounds=rounds, seconds=seconds)
    print(f"{torch.cuda.get_device_name()}, {ARGS.threads} threads, torch {torch.__version__}")
    report(
        {
            f"{name}_{network}_gpu_vs_processor": rate[f"{name}_{network}_cuda"]
            / rate[f"{name}_{network}_cpu"]
            for name, network in pairs
        }
        | {f"{side}_steps_per_second": value for side, value in rate.items()}
    )


if __name__ == "__main__":
    main()
