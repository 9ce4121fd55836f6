"""Training an LSTM agent on Pong against training the feed-forward agent, with A2C.

Both have Rusu et al.'s convolutions of 12 maps and 256 units; the recurrent one has 256 LSTM cells
after them, as in Mnih et al. 2016. Figures:

- `lstm_vs_feed_forward`: training steps/s, 16 environments, 5 steps a rollout.
- `lstm_vs_feed_forward_20`: the same with 20 steps a rollout, as an LSTM would rather have.
"""

from collections.abc import Callable

from _alternate import alternate, arguments, report

ARGS = arguments(__doc__)
ENVS = 16

import torch  # noqa: E402

from colonnade.allocation import keep_memory  # noqa: E402
from colonnade.learners import A2C, Compute, Lesson  # noqa: E402
from colonnade.networks import LSTM, ColumnSpec, ProgressiveNetwork, atari_column  # noqa: E402
from colonnade.tasks import AtariTask  # noqa: E402

TASK = AtariTask("pong", steps=10**9)
FEED_FORWARD = atari_column()
RECURRENT = ColumnSpec((*FEED_FORWARD.stages, LSTM(256)))


def training(column: ColumnSpec, rollout_steps: int) -> Callable[[], int]:
    """Training of one column."""
    spec = TASK.spec
    network = ProgressiveNetwork()
    network.add_column(column, spec.input_shapes, spec.outputs)
    trainer = A2C(rollout_steps=rollout_steps).trainer(
        Lesson(
            TASK,
            network.view(),
            lambda: None,
            Compute.choose(spec, "cpu"),
            num_envs=ENVS,
            threads=ARGS.threads,
        )
    )
    trainer.begin(len)

    def work() -> int:
        return sum(trainer.advance().steps for _ in range(100 // rollout_steps))

    return work


def main() -> None:
    """Measure and report."""
    torch.set_num_threads(ARGS.threads)
    keep_memory()  # as `train_sequence` does
    sides = {
        "lstm": training(RECURRENT, 5),
        "feed_forward": training(FEED_FORWARD, 5),
        "lstm_20": training(RECURRENT, 20),
        "feed_forward_20": training(FEED_FORWARD, 20),
    }
    rounds, seconds = (3, 1.0) if ARGS.quick else (9, 6.0)
    rate = alternate(sides, rounds=rounds, seconds=seconds)
    report(
        {
            "lstm_vs_feed_forward": rate["lstm"] / rate["feed_forward"],
            "lstm_vs_feed_forward_20": rate["lstm_20"] / rate["feed_forward_20"],
            **{f"{name}_steps_per_second": value for name, value in rate.items()},
        }
    )


if __name__ == "__main__":
    main()
