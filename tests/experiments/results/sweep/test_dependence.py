"""How far a method hangs on the draw: numbers worked by hand, and the page that shows them."""

import math
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
from reading import table_of
from scipy import stats

from colonnade.experiments.launch.sweep import plan_sweep
from colonnade.experiments.method_titles import METHODS
from colonnade.experiments.plans.plan import SuiteOptions
from colonnade.experiments.plans.sweep import Sweep
from colonnade.experiments.results.sweep.dependence import dependences
from colonnade.experiments.results.sweep.jobs import JobRow, job_rows
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.suites import suite_from_name
from colonnade.reports.suite import write_report


def row(job, method, target, score, state="complete", random=-10.0, source=None):
    return JobRow(
        job=job, seed=job, method=method, source=source, target=target, hyperparameters={},
        state=state, counts=True, area=math.nan, transfer=math.nan, final_score=score,
        random_score=random, steps=1, seconds=1.0, run=f"{method}{job}{target}", failure=None,
    )  # fmt: skip


def found(rows, methods=("a", "b"), targets=("x", "y")):
    results = SimpleNamespace(methods=list(methods), targets=list(targets))
    panels = dependences(results, rows)
    return {(panel.target, line.method): line for panel in panels for line in panel.methods}


ROWS = [
    # On x the best gains 20; on y it gains 4.
    *(row(job, "a", "x", score) for job, score in enumerate((10.0, 0.0, -10.0, -1.0))),
    *(row(job, "b", "x", score) for job, score in enumerate((8.0, 6.0, -12.0, 0.0))),
    *(row(job, "a", "y", score, random=0.0) for job, score in enumerate((1.0, 2.0, 1.9, 0.0))),
    *(row(job, "b", "y", score, random=0.0) for job, score in enumerate((4.0, 3.0, 2.0, 1.0))),
]


def test_gains_are_relative_to_the_best_job_of_all_methods():
    lines = found(ROWS)
    a, b = lines["x", "a"], lines["x", "b"]
    assert (a.jobs, a.learned, a.places) == (4, 2, 4)  # 1, 0.5, 0, 0.45
    assert a.gain == pytest.approx((1 + 0.5 + 0 + 0.45) / 4)
    assert (a.best, a.kept) == (1.0, pytest.approx(a.gain))
    assert (b.jobs, b.learned) == (4, 3)  # 0.9, 0.8, -0.1, 0.5
    assert b.gain == pytest.approx((0.9 + 0.8 - 0.1 + 0.5) / 4)
    assert b.best == pytest.approx(0.9)
    assert b.kept == pytest.approx(b.gain / 0.9)
    assert math.isnan(a.ahead)
    assert not a.interval.known


def test_jobs_of_a_draw_stand_in_pairs():
    line = found(ROWS)["x", "b"]
    pairs = np.array([0.9 - 1, 0.8 - 0.5, -0.1 - 0, 0.5 - 0.45])
    assert line.ahead == pytest.approx(pairs.mean())
    by_scipy = stats.ttest_1samp(pairs, 0).confidence_interval()
    np.testing.assert_allclose(tuple(line.interval), by_scipy)


def test_over_all_targets_a_job_counts_once():
    line = found(ROWS)[None, "b"]
    a = np.array([[1, 0.25], [0.5, 0.5], [0, 0.475], [0.45, 0]])
    b = np.array([[0.9, 1], [0.8, 0.75], [-0.1, 0.5], [0.5, 0.25]])
    assert (line.jobs, line.learned, line.places) == (4, 6, 8)
    assert line.gain == pytest.approx(b.mean())
    assert line.best == pytest.approx((0.9 + 1) / 2)
    by_scipy = stats.ttest_1samp((b - a).mean(axis=1), 0).confidence_interval()
    np.testing.assert_allclose(tuple(line.interval), by_scipy)


def test_what_failed_gains_nothing_and_what_is_missing_is_left_out():
    rows = [
        row(0, "a", "x", 10.0), row(1, "a", "x", math.nan, "missing"), row(2, "a", "x", 0.0),
        row(0, "b", "x", math.nan, "failed"), row(1, "b", "x", 0.0), row(2, "b", "x", 10.0),
    ]  # fmt: skip
    lines = found(rows, targets=("x",))
    assert set(lines) == {("x", "a"), ("x", "b")}
    a, b = lines["x", "a"], lines["x", "b"]
    assert (a.jobs, a.gain) == (2, 0.75)
    assert (b.jobs, b.learned, b.gain) == (3, 2, pytest.approx(0.5))
    assert b.ahead == pytest.approx((-1.0 + 0.5) / 2)  # jobs 0 and 2


def test_a_job_without_all_targets_is_left_out_of_all():
    lines = found([r for r in ROWS if (r.job, r.method, r.target) != (3, "b", "y")])
    assert lines["x", "b"].jobs == 4
    assert lines[None, "b"].jobs == 3


def test_jobs_of_several_sources_count_as_one():
    rows = [
        row(0, "a", "x", 10.0), row(1, "a", "x", 0.0),
        *(row(0, "b", "x", score, source=source) for source, score in (("p", 10.0), ("q", -10.0))),
    ]  # fmt: skip
    line = found(rows, targets=("x",))["x", "b"]
    assert (line.jobs, line.learned, line.places, line.gain) == (1, 1, 1, 0.5)


def test_a_job_of_which_a_source_is_under_way_is_left_out():
    rows = [
        row(0, "a", "x", 10.0), row(1, "a", "x", 10.0),
        *(row(0, "b", "x", score, source=source) for source, score in (("p", 10.0), ("q", -10.0))),
        row(1, "b", "x", 10.0, source="p"), row(1, "b", "x", math.nan, "training", source="q"),
    ]  # fmt: skip
    line = found(rows, targets=("x",))["x", "b"]
    assert (line.jobs, line.gain, line.ahead) == (1, 0.5, -0.5)


def test_where_nobody_gains_nothing_is_said():
    assert not found([row(0, "a", "x", -10.0), row(0, "b", "x", -11.0)])


def test_the_page_shows_them(fabricate: Callable[..., SuiteFolder]) -> None:
    suite, sweep = suite_from_name("pong-soup-mini"), Sweep(jobs=5, top=2)
    options = SuiteOptions(budget=0.2, tasks=("zoom", "h-flip"), methods=("finetune",))
    folder = fabricate(plan_sweep(suite, sweep, options), name=suite.name, sweep=sweep)
    results = Results(folder)
    panels = dependences(results, job_rows(results))
    page = write_report(folder).read_text()
    everywhere, details = page.split("Target by target")
    for text, panel in ((everywhere, panels[0]), (details, panels[-1])):
        shown = table_of(text, "Mean gain")
        assert len(shown) == len(panel.methods) == 2
        for line in panel.methods:
            row = shown[METHODS[line.method].title]
            assert row["Target"] == ("H-flip" if panel.target else "all targets")
            assert row["Jobs"] == "5"
            assert row["Learned"] == f"{line.learned} of {line.places}"
            assert row["Mean gain"] == f"{line.gain:.2f}"
            assert row["of its best job's"] == f"{line.kept:.2f}"
    assert row["Ahead of the first"] == f"{line.ahead:+.2f}"
    low, high = line.interval
    assert row["95 % interval"].startswith(f"{low:+.2f} to {high:+.2f}")


def test_the_page_speaks_of_baseline_1_only_where_it_is(
    fabricate: Callable[..., SuiteFolder],
) -> None:
    suite, sweep = suite_from_name("sim-to-real-gaps"), Sweep(jobs=3, top=3)
    options = SuiteOptions(tasks=("colour-subtle",))
    folder = fabricate(plan_sweep(suite, sweep, options), name=suite.name, sweep=sweep)
    page = " ".join(write_report(folder).read_text().split())
    assert "Each job's area against what was drawn" in page
    assert "aseline 1" not in page
    assert "Ahead of the first" in page


def test_a_target_on_which_nobody_gains_counts_among_all() -> None:
    rows = [r for r in ROWS if r.target == "x"]
    rows += [row(r.job, r.method, "y", -10.0 - r.job) for r in rows]
    lines = found(rows)
    assert {target for target, _ in lines} == {None, "x"}
    assert lines[None, "a"].gain == pytest.approx(lines["x", "a"].gain / 2)
