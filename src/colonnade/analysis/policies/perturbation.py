"""Average Perturbation Sensitivity: how much noise in a layer it takes to halve the score.

Rusu et al. 2016 (arXiv 1606.04671), Sec. 3 and appendix: Gaussian noise of standard deviation
`sigma` times each feature's own is added to one layer of one column, anew at every forward pass.
The precision of a layer is `L = 1 / sigma^2` at the noise that takes half of the score away, and
`APS(i, k) = L_i^k / sum_k L_i^k`. `colonnade.experiments` draws it beside its fast approximation,
`colonnade.analysis.policies.sensitivity`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from colonnade.analysis.intervals import bootstrap, percentile_interval
from colonnade.errors import UnfitError
from colonnade.networks import Feature

Floats = NDArray[np.float64]


class Estimate(NamedTuple):
    """A value with a bootstrap interval over episodes."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class PerturbationCurves:
    """Scores under noise, layer by layer.

    Attributes:
        noise: [S] noise levels, ascending, in standard deviations of each feature.
        clean: [C] returns without noise.
        floor: The random policy's mean return: what is left when nothing is left.
        returns: [S, E] returns with noise in each layer of each column; NaN for episodes that were
            not played: the last ones of a level where fewer told enough, all of one that its
            neighbours settle.
        levels: The features of each level, lowest level first, oldest column first.
    """

    noise: tuple[float, ...]
    clean: Floats
    floor: float
    returns: Mapping[Feature, Floats]
    levels: Sequence[tuple[Feature, ...]]

    def __post_init__(self) -> None:
        """Refuse a policy that has nothing to lose."""
        check_skill(self.clean, self.floor)

    def means(self, feature: Feature) -> Floats:
        """[S] mean returns with noise in a layer; a level not played has its neighbour's."""
        return filled(mean_played(self.returns[feature]))

    def episodes(self, feature: Feature) -> NDArray[np.int64]:
        """[S] how many episodes were played with noise in a layer."""
        counts: NDArray[np.int64] = np.isfinite(self.returns[feature]).sum(1)
        return counts

    def fewest(self, features: Iterable[Feature]) -> int:
        """Return the fewest episodes behind a mean: without noise, or at a level played."""
        counts = np.concatenate([self.episodes(feature) for feature in features])
        return int(min([self.clean.size, *counts[counts > 0]]))

    def precision(self, feature: Feature) -> Estimate:
        """L of a layer, `1 / sigma^2` at half the score; 0 where no noise level takes half."""
        samples = self._redrawn([feature])[:, 0]
        return Estimate(self._precision(feature), *self._interval([feature], samples))

    def aps(self) -> dict[Feature, Estimate]:
        """APS of every layer; the shares of a level sum to one.

        A level whose layers all withstand every noise level has NaN.
        """
        shares: dict[Feature, Estimate] = {}
        for level in self.levels:
            values = np.array([self._precision(feature) for feature in level])
            share, redrawn = _share(values), _share(self._redrawn(level).T)
            for place, feature in enumerate(level):
                shares[feature] = Estimate(
                    float(share[place]), *self._interval(level, redrawn[place])
                )
        return shares

    def _precision(self, feature: Feature) -> float:
        means = self.means(feature)
        return float(self._precision_of(means[:, None], self.clean.mean(keepdims=True))[0])

    def _redrawn(self, features: Sequence[Feature]) -> Floats:
        """[S, L] precisions of redrawn episodes of L layers, which share the clean ones."""
        noisy = [self.returns[feature].T for feature in features]  # episodes first

        def precisions(clean: Floats, *returns: Floats) -> Floats:
            means = [filled(mean_played(played.swapaxes(1, 2)).T) for played in returns]
            return np.stack([self._precision_of(m, clean.mean(1)) for m in means], axis=1)

        return bootstrap([self.clean, *noisy], precisions, resamples=1000)

    def _interval(self, features: Sequence[Feature], samples: Floats) -> tuple[float, float]:
        """Interval of [S] redraws of some layers' episodes and the clean ones.

        A share has no value (NaN) in redraws where no layer feels the noise; where those are many,
        the interval has no end.
        """
        low, high = percentile_interval(samples, self.fewest(features))
        return low, high

    def _precision_of(self, means: Floats, clean: Floats) -> Floats:
        sigma = half_noise(self.noise, means, clean, self.floor)
        precision: Floats = np.where(np.isinf(sigma), 0.0, 1 / np.square(sigma))
        return precision


def check_skill(clean: Floats, floor: float) -> None:
    """Refuse a policy that has nothing to lose.

    Raises:
        UnfitError: Its returns [E] are no better than the floor, by two of their standard errors.
    """
    error = clean.std(ddof=1) / math.sqrt(clean.size) if clean.size > 1 else 0.0
    if not clean.mean() - floor > 2 * error:
        surely = f" by two standard errors ({2 * error:.2g})" if clean.mean() > floor else ""
        raise UnfitError(
            f"The policy scores {clean.mean():.4g} on average, no better than the random one "
            f"({floor:.4g}){surely}, so noise has nothing to take away; train it first."
        )


def undecided(means: Sequence[float | None], clean: float, floor: float) -> int | None:
    """Choose the noise level to play next, given that more noise never helps.

    Levels below one that leaves nine tenths of the score can't hold the half, nor can those above
    one that leaves a tenth.

    Args:
        means: [S] mean scores by ascending noise; None where it was not played.
        clean: Mean score without noise.
        floor: The random policy's.

    Returns:
        The middle one of the levels in between; None where there is none left.
    """
    left = [None if mean is None else (mean - floor) / (clean - floor) for mean in means]
    harmless = max(
        (i for i, part in enumerate(left) if part is not None and part >= 0.9), default=-1
    )
    lost = (i for i, part in enumerate(left) if part is not None and part <= 0.1 and i > harmless)
    between = [i for i in range(harmless + 1, next(lost, len(left))) if left[i] is None]
    return between[len(between) // 2] if between else None


def mean_played(returns: Floats) -> Floats:
    """Average returns [..., E] over the episodes that were played; NaN where none was."""
    played = np.isfinite(returns)
    mean: Floats = returns.mean(-1)
    if not played.all():
        count = played.sum(-1)
        total = np.where(played, returns, 0.0).sum(-1)
        np.divide(total, count, out=mean, where=count > 0)
    return mean


def filled(means: ArrayLike) -> Floats:
    """Give levels [S, ...] that were not played (NaN) the score of the level below, or else above.

    What is known nearest is the bound that a score falling with the noise has there.
    """
    values = np.array(means, dtype=np.float64)
    for i in range(1, len(values)):
        values[i] = np.where(np.isnan(values[i]), values[i - 1], values[i])
    for i in reversed(range(len(values) - 1)):
        values[i] = np.where(np.isnan(values[i]), values[i + 1], values[i])
    return values


def half_noise(noise: Sequence[float], scores: ArrayLike, clean: ArrayLike, floor: float) -> Floats:
    """Find the noise that takes half of the score above the floor away.

    Scores are first made non-increasing in the noise (isotonic regression), since episodes are few;
    the half is then found by interpolation, linear in the logarithm of the noise, or in the noise
    itself below the first level.

    Args:
        noise: [S] levels, ascending, above 0.
        scores: [S, R] mean scores at each level, in R repetitions.
        clean: [R] scores without noise.
        floor: What counts as no score at all.

    Returns:
        [R] noise levels; infinite where no level takes half.
    """
    raw = np.concatenate([np.asarray(clean)[None], np.asarray(scores)])
    curve = non_increasing(raw)
    half = (curve[0] + floor) / 2
    below = (curve <= half) & (curve[0] > floor)
    place = below.argmax(0)
    found = np.full(curve.shape[1], math.inf)
    for r in np.flatnonzero(below.any(0)):
        s = place[r]
        if s == 0:
            continue
        high, low = curve[s - 1, r], curve[s, r]
        part = (high - half[r]) / (high - low)
        if s == 1:
            found[r] = max(part, 1e-3) * noise[0]
        else:
            found[r] = noise[s - 2] * (noise[s - 1] / noise[s - 2]) ** part
    return found


def non_increasing(values: ArrayLike) -> Floats:
    """Fit the nearest non-increasing sequence along the first axis, by least squares.

    Args:
        values: [S, ...].

    Returns:
        [S, ...]: `min_{a <= i} max_{b >= i} mean(values[a..b])`.
    """
    given = np.asarray(values, dtype=np.float64)
    size = len(given)
    sums = np.concatenate([np.zeros_like(given[:1]), given.cumsum(0)])
    fitted = np.empty_like(given)
    for i in range(size):
        highest = [
            np.max([(sums[b + 1] - sums[a]) / (b + 1 - a) for b in range(i, size)], axis=0)
            for a in range(i + 1)
        ]
        fitted[i] = np.min(highest, axis=0)
    return fitted


def _share(values: Floats) -> Floats:
    """Shares over the first axis; NaN where all are zero."""
    total = values.sum(0)
    share: Floats = np.divide(
        values, total, out=np.full_like(values, math.nan), where=np.asarray(total) > 0
    )
    return share


def rank_correlation(first: ArrayLike, second: ArrayLike) -> float:
    """Spearman's rank correlation of two sequences [V]; ties share their mean rank.

    Pairs in which either is NaN are left out; NaN where fewer than two are left, or where all of
    one sequence are equal.
    """
    pairs = np.array([np.asarray(first, np.float64), np.asarray(second, np.float64)])
    pairs = pairs[:, ~np.isnan(pairs).any(0)]
    ranks = np.array([_ranks(values) for values in pairs])
    if ranks.shape[1] < 2 or not ranks.std(1).all():
        return math.nan
    return float(np.corrcoef(ranks)[0, 1])


def _ranks(values: Floats) -> Floats:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = counts.cumsum()
    ranks: Floats = (last - (counts - 1) / 2)[inverse]
    return ranks
