"""Continual learning from a plan to a page: what is scored, chosen, drawn and said."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from reading import without_scripts

from colonnade.errors import UsageError
from colonnade.experiments.execution.run import train_run
from colonnade.experiments.launch.rehearsal import Rehearsal
from colonnade.experiments.plans.build import build_method, build_tasks
from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.results.continual import looks_back, sequences
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.suites.ewc.permuted import (
    DIGITS,
    MNIST,
    TUNED,
    TUNING_DRAWS,
    Setting,
)
from colonnade.ops import parameter_fisher
from colonnade.reports.continual.section import ContinualSection
from colonnade.reports.suite import write_report
from colonnade.tasks import IMAGE_SETS

QUICK = replace(
    DIGITS,
    curves={"ewc": Setting(0.05, 1, {"lam": 10.0, "samples": 50}), "finetune": Setting(0.05, 1)},
    averages={"finetune": Setting(0.05, 1), "scratch": Setting(0.05, 1)},
    overlap=Setting(0.05, 1, {"lam": 10.0, "samples": 50}),
    seeds=1,
    hidden=(16,),
)
OPTIONS = SuiteOptions(device="cpu", budget=0.4)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> SuiteFolder:
    made = QUICK.plan(OPTIONS)
    # Four of the ten permutations are enough here.
    runs = tuple(replace(spec, tasks=spec.tasks[:4]) for spec in made.runs)
    other = replace(runs[0], label="ewc, badly set", learner_options={"learning_rate": 1e-5})
    plan = Plan((*runs, other))
    suite = SuiteFolder(tmp_path_factory.mktemp("continual") / "out", "ewc-permuted", {}, plan)
    suite.begin()
    for spec in plan.runs:
        train_run(suite.path, spec)
    return suite


def accuracy(suite: SuiteFolder, spec: RunSpec, task: int) -> float:
    method = build_method(spec)
    method.load_state(*suite.run(spec.id).weights())
    made = build_tasks(spec)[task]
    part = made.examples("test")  # type: ignore[attr-defined]
    with torch.no_grad():
        output, _ = method.network_for(made.spec.id)(part.inputs)
    return float((output.argmax(1) == part.targets).double().mean())


def test_scores_of_data_sets_are_accuracies_and_chance(trained: SuiteFolder) -> None:
    spec = trained.plan.runs[0]
    scores = trained.run(spec.id).result()["scores"]
    assert {row["policy"] for row in scores} == {"random", "trained", "validation"}
    for number, task in enumerate(spec.tasks):
        rows = {row["policy"]: row for row in scores if row["task"] == task.name}
        assert rows["random"]["return_mean"] == pytest.approx(0.1)
        assert rows["trained"]["return_mean"] == pytest.approx(accuracy(trained, spec, number))
        assert (rows["trained"]["episodes"], rows["validation"]["episodes"]) == (400, 200)


def test_the_matrix_of_a_run_ends_with_its_final_scores(trained: SuiteFolder) -> None:
    found = sequences(Results(trained))
    assert sorted(len(sequence.tasks) for sequence in found) == [2, 2, 3, 4]
    for sequence in found:
        for contender in sequence.contenders:
            for run in contender.done:
                count = len(sequence.tasks)
                final = [accuracy(trained, run.spec, task) for task in range(count)]
                np.testing.assert_allclose(run.matrix[-1], final)
                assert np.isnan(run.matrix[np.triu_indices(count, 1)]).all()
                np.testing.assert_allclose(run.chance, 0.1)
                assert not np.isnan(run.before).any()


def test_single_tasks_forget_nothing(trained: SuiteFolder) -> None:
    (longest,) = [s for s in sequences(Results(trained)) if len(s.tasks) == 4]
    (scratch,) = [c for c in longest.contenders if c.method == "scratch"]
    matrix = scratch.runs[0].matrix
    for task in range(4):
        assert len(set(matrix[task:, task])) == 1


def test_the_configuration_that_validates_best_is_shown(trained: SuiteFolder) -> None:
    (three,) = [s for s in sequences(Results(trained)) if len(s.tasks) == 3]
    (ewc,) = [c for c in three.contenders if c.method == "ewc"]
    assert ewc.configurations == 2
    assert [run.spec.label for run in ewc.runs] == ["ewc, 3 permutations, seed 0"]


def test_curves_begin_with_their_task_and_follow_its_segments(trained: SuiteFolder) -> None:
    (three,) = [s for s in sequences(Results(trained)) if len(s.tasks) == 3]
    run = three.contenders[0].runs[0]
    each = three.contenders[0].runs[0].spec.tasks[0].steps
    for tested in range(3):
        steps, scores = run.curve(tested)
        assert steps[0] == tested * each
        # A minibatch may lead past a budget; nothing is left out on the way.
        assert steps[-1] >= 3 * each
        assert scores[-1] == run.matrix[-1, tested]


def test_the_page_has_the_three_panels_beside_the_claims(trained: SuiteFolder) -> None:
    assert "The paper's claims" not in write_report(trained).read_text(), "they are of MNIST"
    known = replace(trained, basis=replace(trained.basis, paper="permuted MNIST"))
    page = write_report(known).read_text()
    names = {entry.stem for entry in (trained.path / "figures").iterdir()}
    assert {
        "continual-curves-3-permuted-digits",
        "continual-average-4-permuted-digits",
        "continual-matrices-4-permuted-digits",
        "fisher-overlap",
    } <= names
    assert "curves" not in names
    assert "Only EWC keeps old tasks" in page
    assert "less their Fishers overlap in early layers" in page
    assert "lighter the line" in " ".join(page.split())
    assert "training examples/s" in page
    assert "agent steps" not in page
    assert "How areas are measured" not in page
    assert "What is learned from" in page
    assert not re.search(r'(src|href)="(?!data:|#)', without_scripts(page))


def test_a_half_finished_suite_says_so(trained: SuiteFolder, tmp_path: Path) -> None:
    spec = trained.plan.runs[0]
    more = replace(spec, seed=7, label="ewc, another seed")
    suite = SuiteFolder(tmp_path / "out", "ewc-permuted", {}, Plan((spec, more)))
    suite.begin()
    (suite.path / "runs").mkdir(exist_ok=True)
    (suite.path / "runs" / spec.id).symlink_to(trained.run(spec.id).path)
    half = suite.path / "runs" / more.id
    half.mkdir()
    (half / "spec.json").write_text(json.dumps(more.to_json()))
    rows = trained.run(spec.id).metrics()[:4]
    (half / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = write_report(suite).read_text()
    assert "Not complete: 1 of 2 runs" in page
    assert ContinualSection(Results(suite)).applies
    assert looks_back(Results(suite))
    empty = replace(suite, plan=Plan((more,)))
    half.joinpath("metrics.jsonl").unlink()
    assert not ContinualSection(Results(empty)).applies
    assert not looks_back(Results(empty))


def test_overlaps_are_those_of_the_final_network(trained: SuiteFolder) -> None:
    spec = next(spec for spec in trained.plan.runs if "26 x 26" in spec.label)
    rows = [r for r in trained.run(spec.id).result()["scores"] if r["kind"] == "overlap"]
    assert [row["depth"] for row in rows] == list(range(7))
    method = build_method(spec)
    method.load_state(*trained.run(spec.id).weights())
    fishers = []
    for task in build_tasks(spec):
        part = task.examples("train")  # type: ignore[attr-defined]
        batch = (part.inputs["observation"].float() / 255, part.targets)
        network = method.network_for(task.spec.id)
        forward = lambda net, x: net({"observation": x})[0]  # noqa: E731
        fishers.append(parameter_fisher(network, [batch], forward=forward))  # type: ignore[arg-type]
    first, second = fishers
    for row in rows:
        parts = [name for name in first if name.startswith(row["layer"] + ".")]
        one, other = (torch.cat([f[name].flatten() for name in parts]) for f in (first, second))
        expected = (one / one.sum() * (other / other.sum())).sqrt().sum()
        assert row["overlap"] == pytest.approx(float(expected), abs=1e-4)


def test_unknown_analyses_are_refused_before_any_work() -> None:
    spec = replace(QUICK.plan(OPTIONS).runs[0], analyses=("fisher-overlaps",))
    with pytest.raises(UsageError, match="did you mean 'fisher-overlap'"):
        Rehearsal().check(spec)


def test_specs_without_analyses_keep_their_ids() -> None:
    spec = QUICK.plan(OPTIONS).runs[0]
    assert "analyses" not in spec.to_json()
    measured = replace(spec, analyses=("fisher-overlap",))
    assert measured.id != spec.id
    assert RunSpec.from_json(measured.to_json()) == measured
    assert RunSpec.from_json(spec.to_json()) == spec


def test_the_designs_fit_their_data_and_every_method_has_as_many_draws() -> None:
    for design in (DIGITS, MNIST):
        assert design.examples == IMAGE_SETS[design.data].train
    plan = DIGITS.tuning_plan(SuiteOptions())
    counts = [sum(spec.method == method for spec in plan.runs) for method in TUNED]
    assert counts == [len(TUNING_DRAWS)] * len(TUNED)
    rates = {tuple(s.learner_options["learning_rate"] for s in plan.runs if s.method == m)
             for m in TUNED}  # fmt: skip
    assert len(rates) == 1, "all methods try the same learning rates"
    assert {spec.seed for spec in plan.runs}.isdisjoint({0, 1, 2}), "tuning sees no reported seed"
