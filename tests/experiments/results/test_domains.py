"""What was known before and learned then, by hand, and where the page says it."""

import base64
import json
import math
import re
from collections.abc import Callable

import numpy as np
import pytest
from reading import Balance

from colonnade.experiments.plans.plan import Place, SuiteOptions
from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.results import domains
from colonnade.experiments.results.curves import plain_panels
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.suites.designs import reaching
from colonnade.experiments.suites.sim_to_real import columns, conveyor, mini
from colonnade.experiments.trained.films.writing import animated, first_frame
from colonnade.reports.domains.charts import reward_curves
from colonnade.reports.suite import write_report

Fabricate = Callable[..., SuiteFolder]
TARGET = "jaco/robot-mild"
SMALL = SuiteOptions(budget=0.1)
PICTURE = base64.b64encode(first_frame(animated([np.zeros((4, 4, 3), np.uint8)] * 2))).decode()


def give(suite: SuiteFolder, finals: dict[str, list[float]]) -> Results:
    """Set final scores by method and seed, and what first columns knew."""
    for spec in suite.plan.runs:
        path = suite.run(spec.id).path / "result.json"
        result = json.loads(path.read_text())
        result["scores"][-1]["return_mean"] = finals[spec.method][spec.seed]
        for kind in spec.analyses:
            row = {"episodes": 101, "return_mean": 10.0 + 2 * spec.seed, "return_std": 5.0}
            if kind == "zero-shot":
                more = [{"kind": kind, "task": spec.target, "policy": kind}]
            else:
                names = ("jaco/reach", TARGET)
                more = [
                    {"kind": "domain", "task": name, "policy": "domain", "picture": PICTURE}
                    for name in names
                ]
            result["scores"] += [row | one for one in more]
        path.write_text(json.dumps(result))
    return Results(suite)


@pytest.fixture
def results(fabricate: Fabricate) -> Results:
    suite = fabricate(mini.plan(SMALL), name="sim-to-real-mini")
    finals = {"progressive": [20.0, 10.5], "finetune": [13.0, 9.0], "scratch": [0.0, 1.0]}
    return give(suite, finals)


def test_what_was_known_is_the_mean_over_the_runs_that_measured_it(results: Results) -> None:
    mean, error = domains.zero_shot(results, TARGET)
    assert mean == pytest.approx((10 + 12) / 2)
    assert error == pytest.approx(math.sqrt(0.5**2 + 0.5**2) / 2)
    assert math.isnan(domains.zero_shot(results, "jaco/reach")[0])


def test_episodes_that_were_played_twice_count_once(fabricate: Fabricate) -> None:
    suite = fabricate(mini.plan(SMALL), name="sim-to-real-mini")
    results = give(suite, {name: [1.0, 1.0] for name in ("progressive", "finetune", "scratch")})
    measured = [r for r in results.runs.values() if "zero-shot" in r.spec.analyses]
    assert len({run.spec.origins for run in measured}) == 1

    def place(run: RunSpec, mean: float) -> None:
        path = suite.run(run.id).path / "result.json"
        result = json.loads(path.read_text())
        for row in result["scores"]:
            if row["kind"] == "zero-shot":
                row["return_mean"] = mean
        path.write_text(json.dumps(result))

    for run in measured:
        place(run.spec, 10.0)
    assert domains.zero_shot(Results(suite), TARGET) == pytest.approx((10.0, 0.5))
    place(measured[0].spec, 16.0)
    expected = (13.0, math.sqrt(2 * 0.5**2) / 2)
    assert domains.zero_shot(Results(suite), TARGET) == pytest.approx(expected)


def test_over_several_columns_the_error_is_their_spread(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunSpec, "origins", property(lambda spec: (str(spec.seed),)))
    mean, error = domains.zero_shot(results, TARGET)
    assert (mean, error) == pytest.approx((11.0, math.sqrt(2) / math.sqrt(2)))


def test_what_was_learned_by_hand(results: Results) -> None:
    rows = {row.place.method: row for row in domains.learned(results, TARGET)}
    assert list(rows) == ["scratch", "finetune", "progressive-2"], "in the order of tables"
    best = rows["progressive-2"]
    assert best.place == Place("progressive-2", "reach", TARGET)
    assert best.scores.tolist() == [20.0, 10.5]
    assert best.mean == pytest.approx(15.25)
    assert best.spread == pytest.approx(9.5 / math.sqrt(2))
    assert best.quartiles == pytest.approx((10.5 + 9.5 / 4, 20 - 9.5 / 4))
    assert [rows[m].above for m in rows] == [0.0, 0.5, 0.5]


def test_rewards_are_the_bins_and_their_running_median(results: Results) -> None:
    for line in domains.rewards(results, TARGET):
        runs = results.runs_of(*line.place)
        assert line.raw.shape == (2, 24)
        np.testing.assert_equal(line.raw[1], runs[1].curve)
        assert line.steps[:2].tolist() == [250, 500]
        assert line.window == 1
        np.testing.assert_allclose(line.filtered[1:], line.raw[:, 1:].mean(axis=0))
    drawn = reward_curves(results).axes[0]
    heights = [line.get_ydata()[-1] for line in drawn.get_lines()]
    assert heights[-1] == pytest.approx(11.0), "dashed: no learning"
    assert heights[1] == pytest.approx(domains.rewards(results, TARGET)[0].filtered[-1])


def test_the_page_has_all_domains_and_what_was_learned(results: Results) -> None:
    page = write_report(results.suite).read_text()
    balance = Balance()
    balance.feed(page)
    assert balance.open == []
    assert page.count(f"base64,{PICTURE}") == 2
    assert "Reach: 10.00 ± 0.50" in page
    assert "scores 11.00 ± 0.35 here without learning" in page
    for words in ("15.25", "6.72", "12.88 to 17.62", "50%"):
        assert words in page


def test_a_source_stands_behind_a_method_that_has_several() -> None:
    plan = conveyor.plan(SMALL)
    places = [entry.place for entry in plan.comparisons]
    assert {place.source for place in places} == {"reach", "reach + robot-mild"}


def test_without_a_first_columns_score_the_page_is_as_it_was(fabricate: Fabricate) -> None:
    suite = fabricate(mini.plan(SMALL), name="sim-to-real-mini")
    page = write_report(suite).read_text()
    assert "Learned there" not in page
    assert "Domains" not in page


def test_runs_that_differ_in_their_seeds_alone_have_one_line(fabricate: Fabricate) -> None:
    plan = columns.plan(SuiteOptions(seeds=3, budget=0.05))
    results = Results(fabricate(plan, name="sim-to-real-columns"))
    (panel,) = plain_panels(results, results.runs.values())
    assert [line.key for line in panel.lines] == [
        "ff wide, 3 seeds",
        "ff narrow, 3 seeds",
        "recurrent wide, 3 seeds",
        "recurrent narrow, 3 seeds",
    ]
    runs = [run for run in results.runs.values() if run.spec.label.startswith("ff narrow")]
    np.testing.assert_allclose(
        panel.lines[1].mean[1:], np.mean([run.curve[1:] for run in runs], axis=0)
    )
    assert panel.lines[1].runs == 3
    assert panel.lines[1].banded


def test_finetuning_measures_nothing_that_is_gone() -> None:
    for spec in mini.plan(SMALL).runs:
        assert bool(spec.analyses) == (spec.method == "progressive")
    assert reaching.PROGRESSIVE.transfers
    assert not reaching.NARROW.transfers


def test_films_of_all_domains_stand_side_by_side(results: Results) -> None:
    suite = results.suite
    (scored,) = [folder for folder in suite.runs if "domains" in folder.spec.analyses]
    films = [animated([np.full((8, 8, 3), shade, np.uint8)] * 2) for shade in (10, 200)]
    for number, film in enumerate(films, 1):
        (scored.path / f"film-domain-{number}.webp").write_bytes(film)
    page = write_report(suite).read_text()
    section = page.partition("<h2>Domains</h2>")[2].partition("<h2>")[0]
    shown = re.findall(r'data-film="data:image/webp;base64,([^"]+)" alt="([^"]+)"', section)
    assert [base64.b64decode(content) for content, _ in shown] == films
    assert [words for _, words in shown] == [
        "The first column at play in Reach", "The first column at play in Robot-mild",
    ]  # fmt: skip
    assert "over 101 episodes" in section
