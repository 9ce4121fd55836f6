"""Numbers of streams, from rows written by hand."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from fabricated import COLUMN
from reading import charts_of, table_of

from colonnade.analysis.human_scores import HUMAN_SCORES
from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.experiments.plans.spec import RunSpec, TaskBudget, TaskVisit
from colonnade.experiments.results.continual import sequences
from colonnade.experiments.results.recognised import recognised
from colonnade.experiments.results.stream import (
    StreamRun,
    streams,
)
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.store.measures import MEASURES
from colonnade.experiments.suites.designs.stream import StreamDesign, StreamTask
from colonnade.reports.stream.section import StreamSection
from colonnade.reports.suite import write_report

A, B = "mini-pong/pong", "mini-pong/black~"
OTHERS = ("mini-pong/white", "mini-pong/zoom")
PLACES = {A: 0, B: 1, OTHERS[0]: 0, OTHERS[1]: 1}
ORDER = (A, B, A, B)
RANDOM, HUMAN = -0.6, 1.4
"""MiniPong's scale; a return of r counts (r + 0.6) / 2, at most 1."""

DESIGN = StreamDesign(
    pool=(StreamTask(A), StreamTask("mini-pong/black", {"name": B, "swapped": True})),
    rounds=2,
    visit_steps=100,
    seeds=1,
    column={"preset": "tiny", "task_gains": True},
    learner="dqn",
    ewc={"lam": 1.0},
    start_visits=0.5,
    learner_options={"dqn": {"warm_up": 10, "replay": 60, "learning_rate": 1e-3}},
    training_options={"test_episodes": 1},
)


def spec(curve, method, visits, **changes):
    fields = {
        "label": f"{curve}, seed 0",
        "method": method,
        "tasks": tuple(TaskBudget(t.name, 200, t.options) for t in DESIGN.pool),
        "learner": "dqn",
        "column": "tiny",
        "training_options": {"test_episodes": 1, "test_unseen": True},
        "visits": visits,
    }
    return RunSpec(**(fields | changes))


def visit_row(kind, visit, task, step, **more):
    place = PLACES[task]
    return {
        "kind": kind, "task": task, "task_index": place, "visit": visit, "step": step, **more
    }  # fmt: skip


def scored(visit, task, step, returns):
    return [
        visit_row(
            "test", visit, task, step,
            tested=name, tested_index=(A, B).index(name), episodes=1, return_mean=value,
            return_std=0.0,
        )
        for name, value in returns.items()
    ]  # fmt: skip


def folder(path, runs):
    """Write complete runs of given rows."""
    suite = SuiteFolder(path / "out", "by hand", {}, Plan(tuple(made for made, _ in runs)))
    suite.begin()
    for made, rows in runs:
        place = suite.run(made.id).path
        place.mkdir(parents=True)
        (place / "spec.json").write_text(json.dumps(made.to_json()))
        curve = [
            visit_row(
                "curve", visit, stay.task, stay.steps, width=stay.steps, episodes=1,
                return_mean=0.0, return_std=0.0, length_mean=1.0, steps_per_second=100.0,
            )
            for visit, stay in enumerate(made.visits)
        ]  # fmt: skip
        written = [*curve, *rows]
        if [stay.task for stay in made.visits] == [A, B]:  # each once, as training writes it
            written = [{k: v for k, v in row.items() if k != "visit"} for row in written]
        text = "".join(json.dumps(row) + "\n" for row in written)
        (place / "metrics.jsonl").write_text(text)
        scores = [
            {"kind": "evaluation", "task": name, "policy": policy, "step": 200, "episodes": 1,
             "return_mean": 0.0, "return_std": 0.0}
            for name in (A, B) for policy in ("random", "trained")
        ]  # fmt: skip
        result = {
            "measures": MEASURES, "scores": scores, "versions": {"python": "3", "torch": "2"},
            "hardware": {"cpu": "A processor", "cores": 2, "threads": 1, "gpu": None},
            "timing": {"training_seconds": 5.0, "started": 10.0, "finished": 16.0}, "notes": [],
        }  # fmt: skip
        network = {"network": {"columns": [COLUMN]}, "tasks": {A: 0, B: 0}}
        (place / "network.json").write_text(json.dumps(network))
        (place / "result.json").write_text(json.dumps(result))
        (place / "DONE").touch()
    return suite


@pytest.fixture
def suite(tmp_path):
    stays = tuple(TaskVisit(name, 100) for name in ORDER)
    alone = (TaskVisit(A, 200), TaskVisit(B, 200))
    none = [
        *scored(0, A, 0, {A: -0.6, B: -0.6}),
        *scored(1, B, 64, {A: 0.4, B: 0.0}),
        *scored(3, B, 128, {A: -0.6, B: 3.4}),  # a visit may end a few steps past its budget
    ]
    told = [*scored(0, A, 0, {A: -0.6, B: -0.6}), *scored(3, B, 100, {A: 0.9, B: 1.4})]
    found = [
        *scored(3, B, 100, {A: 0.4, B: 1.0}),
        visit_row("contexts", 0, A, 50, counts={"context-0": 10}),
        visit_row("switch", 1, B, 16, context="context-1", before="context-0"),
        visit_row("contexts", 1, B, 100, counts={"context-0": 1, "context-1": 9}),
        visit_row("switch", 2, A, 40, context="context-0", before="context-1"),
        visit_row("switch", 2, A, 60, context="context-2", before="context-0"),
        visit_row("contexts", 2, A, 100, counts={"context-0": 6, "context-2": 4}),
        visit_row("contexts", 3, B, 100, counts={"context-2": 10}),
    ]
    single = [
        *scored(0, A, 0, {A: -0.6}),
        *scored(0, A, 100, {A: 0.4}),
        *scored(0, A, 200, {A: 1.4}),
        *scored(1, B, 0, {B: -0.6}),
        *scored(1, B, 200, {B: 1.0}),
    ]
    inferred = {"labels": {"kind": "forget-me-not"}}
    return folder(
        tmp_path,
        [
            (spec("no penalty", "finetune", stays), none),
            (spec("EWC, labels", "ewc", stays), told),
            (spec("EWC, Forget-Me-Not", "ewc", stays, **inferred), found),
            (spec("single tasks", "scratch", alone), single),
        ],
    )


def test_totals_are_clipped_sums_over_the_streams_time(suite):
    (stream,) = streams(Results(suite))
    assert [(c.method, c.inferred) for c in stream.curves] == [
        ("finetune", False), ("ewc", False), ("ewc", True),
    ]  # fmt: skip
    times, totals = stream.curves[0].runs[0].total()
    assert times.tolist() == [0, 164, 400]
    assert totals == pytest.approx([0, 0.5 + 0.3, 0 + 1])  # 2.0 counts for 1
    assert [float(stream.final(c)[0]) for c in stream.curves] == pytest.approx([1.0, 1.75, 1.3])


def test_the_ceiling_gives_each_task_what_it_had_by_then(suite):
    (stream,) = streams(Results(suite))
    times, ceiling = stream.ceiling(stream.curves[0].runs[0])
    assert times.tolist() == [0, 100, 200, 300, 400]
    # pong has had 100 steps after the first visit, black 100 after the second, which is half way.
    assert ceiling == pytest.approx([0, 0.5, 0.5 + 0.4, 1 + 0.4, 1 + 0.8])


def test_contexts_are_counted_by_task_and_time_and_switches_timed(suite):
    (stream,) = streams(Results(suite))
    run = stream.curves[2].runs[0]
    found = recognised(run, parts=4)
    assert found.contexts == ("context-0", "context-1", "context-2")
    expected = np.array(
        [
            [[10, 0], [0, 0], [0, 0]],
            [[0, 1], [0, 9], [0, 0]],
            [[6, 0], [0, 0], [4, 0]],
            [[0, 0], [0, 0], [0, 10]],
        ]
    )
    assert found.table.tolist() == expected.tolist()
    assert found.purity == pytest.approx((16 + 9 + 10) / 40)
    # One context a task: context-0 for pong, context-2 for black.
    assert found.accuracy == pytest.approx((16 + 10) / 40)
    # The last context belongs to black, and was the current one already as its visit began.
    assert found.delays.tolist() == [16, 40, 0]
    assert recognised(stream.curves[0].runs[0]) is None


def test_a_context_that_two_tasks_share_is_right_where_its_own_begins(tmp_path):
    stays = tuple(TaskVisit(name, 100) for name in (A, B, A))
    rows = [
        visit_row("contexts", visit, task, 100, counts={"context-0": 10})
        for visit, task in enumerate((A, B, A))
    ]
    labels = {"kind": "forget-me-not"}
    (stream,) = streams(
        Results(folder(tmp_path, [(spec("all", "ewc", stays, labels=labels), rows)]))
    )
    assert recognised(stream.curves[0].runs[0]).delays.tolist() == [np.inf, 0]


def test_streams_are_no_sequences_and_their_page_says_what_came(suite):
    assert sequences(Results(suite)) == []
    page = write_report(suite).read_text()
    assert "2 tasks that come back, one network" in page
    for words in ("1.75", "1.30", "In the end 1.00 of 2", "0.875", "1.80 in the end"):
        assert words in page, words
    assert (suite.path / "figures" / "stream-totals-0.png").exists()
    assert (suite.path / "figures" / "stream-contexts-0.png").exists()
    # One seed is never bold.
    assert 'class="main"' not in page

    charts = charts_of(page)
    (panel,) = charts["stream-schedule-0"]["panels"]
    assert panel["yNames"] == ["Pong", "Black, swapped"]
    assert [line["y"] for line in panel["lines"]] == [[0] * 6, [1] * 6]
    assert panel["lines"][0]["x"] == [0, 100, None, 200, 300, None]
    assert panel["lines"][1]["x"] == [100, 200, None, 300, 400, None]
    assert panel["lines"][1]["labels"][3] == "visit 4, steps 300 to 400"

    (stream,) = streams(Results(suite))
    table = recognised(stream.curves[2].runs[0]).table
    panels = charts["stream-contexts-0"]["panels"]
    assert len(panels) == len(table)
    for panel, counts in zip(panels, table, strict=True):
        (cells,) = panel["lines"]
        assert panel["xNames"] == ["Pong", "Black, swapped"]
        shown = np.zeros_like(counts)
        for x, y, words in zip(cells["x"], cells["y"], cells.get("texts", []), strict=True):
            shown[y, x] = float(words)
        np.testing.assert_array_equal(shown, counts)


def test_tasks_without_a_human_score_have_their_own_in_a_table(suite, monkeypatch):
    from colonnade.experiments.results import stream as module

    scale = module._scale
    monkeypatch.setattr(
        module, "_scale", lambda task: None if "black" in task.name else scale(task)
    )
    (stream,) = streams(Results(suite))
    assert stream.unscored == (B,)
    assert [stream.last_scores(curve, B).tolist() for curve in stream.curves] == [[3.4], [1.4], [1]]
    page = " ".join(re.sub(r"<[^>]+>", " ", str(StreamSection(Results(suite)).html({}))).split())
    assert "Tasks without a human score Curve Black, swapped Seeds No penalty 3.40 1 EWC" in page
    assert "Sum of scores in the end" in page
    # Of a user's own there is no sum at all, and complete runs are seeds all the same.
    monkeypatch.setattr(module, "_scale", lambda task: None)
    page = " ".join(re.sub(r"<[^>]+>", " ", str(StreamSection(Results(suite)).html({}))).split())
    assert "Curve Pong Black, swapped Seeds No penalty -0.60 3.40 1 EWC" in page
    assert "Sum of scores in the end" not in page


def test_what_failed_is_no_end_of_a_streams_line(suite, tmp_path):
    (stream,) = streams(Results(suite))
    (run,) = stream.curves[0].runs
    more = replace(run.run.spec, seed=1)
    plan = Plan((*suite.plan.runs, more))
    place = suite.run(more.id).path
    place.mkdir()
    rows = run.run.folder.metrics_path.read_text().splitlines()
    (place / "metrics.jsonl").write_text("\n".join(rows[:6]) + "\n")
    (place / "spec.json").write_text(json.dumps(more.to_json()))
    (both,) = streams(Results(replace(suite, plan=plan)))
    assert both.curves[0].line.steps.size < stream.curves[0].line.steps.size
    (place / "failed.json").write_text('{"reason": "The disk is full."}')
    (without,) = streams(Results(replace(suite, plan=plan)))
    assert without.curves[0].line.steps.tolist() == stream.curves[0].line.steps.tolist()


def test_short_turns_are_a_curve_of_their_own_and_no_part_of_what_the_paper_says(tmp_path):
    long = tuple(TaskVisit(name, 99) for name in ORDER)
    short = tuple(TaskVisit(name, 24) for name in ORDER * 4)
    none = [*scored(0, A, 0, {A: -0.6, B: -0.6}), *scored(3, B, 99, {A: -0.6, B: 1.4})]
    turns = [*scored(0, A, 0, {A: -0.6, B: -0.6}), *scored(15, B, 24, {A: 1.0, B: 1.2})]
    told = [*scored(3, B, 99, {A: 0.9, B: 1.4})]
    suite = folder(
        tmp_path,
        [
            (spec("in turns", "finetune", short), turns),
            (spec("no penalty", "finetune", long), none),
            (spec("EWC, labels", "ewc", long), told),
        ],
    )
    (stream,) = streams(Results(suite))
    assert {c.title: (c.turns, float(stream.final(c)[0])) for c in stream.curves} == {
        "No penalty": (False, pytest.approx(1.0)),
        "EWC, tasks told": (False, pytest.approx(1.75)),
        "Joint training, in short turns": (True, pytest.approx(0.8 + 0.9)),
    }
    assert len({c.colour for c in stream.curves}) == 3
    page = write_report(suite).read_text()
    for words in (
        "In the end 1.00 of 2", "1.75 of 2, +0.75 against no penalty", "in 16 visits",
        "4 visits in random",
    ):  # fmt: skip
        assert words in page, words
    (schedule,) = charts_of(page)["stream-schedule-0"]["panels"]
    assert schedule["lines"][0]["x"] == [0, 99, None, 198, 297, None]


def test_a_sum_within_its_error_of_random_play_divides_nothing(tmp_path):
    stays = tuple(TaskVisit(name, 100) for name in ORDER)

    def ratios(path, *bare):
        told = scored(3, B, 100, {A: 0.9, B: 1.4})
        runs = [(spec("EWC, labels", "ewc", stays), told)]
        for seed, sums in enumerate(bare):
            rows = scored(3, B, 100, {A: RANDOM + sums, B: RANDOM + sums})
            runs.append((spec("no penalty", "finetune", stays, seed=seed), rows))
        table = table_of(write_report(folder(path, runs)).read_text(), "Times no penalty")
        return table["EWC, tasks told"]["Times no penalty"]

    assert ratios(tmp_path / "apart", 1.0, 1.5) == "1.40"  # 1.75 / 1.25
    assert ratios(tmp_path / "within", 0.7, -0.5) == "?"  # 0.1, of which the error is 0.6


def test_no_penalty_is_the_same_learners_over_as_many_steps(tmp_path):
    stays = tuple(TaskVisit(name, 100) for name in ORDER)
    runs = [
        (spec("none", "finetune", stays), scored(3, B, 100, {A: -0.2, B: -0.2})),
        (spec("EWC", "ewc", stays), scored(3, B, 100, {A: 0.4, B: 0.4})),
        (
            spec("none by PPO", "finetune", stays, learner="ppo"),
            scored(3, B, 100, {A: 1.0, B: 1.0}),
        ),
        (spec("EWC by PPO", "ewc", stays, learner="ppo"), scored(3, B, 100, {A: 1.0, B: 1.0})),
    ]
    page = write_report(folder(tmp_path / "both", runs)).read_text()
    table = table_of(page, "Times no penalty")
    ratios = {title: row["Times no penalty"] for title, row in table.items()}
    assert ratios == {
        "No penalty (DQN)": "", "EWC, tasks told (DQN)": "2.50",
        "No penalty (PPO)": "", "EWC, tasks told (PPO)": "1.00",
    }  # fmt: skip
    for words in ("DQN: In the end 1.00 of 2, +0.60 against", "PPO: In the end 1.60 of 2, +0.00"):
        assert words in page, words
    longer = spec("none", "finetune", stays * 2), scored(7, B, 100, {A: -0.2, B: -0.2})
    page = write_report(folder(tmp_path / "longer", [longer, runs[1]])).read_text()
    assert table_of(page, "Times no penalty")["EWC, tasks told"]["Times no penalty"] == ""
    assert "against no penalty" not in page


def test_other_tasks_under_a_seed_are_another_stream(tmp_path):
    stays = tuple(TaskVisit(name, 100) for name in ORDER)
    moved = tuple(TaskVisit(name, 100) for name in OTHERS * 2)
    others = tuple(TaskBudget(name, 200) for name in OTHERS)
    suite = folder(
        tmp_path,
        [
            (spec("none", "finetune", stays), scored(3, B, 100, {A: -0.2, B: -0.2})),
            (spec("others", "finetune", moved, tasks=others), []),
        ],
    )
    assert [[len(c.runs) for c in stream.curves] for stream in streams(Results(suite))] == [[1]] * 2


def test_what_was_set_differently_is_no_seed_and_more_rounds_are_no_short_turns(tmp_path):
    long = tuple(TaskVisit(name, 100) for name in ORDER)
    told = [*scored(3, B, 100, {A: 0.9, B: 1.4})]
    weak = [*scored(3, B, 100, {A: -0.6, B: 1.4})]
    twice = [*scored(7, B, 100, {A: -0.6, B: 1.0})]
    single = [*scored(0, A, 200, {A: 1.4}), *scored(1, B, 200, {B: 1.4})]
    other = [*scored(0, A, 200, {A: 0.4}), *scored(1, B, 200, {B: 1.4})]
    alone = (TaskVisit(A, 200), TaskVisit(B, 200))
    suite = folder(
        tmp_path,
        [
            (spec("EWC strong", "ewc", long, method_options={"lam": 10.0}), told),
            (spec("EWC weak", "ewc", long, method_options={"lam": 1.0}), weak),
            (spec("more rounds", "finetune", long * 2), twice),
            (spec("singles", "scratch", alone), single),
            (spec("singles by PPO", "scratch", alone, learner="ppo"), other),
        ],
    )
    (stream,) = streams(Results(suite))
    assert {c.title: (c.turns, float(stream.final(c)[0])) for c in stream.curves} == {
        "EWC, tasks told (DQN): EWC strong": (False, pytest.approx(1.75)),
        "EWC, tasks told (DQN): EWC weak": (False, pytest.approx(1.0)),
        "No penalty (DQN)": (False, pytest.approx(0.8)),
    }
    _, ceiling = stream.ceiling(stream.curves[0].runs[0])
    assert ceiling[-1] == pytest.approx(2)  # DQN's own


def test_the_bounds_of_a_plan_are_replay_and_the_same_steps_in_turns():
    design = replace(DESIGN, replay={"weight": 0.1}, turns=4)
    plan, bare = design.plan(SuiteOptions(seeds=2)), DESIGN.plan(SuiteOptions(seeds=2))
    assert [run.method for run in plan.runs[:6]] == [
        "finetune", "ewc", "ewc", "scratch", "replay", "finetune",
    ]  # fmt: skip
    assert plan.runs[:4] == bare.runs[:4]
    none, *_, replay, turns = plan.runs[:6]
    assert replay.visits == none.visits
    assert replay.method_options == {"weight": 0.1}
    assert [v.steps for v in turns.visits] == [25] * 16
    assert all(a.task != b.task for a, b in zip(turns.visits, turns.visits[1:], strict=False))
    for part in range(0, 16, 2):  # no task waits for long
        assert {v.task for v in turns.visits[part : part + 2]} == {A, B}
    assert turns.steps == none.steps
    assert len({plan.configuration(run) for run in plan.runs}) == 6


def test_a_plan_has_four_curves_a_seed_with_one_schedule_and_its_budget():
    plan = DESIGN.plan(SuiteOptions(seeds=2))
    assert [run.method for run in plan.runs] == ["finetune", "ewc", "ewc", "scratch"] * 2
    first, told, found, single = plan.runs[:4]
    assert first.visits == told.visits == found.visits
    assert {v.task for v in first.visits} == {A, B}
    assert [v.steps for v in first.visits] == [100] * 4
    assert all(a.task != b.task for a, b in zip(first.visits, first.visits[1:], strict=False))
    assert [(v.task, v.steps) for v in single.visits] == [(A, 200), (B, 200)]
    assert (told.labels, found.labels) == ({}, {"kind": "forget-me-not"})
    assert told.method_options["start"] == 50
    assert plan.steps == 2 * 4 * 400
    seeds = DESIGN.plan(SuiteOptions(seeds=6))
    assert len({run.visits for run in seeds.runs}) == 3  # two orders, and each task alone
    assert len({seeds.configuration(run) for run in seeds.runs}) == 4
    double = DESIGN.plan(SuiteOptions(seeds=1, budget=2.0)).runs[1]
    assert double.visits[0].steps == 200
    assert double.method_options["start"] == 100
    assert double.learner_options == first.learner_options
    half = DESIGN.plan(SuiteOptions(seeds=1, budget=0.5)).runs[0]
    given = {"warm_up": 10, "replay": 60, "learning_rate": 1e-3}
    assert half.learner_options == given | {"target_every": 3_750, "explore_steps": 500_000}


def test_sets_are_drawn_from_the_pool_and_seeds_share_them():
    from colonnade.errors import UsageError
    from colonnade.experiments.suites.ewc.stream import ATARI, GAMES

    sets = [ATARI.tasks(SuiteOptions(), seed) for seed in range(8)]
    assert len(GAMES) == 19
    assert {len(each) for each in sets} == {10}
    assert sets[0] == sets[1] == sets[3] != sets[4]
    assert len(ATARI.tasks(SuiteOptions(games=3), 0)) == 3
    with pytest.raises(UsageError, match="from 2 tasks to the 19"):
        ATARI.tasks(SuiteOptions(games=20), 0)
    runs = ATARI.plan(SuiteOptions(seeds=1, games=3, budget=0.02)).runs
    assert runs[1].visits[0].steps == 25_000
    assert runs[1].learner_options == {
        "replay": 1_000, "warm_up": 1_000, "target_every": 150, "explore_steps": 20_000
    }  # fmt: skip
    assert ATARI.plan(SuiteOptions(seeds=1, games=3)).runs[1].learner_options == {}


def test_the_fishers_of_two_games_are_compared_over_the_weights_that_they_share(monkeypatch):
    from colonnade.experiments.execution import analyses
    from colonnade.experiments.plans.build import build_learner, build_method, build_tasks

    made = DESIGN.plan(SuiteOptions()).runs[1]
    assert made.analyses == ("fisher-overlap",)
    tasks, method, learner = build_tasks(made), build_method(made), build_learner(made)
    for task in tasks:
        method.begin_task(task.spec, 3)
    monkeypatch.setattr(analyses, "_STATES", 60)
    rows = analyses.analyse("fisher-overlap", tasks, method, learner)
    layers = [row["layer"] for row in rows]
    assert layers == [*(f"columns.0.stages.{n}" for n in range(3)), "columns.0.output"]
    assert all(0.3 < row["overlap"] < 1 - 1e-6 for row in rows)
    same = analyses.analyse("fisher-overlap", [tasks[0], tasks[0]], method, learner)
    assert all(row["overlap"] == pytest.approx(1) for row in same)


def test_a_renamed_task_keeps_its_scale_and_a_games_name_lends_none():
    tasks = (
        TaskBudget("mini-pong/pong", 200, {"name": "left"}),
        TaskBudget("CartPole-v1", 200, {"name": "pong"}),
    )
    visits = (TaskVisit("left", 100), TaskVisit("pong", 100))
    made = spec("renamed", "finetune", visits, tasks=tasks)
    rows = [
        {"kind": "test", "task": "left", "task_index": 0, "visit": 0, "step": 100,
         "tested": name, "tested_index": n, "return_mean": value}
        for n, (name, value) in enumerate({"left": 0.4, "pong": 21.0}.items())
    ]  # fmt: skip
    run = StreamRun(SimpleNamespace(spec=made), rows, ("left", "pong"))
    times, total = run.total()
    assert times.tolist() == [100]
    assert total == pytest.approx([0.5])
    assert run.scales == ((RANDOM, HUMAN), None)
    with pytest.raises(ValueError, match="Task pong has no human score"):
        run.own_curve(1)


@pytest.mark.parametrize(
    ("name", "game"),
    [("atari/MsPacman", "ms_pacman"), ("atari/Breakout", "breakout"), ("gym/pong", None)],
)
def test_games_have_their_scale_however_they_are_spelt(name, game):
    run = SimpleNamespace(spec=spec("one", "ewc", (), tasks=(TaskBudget(name, 100),)))
    (scale,) = StreamRun(run, (), ()).scales
    assert scale == HUMAN_SCORES.get(game)
