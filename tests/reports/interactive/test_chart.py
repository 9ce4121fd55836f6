"""What a page's charts hold: the numbers measured, as JSON that nothing can break out of."""

import hashlib
import json
from collections.abc import Callable
from importlib.resources import files

import numpy as np
import pytest
from reading import charts_of

from colonnade.experiments.method_titles import METHODS
from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.suites.progressive.pong_soup import SHORT
from colonnade.reports.interactive import chart
from colonnade.reports.interactive.chart import Chart, Line, Panel, Series, to_script
from colonnade.reports.suite import write_report

Fabricate = Callable[..., SuiteFolder]
STARTS = {
    "scratch": "scratch", "finetune": "finetune pong to", "progressive-2": "progressive pong to",
}  # fmt: skip
TARGETS = {"noisy": "Noisy", "white": "White", "zoom": "Zoom", "h-flip": "H-flip"}
STUDENT = 4.302652729911275
"""The 97.5 % quantile of Student's t with two degrees of freedom."""


def test_the_page_holds_every_runs_curve_its_mean_and_its_interval(fabricate: Fabricate) -> None:
    suite = fabricate(SHORT.plan(SuiteOptions(seeds=3)))
    shown = charts_of(write_report(suite).read_text())["curves-pong"]
    colours = {series["key"]: series["colour"] for series in shown["series"]}
    assert colours == {method: METHODS[method].colour for method in STARTS}
    assert [panel["title"] for panel in shown["panels"]] == list(TARGETS.values())
    for panel, target in zip(shown["panels"], TARGETS, strict=True):
        assert panel["levels"] == [{"at": -20, "title": "random policy"}]
        lines = {line["series"]: line for line in panel["lines"]}
        assert set(lines) == set(STARTS)
        for method, start in STARTS.items():
            line, curves = lines[method], []
            for spec in suite.plan.runs:
                if spec.label.startswith(f"{start} {target},"):
                    rows = suite.run(spec.id).metrics()
                    values, last = [], -20.0
                    for row in rows:
                        last = last if row["return_mean"] is None else row["return_mean"]
                        values.append(last)
                    curves.append(values)
            mean, spread = np.mean(curves, axis=0), np.std(curves, axis=0, ddof=1)
            reach = STUDENT * spread / 3**0.5
            assert line["runs"] == ["seed 0", "seed 1", "seed 2"]
            np.testing.assert_allclose(line["each"], curves, rtol=1e-5)
            np.testing.assert_allclose(line["y"], mean, rtol=1e-5)
            np.testing.assert_allclose(line["low"], mean - reach, rtol=1e-4, atol=1e-4)
            np.testing.assert_allclose(line["high"], mean + reach, rtol=1e-4, atol=1e-4)
            steps = 10_000 * np.arange(1, mean.size + 1)
            np.testing.assert_allclose(line["x"], steps)
            # The fabricated rows say 2,000 steps a second.
            np.testing.assert_allclose(line["seconds"], steps / 2000, rtol=1e-5)


def test_runs_that_do_not_say_how_fast_they_were_have_no_times(fabricate: Fabricate) -> None:
    suite = fabricate(Plan(SHORT.plan(SuiteOptions(seeds=1)).runs[:1]))
    path = suite.run(suite.plan.runs[0].id).metrics_path
    path.write_text(path.read_text().replace(', "steps_per_second": 2000.0', ""))
    ((line,),) = (
        p["lines"] for p in charts_of(write_report(suite).read_text())["curves"]["panels"]
    )
    assert "seconds" not in line
    assert "low" not in line
    assert "each" not in line, "of one run there is nothing behind the mean"
    assert line["runs"] == ["seed 0"]


def test_nothing_ends_the_script_that_numbers_stand_in(fabricate: Fabricate) -> None:
    evil = "</script><script>alert(1)</script><!--"
    spec = RunSpec(evil, "scratch", (TaskBudget("mini-pong/pong", 40_000, {"name": evil}),), "a2c",
                   "tiny", seed=0)  # fmt: skip
    page = write_report(fabricate(Plan((spec,)), name="mine.json")).read_text()
    assert evil not in page
    (shown,) = charts_of(page).values()
    assert shown["panels"][0]["title"] == evil
    assert json.loads(to_script({"a": evil})) == {"a": evil}


def test_single_runs_are_left_out_where_they_would_make_a_page_heavy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps = np.arange(1.0, 11.0)
    line = Line("a", steps, steps, each=np.array([steps, steps]), runs=("seed 0", "seed 1"))
    shown = Chart("T", "D", "x", "y", [Series("a", "A", "#000000")], [Panel("P", [line])])
    assert "each" in shown.to_json()["panels"][0]["lines"][0]
    monkeypatch.setattr(chart, "MOST_SEED_POINTS", 19)
    data = shown.to_json()["panels"][0]["lines"][0]
    assert "each" not in data
    assert data["runs"] == ["seed 0", "seed 1"]


def test_numbers_keep_six_digits_and_gaps_stay_gaps() -> None:
    given = [1.0, 1234567.0, 0.123456789, float("nan"), float("inf"), -3e-9]
    assert chart.numbers(given) == [1, 1234567, 0.123457, None, None, -3e-9]


def test_plotly_is_the_published_file() -> None:
    content = (files("colonnade.reports") / "interactive/plotly/plotly-basic.min.js").read_bytes()
    checksum = hashlib.sha256(content).hexdigest()
    assert checksum == "99784e3abfb07b142a15e521a439e6d9addceadb3f79553fd24c72774f0649ba"
