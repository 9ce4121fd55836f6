import numpy as np
import pytest

from colonnade.analysis.policies.filters import median_filtered
from colonnade.errors import UsageError


def test_a_running_median_by_hand() -> None:
    values = [1.0, 9.0, 2.0, 3.0, 0.0]
    # (1 9), (1 9 2), (9 2 3), (2 3 0), (3 0)
    assert median_filtered(values, 3).tolist() == [5.0, 2.0, 3.0, 2.0, 1.5]
    assert median_filtered(values, 1).tolist() == values


def test_what_is_not_known_is_left_out() -> None:
    nan = float("nan")
    found = median_filtered([nan, nan, nan, 4.0, nan, 8.0, 1.0], 3)
    np.testing.assert_equal(found, [nan, nan, 4.0, 4.0, 6.0, 4.5, 4.5])


def test_it_agrees_with_the_slow_loop() -> None:
    values = np.random.default_rng(0).normal(size=40)
    slow = [np.median(values[max(0, i - 4) : i + 5]) for i in range(40)]
    np.testing.assert_allclose(median_filtered(values, 9), slow)


@pytest.mark.parametrize(("window", "words"), [(4, "must be odd; got 4"), (0, "window of")])
def test_a_window_has_a_middle(window: int, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        median_filtered([1.0], window)
