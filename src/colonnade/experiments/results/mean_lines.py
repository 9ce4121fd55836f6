"""Lines of means over runs: what every picture with a band draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from colonnade.analysis.intervals import band
from colonnade.experiments.results.runs import Floats


@dataclass(frozen=True, kw_only=True)
class MeanLine:
    """The mean over runs, where all of them have a value.

    A band means one thing on every page: Student's 95 % interval of the mean over runs.

    Attributes:
        steps: [B] where; as a rule agent steps.
        mean: [B] the mean.
        low: [B] lower end of the mean's 95 % interval; NaN where there is none.
        high: [B] upper end.
        each: [R, B] the runs' own values.
    """

    steps: Floats
    mean: Floats
    low: Floats
    high: Floats
    each: Floats

    @property
    def banded(self) -> bool:
        """Whether there is an interval."""
        return not bool(np.isnan(self.low).all())


def mean_line(curves: Sequence[tuple[Floats, Floats]]) -> MeanLine | None:
    """Average curves at the places that all of them have.

    Args:
        curves: Each run's places [B'], which may differ, and values there; runs without any are
            left out.

    Returns:
        The line; None where the runs have no place in common.
    """
    begun = [(places, values) for places, values in curves if places.size]
    if not begun:
        return None
    common = set.intersection(*({float(place) for place in places} for places, _ in begun))
    if not common:
        return None
    steps = np.array(sorted(common))
    each = np.array([values[np.isin(places, steps)] for places, values in begun], dtype=np.float64)
    low, high = band(each)
    return MeanLine(steps=steps, mean=each.mean(axis=0), low=low, high=high, each=each)
