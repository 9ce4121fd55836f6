"""Sweeps: which runs they come to, from which columns, and what a folder of one says."""

import csv
import json
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fabricated import fabricate_run
from finished import AROUND

from colonnade.analysis.top_k import score_intervals
from colonnade.cli.display import job_columns
from colonnade.cli.main import main
from colonnade.errors import UsageError
from colonnade.experiments.execution.schedule import Schedule
from colonnade.experiments.launch.suite import begin
from colonnade.experiments.launch.sweep import begin_sweep, plan_sweep
from colonnade.experiments.plans.build import build_learner, build_method
from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.experiments.plans.selection import Selection
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.plans.sweep import Sweep
from colonnade.experiments.results.matrix_and_table import matrix_of, transfer_table
from colonnade.experiments.results.sweep.early_stop import MedianRule
from colonnade.experiments.results.sweep.jobs import hyperparameters, job_rows
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.store.parents import read_parent
from colonnade.experiments.suites import SUITES, suite_from_name
from colonnade.experiments.suites.progressive.atari import SOURCES, TARGETS
from colonnade.reports.suite import write_report

SMALL = SuiteOptions(budget=0.1, tasks=("zoom",), methods=("finetune", "progressive"))
MINI = suite_from_name("pong-soup-mini")
Fabricate = Callable[..., SuiteFolder]


def cells(plan: Plan) -> Counter[tuple[str, str | None, str]]:
    return Counter((entry.method, entry.source, entry.target) for entry in plan.comparisons)


def test_every_cell_is_trained_by_every_job_once() -> None:
    plan = plan_sweep(MINI, Sweep(jobs=4), SuiteOptions())
    once = MINI.once(SuiteOptions())
    assert cells(plan) == dict.fromkeys(cells(once), 4)
    assert len(plan.runs) == 4 * len(once.runs)
    for spec in plan.runs:
        assert spec.label.endswith(f"job {spec.seed}")


def test_jobs_have_their_draws_in_every_cell() -> None:
    sweep = Sweep(jobs=6, seed=3)
    plan = plan_sweep(MINI, sweep, SMALL)
    folder = SuiteFolder(Path(), "pong-soup-mini", {}, plan, sweep)
    space = MINI.space("ppo")
    for spec in plan.runs:
        drawn = space.draw(3, sweep.number_of(spec.seed))
        assert hyperparameters(folder, spec) == drawn
        assert spec.learner_options["learning_rate"] == drawn["learning_rate"]
        assert isinstance(spec.column, dict)
        assert spec.column["alpha"] == drawn["alpha"]
    shown = job_columns(folder)(plan.runs[0])
    assert shown["job"] == "0"
    assert list(shown)[2:] == ["learning_rate", "entropy_cost", "clip_norm", "alpha"]


def test_what_starts_from_a_source_starts_from_its_best_job() -> None:
    plan = plan_sweep(MINI, Sweep(jobs=3), SuiteOptions())
    by_id = {spec.id: spec for spec in plan.runs}

    def origin(spec: RunSpec) -> list[str]:
        return sorted({by_id[run].label.rpartition(", ")[0] for run in plan.parents(spec)})

    for spec in plan.runs:
        what, _, to = spec.label.rpartition(", ")[0].partition(" to ")
        if not to:
            assert plan.parents(spec) == ()
        elif ", " in what:
            assert origin(spec) == ["progressive pong to noisy"]
        else:
            assert origin(spec) == [f"source {what.split()[1]}"]
            assert len(plan.parents(spec)) == 3


def test_more_jobs_keep_the_source_columns_and_the_other_runs() -> None:
    first = plan_sweep(MINI, Sweep(jobs=3), SuiteOptions())
    more = plan_sweep(MINI, Sweep(jobs=3, added=2), SuiteOptions())
    assert more.selections == first.selections
    assert {spec.id for spec in first.runs} < {spec.id for spec in more.runs}
    assert cells(more) == dict.fromkeys(cells(first), 5)


def test_jobs_that_count_by_all_tasks_are_not_given_up_by_the_last(tmp_path: Path) -> None:
    suite = suite_from_name("ewc-permuted")
    for early_stop in (True, False):
        sweep = Sweep(jobs=2, top=1, early_stop=early_stop)
        if early_stop:
            with pytest.raises(UsageError, match="jobs of 'ewc-permuted' count by what they gain"):
                begin_sweep(suite, tmp_path / "out", sweep, SuiteOptions(budget=0.01))
            assert not (tmp_path / "out").exists()
        else:
            begin_sweep(suite, tmp_path / "out", sweep, SuiteOptions(budget=0.01))
    assert begin_sweep(MINI, tmp_path / "mini", Sweep(jobs=2, top=1, early_stop=True), SMALL)


def test_what_waits_for_its_baselines_jobs_is_not_ill_defined(tmp_path: Path) -> None:
    sweep = Sweep(jobs=4, top=2)
    plan = plan_sweep(MINI, sweep, replace(SMALL, methods=("finetune",)))
    suite = SuiteFolder(tmp_path / "out", "pong-soup-mini", {}, plan, sweep)
    suite.begin()
    by_id = {spec.id: spec for spec in plan.runs}

    def complete(method: str, jobs: set[int]) -> None:
        for entry in plan.comparisons:
            spec = by_id[entry.run]
            if entry.method == method and sweep.number_of(spec.seed) in jobs:
                fabricate_run(suite.run(spec.id).path, spec, [-20.0, 0.0, 10.0, 20.0], done=True)

    complete("scratch", {0, 1})
    complete("finetune", {2, 3})
    results = Results(suite)
    found = [cell for cell in results.cells if cell.method == "finetune"]
    assert found
    assert all(cell.awaited and math.isnan(cell.score) for cell in found)
    assert "does not exceed the error" not in write_report(suite).read_text()
    assert not matrix_of(results).complete.any()
    complete("scratch", {2})
    found = [cell for cell in Results(suite).cells if cell.method == "finetune"]
    assert not any(cell.awaited for cell in found)
    assert [cell.score for cell in found] == [1.0] * len(found)


def test_tasks_and_methods_narrow_a_suite() -> None:
    plan = plan_sweep(MINI, Sweep(jobs=2, top=1), SMALL)
    assert {entry.target for entry in plan.comparisons} == {"mini-pong/zoom"}
    methods = {entry.method for entry in plan.comparisons}
    assert methods == {"scratch", "finetune", "progressive-2", "progressive-3"}
    only = plan_sweep(MINI, Sweep(jobs=2, top=1), replace(SMALL, methods=("progressive-2",)))
    assert {entry.method for entry in only.comparisons} == {"scratch", "progressive-2"}
    for changes, words in (
        ({"tasks": ("zom",)}, "did you mean 'zoom'"),
        ({"methods": ("finetun",)}, "did you mean 'finetune'"),
    ):
        with pytest.raises(UsageError, match=words):
            plan_sweep(MINI, Sweep(), replace(SMALL, **changes))


def test_a_plan_with_selections_is_read_as_it_was_written() -> None:
    plan = plan_sweep(MINI, Sweep(jobs=2, top=1), SMALL)
    assert Plan.from_json(json.loads(json.dumps(plan.to_json())), "here") == plan


@pytest.fixture
def small(tmp_path: Path) -> SuiteFolder:
    return begin_sweep(MINI, tmp_path / "out", Sweep(jobs=4, top=2), SMALL)


def test_a_folder_goes_on_with_the_same_sweep_only(small: SuiteFolder) -> None:
    out = small.path
    again = begin_sweep(MINI, out, Sweep(jobs=4, top=2), SMALL)
    assert SuiteFolder.read(out) == again == small
    more = begin_sweep(MINI, out, Sweep(jobs=4, top=2, added=1), SMALL)
    # The first command goes on with the jobs that were added since.
    assert begin_sweep(MINI, out, Sweep(jobs=4, top=2), SMALL) == more
    assert begin_sweep(MINI, out, Sweep(jobs=4, top=1), SMALL).sweep == Sweep(
        jobs=4, top=1, added=1
    )
    for wrong in (Sweep(jobs=3), Sweep(jobs=4, seed=1), Sweep(jobs=4, ranges=("alpha=1",))):
        with pytest.raises(UsageError, match="belongs to a sweep of suite 'pong-soup-mini' with"):
            begin_sweep(MINI, out, wrong, SMALL)
    with pytest.raises(UsageError, match="but a sweep of suite 'pong-soup' with"):
        begin_sweep(suite_from_name("pong-soup"), out, Sweep(), SuiteOptions(tasks=("zoom",)))
    with pytest.raises(UsageError, match=r"belongs to a sweep .* but suite 'pong-soup-mini'"):
        begin(MINI, out, SuiteOptions())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pong-soup-min"], "did you mean 'pong-soup-mini'"),
        (["mine.json"], "mine.json is missing"),
        (["pong-soup-mini", "--seeds", "3"], "leave --seeds out, give --jobs"),
        (["pong-soup-mini", "--learner", "pp"], "did you mean 'ppo'"),
    ],
)
def test_what_cannot_be_swept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main(["sweep", *arguments, "--out", str(tmp_path / "out")]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_runs_place_is_the_plans_whatever_its_label() -> None:
    plan = plan_sweep(MINI, Sweep(jobs=2, top=1), SuiteOptions())
    for entry in plan.comparisons:
        assert plan.place(entry.run) == (entry.method, entry.source, entry.target)
    words = {plan.place(spec.id).words for spec in plan.runs}
    assert {"source pong", "scratch zoom", "finetune pong to zoom", "random-column zoom"} <= words
    assert "progressive-3 pong + noisy to white" in words
    # Runs of a place differ in seed and draw alone.
    plain = [replace(spec, label="", seed=0, column="", learner_options={}) for spec in plan.runs]
    places = [plan.place(spec.id) for spec in plan.runs]
    assert len(set(places)) == len({repr((run, run.parent)) for run in plain}) == len(plain) / 2


SMALLEST = Sweep(jobs=3, top=1, seed=2)


@pytest.mark.parametrize("name", [suite.name for suite in SUITES])
def test_every_suite_can_be_swept(name: str) -> None:
    suite = suite_from_name(name)
    plan = plan_sweep(suite, SMALLEST, SuiteOptions())
    once = suite.once(SuiteOptions())
    assert len(plan.runs) == 3 * len(once.runs)
    space = suite.space(once.runs[0].learner)
    folder = SuiteFolder(Path(), name, {}, plan, SMALLEST)
    for spec in plan.runs:
        drawn, held = space.draw(2, spec.seed - 2000), hyperparameters(folder, spec)
        own = {n: v for n, v in drawn.items() if "." not in n or n.startswith(f"{spec.method}.")}
        assert {n: v for n, v in held.items() if not math.isnan(v)} == own
        assert held.keys() == drawn.keys()
        build_method(spec)
        build_learner(spec)
    # Every run that nothing starts from has a row in the table of jobs.
    rows = {entry.run for entry in plan.comparisons}
    origins = {run for spec in plan.runs for run in plan.parents(spec)}
    assert {spec.id for spec in plan.runs} == rows | origins


def test_sources_of_several_methods_are_rehearsed_and_stopped_apart(tmp_path: Path) -> None:
    suite = suite_from_name("pathnet-pong-soup-mini")
    folder = begin_sweep(suite, tmp_path, replace(SMALLEST, jobs=2), SuiteOptions())
    by_place = dict[str, set[str]]()
    for spec in folder.plan.runs:
        by_place.setdefault(folder.plan.place(spec.id).words, set()).add(spec.method)
    assert {"pathnet source pong", "path-de-novo source pong"} <= by_place.keys()
    assert all(len(methods) == 1 for methods in by_place.values())


def test_methods_options_are_drawn_for_their_own_runs() -> None:
    suite = suite_from_name("ewc-permuted")
    sweep = replace(SMALLEST, ranges=("ewc.lam=7",))
    ewc = {s.method_options["lam"] for s in plan_sweep(suite, sweep, SuiteOptions()).runs
           if s.method == "ewc"}  # fmt: skip
    assert ewc == {7.0}
    with pytest.raises(UsageError, match=r"instead of --set give --range ewc\.lam=A,B"):
        plan_sweep(suite, SMALLEST, SuiteOptions(set=("ewc.lam=7",)))
    paths = suite_from_name("pathnet-pong-soup-mini")
    sweep = replace(SMALLEST, ranges=("pathnet.rivals=2,4",))
    for spec in plan_sweep(paths, sweep, SuiteOptions()).runs:
        if spec.method == "pathnet":
            assert type(spec.method_options["rivals"]) is int
            assert spec.method_options["population"] == 16


def test_a_sweep_of_sequences_is_ranked_by_what_all_tasks_gained(
    fabricate: Fabricate,
) -> None:
    suite = suite_from_name("ewc-permuted-tuning")
    folder = fabricate(plan_sweep(suite, SMALLEST, SuiteOptions()), name=suite.name, sweep=SMALLEST)
    results = Results(folder)
    rows = job_rows(results)
    for row in rows:
        scores = results.runs[row.run].result["scores"]
        trained, random = (
            [s["return_mean"] for s in scores if s["policy"] == policy]
            for policy in ("trained", "random")
        )
        assert row.area == pytest.approx(sum(trained) / len(trained) - sum(random) / len(random))
        assert math.isnan(row.hyperparameters["ewc.lam"]) == (row.method != "ewc")
    page = write_report(folder).read_text()
    assert "ewc.lam" in page
    assert "nan" not in (folder.path / "jobs.csv").read_text()
    for untrue in ("learned faster", "How much sooner", "mean area", "learning curve relative"):
        assert untrue not in page
    assert "the mean gain of the best" in " ".join(page.split())


def test_gains_of_sequences_have_intervals_by_networks_for_each_task(
    fabricate: Fabricate,
) -> None:
    suite, sweep = suite_from_name("ewc-permuted-tuning"), Sweep(jobs=6, top=2)
    folder = fabricate(plan_sweep(suite, sweep, SuiteOptions()), name=suite.name, sweep=sweep)
    results = Results(folder)
    rows = job_rows(results)
    areas = {
        method: np.array([row.area for row in rows if row.method == method])[:, None]
        for method in ("ewc", "scratch")
    }
    (row,) = (row for row in transfer_table(results) if row.method == "ewc")
    (expected,) = score_intervals(areas["ewc"], areas["scratch"], 2)
    assert (row.low, row.high) == pytest.approx(tuple(expected.scaled(100)))


def test_told_and_recognised_streams_of_a_job_are_not_one_row() -> None:
    plan = plan_sweep(suite_from_name("ewc-stream-mini"), SMALLEST, SuiteOptions())
    labels = {spec.id: spec.label.partition(", job")[0] for spec in plan.runs}
    rows: dict[str, set[str]] = {}
    for entry in plan.comparisons:
        rows.setdefault(entry.method, set()).add(labels[entry.run])
    assert rows == {
        "scratch": {"single tasks"},
        "replay": {"replay"},
        **{name: {name} for name in ("no penalty", "in turns", "EWC, labels")},
        "EWC, Forget-Me-Not": {"EWC, Forget-Me-Not"},
    }


# --- choosing parents ---------------------------------------------------------------------------


def tiny(label: str, parent: str | None = None) -> RunSpec:
    task = TaskBudget("mini-pong/pong", 100)
    return RunSpec(label, "scratch", (task,), "ppo", "tiny", parent=parent)


def write_result(suite: SuiteFolder, spec: RunSpec, scores: list[dict[str, object]]) -> None:
    folder = suite.run(spec.id).path
    (folder / "spec.json").write_text(json.dumps(spec.to_json()))
    (folder / "result.json").write_text(json.dumps({**AROUND, "scores": scores}))


def finish(suite: SuiteFolder, spec: RunSpec, score: float) -> None:
    folder = suite.run(spec.id).path
    folder.mkdir(parents=True, exist_ok=True)
    scores = [
        {"kind": "evaluation", "task": spec.target, "policy": policy, "step": 100, "episodes": 2,
         "return_mean": mean, "return_std": 1.0}
        for policy, mean in (("random", 99.0), ("trained", score))
    ]  # fmt: skip
    write_result(suite, spec, scores)
    (folder / "DONE").touch()


@pytest.fixture
def family(tmp_path: Path) -> tuple[SuiteFolder, list[RunSpec]]:
    jobs = [tiny(f"source {number}") for number in range(3)]
    selection = Selection(tuple(job.id for job in jobs))
    child = tiny("child", selection.name)
    suite = SuiteFolder(tmp_path, "test", {}, Plan((*jobs, child), (), (selection,)))
    suite.begin()
    for spec in suite.plan.runs:
        suite.run(spec.id).path.mkdir()
    return suite, [*jobs, child]


def test_the_best_run_is_chosen_once_and_for_all(
    family: tuple[SuiteFolder, list[RunSpec]],
) -> None:
    suite, (first, second, third, child) = family
    schedule = Schedule(suite, suite.plan, retry=True)
    assert list(schedule.startable(lambda spec: True)) == [first, second, third]
    for spec, score in ((first, 1.0), (second, 3.0)):
        finish(suite, spec, score)
        schedule.complete(spec.id)
        assert list(schedule.startable(lambda spec: True)) == []
    schedule.fail(third.id, "it diverged", final=True)
    assert list(schedule.startable(lambda spec: True)) == [child]
    assert child.parent is not None
    assert suite.chosen(child.parent) == second.id
    # A better one that comes too late changes nothing: jobs of a cell share their source.
    finish(suite, third, 9.0)
    assert suite.choose(suite.plan.selections[0]) == second.id
    with pytest.raises(Exception, match=second.id):
        read_parent(suite.path, child.parent)


def test_without_any_source_nothing_can_start(
    family: tuple[SuiteFolder, list[RunSpec]],
) -> None:
    suite, (*jobs, child) = family
    schedule = Schedule(suite, suite.plan, retry=True)
    for spec in schedule.startable(lambda spec: True):
        if spec in jobs[:2]:
            schedule.fail(spec.id, "it diverged", final=True)
        else:
            schedule.stop(spec.id, "hopeless")
    assert list(schedule.startable(lambda spec: True)) == []
    assert schedule.over
    assert schedule.failures[-1].run == child.id
    assert schedule.failures[-1].reason == ("it starts from the best of 3 runs, and none succeeded")


def test_failed_runs_are_begun_again_on_demand(
    family: tuple[SuiteFolder, list[RunSpec]],
) -> None:
    suite, (first, second, third, _) = family
    schedule = Schedule(suite, suite.plan, retry=False)
    list(schedule.startable(lambda spec: True))
    schedule.fail(first.id, "it diverged", final=True)
    schedule.fail(second.id, "its process was ended", final=False)
    schedule.stop(third.id, "hopeless")
    left = Schedule(suite, suite.plan, retry=False)
    assert [failure.reason for failure in left.failures] == ["it diverged"]
    assert list(left.startable(lambda spec: True)) == [second]
    again = Schedule(suite, suite.plan, retry=True)
    assert list(again.startable(lambda spec: True)) == [first, second]
    assert again.failures == []
    assert [view.state for view in again.views()] == ["running", "running", "stopped", "waiting"]


# --- results ------------------------------------------------------------------------------------


def test_only_the_best_jobs_count(small: SuiteFolder, fabricate: Fabricate) -> None:
    suite = fabricate(small.plan, name="pong-soup-mini", sweep=small.sweep)
    results = Results(suite)
    areas = {run: results.area(results.runs[run]) for run in results.runs}
    scratch = [e.run for e in suite.plan.comparisons if e.method == "scratch"]
    finetune = [
        e.run for e in suite.plan.comparisons if (e.method, e.source) == ("finetune", "pong")
    ]
    best = [sorted(map(areas.__getitem__, runs))[-2:] for runs in (finetune, scratch)]
    cell = next(c for c in results.cells if (c.method, c.source) == ("finetune", "pong"))
    assert cell.score == pytest.approx(sum(best[0]) / sum(best[1]))
    low, high = cell.interval
    assert 0 < low <= cell.score <= high
    counting = results.counting("finetune", "pong", "mini-pong/zoom")
    assert sorted(results.area(run) for run in counting) == best[0]


def test_the_report_and_the_tables(small: SuiteFolder, fabricate: Fabricate) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    suite = fabricate(small.plan, name="pong-soup-mini", sweep=small.sweep)
    failed = suite.run(small.plan.comparisons[0].run).path
    (failed / "DONE").unlink()
    (failed / "failed.json").write_text('{"reason": "It diverged."}')
    page = write_report(suite).read_text()
    for words in (
        "Pong Soup, mini: a sweep of 4 jobs",
        "the best 2 of 4 jobs",
        "Sensitivity to hyperparameters",
        "one of 0.01, 0.003, 0.001",
        "not chosen yet",
        "It diverged.",
        "jobs.csv, jobs.parquet",
    ):
        assert words in page, words
    names = {entry.name for entry in (suite.path / "figures").iterdir()}
    assert {"sorted-scores.png", "score-against.png", "transfer-matrix.png"} <= names
    with (suite.path / "jobs.csv").open() as file:
        table = list(csv.DictReader(file))
    assert len(table) == len(suite.plan.comparisons)
    assert table[0]["state"] == "failed"
    assert table[0]["area"] == ""
    assert table[0]["failure"] == "It diverged."
    rows = job_rows(Results(suite))
    assert sum(row.counts for row in rows) == 2 * len(cells(suite.plan))
    assert float(table[-1]["transfer"]) == pytest.approx(rows[-1].transfer)
    assert float(table[-1]["learning_rate"]) == rows[-1].hyperparameters["learning_rate"]
    columns = parquet.read_table(suite.path / "jobs.parquet")
    assert columns.column_names == list(table[0])
    assert columns["area"].null_count == 1
    assert columns["counts"].to_pylist() == [row.counts for row in rows]
    assert columns["alpha"].to_pylist() == [row.hyperparameters["alpha"] for row in rows]


def test_without_pyarrow_the_csv_is_written_and_the_page_says_so(
    small: SuiteFolder, fabricate: Fabricate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    suite = fabricate(small.plan, name="pong-soup-mini", sweep=small.sweep)
    page = write_report(suite).read_text()
    assert "jobs.parquet is not written: it needs pyarrow" in page
    assert (suite.path / "jobs.csv").exists()
    assert not (suite.path / "jobs.parquet").exists()


@pytest.mark.parametrize("done", [0, 7])
def test_a_half_finished_sweep_has_a_report(
    small: SuiteFolder, fabricate: Fabricate, done: int
) -> None:
    suite = fabricate(small.plan, name="pong-soup-mini", sweep=small.sweep, done=done)
    assert f"Not complete: {done} of {len(small.plan.runs)} runs" in write_report(suite).read_text()


# --- early stop ---------------------------------------------------------------------------------


def curve_of(suite: SuiteFolder, spec: RunSpec, values: list[float]) -> None:
    folder = suite.run(spec.id).path
    rows = [
        {
            "kind": "curve", "task": spec.target, "task_index": 0, "step": 250 * (number + 1),
            "return_mean": value, "episodes": 5, "width": 250,
        }
        for number, value in enumerate(values)
    ]  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spec.json").write_text(json.dumps(spec.to_json()))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_the_median_rule(tmp_path: Path) -> None:
    def job(number: int) -> RunSpec:
        return replace(
            tiny(f"scratch pong, job {number}"),
            tasks=(TaskBudget("mini-pong/pong", 1000),),
            training_options={"curve_steps": 250},
            seed=number,
        )

    specs = [job(number) for number in range(8)]
    other = replace(specs[0], tasks=(TaskBudget("mini-pong/zoom", 1000),))
    suite = SuiteFolder(tmp_path, "test", {}, Plan((*specs, other)))
    for number, spec in zip((0, 1, 2, 3, 20), specs[:5], strict=True):
        # Means of the first two bins: 1, 2, 3, 4, 21; the last bins must not count.
        curve_of(suite, spec, [number, number + 2.0, 50.0, 50.0])
        (suite.run(spec.id).path / "DONE").touch()
        write_result(suite, spec, [])
    bad, good, early = specs[5:]
    curve_of(suite, bad, [0.0, 2.9])
    curve_of(suite, good, [3.1, 0.0])
    curve_of(suite, early, [-9.0])
    curve_of(suite, other, [-9.0, -9.0])
    verdicts = MedianRule(suite)([bad, good, early, other])
    assert list(verdicts) == [bad.id]
    assert "its best 2.90 is below 3.00, the median of 5 complete" in verdicts[bad.id]
    (suite.run(specs[0].id).path / "DONE").unlink()
    assert MedianRule(suite)([bad]) == {}, "four are too few to judge by"


# --- atari-transfer -----------------------------------------------------------------------------


def test_atari_transfer_is_the_papers_design() -> None:
    suite = suite_from_name("atari-transfer")
    plan = suite.plan(SuiteOptions())
    assert len(SOURCES) == 3
    assert len(TARGETS) == 12
    counts = Counter(entry.method for entry in plan.comparisons)
    assert counts["progressive-3"] == 72, "Rusu et al. 2016 analyse 72 three-column networks"
    assert counts["progressive-4"] == 72
    for method in ("output-only", "finetune", "progressive-2"):
        assert counts[method] == 36
    assert counts["scratch"] == counts["random-column"] == 12
    assert all(task.options == {"full_action_space": True} for s in plan.runs for task in s.tasks)
    by_id = {spec.id: spec for spec in plan.runs}
    last = next(s for s in plan.runs if s.label.startswith("progressive seaquest, riverraid, pong"))
    chain = []
    while last.parent:
        last = by_id[last.parent]
        chain.append(last.label)
    assert chain == [
        "progressive seaquest, riverraid to pong, seed 0",
        "progressive seaquest to riverraid, seed 0",
        "source seaquest, seed 0",
    ]
    tenth = suite.plan(SuiteOptions(budget=0.1))
    assert tenth.steps == pytest.approx(plan.steps / 10)


def test_the_best_of_few_jobs_are_measured_by_the_same_jobs(fabricate: Fabricate) -> None:
    sweep = Sweep(jobs=10, top=2)
    options = SuiteOptions(tasks=("zoom",), methods=("finetune",))
    suite = fabricate(plan_sweep(MINI, sweep, options), name=MINI.name, sweep=sweep)
    whole = Results(suite)
    assert all(cell.interval.known for cell in whole.cells)
    place = next(cell for cell in whole.cells if cell.method == "finetune")
    runs = {
        method: {
            sweep.number_of(run.spec.seed): run
            for run in whole.runs_of(method, source, "mini-pong/zoom")
        }
        for method, source in (("finetune", place.source), ("scratch", None))
    }
    for job, run in runs["finetune"].items():
        if job >= 3:
            (run.folder.path / "DONE").unlink()
            rows = run.folder.metrics_path.read_text().splitlines()[:4]
            run.folder.metrics_path.write_text("\n".join(rows) + "\n")
    results = Results(suite)
    cells = {(cell.method, cell.source): cell for cell in results.cells}
    found = cells["finetune", place.source]
    best = {
        method: np.mean(sorted(whole.area(own[job]) for job in range(3))[-2:])
        for method, own in runs.items()
    }
    assert found.score == pytest.approx(best["finetune"] / best["scratch"])
    assert not found.interval.known
    assert cells["scratch", None].interval.known
    assert not results.summary("finetune")[1].known
    (row,) = (row for row in job_rows(results) if row.run == runs["finetune"][5].spec.id)
    assert (row.state, row.steps) == ("missing", runs["finetune"][5].folder.metrics()[-1]["step"])
    # A job that failed is over: it has no area, and the others are not waited for.
    for job in range(3, 10):
        runs["finetune"][job].folder.path.joinpath("metrics.jsonl").unlink()
        runs["finetune"][job].folder.path.joinpath("failed.json").write_text(
            '{"reason": "Diverged."}'
        )
    failed = {(c.method, c.source): c for c in Results(suite).cells}["finetune", place.source]
    top = np.mean(sorted(whole.area(run) for run in runs["scratch"].values())[-2:])
    assert failed.score == pytest.approx(best["finetune"] / top)
    assert failed.interval.known


@pytest.mark.parametrize("drawn", ["10,-1", "-1,10"])
def test_what_is_drawn_for_any_job_is_checked_before_the_start(tmp_path: Path, drawn: str) -> None:
    suite = suite_from_name("ewc-pong-soup-mini")
    sweep = replace(SMALLEST, jobs=4, ranges=(f"ewc.lam={drawn}",))
    with pytest.raises(UsageError, match=r"^lam, .* must be 0 or more; got -1"):
        begin_sweep(suite, tmp_path, sweep, SuiteOptions())
