import json
import re
from collections.abc import Callable

import numpy as np
import pytest
from markupsafe import Markup
from reading import Balance, charts_of, without_scripts

from colonnade.errors import ColonnadeError
from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.experiments.results.findings import findings
from colonnade.experiments.results.matrix_and_table import _shortened
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.suites import suite_from_name
from colonnade.experiments.suites.progressive.pong_soup import SHORT
from colonnade.experiments.titles import option_titles, source_title, task_title
from colonnade.experiments.words import short_number
from colonnade.reports.suite import write_report
from colonnade.reports.transfer.section import CurvesSection

Fabricate = Callable[..., SuiteFolder]


def test_a_complete_suite(fabricate: Fabricate, options: SuiteOptions) -> None:
    suite = fabricate(SHORT.plan(options))
    path = write_report(suite)
    page = path.read_text()
    balance = Balance()
    balance.feed(page)
    assert balance.open == []
    assert "26 of 26 complete" in page
    assert "Not complete" not in page
    assert "181 / 160" in page, "the paper's row for finetuning"
    assert "above the random policy" in page
    assert not re.search(r'(src|href)="(?!data:|#)', without_scripts(page)), (
        "nothing is loaded from elsewhere"
    )
    names = {entry.name for entry in (suite.path / "figures").iterdir()}
    assert names == {"curves-pong.png", "transfer-matrix.png", "network.png"}


@pytest.mark.parametrize("done", [0, 3, 15])
def test_a_half_finished_suite_says_so(
    fabricate: Fabricate, options: SuiteOptions, done: int
) -> None:
    plan = SHORT.plan(options)
    page = write_report(fabricate(plan, done=done)).read_text()
    assert f"Not complete: {done} of 26 runs" in page
    assert f"The {26 - done} missing runs" in page
    assert plan.runs[-1].label in page


def test_a_users_own_specs_have_curves_and_no_table(
    fabricate: Fabricate, options: SuiteOptions
) -> None:
    plan = Plan(SHORT.plan(options).runs[:3])
    page = write_report(fabricate(plan, name="my-specs.json")).read_text()
    assert "<h1>my-specs</h1>" in page
    assert "my-specs.json" in page
    assert "Transfer matrix" not in page
    assert without_scripts(page).count("<svg") == 1, "the network"
    assert set(charts_of(page)) == {"curves"}


def test_transfer_scores_are_ratios_of_mean_areas_above_random(
    fabricate: Fabricate, options: SuiteOptions
) -> None:
    results = Results(fabricate(SHORT.plan(options)))

    def area(method: str) -> float:
        total = []
        for spec in results.suite.plan.runs:
            if spec.label.startswith(f"{method} ") and "zoom" in spec.label:
                rows = results.suite.run(spec.id).metrics()
                bins = [-20.0 if r["return_mean"] is None else r["return_mean"] for r in rows]
                total.append(np.mean(bins) + 20)
        assert len(total) == 2
        return float(np.mean(total))

    cell = next(
        cell
        for cell in results.cells
        if cell.method == "finetune" and cell.target == "pong-soup/zoom"
    )
    assert cell.source == "pong"
    assert cell.score == pytest.approx(area("finetune") / area("scratch"))
    summary, _ = results.summary("scratch")
    assert (summary.mean, summary.median, summary.pairs) == pytest.approx((100, 100, 4))
    summary, interval = results.summary("progressive-2")
    assert summary.mean > 100
    assert not interval.known, "two seeds are too few"


def test_a_reference_that_learned_nothing_is_said_to_be_no_measure(
    fabricate: Fabricate, options: SuiteOptions
) -> None:
    suite = fabricate(SHORT.plan(options))
    for spec in suite.plan.runs:
        if spec.method == "scratch" and "zoom" in spec.label:
            path = suite.run(spec.id).metrics_path
            path.write_text(
                re.sub(r'"return_mean": [-\d.]+', '"return_mean": -20.0', path.read_text())
            )
    page = write_report(suite).read_text()
    assert "area does not exceed the error of the random score: " in page
    assert "Baseline 3 (full finetune), Pong to Zoom" in page
    assert "3 of 4" in page


def test_methods_without_the_baseline_say_that_they_have_no_score_for_want_of_it(
    fabricate: Fabricate, options: SuiteOptions
) -> None:
    suite = fabricate(SHORT.plan(options))
    for entry in suite.plan.comparisons:
        if entry.method == "scratch":
            (suite.run(entry.run).path / "DONE").unlink()
    page = write_report(suite).read_text()
    assert "because no run of baseline 1 on the same target is complete: " in page
    assert "does not exceed" not in page


def test_where_there_is_no_baseline_nothing_is_said_of_scores(
    fabricate: Fabricate, options: SuiteOptions
) -> None:
    plan = SHORT.plan(options)
    others = tuple(entry for entry in plan.comparisons if entry.method != "scratch")
    page = write_report(fabricate(Plan(plan.runs, others))).read_text()
    assert "ithout a transfer score" not in page
    assert "A transfer score is" not in page


def test_rows_are_put_on_the_bins_they_close(fabricate: Fabricate, options: SuiteOptions) -> None:
    suite = fabricate(SHORT.plan(options), done=1)
    first = Results(suite).runs[suite.plan.runs[0].id]
    expected = [row["return_mean"] for row in first.folder.metrics()]
    assert np.isnan(first.curve[0])
    assert first.curve[1:].tolist() == pytest.approx(expected[1:])


def test_durations_are_sorted_by_their_seconds(fabricate: Fabricate, options: SuiteOptions) -> None:
    suite = fabricate(SHORT.plan(options), done=4)
    durations = {59.5: "1 min 00 s", 3720.0: "1 h 02 min", 90_000.0: "1 d 1 h", 500.0: "8 min 20 s"}
    for run, seconds in zip(suite.plan.runs, durations, strict=False):
        path = suite.run(run.id).path / "result.json"
        result = json.loads(path.read_text())
        result["timing"]["training_seconds"] = seconds
        path.write_text(json.dumps(result))
    page = write_report(suite).read_text()
    cells = re.findall(r'<td data-sort="(.*?)">(.*?)</td>', page)
    assert [(float(seconds), words) for seconds, words in cells[:4]] == [*durations.items()]
    assert set(cells[4:]) == {("", "")}, "of runs that are not complete"


def test_a_damaged_run_is_named(fabricate: Fabricate, options: SuiteOptions) -> None:
    suite = fabricate(SHORT.plan(options))
    path = suite.run(suite.plan.runs[4].id).metrics_path
    path.write_text("damage\n" + path.read_text())
    with pytest.raises(ColonnadeError, match=f"Line 1 of {path} is damaged"):
        write_report(suite)


@pytest.mark.parametrize("name", ["pong-soup", "pong-soup-mini", "demo"])
def test_every_suite_has_a_report(fabricate: Fabricate, name: str) -> None:
    plan = suite_from_name(name).plan
    assert plan is not None
    runs = plan(SuiteOptions(seeds=1, budget=0.1))
    page = write_report(fabricate(runs, name=name, done=len(runs.runs) // 3)).read_text()
    assert suite_from_name(name).title in page


def test_names_for_people() -> None:
    assert task_title("pong-soup/vh-flip") == "VH-flip"
    assert task_title("mini-pong/black~") == "Black, swapped"
    assert task_title("mini-pong/mine~") == "mini-pong/mine~"
    assert task_title("pong-soup/pong") == "Pong"
    assert task_title("digits/pair-4-9-noise-50") == "4 or 9, 50 % noise"
    assert task_title("digits/pair-4-9") == "4 or 9"
    assert source_title("pong + h-flip") == "Pong + H-flip"
    assert [short_number(n) for n in (999, 250_000, 1_500_000)] == ["999", "250 k", "1.5 M"]


def test_methods_without_a_source_have_curves_too(fabricate: Fabricate) -> None:
    plan = suite_from_name("pong-soup-mini").plan(SuiteOptions(seeds=3))
    results = Results(fabricate(plan.narrowed(("zoom",), ("random-column",))))
    assert results.sources == []
    section = CurvesSection(results)
    assert section.applies
    assert list(section.figures()) == list(section.charts()) == ["curves"]
    html = " ".join(section.html({"curves": Markup("<svg/>")}).split())
    assert html.count("<svg/>") == 1
    assert "<h2>Learning curves</h2>" in html
    assert "with 3 seeds it covers" in html
    (finding,) = findings(results)
    assert finding.pairs == 1


def test_methods_are_called_short_where_that_tells_them_apart() -> None:
    short = {"Baseline 3": 1, "Mine": 2}
    assert _shortened("Baseline 3 (full finetune)", short) == "Baseline 3"
    assert _shortened("Mine (lambda 10)", short) == "Mine (lambda 10)"


def test_tasks_of_one_given_name_are_told_apart() -> None:
    hard = json.dumps({"name": "hard"})
    titles = option_titles([("gym/CartPole-v1", hard), ("gym/Acrobot-v1", hard)])
    assert len(set(titles.values())) == 2
    assert "gym/CartPole-v1" in titles["gym/CartPole-v1", hard]
