"""Two folders side by side, where the scores were written by hand."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fabricated import fabricate_run
from finished import run_spec
from scipy import stats

from colonnade.analysis.intervals import difference_interval
from colonnade.cli.main import main
from colonnade.errors import UsageError
from colonnade.experiments.plans.plan import Comparison, Plan
from colonnade.experiments.plans.selection import Selection
from colonnade.experiments.plans.spec import TaskBudget
from colonnade.experiments.plans.sweep import Sweep
from colonnade.experiments.results.two_folders import lay_side_by_side
from colonnade.experiments.store.folders import SuiteFolder

PLACES = {"scratch": None, "progressive": "pong"}


def folder(
    path: Path,
    scores: dict[str, Sequence[float]],
    sweep: Sweep | None = None,
    **changes: object,
) -> SuiteFolder:
    """Runs that end with these scores; scratch always, and progressive from pong."""
    specs, comparisons, ends = [], [], []
    for method, values in scores.items():
        for seed, value in enumerate(values):
            spec = replace(run_spec(f"{method}, seed {seed}", method, "mini-pong/zoom"), seed=seed)
            specs.append(replace(spec, **changes))  # type: ignore[arg-type]
            place = (method, PLACES[method], "mini-pong/zoom", seed)
            comparisons.append(Comparison(specs[-1].id, *place))
            ends.append(value)
    suite = SuiteFolder(path, "mine", {}, Plan(tuple(specs), tuple(comparisons)), sweep)
    suite.begin()
    for spec, end in zip(specs, ends, strict=True):
        fabricate_run(suite.run(spec.id).path, spec, [0.0, end], done=True)
    return suite


def test_the_interval_is_welchs() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(1, 1, 5), rng.normal(0, 3, 9)
    expected = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    found = difference_interval(ours, theirs)
    np.testing.assert_allclose(tuple(found), (expected.low, expected.high))
    assert not difference_interval(ours[:2], theirs).known


def test_differences_and_whether_they_exceed_the_noise(tmp_path: Path) -> None:
    one = folder(tmp_path / "a", {"scratch": [1, 2, 3], "progressive": [10, 11, 12]})
    two = folder(
        tmp_path / "b",
        {"scratch": [1.5, 2.5, 3.5], "progressive": [2, 3, 4]},
        learner_options={"gamma": 0.95},
    )
    found = lay_side_by_side(one, two)
    scratch, progressive = found.rows
    assert (scratch.words.split()[0], scratch.difference) == ("scratch", 0.5)
    assert scratch.verdict == "within the seeds' noise"
    assert (progressive.difference, progressive.verdict) == (-8, "worse, beyond the seeds' noise")
    assert progressive.interval.high < -4
    (back, _) = lay_side_by_side(two, one).rows[::-1]
    assert (back.difference, back.verdict) == (8, "better, beyond the seeds' noise")
    assert found.changes == (("learner_options.gamma", "as by default", "0.95"),)
    assert not any(row.changes for row in found.rows)
    assert found.missing == ()


def test_few_runs_say_nothing_and_gaps_are_named(tmp_path: Path) -> None:
    one = folder(tmp_path / "a", {"scratch": [1, 2], "progressive": [5, 6, 7]})
    two = folder(tmp_path / "b", {"scratch": [9, 9, 9]})
    found = lay_side_by_side(one, two)
    (row,) = found.rows
    assert row.verdict == "2 runs can't say; it takes 3"
    assert row.difference == 7.5
    assert found.missing == (f"progressive pong to zoom: no complete run in {two.path}",)


def test_runs_that_prepare_others_have_places_of_their_own(tmp_path: Path) -> None:
    suite = folder(tmp_path / "a", {"scratch": [1, 2, 3], "progressive": [5, 6]})
    first, *rest = suite.plan.comparisons
    part = replace(suite, plan=replace(suite.plan, comparisons=tuple(rest)))
    rows = lay_side_by_side(part, part).rows
    assert [(row.words.split()[0], row.before.tolist()) for row in rows] == [
        ("scratch", [2, 3]),
        ("progressive", [5, 6]),
        ("source", [1]),
    ]
    assert first.run not in {entry.run for entry in rest}


def test_what_differs_at_one_place_stands_there(tmp_path: Path) -> None:
    one = folder(tmp_path / "a", {"scratch": [1, 2, 3], "progressive": [5, 6, 7]})
    two = folder(tmp_path / "b", {"scratch": [1, 2, 3], "progressive": [5, 6, 7]})
    (result,) = (two.path / "runs").glob("progressive-seed-0*/result.json")
    content = json.loads(result.read_text())
    content["hardware"]["cpu"] = "Another"
    result.write_text(json.dumps(content))
    scratch, progressive = lay_side_by_side(one, two).rows
    assert scratch.changes == ()
    assert progressive.changes == (("hardware.cpu", "A processor", "Another"),)


def test_the_command_prints_all_of_it(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    one = folder(tmp_path / "a", {"scratch": [1, 2, 3]})
    two = folder(tmp_path / "b", {"scratch": [21, 22, 23]}, learner="a2c")
    assert main(["compare", str(one.path), str(two.path)]) == 0
    printed = re.sub(r"\s+", " ", capsys.readouterr().out)
    assert "2 (3)" in printed
    assert "22 (3)" in printed
    assert "+20 [+17.7 to +22.3]" in printed
    assert "better, beyond the seeds' noise" in printed
    assert f"learner: ppo in {one.path}, a2c in {two.path}" in printed


def test_folders_with_nothing_in_common(tmp_path: Path) -> None:
    one = folder(tmp_path / "a", {"scratch": [1, 2]})
    two = folder(tmp_path / "b", {"progressive": [1, 2]})
    with pytest.raises(UsageError, match="at no place in common"):
        lay_side_by_side(one, two)


def sequences(path: Path, ends: dict[str, Sequence[float]], **options: object) -> SuiteFolder:
    """Runs of two tasks that nothing compares, by what they are called, and their last scores."""
    tasks = (TaskBudget("mini-pong/pong", 1000), TaskBudget("mini-pong/zoom", 1000))
    pairs = []
    for label, values in ends.items():
        for seed, end in enumerate(values):
            spec = run_spec(f"{label}, seed {seed}", "finetune", "mini-pong/zoom")
            changes = {} if label == "one" else {"other": label}
            training = {"curve_steps": 100, **options}
            pairs.append((replace(spec, seed=seed, tasks=tasks, training_options=training,
                                  method_options=changes), end))  # fmt: skip
    suite = SuiteFolder(path, "mine", {}, Plan(tuple(spec for spec, _ in pairs)))
    suite.begin()
    for spec, end in pairs:
        fabricate_run(suite.run(spec.id).path, spec, [0.0, end], done=True)
    return suite


def test_kinds_of_runs_at_one_place_are_no_seeds_of_each_other(tmp_path: Path) -> None:
    both = {"one": [1, 2, 3], "other": [11, 12, 13]}
    found = lay_side_by_side(sequences(tmp_path / "a", both), sequences(tmp_path / "b", both))
    assert [(row.words, row.before.tolist(), row.difference) for row in found.rows] == [
        ("finetune mini-pong/pong to zoom: one", [1, 2, 3], 0),
        ("finetune mini-pong/pong to zoom: other", [11, 12, 13], 0),
    ]
    # One kind in each folder matches, whatever it is called.
    (row,) = lay_side_by_side(
        sequences(tmp_path / "c", {"one": [1, 2, 3]}), sequences(tmp_path / "d", {"x": [4, 5, 6]})
    ).rows
    assert (row.words, row.difference) == ("finetune mini-pong/pong to zoom", 3)


def children(path: Path, seeds: Sequence[int], **changes: object) -> SuiteFolder:
    """Runs with two parents each, which nothing compares."""
    runs = []
    for seed in seeds:
        parents = [
            replace(run_spec(f"{name}, seed {seed}", "scratch", f"mini-pong/{name}"), seed=seed)
            for name in ("pong", "h-flip")
        ]
        both = run_spec(f"both, seed {seed}", "progressive", "mini-pong/zoom")
        names = tuple(parent.id for parent in parents)
        runs += [*parents, replace(both, seed=seed, parents=names)]
    best = Selection(tuple(run.id for run in runs))
    changes = {
        name: best.name if name == "learner_from" else value for name, value in changes.items()
    }
    runs.append(replace(run_spec("last", "scratch", "mini-pong/white"), **changes))  # type: ignore[arg-type]
    suite = SuiteFolder(path, "mine", {}, Plan(tuple(runs), selections=(best,)))
    suite.begin()
    for spec in runs:
        fabricate_run(suite.run(spec.id).path, spec, [0.0, 1.0], done=True)
    return suite


def test_ids_of_other_seeds_are_no_changed_setting(tmp_path: Path) -> None:
    one, two = (
        children(tmp_path / name, seeds, learner_from=True)
        for name, seeds in (("a", (0, 1)), ("b", (2, 3)))
    )
    found = lay_side_by_side(one, two)
    assert len(found.rows) == 4
    assert [*found.changes, *(change for row in found.rows for change in row.changes)] == []
    plain = children(tmp_path / "c", (0, 1))
    (row,) = (row for row in lay_side_by_side(one, plain).rows if row.changes)
    assert row.changes == (("learner_from", "the best run of a selection", "as by default"),)


def test_pruned_sequences_are_compared_by_what_is_known_of_them(tmp_path: Path) -> None:
    suites = []
    for name, ends in (("a", [1, 2, 3]), ("b", [4, 5, 6])):
        suites.append(sequences(tmp_path / name, {"one": ends}, test_episodes=8))
        for run in suites[-1].runs:
            result = json.loads((run.path / "result.json").read_text())
            scores = [row for row in result["scores"] if row["policy"] != "random"]
            scores += [{**row, "policy": "original"} for row in scores]
            pruned = {**result, "scores": scores, "pruning": {}}
            (run.path / "result.json").write_text(json.dumps(pruned))
    (row,) = lay_side_by_side(*suites).rows
    assert (row.gained, row.before.tolist(), row.difference) == (False, [1, 2, 3], 3)
    whole = sequences(tmp_path / "c", {"one": [7, 8, 9]}, test_episodes=8)
    (row,) = lay_side_by_side(suites[0], whole).rows
    assert (row.gained, row.after.tolist(), row.difference) == (False, [7, 8, 9], 6)


def test_both_sides_have_one_measure(tmp_path: Path, capsys) -> None:
    plain = sequences(tmp_path / "a", {"one": [1, 2, 3]})
    looking = sequences(tmp_path / "b", {"one": [1, 2, 3]}, test_episodes=8)
    (row,) = lay_side_by_side(plain, looking).rows
    assert (row.gained, row.difference) == (False, 0)
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    assert "Final scores: means over so many runs" in capsys.readouterr().out
    (row,) = lay_side_by_side(looking, looking).rows
    assert (row.gained, row.before.tolist()) == (True, [21, 22, 23])  # above the random -20


def test_equal_scores_are_equal_however_many_they_are(tmp_path: Path) -> None:
    one = folder(tmp_path / "a", {"scratch": [0.955] * 3})
    two = folder(tmp_path / "b", {"scratch": [0.955] * 9})
    assert np.mean([0.955] * 3) != np.mean([0.955] * 9)
    (row,) = lay_side_by_side(one, two).rows
    assert row.verdict == "within the seeds' noise"


def test_the_best_jobs_of_a_sweep_are_no_sample(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = folder(tmp_path / "a", {"scratch": [1, 2, 3, 4, 5]})
    path, scores = tmp_path / "a folder of a long name", {"scratch": [11, 12, 13, 14, 15]}
    two = folder(path, scores, Sweep(jobs=5, top=3))
    found = lay_side_by_side(one, two)
    (row,) = found.rows
    assert list(row.after) == [15, 14, 13]
    assert (row.verdict, row.interval.known) == ("the best jobs are no sample", False)
    assert main(["compare", str(one.path), str(two.path)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "the best 3 of 5 jobs, by their areas" in printed
    assert "intervals" not in printed
    assert "a folder of a long name" in printed


def test_configurations_of_one_name_are_no_seeds_of_each_other(tmp_path: Path) -> None:
    def rates(path: Path, ends: dict[float, float], **changes: object) -> SuiteFolder:
        specs, values = [], []
        for rate, end in ends.items():
            for seed in range(3):
                spec = replace(run_spec("ppo", "scratch", "mini-pong/zoom"), seed=seed)
                options = {"learning_rate": rate, **changes}
                specs.append(replace(spec, learner_options=options))
                values.append(end + seed / 100)
        suite = SuiteFolder(path, "mine", {}, Plan(tuple(specs)))
        suite.begin()
        for spec, end in zip(specs, values, strict=True):
            fabricate_run(suite.run(spec.id).path, spec, [0.0, end], done=True)
        return suite

    both, one = rates(tmp_path / "a", {1e-3: 10, 0.1: 1}), rates(tmp_path / "b", {1e-3: 9})
    found = lay_side_by_side(both, one)
    (row,) = found.rows
    assert row.words == "scratch zoom: ppo (learner_options.learning_rate 0.001)"
    assert row.before.tolist() == [10, 10.01, 10.02]
    assert row.difference == pytest.approx(-1)
    assert row.verdict == "worse, beyond the seeds' noise"
    other = "scratch zoom: ppo (learner_options.learning_rate 0.1)"
    assert found.missing == (f"{other}: no complete run in {one.path}",)
    # One of a name in each folder match, however they are configured.
    (row,) = lay_side_by_side(one, rates(tmp_path / "c", {0.1: 8}, gamma=0.9)).rows
    assert row.difference == pytest.approx(-1)
