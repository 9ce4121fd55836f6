"""Intervals against textbook values, slow loops and simulation; their bootstrap by hand."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from colonnade.analysis import intervals
from colonnade.analysis.intervals import (
    FIELLER,
    REDRAWN,
    STUDENT,
    TOP_K,
    Interval,
    band,
    bootstrap,
    enough_runs,
    interval_of,
    mean_interval,
    percentile_interval,
    ratio_interval,
    top_k_interval,
)
from colonnade.analysis.top_k import score_intervals

values = st.floats(-100, 100)


def test_student_by_hand():
    # Mean 5, standard deviation 2, so 2 / sqrt(3) of the mean; t(2, 0.975) = 4.302653.
    low, high = mean_interval([3.0, 5.0, 7.0])
    reach = 4.302653 * 2 / 3**0.5
    assert (low, high) == pytest.approx((5 - reach, 5 + reach), abs=1e-5)
    # t(4, 0.95) = 2.131847 for 90 %.
    low, high = mean_interval([1.0, 2, 3, 4, 5], level=0.9)
    assert (low, high) == pytest.approx((3 - 2.131847 * 0.5**0.5, 3 + 2.131847 * 0.5**0.5))


def test_of_several_tasks_it_is_that_of_the_runs_means():
    # Means over the tasks 6, 7 and 12: mean 25 / 3, standard deviation sqrt(31 / 3).
    low, high = mean_interval([[3.0, 9.0, 6.0], [4.0, 12.0, 5.0], [15.0, 11.0, 10.0]])
    reach = 4.302653 * (31 / 3) ** 0.5 / 3**0.5
    assert (low, high) == pytest.approx((25 / 3 - reach, 25 / 3 + reach), abs=1e-5)
    # Tasks that differ in nothing but their level do not widen it.
    assert [*mean_interval([[0.0, 100.0]] * 5)] == [50.0, 50.0]


def test_welch_and_satterthwaite_by_hand():
    # Two pairs of 3 runs over a reference of exactly 1: squared errors 4/3 and 1/3 of means 5 and
    # 10; of their mean (5/3) / 4. Degrees of freedom
    # (5/3)^2 / ((4/3)^2 / 2 + (1/3)^2 / 2) = 25 / 8.5.
    cells = [("a", [3.0, 5.0, 7.0]), ("a", [9.0, 10.0, 11.0])]
    low, high = ratio_interval(cells, {"a": [1.0, 1.0, 1.0]})
    assert (low + high) / 2 == pytest.approx(7.5)
    error = ((5 / 3) / 4) ** 0.5
    # t(2.941, 0.975) lies between t(2) and t(3); linear in 1 / f, 3.227.
    assert (high - low) / 2 / error == pytest.approx(3.227, abs=0.01)


@pytest.mark.parametrize("runs", [0, 1, 2])
def test_too_few_runs_have_no_interval(runs):
    two = np.arange(2.0)[:runs]
    assert not mean_interval(two).known
    assert np.isnan(band(np.ones((runs, 4)))).all()
    assert not ratio_interval([("a", two)], {"a": [1.0, 2.0, 3.0]}).known
    assert not ratio_interval([("a", [1.0, 2.0, 3.0])], {"a": two + 1}).known
    assert not percentile_interval(np.ones(100), runs).known
    assert not top_k_interval(1.0, np.ones(100), 3, runs).known
    assert mean_interval(two).caution == ""
    assert mean_interval([0.0, 1.0, 2.0]).known


@given(arrays(np.float64, (5, 4), elements=values))
def test_the_band_is_the_interval_of_each_bin(curves):
    low, high = band(curves)
    for place, column in enumerate(curves.T):
        assert (low[place], high[place]) == pytest.approx(tuple(mean_interval(column)), abs=1e-9)


def test_fieller_by_hand():
    # Means 4 and 2, squared errors 1/3 each: equal parts 1/12 and 1/3 of the score's variance;
    # (5/12)^2 / ((1/12)^2 / 2 + (1/3)^2 / 2) = 2.941 degrees of freedom, as above.
    low, high = ratio_interval([("a", [3.0, 4.0, 5.0])], {"a": [1.0, 2.0, 3.0]}, level=0.5)
    t = 0.7670  # between t(2, 0.75) = 0.8165 and t(3, 0.75) = 0.7649, linear in 1 / f
    for end in (low, high):  # at the ends N - s B is t standard errors from 0
        assert abs(4 - 2 * end) / ((1 + end**2) / 3) ** 0.5 == pytest.approx(t, rel=2e-3)
    assert low < 2 < high
    assert high - 2 > 2 - low, "a small denominator reaches further than a large one"


def test_without_a_spread_below_it_is_students():
    own = np.array([2.0, 3.0, 5.0])  # over a reference of exactly 2: half of the mean's interval
    found = ratio_interval([("a", own)], {"a": [2.0] * 3})
    assert [*found] == pytest.approx([end / 2 for end in mean_interval(own)])
    tiny = ratio_interval([("a", 1e-100 * own)], {"a": [1.0] * 3})
    expected = [1e-100 * end for end in mean_interval(own)]
    assert [*tiny] == pytest.approx(expected, rel=1e-9, abs=0), (
        "squares of tiny spreads don't vanish"
    )
    still = [("a", [4.0] * 3), ("b", [9.0] * 3)]
    assert [*ratio_interval(still, {"a": [2.0] * 3, "b": [3.0] * 3, "c": [1.0]})] == [2.5, 2.5]


def test_targets_join_by_the_distances_of_their_ends():
    cells = [("a", [3.0, 4.0, 5.5]), ("b", [9.0, 9.5, 10.0])]
    below = {"a": [2.0, 2.1, 2.3], "b": [3.0, 3.5, 3.1]}
    # The same two targets twice over, as four: distances grow by sqrt(2), the mean's halve again.
    both = ratio_interval(cells, below, level=0.5)
    score = np.mean([np.mean(areas) / np.mean(below[target]) for target, areas in cells])
    again = [(name + "2", areas) for name, areas in cells]
    four = ratio_interval(cells + again, below | {k + "2": v for k, v in below.items()}, level=0.5)
    # Twice the degrees of freedom as well, so t(2 f, 0.75) in place of t(f, 0.75), a little less.
    for end, wide in zip(four, both, strict=True):
        assert 0.9 / 2**0.5 < (end - score) / (wide - score) < 1 / 2**0.5


def test_the_unit_of_areas_makes_no_difference():
    own, below = np.array([3.0, 4.0, 5.5]), np.array([2.0, 2.1, 2.9])
    found = ratio_interval([("a", own)], {"a": below})
    assert [*ratio_interval([("a", 10 * own)], {"a": 10 * below})] == pytest.approx([*found])
    assert [*ratio_interval([("a", 10 * own)], {"a": below})] == pytest.approx([*found.scaled(10)])


def test_a_ratio_without_an_end():
    for below in ([-1.0, 1.0, 0.5], [-3.0, -2.0, -2.5]):
        found = ratio_interval([("a", [1.0, 2, 3])], {"a": below}).scaled(100)
        assert (found.known, found.endless) == (False, True)
    few = ratio_interval([("a", [1.0, 2, 3])], {"a": [-1.0, 1.0]})
    none = ratio_interval([], {"a": [1.0, 1.0, 1.0]})
    for found in (few, none):
        assert (found.known, found.endless) == (False, False)
    samples = [np.nan] * 6 + [1.0] * 94
    assert [top_k_interval(1.0, samples, 1, jobs).endless for jobs in (2, 3)] == [False, True]
    assert not top_k_interval(np.nan, samples, 1, 3).endless
    assert not ratio_interval([("a", [1.0, 2, 3])], {"a": [1.0, 1.1, 1.2]}).endless


def test_the_bootstrap_equals_the_slow_loop_and_redraws_groups_apart():
    first, second = np.random.default_rng(3).normal(size=(2, 6))
    second = second[:4]
    found = bootstrap([first, second], lambda a, b: a.mean(1) - b.max(1), seed=7, resamples=25)
    stream = np.random.default_rng(7)
    picks = stream.integers(6, size=(25, 6)), stream.integers(4, size=(25, 4))
    expected = [
        sum(first[i] for i in one) / 6 - max(second[i] for i in other)
        for one, other in zip(*picks, strict=True)
    ]
    np.testing.assert_allclose(found, expected)


def test_expanded_percentiles_have_students_width():
    data = np.random.default_rng(0).normal(size=12)
    low, high = percentile_interval(
        bootstrap([data], lambda redrawn: redrawn.mean(1), resamples=20_000), 12
    )
    assert (low, high) == pytest.approx(tuple(mean_interval(data)), abs=0.07 * data.std())
    unknown = percentile_interval([np.nan] * 6 + [1.0] * 94, 5)
    assert (unknown.known, unknown.endless) == (False, True)
    assert percentile_interval([np.nan] * 5 + [1.0] * 95, 5).known


def test_the_top_k_interval_by_hand():
    samples = [1.0, 2.0, 3.0]  # standard deviation 1; t(3, 0.975) = 3.182446
    low, high = top_k_interval(2.5, samples, k=3, jobs=25)
    assert (low, high) == pytest.approx((2.5 - 3.182446, 2.5 + 3.182446))
    low, high = top_k_interval(2.5, samples, k=25, jobs=3)  # never more than jobs - 1
    assert high == pytest.approx(2.5 + 4.302653)


def test_an_interval_says_where_it_covers_too_little():
    found = interval_of(1.0, 2.0, STUDENT, runs=4)
    normal, skewed = intervals.COVERAGE[STUDENT][3]
    assert (found.normal, found.skewed) == (normal, skewed), "that of the next fewer runs tried"
    assert found.caution == "covers 83.8% where runs are lognormal"
    assert interval_of(1.0, 2.0, STUDENT, runs=5).skewed == intervals.COVERAGE[STUDENT][5][1]
    assert intervals.COVERAGE[STUDENT][5][1] < skewed
    assert interval_of(1.0, 2.0, STUDENT, runs=40).normal == intervals.COVERAGE[STUDENT][16][0]
    assert interval_of(1.0, 2.0, STUDENT, runs=4, level=0.5).normal is None
    three = interval_of(1.0, 2.0, FIELLER, runs=3)
    assert three.caution == "covers 89.8% where runs are lognormal", "which is below 90 %"
    few = interval_of(1.0, 2.0, TOP_K, runs=4)
    assert (few.normal, few.skewed) == intervals.COVERAGE[TOP_K][10], (
        "fewer than all that were tried"
    )
    assert few.caution
    assert interval_of(1.0, 2.0, "any other", runs=4).normal is None
    assert Interval(1.0, 2.0, "any", normal=0.5, skewed=0.4).caution == (
        "covers 50% where runs are normal and 40% where runs are lognormal"
    )
    assert found.scaled(100) == Interval(100.0, 200.0, STUDENT, 0.95, normal, skewed)


def documented(title):
    """A table of docs/statistics.md: its heads, and by the row's name the shares covered."""
    page = (Path(__file__).parents[2] / "docs" / "statistics.md").read_text()
    table = page.split(f"\n| {title} |")[1].split("\n\n")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip(" |").split("|")] for line in table]
    return rows[0], {name: np.array(cells, float) / 100 for name, *cells in rows[2:]}


@pytest.mark.parametrize(
    ("method", "title", "normal"),
    [
        (STUDENT, "Student's t of a mean", "normal"),
        (FIELLER, "Fieller's of transfer scores", "normal over normal"),
        (REDRAWN, "bootstrap of the interquartile mean", "normal"),
    ],
)
def test_the_coverage_is_that_of_the_documented_tables(method, title, normal):
    heads, rows = documented(title)
    assert [*map(str, intervals.COVERAGE[method])] == heads
    for place, pair in enumerate(intervals.COVERAGE[method].values()):
        for kind, covered in zip((normal, "lognormal"), pair, strict=True):
            least = min(row[place] for name, row in rows.items() if name.startswith(kind))
            assert covered == pytest.approx(least, abs=1e-9)


def test_the_coverage_of_the_top_k_is_that_of_fresh_jobs():
    _, rows = documented("bootstrap of the top k")
    for jobs, pair in intervals.COVERAGE[TOP_K].items():
        for kind, covered in zip(("normal", "lognormal"), pair, strict=True):
            own = [
                row[0]
                for name, row in rows.items()
                if name.startswith(kind) and name.endswith(f"of {jobs}")
            ]
            assert covered == pytest.approx(min(own), abs=1e-9)


def test_how_many_runs_would_do():
    runs = [0.0, 1.0, 2.0, 3.0]  # standard deviation 1.29099
    for half in (0.3, 1.0, 2.0):
        slowly = next(
            n
            for n in range(3, 1000)
            if mean_interval(np.tile([1.0, -1.0], n)[:n]).known
            and np.std(runs, ddof=1) * intervals.stdtrit(n - 1, 0.975) / n**0.5 <= half
        )
        assert enough_runs(runs, half) == slowly
    assert enough_runs(runs, 1.0) == 9  # t(8, 0.975) = 2.306: 2.306 * 1.29099 / 3 = 0.992
    assert enough_runs([5.0], 0.1) == 3
    assert enough_runs([5.0, 5.0], 0.1) == 3
    with pytest.raises(ValueError, match="above 0, but 0"):
        enough_runs(runs, 0.0)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_impossible_level(level):
    for call in (
        lambda: mean_interval([1.0, 2.0, 3.0], level=level),
        lambda: band(np.ones((3, 2)), level=level),
        lambda: ratio_interval([], {}, level=level),
        lambda: percentile_interval([1.0], 3, level=level),
        lambda: top_k_interval(1.0, [1.0], 1, 3, level=level),
        lambda: enough_runs([1.0], 1.0, level=level),
    ):
        with pytest.raises(ValueError, match="between 0 and 1"):
            call()


def covers(truth, interval, repeats):
    """Share of intervals that hold the truth."""
    stream = np.random.default_rng(0)
    found = [interval(stream) for _ in range(repeats)]
    return np.mean([low <= truth <= high for low, high in found])


@pytest.mark.parametrize("runs", [3, 5, 8, 16])
def test_the_default_covers_its_95_per_cent(runs):
    """Standard error of a coverage over 20,000 draws: 0.15 %; over 2,500, 0.4 %."""
    low, high = band(np.random.default_rng(1).normal(3.0, 2.0, size=(runs, 20_000)))
    assert 0.945 < ((low <= 3) & (high >= 3)).mean() < 0.955
    tasks = covers(0, lambda s: mean_interval(s.normal(size=(runs, 3)) * [1, 2, 3]), 2500)
    assert 0.93 < tasks < 0.97

    def alike(stream):  # four tasks, in all of which a run has the same luck
        return mean_interval(stream.normal(size=(runs, 4)) + 2 * stream.normal(size=(runs, 1)))

    assert 0.93 < covers(0, alike, 2500) < 0.97

    def score(stream):
        cells = [(str(p % 2), a) for p, a in enumerate(2 + 0.4 * stream.normal(size=(4, runs)))]
        references = {str(t): b for t, b in enumerate(1 + 0.2 * stream.normal(size=(2, runs)))}
        return ratio_interval(cells, references)

    assert 0.93 < covers(2, score, 2500) < 0.97


def test_the_best_three_of_25_cover_what_is_said_of_them():
    truth = np.sort(np.random.default_rng(1).normal(size=(40_000, 25)))[:, -3:].mean()
    found = covers(truth, lambda s: score_intervals(s.normal(size=(25, 1)), None, 3)[0], 400)
    assert found == pytest.approx(intervals.COVERAGE[TOP_K][25][0], abs=0.04)
    assert found > 0.89
