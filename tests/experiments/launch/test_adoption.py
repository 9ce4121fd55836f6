"""Runs that start from networks of elsewhere, or from each other, as a user writes them."""

import json
from pathlib import Path
from typing import Any

import pytest

from colonnade.errors import UsageError
from colonnade.experiments.execution.run import train_run
from colonnade.experiments.launch.suite import begin
from colonnade.experiments.plans.plan import SuiteOptions
from colonnade.experiments.store.folders import SuiteFolder


def run(label: str, **fields: Any) -> dict[str, Any]:
    return {
        "label": label,
        "method": "scratch",
        "tasks": [{"name": "mini-pong/pong", "steps": 200}],
        "learner": "ppo",
        "column": "tiny",
        "training_options": {"num_envs": 4},
        "evaluation_episodes": 1,
        **fields,
    }


def begun(tmp_path: Path, *runs: dict[str, Any], out: str = "out") -> SuiteFolder:
    path = tmp_path / "runs.json"
    path.write_text(json.dumps(runs))
    return begin(path, tmp_path / out, SuiteOptions())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("elsewhere")
    suite = begun(folder, run("a source"))
    train_run(suite.path, suite.plan.runs[0])
    return suite.run(suite.plan.runs[0].id).path


def test_a_folder_goes_on_where_what_it_took_in_is_gone(tmp_path: Path, trained: Path) -> None:
    moved = tmp_path / "elsewhere"
    moved.symlink_to(trained)
    third = run("third", method="progressive", parent=f"file:{moved}")
    first = begun(tmp_path, third)
    moved.unlink()
    assert begun(tmp_path, third).plan == first.plan
    with pytest.raises(UsageError, match=r"Run 'third' starts from .*elsewhere"):
        begun(tmp_path, third, out="another")
    with pytest.raises(UsageError, match="run 'third' is no longer planned"):
        begun(tmp_path, {**third, "label": "fourth"})


def test_what_a_folder_keeps_is_looked_for_there_and_nowhere_else(
    tmp_path: Path, trained: Path
) -> None:
    first = begun(tmp_path, run("third", method="progressive", parent=f"file:{trained}"))
    (spec,) = first.plan.runs
    own = spec.to_json()
    assert begun(tmp_path, own).plan == first.plan
    for parent in ("kept:../../runs", "kept:"):
        with pytest.raises(UsageError, match=r"names no network that a folder keeps.*'file:"):
            begun(tmp_path, {**own, "parent": parent}, out="other")


def test_runs_of_a_file_name_each_other_by_their_labels(tmp_path: Path) -> None:
    second = run("second", method="progressive", parent="first")
    suite = begun(tmp_path, run("first"), second)
    one, other = suite.plan.runs
    assert other.parent == one.id
    twins = run("first"), run("first", seed=1), second
    with pytest.raises(
        UsageError, match="'second' starts from 'first', but 2 runs have that label"
    ):
        begun(tmp_path, *twins, out="twins")


def test_another_path_is_no_place_that_a_folder_has_kept(tmp_path: Path, trained: Path) -> None:
    third = run("third", method="progressive", parent=f"file:{trained}")
    first = begun(tmp_path, third)
    for wrong in (tmp_path / "mistyped", tmp_path):  # nothing, and a folder without a network
        with pytest.raises(UsageError, match=r"Run 'third' starts from"):
            begun(tmp_path, {**third, "parent": f"file:{wrong}"})
    assert begun(tmp_path, third).plan == first.plan
