"""Code that files name: imported only on purpose, and never from the current folder by accident."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from colonnade.cli.main import main
from colonnade.errors import UsageError
from colonnade.experiments.execution.run import train_run
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.networks import custom_factories, factories_named
from colonnade.networks.factories import MissingFactory, factory_from_data
from colonnade.tasks import GymTask
from colonnade.trust import UntrustedError, import_named, only_if_trusted

MARK = "IT_RAN"
ENVIRONMENT = f"""
import pathlib
import gymnasium
import numpy as np

(pathlib.Path(__file__).parent / "{MARK}").touch()


class Short(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (3,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 5
        return self.np_random.uniform(-1, 1, 3).astype(np.float32), {{}}

    def step(self, action):
        self.left -= 1
        observation = self.np_random.uniform(-1, 1, 3).astype(np.float32)
        return observation, float(action), not self.left, False, {{}}


gymnasium.register("Short-v0", Short)
"""
SPEC = RunSpec(
    label="theirs",
    method="scratch",
    tasks=(TaskBudget("gym/their_envs:Short-v0", 64),),
    learner="a2c",
    column={"stages": [{"kind": "dense", "units": 4}]},
    training_options={"num_envs": 2, "segment_steps": 32, "curve_steps": 32},
    evaluation_episodes=2,
)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a module that says when it runs."""
    (tmp_path / "their_envs.py").write_text(ENVIRONMENT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    yield tmp_path
    sys.modules.pop("their_envs", None)


def ran(place: Path) -> bool:
    return (place / MARK).exists()


def test_looking_runs_nothing_that_a_folder_names(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    SuiteFolder(place / "out", "theirs.json", {}, Plan((SPEC,))).begin()
    assert main(["report", "out"]) == 0
    for command in ("describe", "play", "analyze", "prune"):
        assert main([command, "out"]) in (1, 2)
        assert not ran(place), command
    capsys.readouterr()
    assert main(["describe", "out"]) == 2
    assert capsys.readouterr().err == (
        "colonnade: out names the module 'their_envs', which would be run to go on; add --trust "
        "(in Python: trust=True) if you trust whoever made it.\n"
    )
    assert main(["describe", "out", "--trust"]) == 0
    assert ran(place)


def test_a_complete_run_is_described_and_played_only_with_trust(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = SuiteFolder(place / "out", "theirs.json", {}, Plan((SPEC,))).begin()
    train_run(suite.path, SPEC)
    (place / MARK).unlink()
    sys.modules.pop("their_envs")
    capsys.readouterr()
    assert main(["describe", "out"]) == 0
    assert "dense 4" in capsys.readouterr().out
    assert main(["play", "out"]) == 2
    assert "names the module 'their_envs'" in capsys.readouterr().err
    assert not ran(place)
    assert main(["play", "out", "--trust"]) == 0
    assert ran(place)


def test_weights_name_nothing_that_a_run_follows() -> None:
    with custom_factories("import", only={"os.path:join"}):
        assert factory_from_data("os.path:join") is os.path.join
        assert isinstance(factory_from_data("os:system"), MissingFactory)
    assert factories_named({"stages": [{"factory": "a:b"}, {"inner": [{"factory": "c:d"}]}]}) == {
        "a:b",
        "c:d",
    }


def test_what_builds_any_environment_counts_as_code() -> None:
    with only_if_trusted("a folder", trust=False):
        GymTask("CartPole-v1")
        for name in ("GymV26Environment-v0", "GymV21Environment-v0"):
            with pytest.raises(UntrustedError, match="builds any environment"):
                GymTask(name)


def test_modules_of_ones_own_are_found_here_and_none_takes_a_packages_place(place: Path) -> None:
    for package in ("gymnasium", "torch", "colonnade", "numpy"):
        (place / f"{package}.py").write_text("raise SystemExit('the wrong package')")
    (place / "spec.json").write_text(json.dumps(SPEC.to_json()))
    # As the command `colonnade` begins, whose folder is not the current one.
    done = subprocess.run(
        [sys.executable, "-P", "-m", "colonnade", "run", "spec.json", "--out", "out"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Imports their_envs, which spec.json names." in done.stdout
    assert ran(place)


def test_a_module_is_looked_for_here_only_where_it_is_nowhere_else(place: Path) -> None:
    (place / "json.py").write_text("raise RuntimeError")
    assert import_named("json") is json
    assert str(place) not in sys.path
    import_named("their_envs")
    assert sys.path[-1] == str(place)
    with pytest.raises(ModuleNotFoundError):
        import_named("nowhere_at_all")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere_at_all:Id-v0", "importing it failed: No module named 'nowhere_at_all'"),
        (":X", "should name a module before its colon"),
        (".x:Y", "should name a module before its colon"),
        ("a b:Y", "should name a module before its colon"),
        ("raising:Y", "fails when it is imported: ZeroDivisionError: division by zero"),
        ("their_envs:Shart-v0", "Unknown Gymnasium id 'Shart-v0'; did you mean"),
        ("Z" * 5000, "Unknown Gymnasium id 'ZZZ"),
    ],
)
def test_an_id_that_leads_nowhere_is_told_in_a_sentence(place: Path, name: str, said: str) -> None:
    (place / "raising.py").write_text("1 / 0")
    with pytest.raises(UsageError) as raised:
        GymTask(name)
    assert said in str(raised.value)
    assert len(str(raised.value)) < 600
