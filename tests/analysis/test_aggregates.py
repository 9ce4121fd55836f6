"""rliable's measures on values worked by hand, and against slow obvious loops."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colonnade.analysis.aggregates import interquartile_mean, probability_of_improvement

scores = st.lists(st.integers(-9, 9).map(float), min_size=1, max_size=9)


def test_interquartile_mean_by_hand():
    assert interquartile_mean([1, 2, 3, 100]) == 2.5
    assert interquartile_mean([[1, 2], [3, 100], [-50, 4], [5, 6]]) == (2 + 3 + 4 + 5) / 4
    assert interquartile_mean([1, 2, 6]) == 3, "a quarter of three, rounded down, is none"
    # Seven: one at either end.
    assert interquartile_mean([9, 1, 8, 2, 7, 3, 4]) == (2 + 3 + 4 + 7 + 8) / 5
    assert interquartile_mean([1, 2, 3, math.nan, 100]) == 2.5
    assert math.isnan(interquartile_mean([math.nan]))


@given(scores)
def test_interquartile_mean_slowly(given):
    rest = sorted(given)
    for _ in range(int(0.25 * len(given))):
        rest = rest[1:-1]
    assert interquartile_mean(given) == pytest.approx(sum(rest) / len(rest))


def test_probability_of_improvement_by_hand():
    # 3 beats 1 and 2; 1 ties 1 and loses to 2: (2 + 0.5) / 4.
    assert probability_of_improvement([[3, 1]], [[1, 2]]) == 2.5 / 4
    # A second task where all win counts as much, whatever the number of its runs.
    assert probability_of_improvement([[3, 1], [5]], [[1, 2], [1, 2, 3]]) == (2.5 / 4 + 1) / 2
    assert probability_of_improvement([[1, 2], []], [[1, 2], [3]]) == 0.5
    assert probability_of_improvement([[1, math.nan]], [[0, math.nan]]) == 1
    assert math.isnan(probability_of_improvement([[]], [[1.0]]))
    with pytest.raises(ValueError):
        probability_of_improvement([[1.0]], [])


@given(st.lists(st.tuples(scores, scores), min_size=1, max_size=4))
def test_probability_of_improvement_slowly(tasks):
    total = 0.0
    for mine, theirs in tasks:
        won = sum((a > b) + (a == b) / 2 for a in mine for b in theirs)
        total += won / (len(mine) * len(theirs))
    first, second = zip(*tasks, strict=True)
    found = probability_of_improvement(first, second)
    assert found == pytest.approx(total / len(tasks))
    assert probability_of_improvement(second, first) == pytest.approx(1 - found)
