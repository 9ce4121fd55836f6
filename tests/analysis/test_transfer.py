import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from colonnade.analysis import transfer

NAN = np.nan
values = st.floats(-100, 100)


def test_missing_bins_carry_the_last_value_and_start_at_the_random_score() -> None:
    filled = transfer.carry_forward([[NAN, -20, NAN, NAN, -10], [1, NAN, 2, 3, NAN]], [-21, 0])
    assert filled.tolist() == [[-21, -20, -20, -20, -10], [1, 1, 2, 3, 3]]


def test_area_by_hand() -> None:
    # Above -21: 0 (no episode yet), 1, 1 (carried), 11 -> 13 / 4.
    assert transfer.area_under_curve([NAN, -20, NAN, -10], -21) == pytest.approx(13 / 4)
    assert np.isnan(transfer.area_under_curve(np.empty((2, 0)), [0, 0])).all()


@given(values, values, st.integers(1, 20))
def test_area_of_a_constant_curve_is_its_height_above_random(
    random_score: float, height: float, bins: int
) -> None:
    area = transfer.area_under_curve(np.full(bins, random_score + height), random_score)
    assert area == pytest.approx(height, abs=1e-9)


@given(
    arrays(np.float64, (3, 5), elements=values | st.just(NAN)),
    values,
    st.floats(0.1, 10),
    values,
)
def test_area_shifts_and_scales_with_the_reward(
    curves: np.ndarray, random_score: float, scale: float, shift: float
) -> None:
    area = transfer.area_under_curve(curves, np.full(3, random_score))
    moved = transfer.area_under_curve(
        curves * scale + shift, np.full(3, random_score * scale + shift)
    )
    np.testing.assert_allclose(moved, scale * area, atol=1e-7)


@given(arrays(np.float64, 12, elements=values | st.just(NAN)), values)
def test_area_equals_the_slow_loop(curve: np.ndarray, random_score: float) -> None:
    latest, total = random_score, 0.0
    for value in curve:
        latest = latest if np.isnan(value) else value
        total += latest - random_score
    assert transfer.area_under_curve(curve, random_score) == pytest.approx(total / 12, abs=1e-9)


def test_transfer_score_and_its_ill_defined_cases() -> None:
    scores = transfer.transfer_score([3.0, 3.0, 3.0, -1.0], [1.5, 0.0, -2.0, 2.0])
    np.testing.assert_array_equal(scores, [2.0, NAN, NAN, -0.5])
    assert np.isnan(transfer.transfer_score(3.0, 0.2, minimum=0.3))


def test_top_k_takes_the_best_and_skips_missing_runs() -> None:
    areas = [[1.0, NAN], [5.0, 2.0], [3.0, NAN], [4.0, NAN]]
    np.testing.assert_array_equal(transfer.top_k_mean(areas, 3), [4.0, 2.0])
    assert np.isnan(transfer.top_k_mean([NAN, NAN], 1))
    with pytest.raises(ValueError, match="at least 1"):
        transfer.top_k_mean([1.0], 0)


def test_table_row_by_hand() -> None:
    row = transfer.summarise([[1.0, 2.0], [NAN, 6.0]])
    assert row == transfer.Summary(mean=300.0, median=200.0, pairs=3, undefined=1)
    empty = transfer.summarise([NAN])
    assert np.isnan(empty.mean)
    assert empty.undefined == 1


def test_forgetting_and_retention_by_hand() -> None:
    scores = [[10, 99, 99], [4, 8, 99], [2, 8, 6]]
    assert transfer.forgetting(scores).tolist() == [8, 0, 0]
    np.testing.assert_allclose(transfer.retention(scores, [0, 4, 6]), [0.2, 1.0, NAN])
    with pytest.raises(ValueError, match=r"\[T, T\]"):
        transfer.forgetting([[1, 2]])


def test_bins_with_few_episodes_share_their_mean():
    curve = [NAN, 10.0, 40.0, NAN, 70.0, 5.0, 8.0, NAN, 2.0, NAN]
    episodes = [0, 20, 10, 0, 40, 60, 2, 0, 6, 0]
    # From the first episode on: 20 + 10 are 30; nothing ended in the empty bin before one that has
    # enough; what is left at the end stands by itself, together with the empty bins there.
    first = (20 * 10 + 10 * 40) / 30
    last = (2 * 8 + 6 * 2) / 8
    expected = [NAN, first, first, NAN, 70.0, 5.0, last, last, last, last]
    np.testing.assert_allclose(transfer.pool_bins(curve, episodes, enough=30), expected)
    np.testing.assert_allclose(transfer.pool_bins([NAN, NAN], [0, 0]), [NAN, NAN])
    np.testing.assert_allclose(transfer.pool_bins([3.0, NAN, 5.0], [1, 0, 3]), [4.5] * 3)


@pytest.mark.parametrize("late", [29, 30, 31, 60])
def test_episodes_that_grow_long_weigh_by_the_time_they_take(late):
    """Short episodes at first, then long ones: the return is the length, bins are of 500 steps."""
    bins = 10 + late
    curve = [20.0] * 10 + [500.0] * late
    episodes = [25] * 10 + [1] * late
    area = transfer.area_under_curve(transfer.pool_bins(curve, episodes), 0.0)
    assert area == pytest.approx((10 * 20 + late * 500) / bins, rel=0.03)
    slow_first = transfer.pool_bins(curve[::-1], episodes[::-1])
    assert transfer.area_under_curve(slow_first, 0.0) == pytest.approx(area, rel=0.03)
