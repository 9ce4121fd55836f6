"""What recognising the task costs an agent that acts in one environment.

Figures:

- `fmn_us_per_step`: microseconds of processor time in an agent step for Forget-Me-Not with 10
  contexts, stacks of four frames of 84 x 84, an observation every fourth step; the median over
  turns. Other work on the machine counts little in it, and much in a rate.
- `fmn_us_per_step_of_16`: the same for pictures of 16 x 16.
- `fmn_vs_emulator`: the time of a step over that of a step of Pong's emulator.
"""

import statistics
import time
from collections.abc import Callable

from _alternate import alternate, arguments, report

ARGS = arguments(__doc__)

import numpy as np  # noqa: E402
from _contexts import with_contexts  # noqa: E402

from colonnade.tasks import AtariTask  # noqa: E402

CONTEXTS = 10


def steps(side: int) -> Callable[[], int]:
    """Agent steps of a recogniser."""
    recogniser, picture = with_contexts(side, CONTEXTS)

    def work() -> int:
        for _ in range(160):
            recogniser.observe(picture)
        return 160

    return work


def processor_us(work: Callable[[], int], turns: int) -> float:
    """Median microseconds of processor time a step."""
    costs = []
    for _ in range(turns):
        begin = time.process_time()
        done = sum(work() for _ in range(5))
        costs.append(1e6 * (time.process_time() - begin) / done)
    return statistics.median(costs)


def emulator() -> Callable[[], int]:
    """Steps of Pong."""
    env = AtariTask("pong").make_vec(1)
    env.reset(seed=0)
    actions = np.zeros(1, np.int64)

    def work() -> int:
        for _ in range(50):
            env.step(actions)
        return 50

    return work


def main() -> None:
    """Measure and report."""
    rounds, seconds = (7, 0.5) if ARGS.quick else (21, 1.0)
    sides = {"fmn": steps(84), "fmn_16": steps(16), "emulator": emulator()}
    rate = alternate(sides, rounds=rounds, seconds=seconds)
    report(
        {
            "fmn_us_per_step": processor_us(sides["fmn"], 3 * rounds),
            "fmn_us_per_step_of_16": processor_us(sides["fmn_16"], 3 * rounds),
            "fmn_vs_emulator": rate["emulator"] / rate["fmn"],
        }
    )


if __name__ == "__main__":
    main()
