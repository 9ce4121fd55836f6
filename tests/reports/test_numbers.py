"""What a report shows is what was measured: numbers read back from its pictures and its page."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from reading import lines_of, table_of, texts_of, ticks_of

from colonnade.experiments.method_titles import METHODS, in_order, method_of
from colonnade.experiments.plans.plan import Comparison, Plan, SuiteOptions
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.results.curves import plain_panels, source_panels
from colonnade.experiments.results.facts import facts
from colonnade.experiments.results.matrix_and_table import TransferMatrix, matrix_of, transfer_table
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.suites import suite_from_name
from colonnade.experiments.suites.progressive.pong_soup import FULL, SHORT
from colonnade.experiments.titles import distinct, slugs, task_title
from colonnade.experiments.trained.analysis import RunAnalysis
from colonnade.experiments.trained.comparison import groups_of
from colonnade.experiments.words import duration
from colonnade.reports.network import DrawnNetwork, largest_network, layer_table, network_drawing
from colonnade.reports.style import INK
from colonnade.reports.suite import write_report
from colonnade.reports.transfer.curves import learning_curves, plain_curves
from colonnade.reports.transfer.matrix import luminance, matrix_rows, transfer_matrix

Fabricate = Callable[..., SuiteFolder]

TARGETS = {"noisy": "Noisy", "white": "White", "zoom": "Zoom", "h-flip": "H-flip"}
ROWS = {
    "Baseline 3 from Pong": ("finetune pong to", "finetune"),
    "Progressive, 2 columns from Pong": ("progressive pong to", "progressive-2"),
}


@pytest.fixture
def short(fabricate: Fabricate) -> SuiteFolder:
    return fabricate(SHORT.plan(SuiteOptions(seeds=3)))


def curves(suite: SuiteFolder, start: str, target: str) -> list[list[float]]:
    """The curves of the runs whose label begins so, by hand: empty bins as the bin before."""
    found = []
    for spec in suite.plan.runs:
        if spec.label.startswith(f"{start} {target},"):
            values, last = [], -20.0
            for row in suite.run(spec.id).metrics():
                last = last if row["return_mean"] is None else row["return_mean"]
                values.append(last)
            found.append(values)
    assert len(found) == 3
    return found


def score(suite: SuiteFolder, start: str, target: str) -> float:
    def area(begin: str) -> float:
        return float(np.mean([np.mean(curve) + 20 for curve in curves(suite, begin, target)]))

    return area(start) / area("scratch")


# --- numbers in pictures -------------------------------------------------------------------------


def test_curves_are_drawn_where_they_were_measured(short: SuiteFolder) -> None:
    figure = learning_curves(Results(short), "pong")
    assert figure is not None
    shown = {axes.get_title(loc="left") or axes.get_title(): axes for axes in figure.axes}
    assert set(shown) == set(TARGETS.values())
    for target, title in TARGETS.items():
        starts = {"scratch": "scratch", "finetune": "finetune pong to"}
        for method, start in (starts | {"progressive-2": "progressive pong to"}).items():
            ((steps, means),) = lines_of(shown[title], METHODS[method].colour)
            expected = np.mean(curves(short, start, target), axis=0)
            np.testing.assert_allclose(steps, 10_000 * np.arange(1, expected.size + 1))
            np.testing.assert_allclose(means, expected)
        ((_, random),) = lines_of(shown[title], INK)
        assert set(random) == {-20.0}


def test_bands_hold_the_mean_and_bins_that_came_early_are_marked(short: SuiteFolder) -> None:
    spec = next(s for s in short.plan.runs if s.label == "finetune pong to zoom, seed 1")
    folder = short.run(spec.id)
    rows = folder.metrics()
    for row in rows[:3]:
        row["early"] = True
    folder.metrics_path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    results = Results(short)
    panel = next(p for p in source_panels(results, "pong") if p.target == "pong-soup/zoom")
    line = next(line for line in panel.lines if line.key == "finetune")
    assert line.runs == 3
    assert np.flatnonzero(line.early).tolist() == [0, 1, 2]
    # The first bin is the random policy's score in all runs.
    assert line.banded
    assert (line.low[1:] < line.mean[1:]).all()
    assert (line.mean[1:] < line.high[1:]).all()
    figure = learning_curves(results, "pong")
    assert figure is not None
    (axes,) = (a for a in figure.axes if "Zoom" in (a.get_title(loc="left"), a.get_title()))
    (marks,) = (mark for mark in axes.lines if mark.get_marker() == "|")
    assert list(marks.get_xdata()) == [10_000, 20_000, 30_000]


def test_the_matrix_shows_every_score_at_its_place(short: SuiteFolder) -> None:
    figure = transfer_matrix(Results(short))
    (axes,) = figure.axes
    columns, rows = ticks_of(axes)
    assert columns == list(TARGETS.values())
    assert rows == list(ROWS)
    texts = texts_of(axes)
    for x, target in enumerate(TARGETS):
        for y, (start, _) in enumerate(ROWS.values()):
            # A score stands a little above its interval where there is one.
            (shown,) = (t for (a, b), t in texts.items() if a == x and -0.2 <= b - y <= 0)
            assert shown == f"{score(short, start, target):.2f}"
    assert len(set(texts.values())) >= 8


def test_every_number_of_the_matrix_can_be_read_on_its_colour() -> None:
    scores = np.linspace(-0.5, 2.5, 61)[None]
    nothing = np.full(scores.shape, np.nan)
    there = np.ones(scores.shape, dtype=bool)
    matrix = TransferMatrix(("a",), ("b",) * 61, scores, nothing, nothing, there, there,
                            there.astype(np.int64), "")  # fmt: skip
    ((_, cells),) = matrix_rows(matrix)
    for cell in cells:
        light, dark = sorted((luminance(cell.paper), luminance(cell.ink)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, cell
    assert luminance("#ffffff") == pytest.approx(1)


def test_places_of_the_matrix_that_are_no_numbers(
    fabricate: Fabricate, options: SuiteOptions
) -> None:
    suite = fabricate(SHORT.plan(options), done=12)
    matrix = matrix_of(Results(suite))
    for row, (start, method) in enumerate(ROWS.values()):
        for column, target in enumerate(TARGETS):
            runs = [s for s in suite.plan.runs if s.label.startswith(f"{start} {target},")]
            over = any(suite.run(spec.id).done for spec in runs)
            assert matrix.complete[row, column] == over, (method, target)
            assert matrix.planned[row, column]
            if not over:
                assert np.isnan(matrix.scores[row, column])


# --- numbers on the page -------------------------------------------------------------------------


def test_the_table_has_means_medians_and_intervals_the_right_way_round(short: SuiteFolder) -> None:
    table = table_of(write_report(short).read_text(), "Median")
    for start, method in ROWS.values():
        scores = [100 * score(short, start, target) for target in TARGETS]
        mean, median = np.mean(scores), np.median(scores)
        assert round(mean) != round(median), "else the test could not tell them apart"
        row = table[method_of(method).title]
        assert (row["Mean"], row["Median"]) == (f"{mean:.0f}", f"{median:.0f}")
        assert row["Pairs"] == "4 of 4"
    for entry in transfer_table(Results(short))[1:]:
        assert entry.low < entry.mean < entry.high
        low, high = table[entry.title]["95 % interval"].removesuffix(entry.caution).split(" to ")
        assert (float(low), float(high)) == (round(entry.low), round(entry.high))


def test_the_final_score_is_the_trained_policys(short: SuiteFolder) -> None:
    page = write_report(short).read_text()
    table = table_of(page, "Final score")
    assert "±: standard deviation over episodes." in page
    results = Results(short)
    for spec in short.plan.runs:
        last = short.run(spec.id).metrics()[-1]["return_mean"]
        assert last != -20.0
        assert table[spec.label]["Random"] == "-20.00"
        assert table[spec.label]["Final score"] == f"{last:.2f} ± {(25 / 24) ** 0.5:.2f}"
        # A goal has ended each a little before its budget.
        assert table[spec.label]["Steps"] == f"{spec.steps - 8:,}"
        assert table[spec.label]["Steps/s"] == f"{(spec.steps - 8) / 500:,.0f}"
        assert results.runs[spec.id].final_score == last


def test_what_was_run_is_summed_up(short: SuiteFolder) -> None:
    known = dict(facts(Results(short)))
    steps = sum(spec.steps - 8 for spec in short.plan.runs)
    assert known["Runs"] == "39 of 39 complete"
    assert known["Seeds"] == "3 (0, 1, 2)"
    assert known["Learner"] == "PPO"
    assert known["Training time"].startswith(duration(39 * 500))
    assert known["Wall time"].startswith(duration(600))
    assert known["Speed"] == f"{steps / (39 * 500):,.0f} agent steps/s in a run, on average"
    sessions = [
        {"seconds": 100.0, "workers": 2, "cpu_seconds": 150.0},
        {"seconds": 50.0, "workers": 4, "cpu_seconds": 50.0},
    ]
    (short.path / "sessions.jsonl").write_text("".join(json.dumps(s) + "\n" for s in sessions))
    assert dict(facts(Results(short)))["Processes"].startswith("2, 4 at once, 50% of their time")


def test_a_task_whose_own_id_is_longer_than_its_name_has_a_score(short: SuiteFolder) -> None:
    spec = short.plan.runs[0]
    path = short.run(spec.id).path / "result.json"
    result = json.loads(path.read_text())
    for row in result["scores"]:
        row["task"] = f"gym/{row['task']}"
    path.write_text(json.dumps(result))
    run = Results(short).runs[spec.id]
    assert run.score("random") is not None
    assert run.final_score == result["scores"][1]["return_mean"]


# --- the paper's numbers -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "beside"),
    [
        ("pong-soup", True),
        ("pong-soup-short", True),
        ("pong-soup-mini", False),
        ("demo", False),
        ("pathnet-mnist", False),
        ("pathnet-cifar-svhn", False),
        ("pathnet-pong-soup-mini", False),
        ("mine.json", False),
    ],
)
def test_the_papers_numbers_stand_beside_its_own_experiment_only(
    fabricate: Fabricate, name: str, beside: bool
) -> None:
    made = SHORT.plan if name == "mine.json" else suite_from_name(name).plan
    assert made is not None
    suite = fabricate(made(SuiteOptions(seeds=1, budget=0.1)), name=name, done=0)
    table = transfer_table(Results(suite))
    assert any(row.paper for row in table) == beside
    if name in ("pong-soup-short", "pathnet-mnist"):
        assert ("Paper" in write_report(suite).read_text()) == beside


# --- what a folder holds -------------------------------------------------------------------------


def test_order_and_titles_of_methods_are_the_folders(short: SuiteFolder) -> None:
    path = short.path / "suite.json"
    content = json.loads(path.read_text())
    content["basis"]["methods"] = [["finetune", "All weights"], ["scratch", "From nothing"]]
    content["basis"] |= {"title": "As it was called", "paper": ""}
    del content["checksum"]
    path.write_text(json.dumps(content))
    suite = SuiteFolder.read(short.path)
    rows = [(row.method, row.title) for row in transfer_table(Results(suite))]
    assert rows == [
        ("finetune", "All weights"),
        ("scratch", "From nothing"),
        ("progressive-2", "Progressive, 2 columns"),
    ]
    page = write_report(suite).read_text()
    assert "<h1>As it was called</h1>" in page
    assert "Paper, mean" not in page


def test_a_design_of_five_columns(fabricate: Fabricate) -> None:
    wide = replace(
        FULL,
        sources=("pong", "noisy", "white", "zoom"),
        targets=("h-flip",),
        columns=5,
        methods=("scratch", "finetune", "progressive"),
        seeds=1,
    )
    plan = wide.plan(SuiteOptions(budget=0.001))
    suite = fabricate(plan, name="wide.json")
    results = Results(suite)
    assert results.methods == [
        "scratch", "finetune", *(f"progressive-{columns}" for columns in (2, 3, 4, 5)),
    ]  # fmt: skip
    matrix, curves = transfer_matrix(results), learning_curves
    assert ticks_of(matrix.axes[0])[1][-1].startswith("Progressive, 5 columns from")
    assert curves(results, "pong + noisy + white + zoom") is not None
    rows = matrix_of(results).rows
    assert rows[-1] == "Progressive, 5 columns from Pong + Noisy + White + Zoom"
    assert method_of("progressive-5").colour


def test_methods_of_a_later_version_are_shown_too(fabricate: Fabricate) -> None:
    plan = SHORT.plan(SuiteOptions(seeds=1))
    first = next(entry for entry in plan.comparisons if entry.method == "finetune")
    more = replace(first, method="side-tuning")
    suite = fabricate(Plan(plan.runs, (*plan.comparisons, more)).select(first.run.__eq__))
    assert Results(suite).methods[-1] == "side-tuning"
    assert "side-tuning" in write_report(suite).read_text()


# --- the network that is shown -------------------------------------------------------------------


def column(laterals: str, output: str | None = None) -> dict[str, object]:
    stages = [{"kind": "dense", "units": 8}, {"kind": "dense", "units": 8}]
    spec = {"stages": stages, "laterals": laterals, "output_laterals": output}
    return {"spec": spec, "input_shapes": {"observation": [4]}, "outputs": 2}


def test_columns_of_other_depths_meet_at_their_tops() -> None:
    """The three columns of the moving target (Rusu et al. 2017, section 5.3), by hand."""
    conv = {"kind": "conv", "maps": 8, "kernel": 3}
    dense = {"kind": "dense", "units": 8}
    join = {"kind": "join", "input": "angles", "units": 4}
    shapes = {"observation": [3, 9, 9], "angles": [5]}

    def made(*stages: dict[str, object], **fields: object) -> dict[str, object]:
        return {"spec": {"stages": stages, **fields}, "input_shapes": shapes, "outputs": 2}

    columns = [
        made(conv, conv, dense),
        made(conv, conv, join, dense),
        made(dense, dense, input="angles"),
        made(dense, input="angles") | {"sources": [1]},
    ]
    drawn = DrawnNetwork("run", {"columns": columns}, ("a", "b", "c", "d"))
    names = [[layer.name for layer in layers] for layers in drawn.columns]
    assert names[1] == [
        "input 3 x 9 x 9", "conv 8, 3 x 3 / 1", "conv 8, 3 x 3 / 1", "+ angles 4", "dense 8",
        "policy, value (2)",
    ]  # fmt: skip
    assert names[2] == ["angles 5", "dense 8", "dense 8", "policy, value (2)"]
    found = [[layer.reads[1:] for layer in layers[1:]] for layers in drawn.columns]
    assert found == [
        [(), (), (), ()],
        [(), ((0, 1),), (), ((0, 2),), ((0, 3),)],
        [(), ((0, 2), (1, 3)), ((0, 3), (1, 4))],
        [(), ((1, 4),)],
    ]
    assert drawn.laterals == 3
    assert [layers[2].reads[0] for layers in drawn.columns] == [(k, 1) for k in range(4)]


def test_the_largest_network_is_the_one_with_laterals(
    fabricate: Fabricate, options: SuiteOptions
) -> None:
    runs = SHORT.plan(options).runs
    by_label = {spec.label: spec for spec in runs}
    chosen = ("scratch zoom, seed 0", "progressive pong to zoom, seed 0", "scratch white, seed 0")
    plan = Plan(tuple(replace(by_label[name], parent=None) for name in chosen))
    suite = fabricate(plan, name="mine.json")
    scratch, progressive, wide = plan.runs
    for spec, columns in (
        (scratch, [column("none", "none")] * 3),
        (progressive, [column("none", "none"), *[column("adapter")] * 2]),
        (wide, [column("none", "none")] * 5),
    ):
        names = {f"gym/Task-v{k}": k for k in range(len(columns))}
        network = {"network": {"columns": columns}, "tasks": names}
        (suite.run(spec.id).path / "network.json").write_text(json.dumps(network))
    drawn = largest_network(Results(suite))
    assert drawn is not None
    assert (drawn.run, drawn.laterals) == (progressive.id, 2)
    assert drawn.captions == ("gym/Task-v0", "gym/Task-v1", "gym/Task-v2")
    assert "blue arrows are" in write_report(suite).read_text()
    # Two sources for the second column's upper stage and output, and so on: 2 + 4 laterals.
    assert arrows(network_drawing(drawn)) == 3 * 3 + 2 + 4
    assert drawn.columns[2][2].reads == ((2, 1), (0, 1), (1, 1))
    assert layer_table(drawn)[-1] == (
        "gym/Task-v2", "policy, value (2)",
        "dense 8, dense 8 of gym/Task-v0, dense 8 of gym/Task-v1", "",
    )  # fmt: skip

    alone = fabricate_alone(suite, wide.id)
    drawn = largest_network(Results(alone))
    assert drawn is not None
    assert (drawn.run, drawn.laterals) == (wide.id, 0)
    assert "blue arrows are" not in write_report(alone).read_text()
    assert arrows(network_drawing(drawn)) == 3 * 5


def arrows(figure: object) -> int:
    (axes,) = figure.axes  # type: ignore[attr-defined]
    return sum(type(patch).__name__ == "FancyArrowPatch" for patch in axes.patches)


def fabricate_alone(suite: SuiteFolder, run: str) -> SuiteFolder:
    """The same folder with one of its runs."""
    spec = next(spec for spec in suite.plan.runs if spec.id == run)
    return SuiteFolder(suite.path, suite.name, {}, Plan((spec,)))


# --- names ---------------------------------------------------------------------------------------


def test_users_names_are_not_respelled() -> None:
    for name in (
        "gym/CartPole-v1", "gym/my_module:My_Env-v0", "CartPole-v1", "my task", "t-maze/10",
        "permuted-digits/3", "gym/pair-1-2", "gym/8x8-1", "Größe_x", "ab-cd",
    ):  # fmt: skip
        assert task_title(name) == name
    assert task_title("atari/space_invaders") == "Space invaders"
    assert task_title("cifar-10/all") == "CIFAR-10"


def test_names_that_would_read_the_same_stand_as_they_are() -> None:
    names = ["mini-pong/zoom", "pong-soup/zoom", "pong-soup/noisy"]
    assert list(distinct(names).values()) == ["mini-pong/zoom", "pong-soup/zoom", "Noisy"]


def test_names_of_pictures_are_different_and_fit_for_files() -> None:
    names = slugs(["pong-h-flip", "pong h-flip", "Pong-h-flip", "../..", "", "ä/ö"])
    assert len({name.lower() for name in names}) == 6
    assert all(
        name and set(name) <= set("abcdefghijklmnopqrstuvwxyzP-.0123456789") for name in names
    )
    assert not any(name.startswith(".") for name in names)


def test_methods_stand_in_the_papers_order() -> None:
    given = ["new", "progressive-10", "pathnet", "progressive-5", "scratch", "progressive-2"]
    assert in_order(given) == [
        "scratch", "progressive-2", "progressive-5", "progressive-10", "pathnet", "new",
    ]  # fmt: skip


def test_pictures_of_a_users_own_names(fabricate: Fabricate, options: SuiteOptions) -> None:
    first = SHORT.plan(options).runs[0]
    tasks = (replace(first.tasks[0], name="gym/a$b$c_D-v1"),)
    # Two runs that a person calls the same are told apart all the same.
    twins = (replace(first, tasks=tasks), replace(first, tasks=tasks, learner="a2c"))
    assert twins[0].label == twins[1].label
    suite = fabricate(Plan(twins), name="mine.json")
    results = Results(suite)
    figure = plain_curves(results, results.runs.values())
    (axes,) = figure.axes
    assert (axes.get_title(loc="left") or axes.get_title()) == r"gym/a\$b\$c_D-v1"
    labels = [text.get_text() for text in axes.get_legend().get_texts()]  # type: ignore[union-attr]
    assert labels == [spec.id for spec in twins]
    assert len({line.get_color() for line in axes.lines[:2]}) == 2
    page = write_report(suite).read_text()
    assert "gym/a$b$c_D-v1" in page
    assert "PPO, A2C" in page


def test_one_task_with_several_options_has_a_panel_for_each(
    fabricate: Fabricate, options: SuiteOptions
) -> None:
    first = SHORT.plan(options).runs[0]
    other = replace(first, tasks=(replace(first.tasks[0], options={"wind": 3}),))
    suite = fabricate(Plan((first, other)), name="mine.json")
    path = suite.run(other.id).path / "result.json"
    path.write_text(path.read_text().replace('"return_mean": -20.0', '"return_mean": -3.0'))
    results = Results(suite)
    one, two = plain_panels(results, results.runs.values())
    assert [len(panel.lines) for panel in (one, two)] == [1, 1]
    assert (one.random, two.random) == (-20.0, -3.0)
    assert two.title == f'{task_title(first.target)} {{"wind": 3}}'


def test_a_runs_task_keeps_its_options() -> None:
    def run(label: str, name: str, wind: int, parent: str | None = None) -> RunSpec:
        tasks = (TaskBudget(name, 100, {"wind": wind}),)
        return RunSpec(label, "scratch", tasks, "ppo", "default", parent=parent)

    other = run("other", "A-v0", 1)
    source = run("source", "A-v0", 2)
    child = run("child", "B-v0", 3, source.id)
    plan = Plan((other, source, child))
    assert plan.task(child, "gym/B-v0").options == {"wind": 3}
    assert plan.task(child, "A-v0").options == {"wind": 2}, "its own source's"
    assert plan.task(other, "B-v0").options == {"wind": 3}
    assert plan.task(child, "mini-pong/pong") == TaskBudget("mini-pong/pong", 1)


def test_two_sources_that_read_alike_have_pictures_of_their_own(fabricate: Fabricate) -> None:
    plan = SHORT.plan(SuiteOptions(seeds=1))
    entries = []
    for entry in plan.comparisons:
        source = {"finetune": "pong + h-flip", "progressive-2": "pong-h-flip"}.get(entry.method)
        entries.append(Comparison(entry.run, entry.method, source, entry.target, entry.seed))
    runs = [entry.run for entry in entries if entry.target.endswith("/zoom")]
    some = Plan(plan.runs, tuple(entries)).select(runs.__contains__)
    suite = fabricate(some)
    page = write_report(suite).read_text()
    assert page.count("<h2>Learning curves from") == 2
    names = {path.name for path in Path(suite.path / "figures").glob("curves-*")}
    assert len(names) == 2


def test_an_analysis_averages_seeds_of_one_configuration_only(tmp_path: Path) -> None:
    def run(label: str, seed: int, learner: str) -> RunSpec:
        tasks = (TaskBudget("mini-pong/zoom", 100),)
        return RunSpec(label, "progressive", tasks, learner, "tiny", seed)

    specs = [run("ours", 0, "ppo"), run("ours", 1, "ppo"), run("theirs", 0, "a2c")]
    suite = SuiteFolder(tmp_path, "mine.json", {}, Plan(tuple(specs)))
    analyses = [
        SimpleNamespace(
            run=spec.id,
            label=spec.label,
            task=spec.target,
            columns=("mini-pong/pong", "mini-pong/zoom"),
        )
        for spec in specs
    ]
    groups = groups_of(cast("list[RunAnalysis]", analyses), suite)
    assert {title: [each.run for each in group] for title, group in groups.items()} == {
        "Pong to Zoom: ours": [specs[0].id, specs[1].id],
        "Pong to Zoom: theirs": [specs[2].id],
    }
    alone = groups_of(cast("list[RunAnalysis]", analyses[:2]), suite)
    assert list(alone) == ["Pong to Zoom"]


def test_analyses_of_configurations_of_one_label_are_told_apart_by_their_ids(
    tmp_path: Path,
) -> None:
    tasks = (TaskBudget("mini-pong/zoom", 100),)
    labels = {0.1: "ours", 0.2: "ours", 0.3: "other"}
    specs = [
        RunSpec(label, "progressive", tasks, "ppo", "tiny", learner_options={"learning_rate": rate})
        for rate, label in labels.items()
    ]
    suite = SuiteFolder(tmp_path, "mine.json", {}, Plan(tuple(specs)))
    columns = ("mini-pong/pong", "mini-pong/zoom")
    analyses = [
        SimpleNamespace(run=spec.id, label=spec.label, task=spec.target, columns=columns)
        for spec in specs
    ]
    groups = groups_of(cast("list[RunAnalysis]", analyses), suite)
    assert {title: [each.run for each in group] for title, group in groups.items()} == {
        f"Pong to Zoom: {specs[0].id}": [specs[0].id],
        f"Pong to Zoom: {specs[1].id}": [specs[1].id],
        "Pong to Zoom: other": [specs[2].id],
    }
