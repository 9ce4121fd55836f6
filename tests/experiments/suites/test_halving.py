"""Each cell with its own best of several draws: who goes on is worked out anew from the scores."""

import json
import shutil
from dataclasses import replace

import pytest

from colonnade.cli.measuring import results_of
from colonnade.errors import UsageError
from colonnade.experiments.execution.schedule import Schedule
from colonnade.experiments.launch.changes import with_changes
from colonnade.experiments.plans.plan import SuiteOptions
from colonnade.experiments.plans.search_space import PAPER_FOR_PPO, Choice, SearchSpace
from colonnade.experiments.results.choices import choices
from colonnade.experiments.results.facts import facts
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.results.two_folders import lay_side_by_side
from colonnade.experiments.store.files import write_json
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.store.parents import as_learned, with_choice
from colonnade.experiments.store.reading import read_json
from colonnade.experiments.suites import suite_from_name
from colonnade.experiments.suites.designs.halving import HalvingDesign, Round
from colonnade.experiments.suites.designs.transfer import TransferDesign
from colonnade.reports.suite import write_report
from support.fabricated import fabricate_run
from support.reading import table_of

SPACE = SearchSpace(
    learner={"learning_rate": Choice(tuple(1e-4 * n for n in range(1, 90)))},
    column={"alpha": Choice(tuple(0.01 * n for n in range(1, 90)))},
)
DESIGN = HalvingDesign(
    transfer=TransferDesign(
        family="mini-pong",
        sources=("pong",),
        targets=("zoom",),
        methods=("scratch", "progressive"),
        source_steps=900,
        target_steps=800,
        seeds=2,
        column={"preset": "tiny"},
        training_options={"num_envs": 2, "curve_steps": 100},
    ),
    rounds=(Round(4, 200), Round(2, 400)),
    spaces={"ppo": SPACE},
)
SCORES = {
    "scratch zoom, round 1": (-3.0, -1.0, -4.0, -2.0),
    "scratch zoom, round 2": (-1.5, -1.2),
    "progressive pong to zoom, round 1": (5.0, 5.0, 1.0, 7.0),
    "progressive pong to zoom, round 2": (9.0, 8.0),
}
"""Of each round's tries, in their order."""

GOES_ON = {"scratch zoom": (1, 3), "progressive pong to zoom": (3, 0)}
"""Numbers of the two best draws, by hand; of equal ones the first."""

BEST = {"scratch zoom": 3, "progressive pong to zoom": 3}
"""Of the second round: of scratch the second, of progressive the first."""


def complete(suite, plan):
    """Let every run that can begin end with the score that is meant for it."""
    schedule, order = Schedule(suite, plan, retry=False), []
    while not schedule.over:
        for spec in list(schedule.startable(lambda _: True)):
            way = spec.label.rpartition(", ")[0]
            place = [run for run in plan.runs if run.label.startswith(f"{way}, ")].index(spec)
            score = SCORES[way][place] if way in SCORES else 0.0
            fabricate_run(suite.run(spec.id).path, spec, [None, score], done=True)
            schedule.complete(spec.id)
            order.append(spec)
    return order


@pytest.fixture
def trained(tmp_path):
    plan = DESIGN.plan(SuiteOptions())
    suite = SuiteFolder(tmp_path / "out", "test", {}, plan).begin()
    return suite, complete(suite, plan)


def draw(number):
    return SPACE.draw(0, number)


def options_of(suite, spec):
    learned = with_choice(suite.path, spec)
    assert learned.column["preset"] == "tiny"
    return {**learned.learner_options, "alpha": learned.column["alpha"]}


def test_the_best_few_go_on_and_the_best_of_those_is_repeated_with_other_seeds(trained):
    suite, order = trained
    assert len(order) == len(suite.plan.runs) == 1 + 2 * (4 + 2 + 2)
    for way, goes_on in GOES_ON.items():
        runs = [spec for spec in suite.plan.runs if spec.label.startswith(f"{way}, ")]
        first, second, reported = runs[:4], runs[4:6], runs[6:]
        assert [options_of(suite, spec) for spec in first] == [draw(n) for n in range(4)]
        assert [options_of(suite, spec) for spec in second] == [draw(n) for n in goes_on]
        assert [options_of(suite, spec) for spec in reported] == [draw(BEST[way])] * 2
        assert [spec.steps for spec in runs] == [200] * 4 + [400] * 2 + [800] * 2
        assert [spec.seed for spec in reported] == [0, 1]
        assert len({spec.seed for spec in runs}) == len(runs)
        # Nothing waits for what it doesn't need, and nothing begins before what it needs.
        ends = {spec.id: place for place, spec in enumerate(order)}
        for spec in runs:
            assert all(ends[before] < ends[spec.id] for before in suite.plan.waits_for(spec))


def test_only_what_is_repeated_is_compared(trained):
    suite, _ = trained
    compared = {entry.run for entry in suite.plan.comparisons}
    assert compared == {spec.id for spec in suite.plan.runs if spec.steps == 800}
    assert {(e.method, e.source) for e in suite.plan.comparisons} == {
        ("scratch", None),
        ("progressive-2", "pong"),
    }
    origins = {spec.parent for spec in suite.plan.runs if spec.method == "progressive"}
    (source,) = (spec for spec in suite.plan.runs if spec.steps == 900)
    assert origins == {source.id}


def test_the_report_says_what_was_chosen_from_what(trained):
    suite, _ = trained
    found = {choice.title: choice for choice in choices(Results(suite))}
    assert list(found) == [
        "scratch zoom, round 1",
        "scratch zoom, round 2",
        "progressive pong to zoom, round 1",
        "progressive pong to zoom, round 2",
    ]
    for title, choice in found.items():
        assert tuple(each.score for each in choice.tries) == SCORES[title]
    for way, goes_on in GOES_ON.items():
        taken = found[f"{way}, round 1"].taken
        assert [each.name for each in taken] == [f"draw {number}" for number in goes_on]
        assert [each.values for each in taken] == [draw(number) for number in goes_on]
        (best,) = found[f"{way}, round 2"].taken
        assert best.values == draw(BEST[way])
    page = write_report(suite).read_text()
    row = table_of(page, "Taken on, the best first")["progressive pong to zoom, round 2"]
    rate, alpha = draw(3).values()
    assert row["Final scores"] == "8.00 to 9.00"
    assert row["Complete"] == "2 of 2"
    taken = row["Taken on, the best first"]
    assert taken == f"rank 1 of round 1: learning_rate {rate:.4g}, alpha {alpha:.4g}"


def test_seeds_and_columns_are_told_of_what_is_reported_as_it_learned(tmp_path):
    design = replace(DESIGN, transfer=replace(DESIGN.transfer, methods=("scratch",)))
    plan = design.plan(SuiteOptions())
    suite = SuiteFolder(tmp_path / "out", "test", {}, plan).begin()
    complete(suite, plan)
    told = dict(facts(Results(suite)))
    assert told["Seeds"] == "2 (0, 1)"
    assert told["Column"] == f"tiny, alpha {draw(BEST['scratch zoom'])['alpha']}"


def test_options_that_change_every_run_keep_the_ranks():
    plan = DESIGN.plan(SuiteOptions())
    changed = with_changes(plan, ["learner.gamma=0.9"])
    ranks = [choice.rank for choice in plan.selections]
    assert [choice.rank for choice in changed.selections] == ranks == [0, 1, 0] * 2


def test_a_choice_that_is_open_is_told_as_that(tmp_path):
    plan = DESIGN.plan(SuiteOptions())
    suite = SuiteFolder(tmp_path / "out", "test", {}, plan).begin()
    spec = plan.runs[0]
    fabricate_run(suite.run(spec.id).path, spec, [None, 1.0], done=True)
    assert choices(Results(suite))[0].taken == ()
    assert as_learned(suite.path, plan.runs[-1]) == plan.runs[-1]
    assert table_of(write_report(suite).read_text(), "Complete")["scratch zoom, round 1"] == {
        "Tries": "scratch zoom, round 1",
        "Complete": "1 of 4",
        "Final scores": "1.00 to 1.00",
        "Taken on, the best first": "not chosen yet",
    }


def test_where_fewer_are_complete_the_last_of_them_goes_on(tmp_path):
    plan = DESIGN.plan(SuiteOptions())
    suite = SuiteFolder(tmp_path / "out", "test", {}, plan).begin()
    first, second = [choice for choice in plan.selections if len(choice.runs) == 4][:2]
    spec = next(run for run in plan.runs if run.id == first.runs[2])
    fabricate_run(suite.run(spec.id).path, spec, [None, 1.0], done=True)
    assert first.rank == 0
    assert second == replace(first, rank=1)
    assert suite.choose(first) == suite.choose(second) == spec.id
    assert [(each.name, each.rank) for each in choices(Results(suite))[0].taken] == [("draw 2", 1)]


def test_all_ranks_are_chosen_at_once_whatever_is_begun_again_later(tmp_path):
    """With room for one run alone the second rank would else be chosen after a stop."""
    plan = DESIGN.plan(SuiteOptions())
    suite = SuiteFolder(tmp_path / "out", "test", {}, plan).begin()
    first, second = [choice for choice in plan.selections if len(choice.runs) == 4][:2]
    *done, failed = (next(run for run in plan.runs if run.id == name) for name in first.runs)
    for score, spec in enumerate(done):
        fabricate_run(suite.run(spec.id).path, spec, [None, float(score)], done=True)
    assert suite.choose(first) == done[2].id
    fabricate_run(suite.run(failed.id).path, failed, [None, 9.0], done=True)
    assert suite.choose(second) == suite.chosen(second.name) == done[1].id
    assert suite.choose(first) == done[2].id


def test_options_of_methods_that_were_drawn_go_on_too(tmp_path):
    lams = Choice((10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0))
    space = replace(SPACE, methods={"ewc": {"lam": lams}})
    transfer = replace(
        DESIGN.transfer, methods=("scratch", "ewc"), method_options={"ewc": {"lam": 1.0}}
    )
    plan = replace(DESIGN, transfer=transfer, spaces={"ppo": space}).plan(SuiteOptions())
    suite = SuiteFolder(tmp_path / "out", "test", {}, plan).begin()
    complete(suite, plan)
    runs = [spec for spec in plan.runs if spec.method == "ewc"]
    drawn = [space.draw(0, number)["ewc.lam"] for number in range(4)]
    assert len({*drawn}) > 1
    learned = [with_choice(suite.path, spec).method_options["lam"] for spec in runs]
    # All score alike, so that the first goes on.
    assert learned == [*drawn, *drawn[:2], drawn[0], drawn[0]]
    # Not to another method.
    scratch = replace(runs[-1], method="finetune", method_options={})
    assert with_choice(suite.path, scratch).method_options == {}


def test_random_scores_are_those_of_runs_that_are_reported(trained):
    suite, _ = trained
    for spec in suite.plan.runs:
        path = suite.run(spec.id).path / "result.json"
        result = json.loads(path.read_text())
        result["scores"][0]["return_mean"] = -10.0 if spec.id in suite.plan.tries else -20.0
        path.write_text(json.dumps(result))
    score = Results(suite).random_score("mini-pong/zoom")
    assert (score.mean, score.runs) == (-20.0, 4)


def test_a_choice_on_a_data_set_is_made_by_what_is_kept_for_it(trained):
    suite, _ = trained
    spec = suite.plan.runs[-1]
    path = suite.run(spec.id).path / "result.json"
    result = json.loads(path.read_text())
    random, tested = result["scores"]
    kept = {**tested, "policy": "validation", "return_mean": 0.5}
    path.write_text(json.dumps({**result, "scores": [random, kept, tested]}))
    assert suite.run(spec.id).score == 0.5
    assert Results(suite).runs[spec.id].final_score == tested["return_mean"]
    # That of an earlier task says nothing of the last one.
    before = {**kept, "task": "another"}
    path.write_text(json.dumps({**result, "scores": [random, before, tested]}))
    assert suite.run(spec.id).score == tested["return_mean"]


def test_what_only_tries_is_neither_analysed_nor_disturbed(trained):
    suite, _ = trained
    runs = [suite.run(spec.id) for spec in suite.plan.runs]
    assert sorted(run.spec.steps for run in results_of(suite, runs)) == [800] * 4 + [900]


def test_folders_that_chose_otherwise_differ(trained, tmp_path):
    suite, _ = trained
    shutil.copytree(suite.path, tmp_path / "other")
    other = SuiteFolder.read(tmp_path / "other")
    content = read_json(other.path / "choices.json")
    (last,) = (c for c in suite.plan.selections if c.name == suite.plan.runs[-1].learner_from)
    content[last.name]["run"] = last.runs[1]
    write_json(other.path / "choices.json", content)
    found = lay_side_by_side(suite, other)
    changed = {change[0] for row in found.rows for change in row.changes}
    assert changed == {"learner_options.learning_rate", "column.alpha"}
    # The source and the two cells that are reported; tries are neither rows nor missing.
    assert [row.words.partition(" ")[0] for row in found.rows] == [
        "scratch",
        "progressive-2",
        "source",
    ]
    assert found.missing == ()


def test_what_is_drawn_cannot_be_set():
    plan = DESIGN.plan(SuiteOptions())
    for change in ("learner.learning_rate=0.1", "column.alpha=7"):
        with pytest.raises(UsageError, match=r"which is drawn for each try, as for 'scratch zoom"):
            with_changes(plan, [change])


def test_what_was_taken_on_is_named_by_all_that_was_drawn(trained):
    """Also where those of the last round have it in common."""
    suite, _ = trained
    rounds = (Round(4, 200), Round(1, 400))
    plan = replace(DESIGN, rounds=rounds).plan(SuiteOptions())
    suite = SuiteFolder(suite.path.parent / "one", "test", {}, plan).begin()
    complete(suite, plan)
    (taken,) = choices(Results(suite))[1].taken
    assert taken.values == draw(GOES_ON["scratch zoom"][0])


def test_rounds_shrink():
    for rounds in ((), (Round(2, 100), Round(4, 200))):
        with pytest.raises(UsageError, match="each with at most as many tries as the one before"):
            replace(DESIGN, rounds=rounds)


def test_pong_soup_at_its_best_is_what_its_page_says():
    plan = suite_from_name("pong-soup-best").plan(SuiteOptions())
    cells = {run.label.partition(",")[0] for run in plan.runs}
    assert len(cells) == 4 * 4
    for cell in cells:
        runs = [run for run in plan.runs if run.label.startswith(f"{cell},")]
        assert [run.steps for run in runs] == [100_000] * 8 + [400_000] * 2 + [1_000_000] * 3
        for number, run in enumerate(runs[:8]):
            drawn = PAPER_FOR_PPO.draw(0, number)
            assert run.column == {"preset": "atari", "alpha": drawn.pop("alpha")}
            assert run.learner_options == drawn
        assert {run.parent for run in runs} in ({None}, {"bundled:pong-source"})


def test_two_of_its_draws_differ_in_alpha_alone_as_its_page_says():
    draws = [PAPER_FOR_PPO.draw(0, number) for number in range(8)]
    alphas = [draw.pop("alpha") for draw in draws]
    same = [(a, b) for b in range(8) for a in range(b) if draws[a] == draws[b]]
    assert same == [(5, 7)]
    assert alphas[5] != alphas[7]
