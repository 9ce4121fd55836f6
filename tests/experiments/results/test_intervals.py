"""How sure a report says its numbers are: intervals, cautions, IQM, probability of improvement."""

import math
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from matplotlib.colors import to_hex
from reading import table_of

from colonnade.analysis.intervals import COVERAGE, FIELLER, STUDENT, mean_interval, ratio_interval
from colonnade.experiments.launch.sweep import plan_sweep
from colonnade.experiments.method_titles import METHODS
from colonnade.experiments.plans.plan import SuiteOptions
from colonnade.experiments.plans.sweep import Sweep
from colonnade.experiments.results.curves import source_panels
from colonnade.experiments.results.matrix_and_table import TableRow, transfer_table
from colonnade.experiments.results.transfer import Cell, RandomScore, Results
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.suites import suite_from_name
from colonnade.experiments.suites.progressive.pong_soup import SHORT
from colonnade.reports.suite import write_report
from colonnade.reports.transfer.curves import learning_curves
from colonnade.reports.transfer.matrix import transfer_matrix
from colonnade.reports.transfer.section import _table_row

Fabricate = Callable[..., SuiteFolder]

TARGETS = ("noisy", "white", "zoom", "h-flip")
FINETUNE = "Baseline 3 (full finetune)"


def made(fabricate: Fabricate, seeds: int) -> SuiteFolder:
    return fabricate(SHORT.plan(SuiteOptions(seeds=seeds)))


def curves(suite: SuiteFolder, start: str) -> np.ndarray:
    """[R, B] of the runs whose label begins so, by hand; a run's first bin is empty."""
    found = [
        [-20.0, *(row["return_mean"] for row in suite.run(spec.id).metrics()[1:])]
        for spec in suite.plan.runs
        if spec.label.startswith(f"{start},")
    ]
    return np.array(found)


def areas(suite: SuiteFolder, start: str) -> np.ndarray:
    return curves(suite, start).mean(axis=1) + 20


def test_three_seeds_have_an_interval_and_the_page_says_what_it_is_worth(
    fabricate: Fabricate,
) -> None:
    suite = made(fabricate, 3)
    own = [areas(suite, f"finetune pong to {target}") for target in TARGETS]
    below = [areas(suite, f"scratch {target}") for target in TARGETS]
    assert [values.size for values in own + below] == [3] * 8
    expected = ratio_interval(
        list(zip(TARGETS, own, strict=True)), dict(zip(TARGETS, below, strict=True))
    ).scaled(100)
    assert expected.known
    scratch, finetune, _ = transfer_table(Results(suite))
    assert np.isnan([scratch.low, scratch.high, scratch.improvement]).all()
    assert (finetune.low, finetune.high) == pytest.approx(tuple(expected))
    mean = 100 * np.mean([a.mean() / b.mean() for a, b in zip(own, below, strict=True)])
    assert finetune.low < mean == pytest.approx(finetune.mean)
    assert finetune.mean < finetune.high
    relative = np.sort([a / b.mean() for a, b in zip(own, below, strict=True)], axis=None)
    assert finetune.middle == pytest.approx(100 * relative[3:9].mean())
    assert finetune.middle != pytest.approx(finetune.mean)
    better = np.mean([[x > y for x in a for y in b] for a, b in zip(own, below, strict=True)])
    assert finetune.improvement == better

    row = table_of(write_report(suite).read_text(), "IQM")[FINETUNE]
    assert row["95 % interval"].startswith(f"{expected.low:.0f} to {expected.high:.0f}")
    assert row["95 % interval"].endswith(expected.caution)
    assert row["IQM"] == f"{finetune.middle:.0f}"
    assert row["Better than baseline 1"] == f"{better:.2f}"


def test_what_covers_too_little_is_said_beside_the_number(
    fabricate: Fabricate, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = made(fabricate, 3)
    monkeypatch.setitem(COVERAGE, FIELLER, {3: (0.95, 0.61)})  # type: ignore[arg-type]
    row = table_of(write_report(suite).read_text(), "IQM")[FINETUNE]
    assert row["95 % interval"].endswith("covers 61% where runs are lognormal")


def test_bands_say_what_they_are_worth(
    fabricate: Fabricate, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = made(fabricate, 3)
    monkeypatch.setitem(COVERAGE, STUDENT, {3: (0.95, 0.61)})  # type: ignore[arg-type]
    words = "with 3 seeds it covers 61% where runs are lognormal"
    assert f"three or more ({words})." in " ".join(write_report(suite).read_text().split())
    monkeypatch.setitem(COVERAGE, STUDENT, {3: (0.95, 0.95)})  # type: ignore[arg-type]
    assert "three or more." in " ".join(write_report(suite).read_text().split())


def test_two_seeds_have_none_and_the_page_says_how_many_would_do(fabricate: Fabricate) -> None:
    suite = made(fabricate, 2)
    results = Results(suite)
    page = write_report(suite).read_text()
    assert table_of(page, "IQM")[FINETUNE]["95 % interval"] == ""
    counts = []
    for target in TARGETS:
        values = areas(suite, f"scratch {target}")
        runs = 3
        while _half_width(values.std(ddof=1), runs) > 0.2 * values.mean():
            runs += 1
        counts.append(runs)
    wanted = int(np.ceil(np.mean(sorted(counts)[1:3])))  # the middle of four
    assert results.seeds_wanted() == wanted
    words = " ".join(page.split())
    assert f"It takes 3 seeds, and about {wanted} for mean areas that are sure to" in words
    assert not any(line.banded for p in source_panels(results, "pong") for line in p.lines)


def _half_width(spread: float, runs: int) -> float:
    """By an interval of runs of just that spread."""
    values = np.arange(runs, dtype=float)
    low, high = mean_interval(values / values.std(ddof=1) * spread)
    return (high - low) / 2


def test_bands_are_students_at_each_bin(fabricate: Fabricate) -> None:
    suite = made(fabricate, 3)
    expected = curves(suite, "finetune pong to zoom")
    figure = learning_curves(Results(suite), "pong")
    assert figure is not None
    (axes,) = (a for a in figure.axes if "Zoom" in (a.get_title(loc="left"), a.get_title()))
    colour = to_hex(METHODS["finetune"].colour)
    (shade,) = (c for c in axes.collections if to_hex(c.get_facecolor()[0]) == colour)
    corners = shade.get_paths()[0].vertices
    for place in (3, expected.shape[1] - 2):
        step = 10_000 * (place + 1)
        ends = {round(float(y), 6) for x, y in corners if x == step}
        assert ends == {round(end, 6) for end in mean_interval(expected[:, place])}
    lines = [line for p in source_panels(Results(suite), "pong") for line in p.lines]
    assert len(lines) == 3 * len(TARGETS)
    for line in lines:
        assert (line.low[1:] < line.mean[1:]).all()
        assert (line.mean[1:] < line.high[1:]).all()


def test_a_sweeps_best_jobs_stand_behind_their_mean_without_a_band(fabricate: Fabricate) -> None:
    mini, sweep = suite_from_name("pong-soup-mini"), Sweep(jobs=5, top=3)
    options = SuiteOptions(budget=0.2, tasks=("zoom",), methods=("finetune",))
    suite = fabricate(plan_sweep(mini, sweep, options), name=mini.name, sweep=sweep)
    (panel,) = source_panels(Results(suite), "pong")
    for line, start in zip(panel.lines, ("scratch zoom", "finetune pong to zoom"), strict=True):
        jobs = curves(suite, start)
        assert len(jobs) == 5
        best = jobs[np.argsort(jobs.mean(axis=1))[-3:]]
        assert line.runs == 3
        assert not line.banded, "the best few are no sample of anything"
        np.testing.assert_allclose(line.each, best[::-1])
        np.testing.assert_allclose(line.mean, best.mean(axis=0))


def test_the_rest_of_the_page(fabricate: Fabricate) -> None:
    suite = made(fabricate, 2)
    results = Results(suite)
    on_zoom = sum(spec.target == "pong-soup/zoom" for spec in suite.plan.runs)
    # 25 episodes, whose own standard deviation is 1 and whose sample's is 5 / sqrt(24).
    assert results.random_score("pong-soup/zoom") == (-20, pytest.approx(1 / 24**0.5), on_zoom)
    page = write_report(suite).read_text()
    assert f"Zoom -20.00 in {on_zoom} runs" in page
    table = table_of(page, "Steps/s")
    for spec in suite.plan.runs:
        assert table[spec.label]["Steps/s"] == f"{spec.steps / 500:,.0f}"
    (axes,) = transfer_matrix(results).axes
    shades = np.array(axes.images[0].get_array())
    for column, target in enumerate(TARGETS):
        score = (
            areas(suite, f"finetune pong to {target}").mean()
            / areas(suite, f"scratch {target}").mean()
        )
        assert shades[0, column] == pytest.approx(min(score, 2))


def test_runs_are_compared_with_those_on_their_own_target() -> None:
    """Better on one target, worse on the other; crossed, all would be better and worse alike."""
    cells = [
        Cell("m", None, "easy", np.array([90.0, 91, 95]), 1.0),
        Cell("m", None, "hard", np.array([1.0, 3, 5]), 1.0),
    ]
    results = SimpleNamespace(
        cells=cells,
        references={"easy": np.array([80.0, 85, 92]), "hard": np.array([2.0, 4, 6])},
        baseline=lambda source, target: target,
        random_score=lambda target: RandomScore(0.0, 0.1, 1),
    )
    _, improvement = Results.robust_summary(cast("Results", results), "m")
    easy, hard = (2 + 2 + 3) / 9, (0 + 1 + 2) / 9
    assert improvement == pytest.approx((easy + hard) / 2)


def test_a_row_of_the_page_has_each_number_in_its_column() -> None:
    row = TableRow(
        "ewc", "EWC", 1.0, 2.0, 3.0, False, "c", 4.0, 5.0, 0.06, 7, 8, 11, (9, 10), "#112233"
    )
    shown = _table_row(row)
    assert shown.colour == "#112233"
    assert (shown.mean, shown.interval, shown.median, shown.middle) == ("1", "2 to 3", "4", "5")
    assert (shown.improvement, shown.pairs, shown.paper) == ("0.06", "7 of 8", "9 / 10")
    assert shown.runs == 11
    assert _table_row(replace(row, improvement=math.nan)).improvement == ""
    few = replace(row, low=math.nan, high=math.nan)
    assert _table_row(few).interval == ""
    assert _table_row(replace(few, endless=True)).interval == "no upper end"
