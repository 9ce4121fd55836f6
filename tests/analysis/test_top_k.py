import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from colonnade.analysis.top_k import bootstrap_scores, bootstrap_top_k, score_intervals


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
    low, high = score_intervals(values, None, 400)[0]
    half = 1.966 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), rel=0.01)


def test_redraws_are_never_better_than_the_best_job_and_the_interval_is() -> None:
    values = np.random.default_rng(2).normal(size=(25, 1))
    samples = bootstrap_top_k(values, 3)
    assert samples.max() <= values.max()
    low, high = score_intervals(values, None, 3)[0]
    best = np.sort(values[:, 0])[-3:].mean()
    assert (low + high) / 2 == pytest.approx(best)
    assert high - best == pytest.approx(3.182446 * samples.std(ddof=1))
    assert high > values.max()


def test_intervals_of_cells_and_of_their_mean() -> None:
    stream = np.random.default_rng(4)
    values, references = stream.uniform(5, 9, (12, 4)), stream.uniform(2, 4, (12, 4))
    values[:, 1] = np.nan
    first, missing, *last = score_intervals(values, references, 3)
    assert not missing.known
    scores = [
        np.sort(values[:, c])[-3:].mean() / np.sort(references[:, c])[-3:].mean() for c in (0, 2, 3)
    ]
    assert [sum(each) / 2 for each in (first, *last)] == pytest.approx(scores)
    (mean,) = score_intervals(values, references, 3, together=True)
    assert sum(mean) / 2 == pytest.approx(np.mean(scores))
    redrawn = bootstrap_scores(values, references, 3)[:, [0, 2, 3]].mean(axis=1)
    assert mean.high - mean.low == pytest.approx(2 * 3.182446 * redrawn.std(ddof=1))
    (none,) = score_intervals(values[:, 1:2], references[:, 1:2], 3, together=True)
    assert not none.known


def test_a_reference_that_redraws_may_lose_has_no_interval() -> None:
    references = np.full((10, 1), -1.0)
    references[0] = 5.0  # redrawn in 65 % of the redraws
    assert not score_intervals(np.ones((10, 1)), references, 1)[0].known
