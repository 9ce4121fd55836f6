import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from colonnade.analysis.top_k import bootstrap_scores, bootstrap_top_k, interval, mean_interval


def slowly(values: np.ndarray, k: int, seed: int, resamples: int) -> np.ndarray:
    """The same, redraw by redraw and cell by cell."""
    stream = np.random.default_rng(seed)
    jobs, cells = values.shape
    picks = stream.integers(jobs, size=(resamples, jobs))
    means = np.full((resamples, cells), np.nan)
    for number, pick in enumerate(picks):
        for cell in range(cells):
            drawn = [values[job, cell] for job in pick if not np.isnan(values[job, cell])]
            if drawn:
                means[number, cell] = np.mean(sorted(drawn, reverse=True)[:k])
    return means


@given(
    arrays(float, (6, 3), elements=st.one_of(st.floats(-5, 5), st.just(np.nan))),
    st.integers(1, 7),
    st.integers(0, 3),
)
def test_redraws_equal_the_slow_loop(values: np.ndarray, k: int, seed: int) -> None:
    expected = slowly(values, k, seed, 20)
    np.testing.assert_allclose(bootstrap_top_k(values, k, seed=seed, resamples=20), expected)


def test_a_job_is_redrawn_in_all_cells_at_once() -> None:
    values = np.random.default_rng(0).normal(size=(10, 1))
    samples = bootstrap_top_k(np.hstack([values, 2 * values]), 3)
    np.testing.assert_allclose(samples[:, 1], 2 * samples[:, 0])
    # A cell that is everywhere twice its reference is twice as good in every redraw.
    ratios = bootstrap_scores(2 * values + 20, values + 10, 3)
    np.testing.assert_allclose(ratios, 2.0)


def test_the_mean_of_all_jobs_has_the_interval_of_theory() -> None:
    # With k = J the statistic is the mean, whose standard error is known.
    values = np.random.default_rng(1).normal(10, 2, size=(400, 1))
    low, high = interval(bootstrap_top_k(values, 400, resamples=4000)[:, 0])
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), rel=0.01)


def test_no_redraw_is_better_than_the_best_jobs_themselves() -> None:
    values = np.random.default_rng(2).normal(size=(25, 1))
    samples = bootstrap_top_k(values, 3)
    assert samples.max() <= values.max()
    _, high = interval(samples[:, 0])
    assert np.sort(values[:, 0])[-3:].mean() <= high <= values.max()


def test_intervals_without_an_end() -> None:
    assert np.isnan(interval([np.nan, np.nan, 1.0])).all()
    assert interval([*np.linspace(0, 1, 999), np.nan]) == pytest.approx((0.025, 0.975), abs=0.01)
    with pytest.raises(ValueError, match="between 0 and 1, but 95"):
        interval([1.0], level=95)


def test_the_mean_over_cells_leaves_out_those_without_a_score() -> None:
    table = np.array([[1.0, np.nan, 3.0], [2.0, np.nan, 4.0]] * 50)
    assert mean_interval(table) == (2.0, 3.0)
    assert np.isnan(mean_interval(table[:, 1:2])).all()
