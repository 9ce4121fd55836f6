"""Which recorders a folder's runs have: said on the command line, kept in the folder."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from colonnade.errors import UsageError
from colonnade.experiments.execution.recorders import (
    FILE,
    check_recorders,
    recorders_of,
    write_recorders,
)
from colonnade.experiments.execution.run import train_run
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.parts import Part, finding

SPEC = RunSpec(
    "pole",
    "scratch",
    (TaskBudget("CartPole-v1", 100),),
    "a2c",
    "mlp",
    training_options={"num_envs": 2, "segment_steps": 50, "curve_steps": 50},
    evaluation_episodes=2,
)
SHOWN: list[str] = []


class Table:
    name = "The table"

    def __init__(self, folder: Path, spec: RunSpec) -> None:
        self.label = spec.label
        assert folder.name == spec.id

    def begin(self, number: int, reach: int) -> int:
        return number

    def add(self, number: int, place: int, numbers: Mapping[str, float]) -> None:
        SHOWN.extend(f"{self.label} {place} {name}" for name in numbers)

    def pause(self) -> None:
        pass

    def close(self, *, failed: bool) -> None:
        SHOWN.append(f"closed, failed: {failed}")


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(folder: Path, spec: RunSpec) -> Any:
        raise OSError("no such server")

    made: dict[str, Callable[..., Any]] = {"table": Table, "broken": broken}
    found = {("recorders", name): Part("recorders", name, make) for name, make in made.items()}
    monkeypatch.setattr(finding, "own_part", lambda kind, name: found.get((kind, name)))
    SHOWN.clear()


def trained(path: Path, *names: str) -> SuiteFolder:
    suite = SuiteFolder(path, "test", {}, Plan((SPEC,)))
    suite.begin()
    write_recorders(suite.path, names)
    train_run(suite.path, SPEC)
    return suite


@pytest.mark.usefixtures("own")
def test_a_runs_rows_are_shown_by_those_that_the_folder_names(tmp_path: Path) -> None:
    (run,) = trained(tmp_path / "out", "table", "broken").runs
    assert "pole 50 curve/gym/CartPole-v1/return_mean" in SHOWN
    assert "pole 100 evaluation/gym/CartPole-v1/trained/return_mean" in SHOWN
    assert SHOWN[-1] == "closed, failed: False"
    assert not list(run.path.glob("events*"))
    assert run.result()["notes"] == [
        "Recorder 'broken' can't be made (no such server); training goes on without it."
    ]


def test_tensorboard_is_the_default_and_none_is_none(tmp_path: Path) -> None:
    for names, events in (((), 1), (("none",), 0)):
        (run,) = trained(tmp_path / "-".join(["out", *names]), *names).runs
        assert len(list(run.path.glob("events*"))) == events
    assert not (tmp_path / "out" / FILE).exists()
    write_recorders(tmp_path / "out-none", ())  # another command, without the option
    assert json.loads((tmp_path / "out-none" / FILE).read_text())["recorders"] == ["tensorboard"]


@pytest.mark.parametrize("content", ["{", "[]", '{"recorders": "wandb"}', '{"recorders": [3]}'])
def test_a_damaged_file_ends_no_run(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    told: list[str] = []
    (made,) = recorders_of(tmp_path, tmp_path / "runs" / "x", SPEC, told.append)
    assert made.name == "TensorBoard"
    (note,) = told
    assert "Only TensorBoard's events are written." in note


@pytest.mark.usefixtures("own")
def test_names_are_checked_before_any_work() -> None:
    assert check_recorders(("table", "tensorboard", "table")) == ("table", "tensorboard")
    with pytest.raises(UsageError, match="Unknown recorder 'tensorbord'; did you mean 'tensorboa"):
        check_recorders(("tensorbord",))
    with pytest.raises(UsageError, match="choose one of: none, tensorboard, wandb"):
        check_recorders(("nosuch",))
