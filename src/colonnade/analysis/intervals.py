"""How sure a number is: the intervals of every page and table, and the one bootstrap behind them.

A mean over runs has Student's t interval, which is exact for normal runs, however few. A mean of
transfer scores, ratios that share a denominator, has Fieller's (1954). What has no such formula is
redrawn: `bootstrap`. docs/statistics.md holds the simulated coverage of each; an `Interval` carries
it, so that a page can print it beside the number.

Array shapes use R for runs (seeds), T for tasks, B for bins and S for bootstrap samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, stdtrit

from colonnade.errors import UsageError

Floats = NDArray[np.float64]

FEWEST_RUNS = 3
"""With fewer there is no interval: two runs hardly say how far a third one may fall."""

LEVEL = 0.95
"""Nominal coverage where nothing else is asked for."""

STUDENT, FIELLER, REDRAWN, TOP_K = "Student's t", "Fieller", "bootstrap", "bootstrap of the top k"
"""How an interval is computed; a name of `COVERAGE`."""

COVERAGE: Mapping[str, Mapping[int, tuple[float, float]]] = {
    STUDENT: {3: (0.950, 0.838), 5: (0.947, 0.820), 8: (0.949, 0.833), 16: (0.950, 0.858)},
    FIELLER: {3: (0.929, 0.898), 5: (0.943, 0.877), 8: (0.934, 0.880), 16: (0.941, 0.887)},
    REDRAWN: {
        3: (0.757, 0.749),
        5: (0.932, 0.926),
        8: (0.963, 0.963),
        16: (0.969, 0.970),
        30: (0.953, 0.951),
    },
    TOP_K: {10: (0.946, 0.809), 25: (0.918, 0.806), 50: (0.917, 0.819)},
}
"""Simulated coverage of 95 % intervals by the number of runs: of normal and of lognormal runs.

Where it depends on more than that, as with the number of pairs and targets, it is the least of all.
`benchmarks/interval_coverage.py` measures it; docs/statistics.md has the whole tables."""

_POOR = 0.9
"""Coverage below this is said beside the number."""


@dataclass(frozen=True)
class Interval:
    """An interval, and how far to believe it. Unpacks as `low, high`.

    Attributes:
        low: Lower end; NaN where there is no interval.
        high: Upper end.
        method: How it was computed.
        level: Nominal coverage.
        normal: Simulated coverage where runs are normal; None where it was not simulated.
        skewed: The same where runs are lognormal (log-standard deviation 1).
        endless: Whether there are runs enough, and none is given since it would have no end.
    """

    low: float
    high: float
    method: str
    level: float = LEVEL
    normal: float | None = None
    skewed: float | None = None
    endless: bool = False

    def __iter__(self) -> Iterator[float]:
        """Yield the lower end, then the upper one."""
        return iter((self.low, self.high))

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return not (math.isnan(self.low) or math.isnan(self.high))

    @property
    def caution(self) -> str:
        """What must stand beside the number: where its simulated coverage is below 90 %."""
        if not self.known:
            return ""
        poor = [
            f"{100 * value:.3g}% where runs are {kind}"
            for kind, value in (("normal", self.normal), ("lognormal", self.skewed))
            if value is not None and value < _POOR
        ]
        return f"covers {' and '.join(poor)}" if poor else ""

    def scaled(self, factor: float) -> Interval:
        """Return the interval in another unit, such as per cent."""
        return replace(self, low=factor * self.low, high=factor * self.high)


NO_INTERVAL = Interval(math.nan, math.nan, "none")
"""Where there is none."""


def interval_of(low: float, high: float, method: str, runs: int, level: float = LEVEL) -> Interval:
    """Put an interval together with its simulated coverage at so many runs."""
    known = COVERAGE.get(method, {}) if level == LEVEL else {}
    # The next smaller number tried; of fewer than all that were tried, the smallest of those.
    place = max((count for count in known if count <= runs), default=min(known, default=None))
    normal, skewed = known[place] if place is not None else (None, None)
    return Interval(low, high, method, level, normal, skewed)


def mean_interval(samples: ArrayLike, *, level: float = LEVEL) -> Interval:
    """Student's t interval of the mean over runs; of several tasks, of the runs' own means.

    The tasks of one run share its seed, so that a lucky run may be so in all of them. The spread of
    the runs' means, each over the tasks, knows of that, whatever it comes to.

    Args:
        samples: [R, T] or [R] values, none of them NaN.
        level: Coverage of the interval, between 0 and 1.

    Returns:
        The interval; NaN for fewer than `FEWEST_RUNS` runs.
    """
    check_level(level)
    values = np.asarray(samples, dtype=np.float64)
    runs = len(values)
    if runs < FEWEST_RUNS:
        return interval_of(math.nan, math.nan, STUDENT, runs, level)
    own = values.reshape(runs, -1).mean(axis=1)
    reach = _student(runs - 1, level) * math.sqrt(_squared_error(own))
    mean = float(own.mean())
    return interval_of(mean - reach, mean + reach, STUDENT, runs, level)


def difference_interval(ours: ArrayLike, theirs: ArrayLike, *, level: float = LEVEL) -> Interval:
    """Welch's t interval of the difference of two means over independent runs.

    Args:
        ours: [R] values, none of them NaN.
        theirs: [S] values, whose mean is taken off.
        level: Coverage of the interval, between 0 and 1.

    Returns:
        The interval; NaN where either has fewer than `FEWEST_RUNS` runs.
    """
    check_level(level)
    sides = [np.asarray(side, dtype=np.float64) for side in (ours, theirs)]
    runs = min(side.size for side in sides)
    if runs < FEWEST_RUNS:
        return interval_of(math.nan, math.nan, STUDENT, runs, level)
    errors = np.array([_squared_error(side) for side in sides])
    freedom = _freedom(errors, np.array([side.size - 1.0 for side in sides]))
    reach = _student(freedom, level) * math.sqrt(errors.sum())
    means = [float(side.mean()) for side in sides]
    # Means of equal values differ by the rounding of their sums.
    middle = 0.0 if math.isclose(*means, rel_tol=1e-12) else means[0] - means[1]
    return interval_of(middle - reach, middle + reach, STUDENT, runs, level)


def band(curves: ArrayLike, *, level: float = LEVEL) -> tuple[Floats, Floats]:
    """Student's t interval of the mean learning curve, at each bin by itself.

    Args:
        curves: [R, B] without NaN (see `transfer.carry_forward`).
        level: Coverage at each bin, between 0 and 1.

    Returns:
        (low, high), each [B]; NaN for fewer than `FEWEST_RUNS` runs.
    """
    check_level(level)
    values = np.asarray(curves, dtype=np.float64)
    runs = len(values)
    if runs < FEWEST_RUNS:
        unknown = np.full(values.shape[1], np.nan)
        return unknown, unknown
    reach = _student(runs - 1, level) * values.std(axis=0, ddof=1) / math.sqrt(runs)
    mean = values.mean(axis=0)
    return mean - reach, mean + reach


def ratio_interval(
    cells: Sequence[tuple[Hashable, ArrayLike]],
    references: Mapping[Any, ArrayLike],
    *,
    level: float = LEVEL,
) -> Interval:
    """Interval of the mean transfer score: a mean of ratios of means that share denominators.

    The pairs of one target have one denominator, so that their sum is a ratio of two independent
    means, whose interval is Fieller's (1954, J. R. Stat. Soc. B 16): all s for which
    `N - s B` is within t standard errors of 0. Targets are independent; their intervals are joined
    by the distances of their ends (MOVER: Zou & Donner 2008, Stat. Med. 27). The degrees of freedom
    are Welch's and Satterthwaite's over all means.

    Args:
        cells: For each source-target pair the target and the [R] areas of its runs.
        references: [R] areas of baseline 1's runs for each target.
        level: Coverage of the interval, between 0 and 1.

    Returns:
        The interval; NaN where there are no cells, where some mean has fewer than `FEWEST_RUNS`
        runs, or where a reference is too near 0 for the interval to have an end, as `endless` says.
    """
    check_level(level)
    below = {target: np.asarray(references[target], np.float64) for target, _ in cells}
    above = [(target, np.asarray(areas, np.float64)) for target, areas in cells]
    fewest = min((v.size for v in (*below.values(), *(v for _, v in above))), default=0)
    nothing = interval_of(math.nan, math.nan, FIELLER, fewest, level)
    if fewest < FEWEST_RUNS:
        return nothing
    endless = replace(nothing, endless=True)
    if any(values.mean() <= 0 for values in below.values()):
        return endless
    parts: list[tuple[float, float]] = []  # variance of the sum of scores, degrees of freedom
    sums: list[tuple[float, float, float, float]] = []  # N, its variance, B, its variance
    for target, reference in below.items():
        own = [values for name, values in above if name == target]
        top, bottom = sum(float(v.mean()) for v in own), float(reference.mean())
        spreads = [_squared_error(values) for values in own]
        spread = _squared_error(reference)
        sums.append((top, sum(spreads), bottom, spread))
        parts += [(s / bottom**2, v.size - 1) for s, v in zip(spreads, own, strict=True)]
        parts.append((spread * top**2 / bottom**4, reference.size - 1))
    variance, freedom = np.array(parts).T
    quantile = _student(_freedom(variance, freedom), level)
    total = lower = upper = 0.0
    for top, top_spread, bottom, bottom_spread in sums:
        score = top / bottom
        # (B^2 - t^2 V_B) s^2 - 2 N B s + (N^2 - t^2 V_N) <= 0
        a = bottom**2 - quantile**2 * bottom_spread
        if a <= 0:
            return endless
        root = math.sqrt(max(0.0, (top * bottom) ** 2 - a * (top**2 - quantile**2 * top_spread)))
        total += score
        lower += (score - (top * bottom - root) / a) ** 2
        upper += ((top * bottom + root) / a - score) ** 2
    low, high = total - math.sqrt(lower), total + math.sqrt(upper)
    return interval_of(low / len(above), high / len(above), FIELLER, fewest, level)


def bootstrap(
    groups: Sequence[ArrayLike],
    statistic: Callable[..., Floats],
    *,
    seed: int = 0,
    resamples: int = 2000,
) -> Floats:
    """Redraw each group's members with replacement, and compute a statistic of each redraw.

    Groups are redrawn apart from each other (stratified, as in Agarwal et al. 2021,
    arXiv 2108.13264).

    Args:
        groups: Arrays [R, ...], whose first axis is redrawn; the R may differ.
        statistic: Given the redrawn groups [S, R, ...], returns [S, ...].
        seed: Of the resampling.
        resamples: S, how many redraws.

    Returns:
        [S, ...] statistics.
    """
    stream = np.random.default_rng(seed)
    values = [np.asarray(group) for group in groups]
    redrawn = [v[stream.integers(len(v), size=(resamples, len(v)))] for v in values]
    return statistic(*redrawn)


def percentile_interval(samples: ArrayLike, runs: int, *, level: float = LEVEL) -> Interval:
    """Take the expanded percentile interval of bootstrap samples.

    Plain percentiles are too narrow for few runs: by the factor sqrt((n - 1) / n) of a standard
    deviation, and by a normal quantile in place of Student's. Those are taken that make up for both
    (Hesterberg 2015, The American Statistician 69); it takes about 8 runs for them to have room.

    Args:
        samples: [S]; NaN where a redraw has no value.
        runs: How many were redrawn: those of the smallest group.
        level: Coverage, between 0 and 1.

    Returns:
        The interval; NaN for fewer than `FEWEST_RUNS` runs, or where more than 1 - `level` of the
        samples are NaN, for then the interval has no end.
    """
    values = _samples(samples, level)
    if values is None or runs < FEWEST_RUNS:
        nothing = interval_of(math.nan, math.nan, REDRAWN, runs, level)
        return replace(nothing, endless=runs >= FEWEST_RUNS)
    quantile = _student(runs - 1, level) * math.sqrt(runs / (runs - 1))
    tail = 100 * float(ndtr(-quantile))
    low, high = np.percentile(values, [tail, 100 - tail])
    return interval_of(float(low), float(high), REDRAWN, runs, level)


def top_k_interval(
    value: float, samples: ArrayLike, k: int, jobs: int, *, level: float = LEVEL
) -> Interval:
    """Interval of a score of the best k of many jobs: so many bootstrap standard errors.

    What is estimated: the score that k of as many *fresh* jobs would have on average. Redraws
    repeat the jobs that are there and never better ones, so their percentiles lie too low (they
    cover 75 % for 3 of 25 normal jobs); their spread is of use. It rests on about k jobs, hence
    Student's quantile with k degrees of freedom.

    Args:
        value: The score.
        samples: [S] scores of redrawn jobs; NaN where a redraw has none.
        k: How many of the best count.
        jobs: Of how many.
        level: Coverage, between 0 and 1.

    Returns:
        The interval; NaN for fewer than `FEWEST_RUNS` jobs, or where more than 1 - `level` of the
        samples are NaN, for then the interval has no end.
    """
    values = _samples(samples, level)
    if values is None or jobs < FEWEST_RUNS or math.isnan(value):
        nothing = interval_of(math.nan, math.nan, TOP_K, jobs, level)
        return replace(nothing, endless=jobs >= FEWEST_RUNS and not math.isnan(value))
    reach = _student(min(k, jobs - 1), level) * float(values.std(ddof=1))
    return interval_of(value - reach, value + reach, TOP_K, jobs, level)


def enough_runs(samples: ArrayLike, half_width: float, *, level: float = LEVEL) -> int:
    """Say how many runs would do for a mean that is sure to within a half-width.

    Args:
        samples: [R] values of the runs so far, whose spread is taken to be everybody's.
        half_width: Wanted distance from the mean to either end of its interval, above 0.
        level: Coverage, between 0 and 1.

    Returns:
        The least number of runs, never below `FEWEST_RUNS`; that one too where there is one run,
        which has no spread.

    Raises:
        UsageError: The half-width is not above 0, or the level not between 0 and 1.
    """
    check_level(level)
    if not half_width > 0:
        raise UsageError(f"The half-width of an interval is above 0, but {half_width} came.")
    values = np.asarray(samples, dtype=np.float64)
    spread = float(values.std(ddof=1)) if values.size > 1 else 0.0

    def reach(runs: int) -> float:
        return _student(runs - 1, level) * spread / math.sqrt(runs)

    most = FEWEST_RUNS
    while reach(most) > half_width:
        most *= 2
    few = max(FEWEST_RUNS, most // 2)
    while few < most:
        middle = (few + most) // 2
        few, most = (few, middle) if reach(middle) <= half_width else (middle + 1, most)
    return most


def check_level(level: float) -> None:
    """Refuse a coverage that is none.

    Raises:
        ValueError: It is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise UsageError(f"The level of an interval lies between 0 and 1, but {level} came.")


def _samples(samples: ArrayLike, level: float) -> Floats | None:
    """The samples that are known; None where too few are."""
    check_level(level)
    values = np.asarray(samples, dtype=np.float64)
    known: Floats = values[~np.isnan(values)]
    return known if known.size and known.size >= level * values.size else None


def _student(freedom: float, level: float) -> float:
    return float(stdtrit(freedom, (1 + level) / 2))


def _squared_error(values: Floats) -> float:
    return float(values.var(ddof=1)) / values.size


def _freedom(variance: Floats, freedom: Floats) -> float:
    """Welch's and Satterthwaite's degrees of freedom of a sum of N means with these, [N] each."""
    if not variance.any():
        return float(freedom.min())
    share = variance / variance.max()  # so that squares of tiny spreads don't vanish
    return float(share.sum() ** 2 / (np.square(share) / freedom).sum())
