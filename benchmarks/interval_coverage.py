"""How often 95 % intervals cover the truth, in simulation: the tables of docs/statistics.md.

Each interval is what `colonnade.analysis` gives, for data whose truth is known. `--quick` draws a
tenth of the data.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from colonnade.analysis.aggregates import interquartile_mean
from colonnade.analysis.intervals import (
    Interval,
    band,
    bootstrap,
    mean_interval,
    percentile_interval,
    ratio_interval,
)
from colonnade.analysis.top_k import score_intervals
from colonnade.analysis.transfer import top_k_mean

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, ...]], Floats]

SHAPES: dict[str, Draw] = {
    "normal": lambda stream, shape: stream.normal(size=shape),
    "uniform": lambda stream, shape: stream.uniform(-(3**0.5), 3**0.5, size=shape),
    "exponential": lambda stream, shape: stream.exponential(size=shape) - 1,
    "lognormal": lambda stream, shape: (
        (stream.lognormal(size=shape) - np.exp(0.5)) / ((np.e - 1) * np.e) ** 0.5
    ),
}
"""Each with mean 0 and standard deviation 1."""

SIDES = [(name, name) for name in SHAPES if name != "uniform"]
SIDES += [("exponential", "normal"), ("lognormal", "normal")]
"""Shapes of a method's and of baseline 1's areas."""

RUNS = (3, 5, 8, 16)


SIZES = ((3, 10), (3, 25), (5, 25), (3, 50))


def covered(
    truth: float, interval: Callable[[np.random.Generator], Interval], repeats: int
) -> float:
    """Share of the intervals that hold the truth; those without an end hold it."""
    stream = np.random.default_rng(0)
    found = [interval(stream) for _ in range(repeats)]
    return float(np.mean([not (i.low > truth or i.high < truth) for i in found]))


def means(repeats: int) -> None:
    """Mean over runs, and of a curve's band at one bin: Student's t."""
    for name, draw in SHAPES.items():
        cells = []
        for runs in RUNS:
            values = draw(np.random.default_rng(0), (runs, 10 * repeats))
            low, high = band(values)
            cells.append(float(((low <= 0) & (high >= 0)).mean()))
        _row(name, cells)
    for shared, words in ((0.0, ""), (1.0, " that share their runs' luck")):
        for name, draw in SHAPES.items():
            cells = [covered(0, partial(_of_tasks, draw, shared, runs), repeats) for runs in RUNS]
            _row(f"{name}, mean of 4 tasks{words}", cells)


def _of_tasks(draw: Draw, shared: float, runs: int, stream: np.random.Generator) -> Interval:
    """Of 4 tasks, each with a spread of 1 of its own, and one of `shared` in common."""
    return mean_interval(draw(stream, (runs, 4)) + shared * draw(stream, (runs, 1)))


def ratios(repeats: int) -> None:
    """Transfer scores of 2: areas of one shape over baseline 1's, their spread in its means."""
    for pairs, targets in ((1, 1), (4, 2), (8, 4), (8, 1)):
        for sides in SIDES:
            for spread in (0.2, 0.5):
                cells = [
                    covered(2.0, partial(_ratio, sides, spread, pairs, targets, runs), repeats)
                    for runs in RUNS
                ]
                size = f"{pairs} pair{'s' * (pairs > 1)}, {targets} target{'s' * (targets > 1)}"
                _row(f"{' over '.join(sides)}, {spread:.0%}; {size}", cells)


def _ratio(
    sides: tuple[str, str],
    spread: float,
    pairs: int,
    targets: int,
    runs: int,
    stream: np.random.Generator,
) -> Interval:
    own = 2 * (1 + spread * SHAPES[sides[0]](stream, (pairs, runs)))
    below = 1 + spread * SHAPES[sides[1]](stream, (targets, runs))
    known = [(str(pair % targets), areas) for pair, areas in enumerate(own)]
    return ratio_interval(known, {str(target): areas for target, areas in enumerate(below)})


def middle(repeats: int) -> None:
    """A statistic without a formula: the interquartile mean, by the bootstrap."""
    for name, draw in SHAPES.items():
        truth = interquartile_mean(draw(np.random.default_rng(1), (2_000_000,)))
        cells = [
            covered(truth, partial(_middle, draw, runs), repeats // 5) for runs in (3, 5, 8, 16, 30)
        ]
        _row(name, cells)


def _middle(draw: Draw, runs: int, stream: np.random.Generator) -> Interval:
    return percentile_interval(bootstrap([draw(stream, (runs,))], _middles), runs)


def _middles(values: Floats) -> Floats:
    cut = values.shape[1] // 4
    kept: Floats = np.sort(values, axis=1)[:, cut : values.shape[1] - cut].mean(axis=1)
    return kept


def best(repeats: int) -> None:
    """The best k of J jobs: what k of J fresh ones score on average, and the best k/J of all."""
    for name, draw in SHAPES.items():
        for k, jobs in SIZES:
            tail = np.sort(draw(np.random.default_rng(1), (2_000_000,)))
            aims = _fresh(name, k, jobs), float(tail[-round(tail.size * k / jobs) :].mean())
            cells = [covered(aim, partial(_best, draw, k, jobs), repeats // 5) for aim in aims]
            _row(f"{name}, best {k} of {jobs}", cells)


def _best(draw: Draw, k: int, jobs: int, stream: np.random.Generator) -> Interval:
    return score_intervals(draw(stream, (jobs, 1)), None, k)[0]


def best_ratios(repeats: int) -> None:
    """Transfer scores of the best k of J jobs: over the ratio of fresh jobs' mean areas."""
    for sides in SIDES:
        for k, jobs in SIZES[:2]:
            cells = []
            for spread in (0.2, 0.5):
                above, under = (1 + spread * _fresh(name, k, jobs) for name in sides)
                one = partial(_best_ratio, sides, spread, k, jobs)
                cells.append(covered(above / under, one, repeats // 5))
            _row(f"{' over '.join(sides)}, best {k} of {jobs}", cells)


def _best_ratio(
    sides: tuple[str, str], spread: float, k: int, jobs: int, stream: np.random.Generator
) -> Interval:
    own, below = (1 + spread * SHAPES[name](stream, (jobs, 1)) for name in sides)
    return score_intervals(own, below, k)[0]


def _fresh(name: str, k: int, jobs: int) -> float:
    draws = SHAPES[name](np.random.default_rng(1), (jobs, 200_000))
    return float(np.mean(top_k_mean(draws, k)))


def _row(name: str, cells: Sequence[float]) -> None:
    print(f"| {name} | " + " | ".join(f"{100 * cell:.1f}" for cell in cells) + " |", flush=True)


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the data")
    repeats = 500 if parser.parse_args().quick else 5_000
    parts = (
        ("Student's t of a mean", RUNS, means),
        ("Fieller's of transfer scores", RUNS, ratios),
        ("bootstrap of the interquartile mean", (3, 5, 8, 16, 30), middle),
        ("bootstrap of the top k", ("fresh jobs", "tail mean"), best),
        ("bootstrap of transfer scores of the top k", ("spread 20%", "spread 50%"), best_ratios),
    )
    for title, heads, part in parts:
        print(f"\n| {title} | " + " | ".join(map(str, heads)) + " |")
        print("|---" * (len(heads) + 1) + "|")
        part(repeats)


if __name__ == "__main__":
    main()
