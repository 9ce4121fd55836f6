"""Versions of the measures: what a curve is in each, and folders that state theirs."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colonnade.analysis.transfer import area_under_curve
from colonnade.cli.main import main
from colonnade.errors import ColonnadeError, UsageError
from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.experiments.plans.spec import RunSpec, TaskBudget, TaskVisit
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.store.measures import (
    FIRST_TRAINING,
    MEASURES,
    learning_curve,
    of_all_visits,
    version_of,
)
from colonnade.experiments.store.parents import read_parent
from colonnade.experiments.store.reading import read_json
from colonnade.experiments.suites.progressive.pong_soup import SHORT
from colonnade.reports.suite import write_report
from colonnade.training import TrainingOptions

Fabricate = Callable[..., SuiteFolder]


def point(step: int, mean: float | None, episodes: int = 1, **more: Any) -> dict[str, Any]:
    row = {"kind": "curve", "task_index": 0, "step": step, "return_mean": mean}
    return row | {"episodes": 0 if mean is None else episodes} | more


# --- curves --------------------------------------------------------------------------------------


def test_rows_of_version_1_close_behind_their_bin() -> None:
    # An update of 128 steps leads past the ends at 100 and 200; two rows share the third bin.
    rows = [point(128, 1.0), point(256, None), point(290, 4.0, 3), point(310, 8.0, 1)]
    curve = learning_curve(rows, 0, 400, 100)
    np.testing.assert_array_equal(curve.returns, [1.0, math.nan, 5.0, math.nan])
    assert not curve.early.any()
    assert (curve.width, curve.reached, curve.bins_reached) == (100, 310, 3)


def test_rows_of_version_2_stand_at_their_bins_ends() -> None:
    rows = [
        point(100, 3.0, width=100, early=True),
        point(200, None, width=100),
        point(300, 5.0, width=100),
        # The budget ends within a bin.
        point(340, 7.0, width=100),
    ]
    # The width that the reader would have taken is not asked.
    curve = learning_curve(rows, 0, 340, 9999)
    np.testing.assert_array_equal(curve.returns, [3.0, math.nan, 5.0, 7.0])
    assert curve.early.tolist() == [True, False, False, False]
    assert (curve.width, curve.reached, curve.bins_reached) == (100, 340, 4)
    assert curve.ends.tolist() == [100, 200, 300, 340]


@pytest.mark.parametrize("last", [201, 249, 250, 299])
def test_a_last_bin_of_any_length_has_its_own_time_and_place(last: int) -> None:
    rows = [point(step, 1.0, width=100, steps_per_second=10.0) for step in (100, 200, last)]
    curve = learning_curve(rows, 0, last, 100)
    assert curve.seconds.tolist() == pytest.approx([10, 20, last / 10])
    assert curve.bins_reached == 3
    assert curve.ends.tolist() == [100, 200, last]


def test_visits_to_a_task_follow_each_other_in_its_curve() -> None:
    stays = tuple(TaskVisit(name, 200) for name in ("b", "a", "b", "a"))
    spec = RunSpec(
        "s", "finetune", (TaskBudget("a", 1), TaskBudget("b", 1)), "dqn", "tiny", visits=stays
    )
    assert spec.visited == (1, 0, 1, 0)
    rows = [
        # A visit may end a few steps past its budget.
        point(step, mean, width=100, visit=visit, task_index=spec.visited[visit])
        for visit, means in enumerate([(1.0, 2.0), (9.0, 9.0), (3.0, 4.0), (9.0, 9.0)])
        for step, mean in zip((100, 203), means, strict=True)
    ]
    curve = learning_curve(of_all_visits(rows, spec), 1, 400, 100)
    assert curve.returns.tolist() == [1, 2, 3, 4]
    assert curve.bins_reached == 4


def test_the_area_counts_early_bins_and_carries_empty_ones_forward() -> None:
    rows = [
        point(100, None, width=100, early=True),
        point(200, 2.0, width=100, early=True),
        point(300, None, width=100),
        point(400, 7.0, width=100),
    ]
    curve = learning_curve(rows, 0, 500, 100)
    # Above a random score of -1: 0, 3, 3, 8, and 8 for the bin that was not come to.
    assert float(area_under_curve(curve.returns, -1.0)) == pytest.approx((0 + 3 + 3 + 8 + 8) / 5)


def test_what_ends_early_goes_on_where_it_stood_and_not_at_the_mean_of_its_rise() -> None:
    rises = enumerate((-20.0, -10.0, 5.0, 18.0), 1)
    rows = [point(100 * place, mean, 6, width=100) for place, mean in rises]
    curve = learning_curve(rows, 0, 3000, 100)
    assert (curve.bins_reached, curve.returns.size) == (4, 30)
    # Four bins share their 24 episodes' mean; 26 have that of the last one.
    assert curve.pooled.tolist() == [-1.75] * 4 + [18.0] * 26
    area = float(area_under_curve(curve.pooled, -20.0))
    assert area == pytest.approx((4 * 18.25 + 26 * 38) / 30)


def test_rows_of_other_tasks_and_kinds_are_left_out() -> None:
    rows = [point(100, 1.0), point(100, 9.0) | {"task_index": 1}, {"kind": "test", "step": 100}]
    assert learning_curve(rows, 0, 100, 100).returns.tolist() == [1.0]
    assert learning_curve(rows, 1, 100, 100).returns.tolist() == [9.0]


def test_rows_that_do_not_fit_are_named() -> None:
    with pytest.raises(ColonnadeError, match=r"F holds points .*, or train .* in another folder"):
        learning_curve([{"kind": "curve", "task_index": 0}], 0, 100, 100, "F")
    two = [point(100, 1.0, width=100), point(250, 1.0, width=250)]
    with pytest.raises(ColonnadeError, match="F holds one task's curve in bins of 100 and 250"):
        learning_curve(two, 0, 500, 100, "F")


def test_rows_tell_their_version() -> None:
    assert version_of([]) is version_of([{"kind": "goal"}]) is None
    assert version_of([point(100, 1.0)]) == 1
    assert version_of([point(100, 1.0, width=100)]) == MEASURES == 2


# --- folders -------------------------------------------------------------------------------------


def as_first(suite: SuiteFolder) -> SuiteFolder:
    """Make a folder what it would have been before folders stated their measures."""
    path = suite.path / "suite.json"
    content = json.loads(path.read_text())
    assert content.pop("measures") == 2
    del content["basis"], content["checksum"]
    path.write_text(json.dumps(content))
    for folder in suite.runs:
        if folder.metrics_path.exists():
            rows = [{k: v for k, v in row.items() if k != "width"} for row in folder.metrics()]
            folder.metrics_path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        if folder.done:
            result = folder.result()
            del result["measures"]
            (folder.path / "result.json").write_text(json.dumps(result))
    return SuiteFolder.read(suite.path)


@pytest.fixture
def other_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have training's bins five times as wide by default, as a later version might."""
    init = TrainingOptions.__init__
    defaults = tuple(50_000 if value == 10_000 else value for value in init.__defaults__ or ())
    monkeypatch.setattr(init, "__defaults__", defaults)
    assert TrainingOptions().curve_steps == 50_000


@pytest.mark.parametrize("first", [False, True])
def test_areas_follow_from_the_folder_and_not_from_the_readers_defaults(
    fabricate: Fabricate,
    options: SuiteOptions,
    first: bool,
    request: pytest.FixtureRequest,
) -> None:
    suite = fabricate(SHORT.plan(options))
    if first:
        suite = as_first(suite)

    def areas() -> list[float]:
        results = Results(SuiteFolder.read(suite.path))
        return [results.area(run) for run in results.runs.values()]

    before = areas()
    request.getfixturevalue("other_defaults")
    assert areas() == before
    by_hand = []
    for spec in suite.plan.runs:
        values, last = [], -20.0
        for row in suite.run(spec.id).metrics():
            last = last if row["return_mean"] is None else row["return_mean"]
            values.append(last + 20)
        by_hand.append(np.mean(values))
    assert before == pytest.approx(by_hand)


def test_an_old_run_in_progress_is_read_by_the_defaults_of_its_time(
    fabricate: Fabricate, options: SuiteOptions, other_defaults: None
) -> None:
    suite = as_first(fabricate(SHORT.plan(options), done=0))
    run = Results(suite).runs[suite.plan.runs[0].id]
    assert "curve_steps" not in run.spec.training_options
    assert run.learning.width == FIRST_TRAINING["curve_steps"] == 10_000
    assert suite.basis.measures == 1


def test_a_folder_states_its_measures(fabricate: Fabricate, options: SuiteOptions) -> None:
    suite = fabricate(SHORT.plan(options))
    content = read_json(suite.path / "suite.json")
    assert content["measures"] == 2
    assert content["basis"]["training"]["curve_steps"] == 10_000
    assert SuiteFolder.read(suite.path) == suite
    for damage in ({"measures": 3}, {"measures": "2"}):
        (suite.path / "suite.json").write_text(json.dumps(content | damage))
        with pytest.raises(UsageError, match="knows 1 to 2; use the version that wrote it"):
            SuiteFolder.read(suite.path)
    (suite.path / "suite.json").write_text(json.dumps(content | {"basis": {"training": 3}}))
    with pytest.raises(UsageError, match="does not say what its numbers are measured by"):
        SuiteFolder.read(suite.path)


def test_an_old_folder_that_is_not_complete_is_never_gone_on_with(
    fabricate: Fabricate, options: SuiteOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = as_first(fabricate(SHORT.plan(options), done=7))
    before = (suite.path / "suite.json").read_bytes()
    assert main(["run", "pong-soup-short", "--out", str(suite.path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "an earlier version of Colonnade" in line
    assert "19 of the 26 runs are not complete" in line
    assert (suite.path / "suite.json").read_bytes() == before
    # It is read all the same.
    assert "Not complete: 7 of 26 runs" in write_report(suite).read_text()


def test_an_old_folder_is_not_joined_by_new_seeds(
    fabricate: Fabricate, options: SuiteOptions
) -> None:
    suite = as_first(fabricate(SHORT.plan(options)))
    more = SHORT.plan(SuiteOptions(seeds=3))
    with pytest.raises(UsageError, match="13 of the 39 runs are not complete"):
        SuiteFolder(suite.path, suite.name, {}, more).begin()


def test_a_complete_old_folder_keeps_its_measures(
    fabricate: Fabricate, options: SuiteOptions
) -> None:
    suite = as_first(fabricate(SHORT.plan(options)))
    again = SuiteFolder(suite.path, suite.name, suite.options, suite.plan).begin()
    assert again.basis.measures == 1
    assert "measures" not in json.loads((suite.path / "suite.json").read_text())
    page = write_report(again).read_text()
    assert "26 of 26 complete" in page
    assert "version 1 of the measures" in page


def test_a_run_of_other_measures_never_stands_beside_new_ones(
    fabricate: Fabricate, options: SuiteOptions
) -> None:
    plan = SHORT.plan(options)
    suite = fabricate(plan)
    spec = next(spec for spec in plan.runs if spec.label == "scratch zoom, seed 0")
    intact = Results(suite)
    folder = suite.run(spec.id)
    result = folder.result()
    del result["measures"]
    (folder.path / "result.json").write_text(json.dumps(result))

    results = Results(suite)
    assert results.runs[spec.id].foreign == 1
    place = plan.place(spec.id)
    assert results.references[place].size == intact.references[place].size - 1
    page = write_report(suite).read_text()
    assert "Not complete: 25 of 26 runs" in page
    assert "scratch zoom, seed 0: left out: it is of version 1 of the measures" in page
    with pytest.raises(UsageError, match=f"{spec.id} holds a run of an earlier version"):
        SuiteFolder(suite.path, suite.name, {}, plan).begin()
    with pytest.raises(ColonnadeError, match="is of an earlier version of Colonnade"):
        read_parent(suite.path, spec.id)


def test_a_half_trained_old_run_never_goes_on(fabricate: Fabricate, options: SuiteOptions) -> None:
    plan = Plan(SHORT.plan(options).runs[:1])
    suite = fabricate(plan, name="mine.json", done=0)
    assert SuiteFolder(suite.path, "mine.json", {}, plan).begin().basis.measures == 2
    path: Path = suite.run(plan.runs[0].id).metrics_path
    path.write_text(path.read_text().replace('"width": 10000, ', ""))
    with pytest.raises(UsageError, match="move it away to train it again"):
        SuiteFolder(suite.path, "mine.json", {}, plan).begin()
