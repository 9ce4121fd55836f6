"""Pruning a run whose useless features are known."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from finished import POLE, balancing_network, poles, run_spec, write_run, write_suite

from colonnade.cli.main import main
from colonnade.errors import UsageError
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.selection import Selection
from colonnade.experiments.plans.spec import TaskBudget
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.files import write_json
from colonnade.experiments.store.folders import RunFolder, SuiteFolder
from colonnade.experiments.trained import prune as module
from colonnade.experiments.trained.analysis_options import AnalysisOptions
from colonnade.experiments.trained.load import load_network
from colonnade.experiments.trained.play import play
from colonnade.experiments.trained.prune import prune_run
from colonnade.experiments.trained.prune_options import PruneOptions
from colonnade.experiments.trained.sensitivity import analyse_run
from colonnade.reports.suite import write_report

QUICK = PruneOptions(states=300, episodes=3)


def test_what_is_useless_goes_and_the_run_says_what_it_cost(tmp_path: Path) -> None:
    suite = poles(tmp_path / "out")
    target = suite.runs[1]
    before = {path: path.read_bytes() for path in target.path.rglob("*") if path.is_file()}
    place = prune_run(target.path, QUICK)
    assert place.path.parents[1] == suite.path / "pruned"
    network, columns = load_network(place)
    assert columns == {POLE: 1}
    assert network.column(0).out_shape(0) == (2,), "the two features that balance"
    assert network.newest.silent(0), "none of its own features is needed"
    assert network.newest.output.lateral.project.weight.shape == (2, 2)
    original, _ = load_network(target)
    states = 0.1 * torch.randn(50, 4)
    torch.testing.assert_close(network(states)[0], original(states)[0])
    report = place.result()["pruning"]
    assert report["of"] == target.id
    assert report["parameters"]["after"] < 0.4 * report["parameters"]["before"]
    (cost,) = report["costs"]
    assert cost["before"] > 150
    assert cost["loss"] == 0
    assert "with 3 episodes it covers" in cost["caution"]
    assert "less" in place.result()["notes"][0]
    assert before == {p: p.read_bytes() for p in before}, "the original stays as it is"
    pruned = SuiteFolder.read(suite.path / "pruned")
    assert play(pruned, None, None, 1, None, 0).returns[0] > 100
    assert "Pruned from run" in write_report(pruned).read_text()


def test_a_runs_limit_of_an_episode_holds_wherever_it_is_scored(tmp_path: Path) -> None:
    spec = replace(run_spec("pole", "progressive", POLE), evaluation_limit=60)
    suite = write_suite(tmp_path / "out", [(spec, balancing_network(2), {POLE: 1})])
    with pytest.raises(UsageError, match="more than 60 steps"):
        play(suite, spec.id, None, 1, None, 0)
    with pytest.raises(UsageError, match="more than 60 steps"):
        prune_run(suite.run(spec.id).path, QUICK)
    with pytest.raises(UsageError, match="more than 60 steps"):
        analyse_run(suite, suite.run(spec.id), None, AnalysisOptions(30, 3), None)


def test_pruned_runs_share_a_folder_and_spare_columns_that_are_not_named(tmp_path: Path) -> None:
    suite = poles(tmp_path / "out")
    target = suite.runs[1].path
    first = prune_run(target, QUICK).path
    second = prune_run(target, PruneOptions(columns=(1,), states=300, episodes=3)).path
    again = prune_run(target, QUICK).path
    assert again == first != second
    other = prune_run(target, replace(QUICK, seed=1)).path
    assert other not in {first, second}
    assert len(SuiteFolder.read(suite.path / "pruned").runs) == 3
    network, _ = load_network(RunFolder(second))
    original, _ = load_network(suite.runs[1])
    assert network.column(0).out_shape(0) == (8,)
    states = torch.randn(50, 4)
    assert torch.equal(network(states, column=0)[0], original(states, column=0)[0])


def test_a_pruned_run_knows_the_options_of_tasks_that_its_original_started_from(
    tmp_path: Path,
) -> None:
    short = TaskBudget(POLE, 1000, {"max_episode_steps": 60})
    own = TaskBudget(POLE, 1000, {"name": "long pole"})
    source = replace(run_spec("source pole", "scratch", POLE), tasks=(short,))
    target = replace(run_spec("pole", "progressive", POLE, source.id), tasks=(own,))
    columns = {POLE: 0, "long pole": 0}
    suite = write_suite(
        tmp_path / "out",
        [(source, balancing_network(1), {POLE: 0}), (target, balancing_network(2), columns)],
    )
    assert play(suite, target.id, POLE, 1, None, 0).returns[0] == 60
    result = suite.run(target.id).result()
    row = {"kind": "evaluation", "task": "long pole", "policy": "trained", "step": 1000}
    result["scores"] = [{**row, "episodes": 3, "return_mean": 200.0, "return_std": 1.0}]
    write_json(suite.run(target.id).path / "result.json", result)
    place = prune_run(suite.run(target.id).path, QUICK)
    pruned = SuiteFolder.read(suite.path / "pruned")
    assert place.spec.tasks == (short, own)
    assert play(pruned, place.id, POLE, 1, None, 0).returns[0] == 60
    assert play(pruned, place.id, "long pole", 1, None, 0).returns[0] > 100
    assert [cost["task"] for cost in place.result()["pruning"]["costs"]] == [POLE, "long pole"]
    for task, names in ((own, ("long pole",)), (short, (POLE,))):
        alone = prune_run(suite.run(target.id).path, replace(QUICK, tasks=names))
        assert alone.spec.tasks == (task,)
        assert alone.last_task == names[0]
    assert Results(pruned).runs[place.id].steps == Results(suite).runs[target.id].steps == 1000


@pytest.mark.parametrize("kind", ["parents", "best"])
def test_runs_of_several_parents_and_of_chosen_hyperparameters_are_pruned(
    tmp_path: Path, kind: str
) -> None:
    first = run_spec("a", "scratch", POLE)
    second = replace(first, seed=1, learner_options={"gamma": 0.5})
    choice = Selection((second.id,))
    target = run_spec("pole", "progressive", POLE)
    if kind == "parents":
        target = replace(target, parents=(first.id, second.id))
    else:
        target = replace(target, parent=first.id, learner_from=choice.name)
    plan = Plan((first, second, target), (), (choice,) if kind == "best" else ())
    suite = SuiteFolder(tmp_path / "out", "by hand", {}, plan)
    suite.begin()
    for spec, columns in ((first, 1), (second, 1), (target, 2)):
        write_run(suite.run(spec.id), spec, balancing_network(columns), {POLE: columns - 1})
    write_json(suite.path / "choices.json", {choice.name: {"run": second.id}})
    place = prune_run(suite.run(target.id).path, QUICK)
    assert place.spec.learner_options == ({"gamma": 0.5} if kind == "best" else {})
    assert place.spec.origins == ()
    assert place.spec.learner_from is None


def test_more_is_kept_where_too_much_is_lost(tmp_path: Path, monkeypatch) -> None:
    suite = poles(tmp_path / "out")
    real = module.evaluate

    def harsh(task, network, **options):
        returns = real(task, network, **options)
        if network is not None and len(network.newest.spec.stages) == 1:
            width = network.column(0).out_shape(0)[0]
            returns *= 1 if width == 8 else 0.5 if harsh.strict else 0.97
        return returns

    monkeypatch.setattr(module, "evaluate", harsh)
    harsh.strict = False
    result = prune_run(suite.runs[1].path, QUICK).result()["pruning"]
    assert result["costs"][0]["loss"] == pytest.approx(0.03, abs=0.01)
    harsh.strict = True
    with pytest.raises(module.ColonnadeError, match=r"No choice from keep=0.95 to keep=0.9984"):
        prune_run(suite.runs[1].path, QUICK)


def failure(capsys, *arguments: str) -> str:
    assert main(["prune", *arguments, "--states", "60", "--episodes", "1"]) > 0
    error = capsys.readouterr().err
    assert error.startswith("colonnade: ")
    assert error.count("\n") == 1
    return error


def test_wrong_use_is_said_in_one_sentence(tmp_path: Path, capsys) -> None:
    suite = poles(tmp_path / "out")
    target = str(suite.runs[1].path)
    assert "no column 5" in failure(capsys, target, "--columns", "5")
    assert "keep of PruneOptions must be a number from above 0 to 1; got 1.5" in failure(
        capsys, target, "--keep", "1.5"
    )
    assert "did you mean 'gym/CartPole-v1'" in failure(capsys, target, "--tasks", "gym/Cartpole-v0")
    assert "belongs to suite 'by hand'" in failure(capsys, target, "--out", str(suite.path))
    (suite.runs[1].path / "DONE").unlink()
    assert "isn't complete" in failure(capsys, target)
    assert "should hold one complete progressive run" in failure(capsys, str(suite.path))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"episodes": 2.5}, "episodes of PruneOptions must be a whole number at least 1; got 2.5"),
        ({"states": 0}, "states of PruneOptions must be a whole number at least 1; got 0"),
        (
            {"keep": float("nan")},
            "keep of PruneOptions must be a number from above 0 to 1; got nan",
        ),
        ({"bound": 1}, "bound of PruneOptions must be a number from 0 to below 1; got 1"),
        ({"seed": 0.5}, "seed of PruneOptions must be a whole number; got 0.5"),
        ({"tasks": "pong"}, "tasks of PruneOptions must be a list; got 'pong'"),
        ({"tasks": (3,)}, r"tasks\[0\] of PruneOptions must be a text; got 3"),
        ({"columns": 1}, "columns of PruneOptions must be a list; got 1"),
        ({"columns": (0.5,)}, r"columns\[0\] of PruneOptions must be a whole number; got 0.5"),
    ],
)
def test_options_are_refused_when_they_are_given(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        PruneOptions(**options)


def test_the_layers_are_listed(tmp_path: Path, capsys) -> None:
    suite = poles(tmp_path / "out")
    arguments = ["prune", str(suite.path), "--states", "60", "--episodes", "1", "--bound", "0.5"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "dense 8" in out
    assert "dense 2" in out
    runs = list((suite.path / "pruned" / "runs").iterdir())
    layers = json.loads((runs[0] / "result.json").read_text())["pruning"]["layers"]
    assert [layer["after"] for layer in layers] == ["dense 2", "output 3", "dense 1", "output 3"]
