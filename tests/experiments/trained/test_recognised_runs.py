"""Runs whose contexts were recognised: their networks know contexts, their users know tasks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from finished import AROUND, POLE, balancing_network, write_suite

import colonnade
from colonnade.errors import UsageError
from colonnade.experiments.plans.spec import RunSpec, TaskBudget, TaskVisit
from colonnade.experiments.store.files import write_json
from colonnade.experiments.store.folders import RunFolder, SuiteFolder
from colonnade.experiments.trained.analysis_options import AnalysisOptions
from colonnade.experiments.trained.load import load_network
from colonnade.experiments.trained.play import play
from colonnade.experiments.trained.prune import prune_run
from colonnade.experiments.trained.prune_options import PruneOptions
from colonnade.experiments.trained.sensitivity import analyse_run, known_analysis
from colonnade.experiments.trained.weight_noise import disturb_run, known_weight_noise
from colonnade.experiments.trained.weight_noise_options import WeightNoiseOptions

CONTEXTS = {"right": "context-1", "left": "context-0"}
"""By task, the last one last; only the second column plays the first one well."""


def recognised(path: Path, method: str, columns: dict[str, int]) -> tuple[SuiteFolder, RunFolder]:
    tasks = tuple(TaskBudget(POLE, 1000, {"name": name}) for name in CONTEXTS)
    spec = RunSpec(
        "two poles", method, tasks, "ppo", "default",
        visits=tuple(TaskVisit(name, 1000) for name in CONTEXTS), labels={"kind": "forget-me-not"},
    )  # fmt: skip
    network = balancing_network(max(columns.values()) + 1)
    suite = write_suite(path, [(spec, network, columns)])
    folder = suite.run(spec.id)
    write_json(folder.path / "result.json", {**AROUND, "scores": [], "contexts": CONTEXTS})
    return suite, folder


@pytest.fixture
def progressive(tmp_path: Path) -> tuple[SuiteFolder, RunFolder]:
    """In the third context no task is recognised any more."""
    columns = {"context-0": 0, "context-1": 1, "context-2": 1}
    return recognised(tmp_path / "out", "progressive", columns)


def test_weights_are_disturbed_while_a_task_is_played(tmp_path: Path) -> None:
    suite, folder = recognised(tmp_path / "out", "ewc", {"context-0": 0, "context-1": 0})
    options = WeightNoiseOptions(sizes=(0.01,), states=60, episodes=3)
    found = disturb_run(suite, folder, None, options, None)
    assert found.task == "left"
    assert disturb_run(suite, folder, "right", options, None).task == "right"
    found.save(folder.path)
    assert known_weight_noise(folder, None, options) is not None
    with pytest.raises(UsageError, match="'context-0'; choose one of: left, right"):
        disturb_run(suite, folder, "context-0", options, None)


def test_pruned_runs_keep_the_contexts_of_what_they_play(
    progressive: tuple[SuiteFolder, RunFolder],
) -> None:
    suite, folder = progressive
    options = PruneOptions(states=60, episodes=3)
    place = prune_run(folder.path, options)
    costs = place.result()["pruning"]["costs"]
    assert [cost["task"] for cost in costs] == ["right", "left"], "the last task's score is last"
    assert place.result()["contexts"] == CONTEXTS
    assert load_network(place)[1] == {"right": 1, "left": 0}
    pruned = SuiteFolder.read(suite.path / "pruned")
    assert play(pruned, place.id, "right", 1, None, 0).returns[0] > 100
    one = prune_run(folder.path, replace(options, tasks=("right",)))
    assert [task.options["name"] for task in one.spec.tasks] == ["right"]
    assert one.played_as == {"right": "context-1"}
    assert one.network()["tasks"] == {"context-1": 1}
    again = prune_run(one.path, options, suite.path / "again")
    assert again.played_as == {"right": "context-1"}


def test_the_column_of_a_task_is_analysed(progressive: tuple[SuiteFolder, RunFolder]) -> None:
    suite, folder = progressive
    options = AnalysisOptions(states=60, episodes=0)
    found = analyse_run(suite, folder, "right", options, None)
    assert found.columns == ("left", "right")
    found.save(folder.path)
    assert known_analysis(folder, "right", options) is not None


def test_a_task_is_played_by_the_column_of_its_context(
    progressive: tuple[SuiteFolder, RunFolder], tmp_path: Path
) -> None:
    suite, folder = progressive
    assert play(suite, None, None, 1, None, 0).task == "left"
    state = np.full(4, 0.1, np.float32)
    saved = tmp_path / "policy.safetensors"
    colonnade.load(folder.path).save(saved)
    for source in (folder.path, saved):
        last, first = colonnade.load(source), colonnade.load(source, "right")
        assert last.spec.id == "left"
        assert (last.network.newest.index, first.network.newest.index) == (0, 1)
        assert first(state) in (0, 1)
