"""A spec may name a factory of the user's own: `run` imports it, what only looks does not."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from colonnade.cli.networks import print_networks
from colonnade.errors import UsageError
from colonnade.experiments.execution.run import train_run
from colonnade.experiments.launch.rehearsal import Rehearsal
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.trained.play import play
from colonnade.reports.network import DrawnNetwork, network_drawing
from colonnade.training import Interrupted
from colonnade.trust import UntrustedError

MODULE = "nets_of_a_user"
STAGE = {"kind": "custom", "factory": f"{MODULE}:make", "out_shape": [6]}
SPEC = RunSpec(
    label="custom",
    method="progressive",
    tasks=(TaskBudget("mini-pong/pong", 200), TaskBudget("mini-pong/zoom", 200)),
    learner="a2c",
    column={"stages": [STAGE, {"kind": "dense", "units": 4}]},
    training_options={"num_envs": 4, "segment_steps": 100, "curve_steps": 100},
    evaluation_episodes=1,
)
CHILD = replace(SPEC, label="child", tasks=SPEC.tasks[:1], column="tiny", method="finetune")


@pytest.fixture(autouse=True)
def users_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / f"{MODULE}.py").write_text(
        "from torch import nn\n"
        "def make(shape):\n"
        "    return nn.Sequential(nn.Flatten(), nn.LazyLinear(6))\n"
    )
    monkeypatch.syspath_prepend(folder)
    yield
    sys.modules.pop(MODULE, None)


def begin(path: Path, *specs: RunSpec) -> SuiteFolder:
    suite = SuiteFolder(path, "test", {}, Plan(specs))
    suite.begin()
    return suite


def test_a_run_is_trained_resumed_played_and_continued(tmp_path: Path) -> None:
    child = replace(CHILD, parent=SPEC.id)
    suite = begin(tmp_path / "out", SPEC, child)
    asked: list[int] = []

    def stop() -> bool:
        asked.append(0)
        return len(asked) > 7

    with pytest.raises(Interrupted):
        train_run(suite.path, SPEC, stop=stop)
    assert list(suite.run(SPEC.id).path.glob("checkpoint-*"))
    train_run(suite.path, SPEC)
    train_run(suite.path, child)  # whose own column is another
    with pytest.raises(UntrustedError, match=f"names the module '{MODULE}'.* add --trust"):
        play(suite, SPEC.id, None, episodes=1, film=None, seed=0)
    played = play(suite, SPEC.id, None, episodes=1, film=None, seed=0, trust=True)
    assert len(played.returns) == 1
    network = suite.run(SPEC.id).network()["network"]
    assert network["columns"][1]["spec"]["stages"][0] == {**STAGE, "laterals": None}
    drawing = network_drawing(DrawnNetwork(SPEC.id, network, ("pong", "zoom")))
    assert "custom 6" in [text.get_text() for text in drawing.axes[0].texts]


def test_looking_at_a_folder_imports_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = begin(tmp_path / "out", SPEC)
    print_networks(str(suite.path))
    printed = capsys.readouterr().out
    assert "custom (not imported, so not counted)" in printed
    assert "dense 4" in printed
    assert MODULE not in sys.modules
    Rehearsal().check(SPEC)
    assert MODULE in sys.modules


def test_a_mistake_in_the_name_is_found_before_any_work() -> None:
    column = json.loads(json.dumps(SPEC.column).replace(":make", ":mak"))
    with pytest.raises(UsageError, match="did you mean 'make'"):
        Rehearsal().check(replace(SPEC, column=column))
    column["stages"][0] |= {"factory": f"{MODULE}:make", "out_shape": [7]}
    with pytest.raises(UsageError, match=r"stage 0 \(Custom\): .* out_shape \(7,\)"):
        Rehearsal().check(replace(SPEC, column=column))
