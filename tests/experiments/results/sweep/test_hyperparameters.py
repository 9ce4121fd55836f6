"""What a sweep's report shows is what was measured, and what its folder says was drawn."""

import json
import math
import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reading import lines_of, table_of, texts_of

from colonnade.analysis.intervals import COVERAGE, TOP_K
from colonnade.errors import ColonnadeError
from colonnade.experiments import suites
from colonnade.experiments.launch.sweep import plan_sweep
from colonnade.experiments.method_titles import METHODS
from colonnade.experiments.plans.plan import SuiteOptions
from colonnade.experiments.plans.search_space import Choice, LogUniform, SearchSpace
from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.plans.sweep import Sweep
from colonnade.experiments.results.matrix_and_table import matrix_of
from colonnade.experiments.results.sweep.hyperparameters import scatter_panels, sorted_panels
from colonnade.experiments.results.sweep.jobs import hyperparameters, job_rows
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.basis import Basis
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.suites import suite_from_name
from colonnade.records import read, write
from colonnade.reports.suite import write_report
from colonnade.reports.sweep import charts as sweep_charts
from colonnade.reports.sweep.section import SweepSection
from colonnade.reports.transfer.matrix import transfer_matrix

Fabricate = Callable[..., SuiteFolder]

MINI = suite_from_name("pong-soup-mini")
SMALL = SuiteOptions(budget=0.2, tasks=("zoom",), methods=("finetune",))
SWEEP = Sweep(jobs=5, top=2)


@pytest.fixture
def swept(fabricate: Fabricate) -> SuiteFolder:
    return fabricate(plan_sweep(MINI, SWEEP, SMALL), name=MINI.name, sweep=SWEEP)


def runs_of(suite: SuiteFolder, method: str, source: str | None) -> list[str]:
    return [e.run for e in suite.plan.comparisons if (e.method, e.source) == (method, source)]


def area(suite: SuiteFolder, run: str) -> float:
    """By hand: above the random score of -20, empty bins as the bin before."""
    values, last = [], -20.0
    for row in suite.run(run).metrics():
        last = last if row["return_mean"] is None else row["return_mean"]
        values.append(last + 20)
    return float(np.mean(values))


def final(suite: SuiteFolder, run: str) -> float:
    rows = suite.run(run).result()["scores"]
    (row,) = (row for row in rows if row["policy"] == "trained")
    return float(row["return_mean"])


def spec_of(suite: SuiteFolder, run: str) -> RunSpec:
    (spec,) = (spec for spec in suite.plan.runs if spec.id == run)
    return spec


def job(suite: SuiteFolder, run: str) -> str:
    """The number at the end of a run's label."""
    return spec_of(suite, run).label.rpartition(", job ")[2]


def best_mean(suite: SuiteFolder, runs: list[str]) -> float:
    return float(np.mean(sorted(area(suite, run) for run in runs)[-2:]))


# --- numbers -------------------------------------------------------------------------------------


def test_the_table_of_jobs(swept: SuiteFolder) -> None:
    rows = {row.run: row for row in job_rows(Results(swept))}
    reference = best_mean(swept, runs_of(swept, "scratch", None))
    for entry in swept.plan.comparisons:
        row = rows[entry.run]
        assert row.area == pytest.approx(area(swept, entry.run))
        assert row.transfer == pytest.approx(area(swept, entry.run) / reference)
        assert row.final_score == final(swept, entry.run) != row.random_score
        assert row.random_score == -20.0
        runs = runs_of(swept, entry.method, entry.source)
        better = sum(area(swept, other) > area(swept, entry.run) for other in runs)
        assert row.counts == (better < 2)
        assert str(row.job) == job(swept, entry.run)
        # A fabricated run takes 500 seconds, and ends a little before its budget.
        assert (row.seconds, row.steps) == (500.0, spec_of(swept, entry.run).steps - 8)


def test_scores_are_drawn_from_the_best_job_to_the_worst(swept: SuiteFolder) -> None:
    results = Results(swept)
    lost = runs_of(swept, "finetune", "pong")[2]
    (swept.run(lost).path / "DONE").unlink()
    (swept.run(lost).path / "failed.json").write_text('{"reason": "It diverged."}')
    results = Results(swept)
    figure = sweep_charts.sorted_scores(results, job_rows(results))
    (axes,) = figure.axes
    for method, sources in (("scratch", [None]), ("finetune", ["pong", "noisy"])):
        runs = [run for source in sources for run in runs_of(swept, method, source)]
        scores = sorted((final(swept, run) for run in runs if run != lost), reverse=True)
        (line,) = (line for line in axes.lines if line.get_color() == METHODS[method].colour)
        places = [100 * (place + 0.5) / len(runs) for place in range(len(scores))]
        np.testing.assert_allclose(line.get_ydata(), scores)
        np.testing.assert_allclose(line.get_xdata(), places)
    (panel,) = sorted_panels(results, job_rows(results))
    assert (panel.title, panel.random) == ("Zoom", -20.0)


def test_areas_stand_over_what_was_drawn_and_lines_join_medians(swept: SuiteFolder) -> None:
    results = Results(swept)
    rows = job_rows(results)
    reference = best_mean(swept, runs_of(swept, "scratch", None))
    panels = {panel.name: panel for panel in scatter_panels(results, rows)}
    assert list(panels) == ["learning_rate", "entropy_cost", "clip_norm", "alpha"]
    specs = {spec.id: spec for spec in swept.plan.runs}
    uneven = 0
    for name, panel in panels.items():
        assert panel.relative
        for scatter in panel.scatters:
            sources = [None] if scatter.method == "scratch" else ["pong", "noisy"]
            found: dict[float, list[float]] = {}
            for run in (run for s in sources for run in runs_of(swept, scatter.method, s)):
                value = hyperparameters(swept, specs[run])[name]
                found.setdefault(value, []).append(area(swept, run) / reference)
            shown = np.array(sorted(zip(scatter.values, scatter.heights, strict=True)))
            points = [(value, height) for value, heights in found.items() for height in heights]
            np.testing.assert_allclose(shown, np.array(sorted(points)))
            np.testing.assert_allclose(scatter.middles, sorted(found))
            medians = [np.median(found[value]) for value in sorted(found)]
            np.testing.assert_allclose(scatter.medians, medians)
            uneven += any(np.mean(v) != np.median(v) for v in found.values() if len(v) > 2)
    assert uneven, "else means could stand for medians"


def test_where_baseline_1_is_no_measure_areas_stand_as_they_are(swept: SuiteFolder) -> None:
    results = Results(swept)
    rows = [replace(row, transfer=math.nan) for row in job_rows(results)]
    for panel in scatter_panels(results, rows):
        assert not panel.relative
        assert {scatter.method for scatter in panel.scatters} == {"scratch", "finetune"}
        for scatter in panel.scatters:
            sources = [None] if scatter.method == "scratch" else ["pong", "noisy"]
            runs = [run for s in sources for run in runs_of(swept, scatter.method, s)]
            areas = sorted(area(swept, run) for run in runs)
            np.testing.assert_allclose(np.sort(scatter.heights), areas)


def test_a_continuous_range_is_divided_into_fifths(swept: SuiteFolder) -> None:
    results = Results(swept)
    rows = [
        replace(row, hyperparameters={"rate": 10.0 ** (-number)}, transfer=float(number**2))
        for number, row in enumerate(row for row in job_rows(results) if row.method == "finetune")
    ]
    (panel,) = scatter_panels(results, rows)
    (scatter,) = panel.scatters
    # Ten jobs, two a fifth, from the smallest rate on; the middle is that of the logarithms.
    np.testing.assert_allclose(
        scatter.medians, [(a * a + b * b) / 2 for a, b in ((9, 8), (7, 6), (5, 4), (3, 2), (1, 0))]
    )
    np.testing.assert_allclose(scatter.middles, [10**-8.5, 10**-6.5, 10**-4.5, 10**-2.5, 10**-0.5])


def test_pictures_show_the_numbers(swept: SuiteFolder) -> None:
    results = Results(swept)
    rows = job_rows(results)
    figure = sweep_charts.score_against(results, rows)
    for axes, panel in zip(figure.axes, scatter_panels(results, rows), strict=True):
        for scatter in panel.scatters:
            ((places, medians),) = lines_of(axes, METHODS[scatter.method].colour)
            np.testing.assert_allclose(medians, np.minimum(scatter.medians, 4.0))
            # Methods stand a little beside each other.
            np.testing.assert_allclose(places, scatter.middles, rtol=0.3)


@pytest.mark.parametrize(
    ("relative", "most", "label"),
    [
        (True, 4.0, "relative area (above 4: at 4)"),
        (True, 1e9, "relative area"),
        (False, 1e9, "area"),
    ],
)
def test_relative_areas_alone_are_cut_and_the_axis_says_so(
    swept: SuiteFolder, relative: bool, most: float, label: str
) -> None:
    results, size = Results(swept), 3.0 if relative and most > 4 else 90.0
    rows = [
        replace(row, area=size + row.job, transfer=size + row.job / 9 if relative else math.nan)
        for row in job_rows(results)
    ]
    figure = sweep_charts.score_against(results, rows)
    panels = scatter_panels(results, rows)
    assert max(s.heights.max() for panel in panels for s in panel.scatters) == pytest.approx(
        max(row.transfer if relative else row.area for row in rows)
    )
    for axes, panel in zip(figure.axes, panels, strict=True):
        assert axes.get_ylabel() == label
        for scatter in panel.scatters:
            ((_, medians),) = lines_of(axes, METHODS[scatter.method].colour)
            np.testing.assert_allclose(medians, np.minimum(scatter.medians, most))
            (dots,) = (
                line for line in axes.lines
                if line.get_marker() == "." and line.get_color() == METHODS[scatter.method].colour
            )  # fmt: skip
            np.testing.assert_allclose(dots.get_ydata(), np.minimum(scatter.heights, most))


def test_the_matrix_of_a_sweep_has_intervals_the_right_way_round(swept: SuiteFolder) -> None:
    results = Results(swept)
    known = [cell for cell in results.cells if not math.isnan(sum(cell.interval))]
    assert {cell.method for cell in known} >= {"finetune"}
    for cell in known:
        low, high = cell.interval
        assert low <= cell.score <= high
        assert low < high or cell.method == "scratch"
    (axes,) = transfer_matrix(results).axes
    shown = texts_of(axes)
    for row, cell in enumerate(cell for cell in known if cell.method == "finetune"):
        assert shown[0, row + 0.24] == "{:.2f} to {:.2f}".format(*cell.interval)
    cautions = {cell.interval.caution for cell in known if cell.method == "finetune"}
    assert matrix_of(results).caution in cautions
    report = SweepSection(results)
    assert dict(report.content()["ranges"])["learning_rate"] == "one of 0.01, 0.003, 0.001"


def test_the_page_says_what_a_cells_interval_is_worth(
    swept: SuiteFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(COVERAGE, TOP_K, {5: (0.95, 0.61)})  # type: ignore[arg-type]
    page = " ".join(write_report(swept).read_text().split())
    assert "over jobs (covers 61% where runs are lognormal). Colours" in page


def test_the_page_names_the_best_jobs_and_what_they_drew(fabricate: Fabricate) -> None:
    # Of another seed, so that the number of a job is not the seed of its runs.
    sweep = replace(SWEEP, seed=2, top=3)
    suite = fabricate(plan_sweep(MINI, sweep, SMALL), name=MINI.name, sweep=sweep)
    sources = suite.plan.selections[0].runs
    best = max(sources, key=lambda run: final(suite, run))
    assert job(suite, best) != "0"
    assert suite.choose(suite.plan.selections[0]) == best
    page = " ".join(write_report(suite).read_text().split())
    shown = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page))
    assert shown["source pong"] == f"job {job(suite, best)}, final score {final(suite, best):.2f}"
    assert shown["source noisy"] == "not chosen yet"
    for title, method, source in (
        ("Baseline 1 (scratch) to Zoom", "scratch", None),
        ("Baseline 3 (full finetune) from Pong to Zoom", "finetune", "pong"),
        ("Baseline 3 (full finetune) from Noisy to Zoom", "finetune", "noisy"),
    ):
        runs = runs_of(suite, method, source)
        jobs = []
        for run in sorted(runs, key=lambda run: area(suite, run), reverse=True)[:3]:
            spec = spec_of(suite, run)
            assert isinstance(spec.column, dict)
            names = ("learning_rate", "entropy_cost", "clip_norm", "alpha")
            drawn = [spec.learner_options[name] for name in names[:3]]
            values = ", ".join(
                f"{name} {value:g}"
                for name, value in zip(names, (*drawn, spec.column["alpha"]), strict=True)
            )
            jobs.append(f"{job(suite, run)} ({values})")
        assert shown[title] == "; ".join(jobs)


def test_what_was_not_drawn_for_a_job_has_no_number(
    swept: SuiteFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"learning_rate": 0.001, "entropy_cost": math.nan, "alpha": 0.1}
    rows = [replace(row, hyperparameters=values) for row in job_rows(Results(swept))]
    section = SweepSection(Results(swept))
    monkeypatch.setattr(section, "rows", rows)
    assert section.content()["best"]
    for _, jobs in section.content()["best"]:
        assert re.fullmatch(r"(\d+ \(learning_rate 0\.001, alpha 0\.1\)(; )?)+", jobs)


def test_the_middle_mean_divides_all_jobs_by_all_jobs(swept: SuiteFolder) -> None:
    results = Results(swept)
    reference = np.mean([area(swept, run) for run in runs_of(swept, "scratch", None)])
    assert reference < 0.99 * best_mean(swept, runs_of(swept, "scratch", None))
    runs = [run for s in ("pong", "noisy") for run in runs_of(swept, "finetune", s)]
    relative = np.sort([area(swept, run) / reference for run in runs])
    assert relative.size == 10
    assert results.robust_summary("finetune")[0] == pytest.approx(100 * relative[2:8].mean())


# --- what the folder says ------------------------------------------------------------------------


def changed_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the suite draw one more hyperparameter, from other ranges, as a later version might."""
    space = SearchSpace(
        learner={"learning_rate": LogUniform(1e-6, 1e-5), "gae_lambda": Choice((0.9, 0.95))},
        column={"alpha": Choice((7.0, 8.0))},
    )
    later = replace(MINI, spaces={"ppo": space}, title="Another title")
    monkeypatch.setattr(suites, "SUITES", (later,))
    assert suite_from_name(MINI.name).space("ppo").names[1] == "gae_lambda"


def stripped(suite: SuiteFolder) -> SuiteFolder:
    """The folder as it would be from before folders said what they draw; its runs are kept."""
    path = suite.path / "suite.json"
    content = json.loads(path.read_text())
    del content["basis"], content["measures"], content["checksum"]
    path.write_text(json.dumps(content))
    for folder in suite.runs:
        result = folder.result()
        del result["measures"]
        (folder.path / "result.json").write_text(json.dumps(result))
    return SuiteFolder.read(suite.path)


@pytest.mark.parametrize("change", ["changed", "gone", "changed, old folder"])
def test_a_report_after_the_suite_has_changed(
    swept: SuiteFolder, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    if "old" in change:
        swept = stripped(swept)
    before = [row.flat() for row in job_rows(Results(swept))]
    content = SweepSection(Results(swept)).content()
    if change == "gone":
        monkeypatch.setattr(suites, "SUITES", ())
    else:
        changed_suite(monkeypatch)
    suite = SuiteFolder.read(swept.path)
    results = Results(suite)
    # As texts, because what is not known is NaN.
    assert list(map(str, (row.flat() for row in job_rows(results)))) == list(map(str, before))
    assert SweepSection(results).content()["ranges"] == content["ranges"]
    assert list(hyperparameters(suite, suite.plan.runs[0])) == [
        "learning_rate", "entropy_cost", "clip_norm", "alpha",
    ]  # fmt: skip
    if change == "changed":
        page = write_report(suite).read_text()
        assert "one of 0.01, 0.003, 0.001" in page
        assert "gae_lambda" not in page
        assert "Pong Soup, mini: a sweep of 5 jobs" in page
        table = table_of(page, "Median")
        assert set(table) == {"Baseline 1 (scratch)", "Baseline 3 (full finetune)"}


def test_the_users_ranges_are_the_folders(fabricate: Fabricate) -> None:
    sweep = replace(SWEEP, ranges=("learning_rate=1e-4:1e-2", "alpha=0.5"))
    suite = fabricate(plan_sweep(MINI, sweep, SMALL), name=MINI.name, sweep=sweep)
    space = SuiteFolder.read(suite.path).basis.space
    assert space is not None
    assert space.learner["learning_rate"] == LogUniform(1e-4, 1e-2)
    assert space.column["alpha"] == Choice((0.5,))
    assert read(SearchSpace, json.loads(json.dumps(write(space)))) == space


def test_a_run_that_lacks_what_was_drawn_is_named(swept: SuiteFolder) -> None:
    spec = replace(swept.plan.runs[0], learner_options={"learning_rate": 0.01})
    with pytest.raises(ColonnadeError, match=r"has no number for 'entropy_cost', which .* drawn"):
        hyperparameters(swept, spec)


def test_the_spaces_of_the_first_sweeps_are_those_of_the_recorded_one() -> None:
    recorded = Path(__file__).parents[4] / "results" / "sweep-pong-soup-mini" / "jobs.csv"
    lines = [line.split(",") for line in recorded.read_text().splitlines()]
    names = ["learning_rate", "entropy_cost", "clip_norm", "alpha"]
    places = [lines[0].index(name) for name in names]
    plan = plan_sweep(MINI, SWEEP, SMALL)
    space = Basis.first(MINI.name, plan, SWEEP).space
    assert space is not None
    assert list(space.names) == names
    drawn = {**space.learner, **space.column}
    for name, place in zip(names, places, strict=True):
        values = {float(line[place]) for line in lines[1:]}
        assert values == set(drawn[name].values)  # type: ignore[union-attr]
    # And each job's values are those that the space gives it.
    for line in lines[1:200]:
        expected = space.draw(0, int(line[0]))
        assert {name: float(line[place]) for name, place in zip(names, places, strict=True)} == (
            expected
        )


def test_a_value_of_0_has_its_place_among_those_drawn(
    swept: SuiteFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = Results(swept)
    rows = job_rows(results)
    least = min(row.hyperparameters["entropy_cost"] for row in rows)
    rows = [
        replace(row, hyperparameters={**row.hyperparameters, "entropy_cost": 0.0})
        if row.hyperparameters["entropy_cost"] == least
        else row
        for row in rows
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        panels = {panel.name: panel for panel in scatter_panels(results, rows)}
        figure = sweep_charts.score_against(results, rows)
    assert panels["entropy_cost"].values[0] == 0
    assert [panel.logarithmic for panel in panels.values()] == [True, False, True, True]
    for scatter in panels["entropy_cost"].scatters:
        assert scatter.middles[0] == 0
        assert np.isfinite(scatter.middles).all()
    assert [axes.get_xscale() for axes in figure.axes[:4]] == ["log", "linear", "log", "log"]


def test_a_sweep_of_sequences_ranks_by_what_is_kept_of_all_tasks(fabricate: Fabricate) -> None:
    plan = plan_sweep(suite_from_name("ewc-permuted-tuning"), SWEEP, SuiteOptions())
    suite = fabricate(plan, name="ewc-permuted-tuning", sweep=SWEEP)
    for number, spec in enumerate(plan.runs):
        path = suite.run(spec.id).path / "result.json"
        result = json.loads(path.read_text())
        result["scores"] = [
            {"kind": "evaluation", "task": task.name, "policy": policy, "step": 1,
             "episodes": 25, "return_mean": value, "return_std": 0.0}
            for place, task in enumerate(spec.tasks)
            # The last task is played best by those that keep the least.
            for policy, value in (("random", 0.1), ("trained", 0.9 - 0.01 * number
                                                    if place < 9 else 0.5 + 0.01 * number))
        ]  # fmt: skip
        path.write_text(json.dumps(result))
    results = Results(suite)
    assert results.by_gain
    rows = job_rows(results)
    for row in rows:
        run = results.runs[row.run]
        assert row.area == pytest.approx(run.gain)
        assert row.final_score == pytest.approx(run.gain + 0.1)
        assert row.transfer == pytest.approx(run.gain / top_two(results))
    assert {cell.method for cell in results.cells if not math.isnan(cell.score)} == {
        row.method for row in rows
    }
    page = write_report(suite).read_text()
    assert "averaged over all tasks" in page
    assert "How gains are measured" in page
    assert "the mean over all bins" not in page
    figure = sweep_charts.score_against(results, rows)
    assert {axes.get_ylabel() for axes in figure.axes[:2]} == {"relative gain"}


def top_two(results: Results) -> float:
    gains = sorted(results.runs[e.run].gain for e in results.comparisons if e.method == "scratch")
    return float(np.mean(gains[-2:]))
