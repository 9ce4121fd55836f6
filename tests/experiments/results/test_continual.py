"""What the continual section shows is what was measured, and of whom."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from fabricated import COLUMN, fabricate_run
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from reading import charts_of, lines_of, table_of, texts_of

from colonnade.analysis.intervals import mean_interval
from colonnade.experiments.method_titles import METHODS
from colonnade.experiments.plans.builder import PlanBuilder
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.results.continual import (
    measured,
    sequences,
    single_scores,
)
from colonnade.experiments.results.overlaps import by_layer, overlaps
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.reports.continual import charts as continual_charts
from colonnade.reports.continual.chart import score_chart
from colonnade.reports.continual.section import ContinualSection
from colonnade.reports.live.state import LiveState
from colonnade.reports.style import INK
from colonnade.reports.suite import write_report

Matrix = Sequence[Sequence[float]]
Write = Callable[[Sequence[tuple[RunSpec, Matrix]]], SuiteFolder]

BUDGET = 100
WORDS = {"score": "score", "steps": "agent steps"}

EWC = [[0.9, 0.0, 0.0], [0.7, 0.8, 0.0], [0.8, 0.5, 0.6]]
SGD = [[0.9, 0.0, 0.0], [0.4, 0.7, 0.0], [0.1, 0.3, 0.95]]
BEFORE, CHANCE = [0.11, 0.24, 0.37, 0.4, 0.5], [0.1, 0.2, 0.3, 0.4, 0.5]
"""Score [trained so far, tested]; just before a task is learned; of the random policy."""


def spec_of(method: str, names: Sequence[str] = "abc", **changes: object) -> RunSpec:
    plain = RunSpec(
        label=f"{method} on {' '.join(names)}",
        method=method,
        tasks=tuple(TaskBudget(f"gym/Task_{name}-v1", BUDGET) for name in names),
        learner="ppo",
        column="tiny",
        training_options={"test_episodes": 5},
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def score_rows(spec: RunSpec, matrix: Matrix) -> list[dict[str, object]]:
    """Metrics of kind "test": before each task, half-way, and at its end."""
    rows = []
    for trained, task in enumerate(spec.tasks):
        for step in (0, BUDGET // 2, BUDGET):
            for tested in range(trained + 1):
                old = matrix[trained - 1][tested] if tested < trained else BEFORE[tested]
                new = matrix[trained][tested]
                value = {0: old, BUDGET // 2: (old + new) / 2, BUDGET: new}[step]
                rows.append(
                    {"kind": "test", "task": task.name, "task_index": trained, "step": step,
                     "tested": spec.tasks[tested].name, "tested_index": tested, "episodes": 5,
                     "return_mean": value, "return_std": 0.1}
                )  # fmt: skip
    return rows


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a folder of complete runs with given matrices."""

    def make(pairs: Sequence[tuple[RunSpec, Matrix]]) -> SuiteFolder:
        builder = PlanBuilder()
        for spec, _ in pairs:
            builder.add(spec)
        suite = SuiteFolder(tmp_path / "out", "mine.json", {}, builder.build()).begin()
        for spec, matrix in pairs:
            folder = suite.run(spec.id).path
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "spec.json").write_text(json.dumps(spec.to_json()))
            rows = score_rows(spec, matrix)
            (folder / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
            scores = [
                {"kind": "evaluation", "task": task.name, "policy": policy, "step": 1,
                 "episodes": 5, "return_mean": value, "return_std": 0.1}
                for k, task in enumerate(spec.tasks)
                for policy, value in (("random", CHANCE[k]), ("trained", matrix[-1][k]))
            ]  # fmt: skip
            result = {
                "measures": 2,
                "scores": scores,
                "versions": {"torch": "2.13"},
                "hardware": {"cpu": "A processor", "cores": 2, "threads": 1, "gpu": None},
                "timing": {"training_seconds": 5.0, "started": 0.0, "finished": 6.0},
                "notes": [],
            }
            (folder / "result.json").write_text(json.dumps(result))
            tasks = {task.name: 0 for task in spec.tasks}
            network = {"network": {"columns": [COLUMN]}, "tasks": tasks}
            (folder / "network.json").write_text(json.dumps(network))
            (folder / "DONE").touch()
        return suite

    return make


def worse(matrix: Matrix, by: float) -> Matrix:
    return [[value - by for value in row] for row in matrix]


# --- numbers -------------------------------------------------------------------------------------


def test_measures_by_hand(write: Write) -> None:
    ewc, again = spec_of("ewc"), spec_of("ewc", seed=1)
    suite = write([(ewc, EWC), (again, worse(EWC, 0.1))])
    (sequence,) = sequences(Results(suite))
    (row,) = measured(sequence)
    np.testing.assert_allclose(row.average, [(0.8 + 0.5 + 0.6) / 3, (0.7 + 0.4 + 0.5) / 3])
    np.testing.assert_allclose(row.learned[0], (0.9 + 0.8 + 0.6) / 3)
    # From the best so far: 0.9 to 0.8 and 0.8 to 0.5; the last task can't be forgotten.
    np.testing.assert_allclose(row.forgetting, [(0.1 + 0.3) / 2] * 2)
    np.testing.assert_allclose(row.backward, [(-0.1 - 0.3) / 2] * 2)
    np.testing.assert_allclose(row.forward, [(0.04 + 0.07) / 2] * 2)


def test_the_table_shows_the_measures(write: Write) -> None:
    suite = write(
        [
            (spec_of("ewc"), EWC),
            (spec_of("ewc", seed=1), worse(EWC, 0.1)),
            (spec_of("ewc", seed=2), worse(EWC, 0.4)),
            (spec_of("finetune"), SGD),
            (spec_of("my-method"), EWC),
        ]
    )
    table = table_of(ContinualSection(Results(suite)).html({}), "Forgetting")
    assert table["EWC"] == {
        "Method": "EWC",
        "Average score": "0.467 ± 0.208",
        "Just learned": "0.600 ± 0.208",
        "Forgetting": "0.200 ± 0.000",
        "Backward transfer": "-0.200 ± 0.000",
        "Forward transfer": "0.055 ± 0.000",
        "Seeds": "3",
        "Configurations": "1",
    }
    assert table["Finetuning"]["Average score"] == "0.450"
    assert table["Finetuning"]["Just learned"] == "0.850"
    assert table["Finetuning"]["Forgetting"] == "0.600"
    assert table["Finetuning"]["Backward transfer"] == "-0.600"
    assert "my-method" in table


def three(
    method: str = "ewc", matrix: Matrix = EWC, **changes: object
) -> list[tuple[RunSpec, Matrix]]:
    """Three seeds, whose mean is 0.2 below the first one's, and whose median 0.1."""
    return [
        (spec_of(method, seed=k, **changes), worse(matrix, by))
        for k, by in enumerate((0.0, 0.1, 0.5))
    ]


def test_the_table_of_all_runs_says_of_which_task_its_scores_are(write: Write) -> None:
    spec = spec_of("ewc")
    suite = write([(spec, EWC)])
    row = table_of(write_report(suite).read_text(), "State")[spec.label]
    assert row["Random, last task"] == f"{CHANCE[2]:.2f}"
    assert row["Final score, last task"].startswith(f"{EWC[-1][-1]:.2f} ")
    assert "Final score" not in row


def test_matrices_are_drawn_the_right_way_round(write: Write) -> None:
    suite = write(three())
    (sequence,) = sequences(Results(suite))
    (axes,) = continual_charts.matrices(sequence, WORDS).axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("tested on task", "after task")
    expected = {
        (tested, trained): f"{EWC[trained][tested] - 0.2:.1f}"
        for trained in range(3)
        for tested in range(trained + 1)
    }
    assert texts_of(axes) == expected
    image = np.asarray(axes.images[0].get_array(), dtype=float)
    np.testing.assert_allclose(image[2], np.array(EWC[2]) - 0.2)
    # Accuracies are in per cent.
    (axes,) = continual_charts.matrices(sequence, {"score": "accuracy", "steps": ""}).axes
    assert texts_of(axes)[0, 2] == "60"


def test_curves_and_averages_are_drawn_where_they_were_measured(write: Write) -> None:
    suite = write([*three(), (spec_of("l2"), SGD)])
    (sequence,) = sequences(Results(suite))
    figure = continual_charts.score_curves(sequence, WORDS)
    for tested, axes in enumerate(figure.axes):
        assert axes.get_xlim() == (0, 3 * BUDGET)
        for method, matrix, less in (("ewc", EWC, 0.2), ("l2", SGD, 0.0)):
            ((steps, scores),) = lines_of(axes, METHODS[method].colour)
            by_step = dict(zip(steps, scores, strict=True))
            assert min(by_step) == tested * BUDGET
            for trained in range(tested, 3):
                shown = by_step[(trained + 1) * BUDGET]
                assert shown == pytest.approx(matrix[trained][tested] - less)
            half = (BEFORE[0] + matrix[0][0] - less) / 2 if tested == 0 else None
            if half is not None:
                assert by_step[BUDGET / 2] == pytest.approx(half)
    (axes,) = continual_charts.average_curves(sequence, WORDS).axes
    ((numbers, averages),) = lines_of(axes, METHODS["ewc"].colour)
    assert numbers.tolist() == [1, 2, 3]
    np.testing.assert_allclose(averages, [0.9 - 0.2, 0.75 - 0.2, 1.9 / 3 - 0.2])


def test_runs_that_do_not_look_back_keep_their_curves_beside_one_that_does(write: Write) -> None:
    plain = [
        replace(
            spec_of(method, name),
            tasks=(TaskBudget(f"gym/{name}-v1", 40_000),),
            training_options={},
        )
        for method, name in (("progressive", "Pendulum"), ("pathnet", "Acrobot"))
    ]
    suite = write([(spec_of("ewc"), EWC)])
    waiting = spec_of("scratch", "w", training_options={})
    plan = Plan((*suite.plan.runs, *plain, waiting))
    suite = replace(suite, plan=plan)
    suite.begin()
    for spec in plain:
        fabricate_run(suite.run(spec.id).path, spec, [1.0, 2.0, 3.0, 4.0], done=True)
    page = write_report(suite).read_text()
    panels = charts_of(page)["curves"]["panels"]
    assert [(panel["title"], len(panel["lines"])) for panel in panels] == [
        ("gym/Pendulum-v1", 1),
        ("gym/Acrobot-v1", 1),
    ]
    assert panels[0]["lines"][0]["y"] == [1.0, 2.0, 3.0, 4.0]
    assert "continual-curves-3-gym" in charts_of(page)
    assert "How areas are measured" in page
    (curves,) = LiveState(suite.path).content()["charts"].values()
    assert len(curves["panels"]) == 4, "while runs train there are no others"


def band_of(axes: Axes, colour: str) -> dict[float, tuple[float, float]]:
    """The lower and the upper end of the one band of a colour, by its places."""
    (band,) = (c for c in axes.collections if to_hex(c.get_facecolor()[0]) == to_hex(colour))  # type: ignore[index]
    ends: dict[float, list[float]] = {}
    for x, y in np.asarray(band.get_paths()[0].vertices):
        ends.setdefault(float(x), []).append(float(y))
    return {x: (min(found), max(found)) for x, found in ends.items()}


STUDENT = 4.302652729911275
"""The 97.5 % quantile of Student's t with two degrees of freedom."""


def test_bands_are_students_intervals_of_the_mean(write: Write) -> None:
    (sequence,) = sequences(Results(write(three())))
    colour = METHODS["ewc"].colour
    # The seeds' scores are 0, 0.1 and 0.5 below the best.
    error = np.std([0, -0.1, -0.5], ddof=1) / 3**0.5
    less, reach = 0.2, STUDENT * error
    (axes,) = continual_charts.average_curves(sequence, WORDS).axes
    assert band_of(axes, colour) == {
        number: pytest.approx((best - less - reach, best - less + reach))
        for number, best in ((1, 0.9), (2, (0.7 + 0.8) / 2), (3, (0.8 + 0.5 + 0.6) / 3))
    }
    for tested, axes in enumerate(continual_charts.score_curves(sequence, WORDS).axes):
        band = band_of(axes, colour)
        for trained in range(tested, 3):
            best = EWC[trained][tested] - less
            assert band[(trained + 1) * BUDGET] == pytest.approx((best - reach, best + reach))


def test_two_seeds_have_no_band_and_stand_as_thin_lines(write: Write) -> None:
    (sequence,) = sequences(Results(write(three()[:2])))
    (axes,) = continual_charts.average_curves(sequence, WORDS).axes
    assert not axes.collections
    thin = [line for line in axes.lines if line.get_linewidth() < 1]
    assert [line.get_ydata()[0] for line in thin] == pytest.approx([0.9, 0.8])  # type: ignore[index]


def test_the_page_holds_the_numbers_of_the_pictures(write: Write) -> None:
    suite = write([*three(), *three("scratch", SGD)])
    charts = charts_of(write_report(suite).read_text())
    average = next(c for name, c in charts.items() if name.startswith("continual-average"))
    (averages,) = average["panels"]
    (line,) = averages["lines"]
    assert line["y"] == pytest.approx([0.9 - 0.2, 0.75 - 0.2, 1.9 / 3 - 0.2], rel=1e-5)
    reach = STUDENT * np.std([0, -0.1, -0.5], ddof=1) / 3**0.5
    assert line["low"] == pytest.approx(np.array(line["y"]) - reach, rel=1e-4)
    assert line["each"][1] == pytest.approx([0.8, 0.65, 1.9 / 3 - 0.1], rel=1e-5)
    assert averages["levels"][0]["at"] == pytest.approx((0.9 + 0.7 + 0.95) / 3 - 0.2, rel=1e-5)
    curves = next(c for name, c in charts.items() if name.startswith("continual-curves"))
    for tested, panel in enumerate(curves["panels"]):
        (line,) = panel["lines"]
        assert [mark["at"] for mark in panel["switches"]] == [0, BUDGET, 2 * BUDGET]
        by_step = dict(zip(line["x"], line["y"], strict=True))
        for trained in range(tested, 3):
            shown = by_step[(trained + 1) * BUDGET]
            assert shown == pytest.approx(EWC[trained][tested] - 0.2, rel=1e-5)


def test_budgets_that_differ_have_no_common_ends(write: Write) -> None:
    longer = tuple(replace(task, steps=2 * BUDGET) for task in spec_of("l2").tasks)
    suite = write([(spec_of("ewc"), EWC), (spec_of("l2", tasks=longer), SGD)])
    (sequence,) = sequences(Results(suite))
    assert sequence.starts is None
    assert continual_charts.score_curves(sequence, WORDS).axes[0].texts[:] == []


def test_single_tasks_stand_beside(write: Write) -> None:
    suite = write([(spec_of("ewc"), EWC), *three("scratch", SGD)])
    (sequence,) = sequences(Results(suite))
    mean = (0.9 + 0.7 + 0.95) / 3 - 0.2
    assert single_scores(sequence) == {"PPO": pytest.approx(mean)}
    (axes,) = continual_charts.average_curves(sequence, WORDS).axes
    ((_, heights),) = lines_of(axes, INK)
    np.testing.assert_allclose(heights, mean)
    (label,) = axes.texts
    assert (label.get_text(), label.xy) == ("single task", (3, pytest.approx(mean)))  # type: ignore[attr-defined]
    drawings = {f"continual-average-{sequence.slug}": Markup("x")}
    page = " ".join(ContinualSection(Results(suite)).html(drawings).split())
    assert f"Dashed: networks that learned one task each, {mean:.3f}." in page


def test_single_tasks_of_several_learners_are_not_pooled(write: Write) -> None:
    alone = [spec_of("scratch"), spec_of("scratch", learner="a2c")]
    suite = write([(spec_of("ewc"), EWC), (alone[0], SGD), (alone[1], worse(SGD, 0.3))])
    (sequence,) = sequences(Results(suite))
    mean = (0.9 + 0.7 + 0.95) / 3
    expected = {"PPO": pytest.approx(mean), "A2C": pytest.approx(mean - 0.3)}
    assert single_scores(sequence) == expected
    (axes,) = continual_charts.average_curves(sequence, WORDS).axes
    words = {text.get_text(): text.xy[1] for text in axes.texts}  # type: ignore[attr-defined]
    assert words == {
        "single task (PPO)": expected["PPO"],
        "single task (A2C)": expected["A2C"],
    }
    page = ContinualSection(Results(suite)).html(
        {f"continual-average-{sequence.slug}": Markup("x")}
    )
    assert f"{mean:.3f} (PPO), {mean - 0.3:.3f} (A2C)" in page


@pytest.mark.parametrize("own", [True, False])
def test_a_task_that_comes_again_is_shown_again(write: Write, own: bool) -> None:
    names = ("gym/Pole", "again", "a third time")
    plain = spec_of("ewc", "aaa")
    tasks = tuple(
        replace(task, options={} if place == 0 else {"name": name} if own else {"wind": place})
        for place, (task, name) in enumerate(zip(plain.tasks, names, strict=True))
    )
    suite = write([(replace(plain, tasks=tasks), EWC)])
    (folder,) = suite.runs
    rows = folder.metrics()
    for row in rows:
        row["tested"] = names[row["tested_index"]]
    folder.metrics_path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = ContinualSection(Results(suite)).html({})
    assert "3 tasks, one after another" in page
    assert "In this order: gym/Pole, again, a third time." in page


# --- whose numbers -------------------------------------------------------------------------------


def test_each_order_of_tasks_has_its_own_pictures(write: Write) -> None:
    forth, back = spec_of("ewc", "abc"), spec_of("ewc", "cba")
    suite = write([(forth, EWC), (back, SGD)])
    report = ContinualSection(Results(suite))
    figures = report.figures()
    assert len({name for name in figures if name.startswith("continual-matrices-")}) == 2
    orders = sequences(Results(suite))
    assert [sequence.tasks for sequence in orders] == [
        tuple(task.name for task in spec.tasks) for spec in (forth, back)
    ]
    for sequence, matrix in zip(orders, (EWC, SGD), strict=True):
        (axes,) = figures[f"continual-matrices-{sequence.slug}"].axes
        assert texts_of(axes)[0, 2] == f"{matrix[2][0]:.1f}"
        (line, *_) = figures[f"continual-curves-{sequence.slug}"].axes[0].lines[2:]
        assert line.get_ydata()[-1] == pytest.approx(matrix[2][0])
    page = write_report(suite).read_text()
    first, second = (page.index(f"In this order: {words}.") for words in (
        "gym/Task_a-v1, gym/Task_b-v1, gym/Task_c-v1", "gym/Task_c-v1, gym/Task_b-v1, gym/Task_a-v1"
    ))  # fmt: skip
    assert first < second
    # The page holds what the pictures hold, and nothing twice.
    shown = charts_of(page)
    charts = [json.dumps(chart["panels"]) for chart in shown.values()]
    assert len(charts) == len(set(charts)) == 6
    for sequence, matrix in zip(orders, (EWC, SGD), strict=True):
        (panel,) = shown[f"continual-matrices-{sequence.slug}"]["panels"]
        (cells,) = panel["lines"]
        assert panel["title"].endswith(", 1 run")
        scores = {(r, c): matrix[r][c] for r in range(3) for c in range(r + 1)}
        places = list(zip(cells["y"], cells["x"], strict=True))
        assert dict(zip(places, cells["texts"], strict=True)) == {
            place: f"{score:.1f}" for place, score in scores.items()
        }
        low, high = min(scores.values()), max(scores.values())
        assert cells["look"]["opacity"] == pytest.approx(
            [(scores[place] - low) / (high - low) for place in places], rel=1e-5
        )
    # A number of one run is never bold.
    assert 'class="main"' not in page


def test_tasks_that_differ_in_their_options_are_another_sequence(write: Write) -> None:
    spec = spec_of("ewc")
    windy = tuple(replace(task, options={"wind": 1}) for task in spec.tasks)
    assert len(sequences(Results(write([(spec, EWC), (replace(spec, tasks=windy), SGD)])))) == 2


def test_learners_are_told_apart(write: Write) -> None:
    ppo, a2c = spec_of("ewc"), spec_of("ewc", learner="a2c")
    suite = write([(ppo, EWC), (a2c, SGD)])
    (sequence,) = sequences(Results(suite))
    rows = measured(sequence)
    assert [(row.contender.title, row.average.size) for row in rows] == [
        ("EWC (PPO)", 1), ("EWC (A2C)", 1),
    ]  # fmt: skip
    np.testing.assert_allclose([row.average[0] for row in rows], [1.9 / 3, 1.35 / 3])
    table = table_of(ContinualSection(Results(suite)).html({}), "Forgetting")
    assert {title: row["Seeds"] for title, row in table.items()} == {
        "EWC (PPO)": "1", "EWC (A2C)": "1",
    }  # fmt: skip
    (axes,) = continual_charts.average_curves(sequence, WORDS).axes
    assert len({line.get_linestyle() for line in axes.lines}) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"learner": "a2c"},
        {"column": "mini"},
        {"method_options": {"lam": 3.0}},
        {"learner_options": {"learning_rate": 0.1}},
        {"training_options": {"test_episodes": 6}},
        {"evaluation_episodes": 7},
        {"parent": "bundled:pong"},
        {"analyses": ("fisher-overlap",)},
        {"tasks": (TaskBudget("gym/Task_a-v1", 101), *spec_of("ewc").tasks[1:])},
    ],
)
def test_everything_but_seed_and_label_makes_another_configuration(
    change: dict[str, object],
) -> None:
    spec = spec_of("ewc")
    plan = Plan((spec,))
    same = replace(spec, seed=5, label="whatever")
    assert plan.configuration(same) == plan.configuration(spec)
    assert plan.configuration(replace(spec, **change)) != plan.configuration(spec)  # type: ignore[arg-type]


def test_what_a_run_starts_from_counts_by_its_configuration() -> None:
    parents = [spec_of("scratch", "a", seed=seed) for seed in (0, 1)]
    other = spec_of("scratch", "a", learner="a2c")
    children = [
        spec_of("ewc", "bc", seed=seed, parent=parent.id)
        for seed, parent in enumerate((*parents, other))
    ]
    plan = Plan((*parents, other, *children))
    first, second, third = map(plan.configuration, children)
    assert first == second != third


def test_the_best_configuration_is_shown_with_its_number(write: Write) -> None:
    good, bad = spec_of("ewc"), spec_of("ewc", learner_options={"learning_rate": 1e-5})
    suite = write([(bad, SGD), (good, EWC), (replace(good, seed=1), EWC)])
    ((contender,),) = (sequence.contenders for sequence in sequences(Results(suite)))
    assert contender.configurations == 2
    assert [run.spec for run in contender.runs] == [good, replace(good, seed=1)]


def test_claims_of_the_paper_stand_beside_its_own_tasks_only(write: Write) -> None:
    labelled = [spec_of(method, learner="supervised") for method in ("ewc", "finetune")]
    suite = write([(spec, EWC) for spec in labelled])
    known = replace(suite, basis=replace(suite.basis, paper="permuted MNIST"))
    for folder, beside in ((suite, False), (known, True)):
        page = ContinualSection(Results(folder)).html({})
        assert ("The paper's claims" in page) == beside


FIVE = [
    [0.9, 0.0, 0.0, 0.0, 0.0],
    [0.9, 0.8, 0.0, 0.0, 0.0],
    [0.8, 0.8, 0.9, 0.0, 0.0],
    [0.8, 0.7, 0.8, 0.9, 0.0],
    [0.8, 0.6, 0.7, 0.9, 0.7],
]


def test_claims_are_set_beside_what_was_measured(write: Write) -> None:
    def labelled(method: str, names: str, matrix: Matrix) -> list[tuple[RunSpec, Matrix]]:
        return three(method, matrix, names=names, learner="supervised")

    suite = write(
        [
            *labelled("ewc", "abc", EWC),
            *labelled("finetune", "abc", [[0.9, 0.0, 0.0], [0.7, 0.8, 0.0], [0.55, 0.6, 0.95]]),
            *labelled("ewc", "abcde", FIVE),
            *labelled("finetune", "abcde", worse(FIVE, 0.08)),
            *labelled("scratch", "abcde", worse(FIVE, -0.05)),
        ]
    )
    known = replace(suite, basis=replace(suite.basis, paper="permuted MNIST"))
    table = table_of(ContinualSection(Results(known)).html({}), "Here")
    # Means over seeds, 0.2 below the matrices: the last row's ends, and the last row's average.
    assert table["A"]["Here"].endswith(": EWC 60% and 40% (3 runs); SGD 35% and 75% (3 runs).")
    assert table["B"]["Here"] == (
        "Average accuracy after 5 tasks: EWC 54.0% (3 runs), SGD 46.0% (3 runs) "
        "(single tasks: 69.0%)."
    )


def test_overlaps_of_other_configurations_are_not_pooled(write: Write) -> None:
    specs = [
        spec_of(
            "ewc",
            analyses=("fisher-overlap",),
            label=f"lambda {lam:g}",
            method_options={"lam": lam},
        )
        for lam in (1.0, 2.0)
    ]
    again = replace(specs[0], seed=1)
    suite = write([(spec, EWC) for spec in (*specs, again)])
    for spec, shift in zip((*specs, again), (0.0, 0.3, 0.2), strict=True):
        add_overlaps(suite, spec, {1: 0.1 + shift, 0: shift})
    figure = ContinualSection(Results(suite)).figures()["fisher-overlap"]
    (axes,) = figure.axes
    thick = (line for line in axes.lines if line.get_linewidth() >= 1)
    shown = {str(line.get_label()): list(np.asarray(line.get_ydata())) for line in thick}
    assert shown == {
        "lambda 1": pytest.approx([0.1, 0.2]),
        "lambda 2": pytest.approx([0.3, 0.4]),
    }
    bottom, top = axes.get_ylim()
    for line in axes.lines:
        assert list(np.asarray(line.get_xdata())) == [1, 2]
        assert all(bottom <= overlap <= top for overlap in np.asarray(line.get_ydata()))


def add_overlaps(suite: SuiteFolder, spec: RunSpec, overlaps: dict[int, float | None]) -> None:
    """Write the overlaps of a run's last two tasks, by the layer's depth."""
    path = suite.run(spec.id).path / "result.json"
    result = json.loads(path.read_text())
    result["scores"] += [
        {"kind": "overlap", "task": spec.target, "other": spec.tasks[0].name,
         "policy": "overlap", "layer": str(depth), "depth": depth, "overlap": value}
        for depth, value in overlaps.items()
    ]  # fmt: skip
    path.write_text(json.dumps(result))


@pytest.mark.filterwarnings("error")
def test_layers_that_no_longer_learn_are_left_out_of_mean_overlaps(write: Write) -> None:
    seeds = [spec_of("ewc", analyses=("fisher-overlap",), seed=seed) for seed in range(4)]
    other = spec_of("l2", "ad", analyses=("fisher-overlap",))
    suite = write([(spec, EWC) for spec in (*seeds, other)])
    for spec, first in zip(seeds, (0.2, 0.4, 0.9, None), strict=True):
        add_overlaps(suite, spec, {0: first, 1: None, 2: 0.5})
    add_overlaps(suite, other, {0: None, 1: 0.7, 2: 0.8})
    results = Results(replace(suite, basis=replace(suite.basis, paper="permuted MNIST")))
    found = overlaps(results)
    line = by_layer(found["gym/Task_c-v1"])
    np.testing.assert_allclose(line.mean, [0.5, np.nan, 0.5])
    low, high = mean_interval([0.2, 0.4, 0.9])
    np.testing.assert_allclose(line.low, [low, np.nan, 0.5])
    np.testing.assert_allclose(line.high, [high, np.nan, 0.5])
    section = ContinualSection(results)
    (axes,) = section.figures()["fisher-overlap"].axes
    assert len(axes.lines)
    lines = section.charts()["fisher-overlap"].to_json()["panels"][0]["lines"]
    assert [line["y"] for line in lines] == [[0.5, None, 0.5], [None, 0.7, 0.8]]
    claim = table_of(section.html({}), "Here")["C"]["Here"]
    assert claim.endswith(
        "gym/Task_c-v1: 0.50 and 0.50 (4 runs); gym/Task_d-v1: unknown and 0.80 (1 run)."
    )


def test_overlaps_of_configurations_of_one_label_are_told_apart_by_their_ids(write: Write) -> None:
    specs = [
        spec_of("ewc", analyses=("fisher-overlap",), method_options={"lam": lam})
        for lam in (1.0, 100.0)
    ]
    suite = write([(spec, EWC) for spec in specs])
    for spec, overlap in zip(specs, (0.2, 0.8), strict=True):
        add_overlaps(suite, spec, {0: overlap})
    found = overlaps(Results(suite))
    assert {words: [list(run) for run in runs] for words, runs in found.items()} == {
        specs[0].id: [[0.2]],
        specs[1].id: [[0.8]],
    }


def test_the_methods_and_pairs_whose_overlaps_are_shown_are_named(write: Write) -> None:
    three = [spec_of("finetune", analyses=("fisher-overlap",), seed=seed) for seed in range(2)]
    two = spec_of("l2", "ad", analyses=("fisher-overlap",))
    suite = write([(spec, EWC) for spec in (*three, two)])
    for spec in three:  # each task and the next
        path = suite.run(spec.id).path / "result.json"
        result = json.loads(path.read_text())
        result["scores"] += [
            {"kind": "overlap", "task": second.name, "other": first.name, "policy": "overlap",
             "layer": "0", "depth": 0, "overlap": 0.5}
            for first, second in pairwise(spec.tasks)
        ]  # fmt: skip
        path.write_text(json.dumps(result))

    def words(*specs: RunSpec) -> str:
        part = replace(suite, plan=Plan(specs))
        section = ContinualSection(Results(part))
        return " ".join(section.html({"fisher-overlap": Markup("picture")}).split())

    shown = "gym/Task_b-v1 and gym/Task_c-v1"
    page = words(*three)
    assert f"Shown, by method: Finetuning: {shown}. Runs of more than two tasks" in page
    assert "EWC" not in page
    assert "lighter" not in page, "nothing is said of how much the images differ"
    add_overlaps(suite, two, {0: 0.5})
    page = words(*three, two)
    assert f"Finetuning: {shown}; L2: gym/Task_a-v1 and gym/Task_d-v1. Runs of" in page
    page = words(two)
    assert "by method: L2: gym/Task_a-v1 and gym/Task_d-v1.</p>" in page


def test_runs_that_never_came_to_a_task_are_not_named_in_its_panel(write: Write) -> None:
    runs = three()
    suite = write(runs)
    first = suite.run(runs[0][0].id)
    rows = [row for row in first.metrics() if row["task_index"] == 0]
    first.metrics_path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (first.path / "DONE").unlink()
    (sequence,) = sequences(Results(suite))
    panels = score_chart(sequence, WORDS).panels
    named = [panel.lines[0].runs for panel in panels]
    assert len(named[0]) == 3
    assert [len(panel.lines[0].each) for panel in panels] == [len(names) for names in named]
    assert named[1] == named[2] == ["seed 1", "seed 2"]


def test_runs_with_overlaps_alone_have_their_table_too(write: Write) -> None:
    runs = [(replace(spec, analyses=("fisher-overlap",)), matrix) for spec, matrix in three()]
    page = write_report(write(runs)).read_text()
    assert "Average" in page
    assert any(name.startswith("continual-average") for name in charts_of(page))
