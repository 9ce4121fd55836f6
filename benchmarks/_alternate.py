"""Taking turns: medians over alternating runs of the sides that a benchmark compares."""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable


def arguments(description: str, *, spin: bool = False) -> argparse.Namespace:
    """Read the options that all benchmarks share.

    Args:
        description: Of the benchmark.
        spin: Let torch's threads wait busily between operations, as they do by default. It suits
            loops of tensor operations, and slows emulators down.
    """
    if not spin:
        rest_threads()
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="a rough figure in under 50 seconds")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


def rest_threads() -> None:
    """Let torch's threads sleep between operations, unless the environment says otherwise."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def alternate(
    sides: dict[str, Callable[[], int]], *, rounds: int, seconds: float
) -> dict[str, float]:
    """Run the sides in turn and return each one's median rate.

    Args:
        sides: By name; each does a small piece of work and returns how many steps it took.
        rounds: How often each side has its turn.
        seconds: Length of a turn.
    """
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for side in sides.values():
        side()  # warm-up
    for number in range(rounds):
        for name, side in sides.items():
            begin, steps = time.perf_counter(), 0
            while time.perf_counter() - begin < seconds:
                steps += side()
            rates[name].append(steps / (time.perf_counter() - begin))
        latest = ", ".join(f"{name} {values[-1]:,.0f}" for name, values in rates.items())
        print(f"round {number + 1} of {rounds}, steps/s: {latest}", flush=True)
    return {name: statistics.median(values) for name, values in rates.items()}


def report(figures: dict[str, float]) -> None:
    """Print the figures as the last line, one JSON object."""
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}))
