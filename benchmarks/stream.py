"""What a stream of games costs a Q-network's step: penalties, gains of each task, recognition.

Pong, one environment, an update of 32 every 4 steps, the network of 12 maps, double DQN. Figures:

- `stream_step_vs_plain`: time of an agent step with the penalties of 10 tasks that have ended (EWC
  per task, merged), gains and biases of each task in every layer, and Forget-Me-Not with 10
  contexts, over that of a plain one;
- `penalties_vs_plain`, `gains_vs_plain`, `recognition_vs_plain`: with one of the three alone.
"""

from contextlib import closing
from dataclasses import replace
from functools import partial

from _alternate import alternate, arguments, report

ARGS = arguments(__doc__)

import torch  # noqa: E402
from _contexts import with_contexts  # noqa: E402

from colonnade.learners import DQN, Compute, Lesson, Watch  # noqa: E402
from colonnade.learners.off_policy import OffPolicyTrainer  # noqa: E402
from colonnade.methods import EWC, ColumnMethod, Finetune  # noqa: E402
from colonnade.networks import ColumnSpec, atari_column  # noqa: E402
from colonnade.tasks import AtariTask  # noqa: E402

TASKS = 10
WARM_UP = 500


CONFIG = DQN(replay=2_000, warm_up=WARM_UP, explore_start=0.01)
"""All sides play by their networks, but for one action of a hundred."""

TASK = AtariTask("pong", steps=10**9)


def recognition() -> Watch:
    """Look at what the environment shows; its pictures are the tenth context."""
    recogniser, _ = with_contexts(84, TASKS - 1)

    def look(observation: object) -> None:
        recogniser.observe(observation)  # type: ignore[arg-type]

    return look


def begun(method: ColumnMethod, watch: Watch | None = None) -> OffPolicyTrainer:
    """Begin Pong with a method, and play until updates are due."""
    network = method.begin_task(TASK.spec, CONFIG.outputs(TASK.spec))
    compute = Compute.choose(TASK.spec, "cpu")
    lesson = Lesson(
        TASK, network, method.penalty, compute, num_envs=1, threads=ARGS.threads, watch=watch
    )
    trainer = CONFIG.trainer(lesson).__enter__()
    trainer.begin(lambda stream: 0)
    for _ in range(WARM_UP // 64 + 1):
        trainer.advance()
    return trainer


def after_ten(method: ColumnMethod, trainer: OffPolicyTrainer) -> ColumnMethod:
    """End ten tasks, all of them with what a trainer remembers of Pong."""
    for number in range(TASKS):
        earlier = replace(TASK.spec, id=f"earlier-{number}")
        method.begin_task(earlier, CONFIG.outputs(earlier))
        with closing(trainer.samples()) as samples:
            method.end_task(samples, trainer.likelihood)
    return method


def steps(trainer: OffPolicyTrainer) -> int:
    """Train for 64 steps or a few more."""
    return trainer.advance().steps


def main() -> None:
    """Measure and report."""
    torch.set_num_threads(ARGS.threads)
    torch.manual_seed(0)
    column = atari_column()
    gains = replace(column, task_gains=True)
    plain = begun(Finetune(column))

    def ewc(spec: ColumnSpec) -> ColumnMethod:
        return after_ten(EWC(spec, lam=1.0, samples=64, own="released"), plain)

    trainers = {
        "plain": plain,
        "stream": begun(ewc(gains), recognition()),
        "penalties": begun(ewc(column)),
        "gains": begun(after_ten(Finetune(gains), plain)),
        "recognition": begun(Finetune(column), recognition()),
    }
    sides = {name: partial(steps, trainer) for name, trainer in trainers.items()}
    rounds, seconds = (3, 0.8) if ARGS.quick else (15, 3.0)
    rate = alternate(sides, rounds=rounds, seconds=seconds)
    report(
        {
            "stream_step_vs_plain": rate["plain"] / rate["stream"],
            "penalties_vs_plain": rate["plain"] / rate["penalties"],
            "gains_vs_plain": rate["plain"] / rate["gains"],
            "recognition_vs_plain": rate["plain"] / rate["recognition"],
            **{f"{name}_steps_per_second": value for name, value in rate.items()},
        }
    )


if __name__ == "__main__":
    main()
