"""Environments that fail: each names itself, the step and what came; other runs finish."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from colonnade.errors import UsageError
from colonnade.experiments.execution.execute import execute
from colonnade.experiments.execution.processes import ending
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.store.folders import RunFolder, SuiteFolder
from colonnade.learners import A2C
from colonnade.methods import Scratch
from colonnade.tasks import GymTask
from colonnade.training import TrainingOptions, train_sequence

FAILURES: dict[str, Callable[[], Any]] = {
    "raises": lambda: 1 / 0,
    "shape": lambda: (np.zeros(5, np.float32), 0.0, False, False, {}),
    "dtype": lambda: (np.zeros(4, np.complex64), 0.0, False, False, {}),
    "text": lambda: ("abcd", 0.0, False, False, {}),
    "reward": lambda: (np.zeros(4, np.float32), None, False, False, {}),
    "rewards": lambda: (np.zeros(4, np.float32), np.array([1.0]), False, False, {}),
    "flags": lambda: (np.zeros(4, np.float32), 0.0, np.array([True, False]), False, {}),
    "no-flag": lambda: (np.zeros(4, np.float32), 0.0, False, None, {}),
    "info": lambda: (np.zeros(4, np.float32), 0.0, False, False, None),
    "four": lambda: (np.zeros(4, np.float32), 0.0, False, {}),
    "nothing": lambda: None,
    "nan": lambda: (np.full(4, np.nan, np.float32), 0.0, False, False, {}),
    "nan-reward": lambda: (np.zeros(4, np.float32), float("nan"), False, False, {}),
    "exits": lambda: os._exit(3),
    "aborts": os.abort,
}


class Failing(gymnasium.Env[Any, Any]):
    """Well for a while: its probe and its first episodes, 3,000 steps in all of one process."""

    observation_space = gymnasium.spaces.Box(-1, 1, (4,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, how: str, after: int = 30) -> None:
        self.how, self.after, self.steps = how, after, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(4, np.float32), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        if self.steps > self.after:
            return FAILURES[self.how]()
        return np.zeros(4, np.float32), 1.0, False, self.steps == 20 and self.after > 30, {}


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    if "Failing-v0" not in gymnasium.registry:
        gymnasium.register("Failing-v0", Failing, disable_env_checker=True)
    # The probe, which plays as well, has its own tests.
    monkeypatch.setattr("colonnade.tasks.gym.probing.LEAST_STEPS", 4)
    monkeypatch.setattr("colonnade.tasks.gym.probing.MOST_STEPS", 8)


SAID = {
    "raises": "Environment 0 of 'Failing-v0', in step 31 of its episode, failed: "
    "ZeroDivisionError: division by zero (",
    "shape": "in step 31 of its episode, gave an observation of shape (5,), where its space has "
    "(4,)",
    "dtype": "in step 31 of its episode, gave an observation of complex64, where its space has",
    "text": "in step 31 of its episode, gave an observation of shape (), where its space has (4,)",
    "reward": "in step 31 of its episode, gave None as a reward, where a number belongs",
    "rewards": "gave array([1.]) as a reward, where a number belongs",
    "flags": "gave array([ True, False]) as terminated, where True or False belongs",
    "no-flag": "gave None as truncated, where True or False belongs",
    "info": "in step 31 of its episode, gave None as info, where a dict belongs",
    "four": "where `step` gives (observation, reward, terminated, truncated, info)",
    "nothing": "gave None where `step` gives",
    "nan": "Environment 0 of task 'gym/Failing-v0' gave NaN or infinity as",
    "nan-reward": "Environment 0 of task 'gym/Failing-v0' gave NaN or infinity as",
}


def learn(task: GymTask) -> None:
    options = TrainingOptions(num_envs=2, segment_steps=100, curve_steps=100)
    train_sequence([task], Scratch(), A2C(), options=options)


@pytest.mark.parametrize("how", SAID)
def test_a_failing_environment_is_named_with_its_step(how: str) -> None:
    with pytest.raises(UsageError) as raised:
        learn(GymTask("Failing-v0", steps=1000, options={"how": how}))
    assert SAID[how] in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("exits", "A process of 'Failing-v0' ended while its answer was waited for (environment "),
        ("aborts", " by signal 6"),
        ("raises", "in step 31 of its episode, failed: ZeroDivisionError: division by zero"),
        ("info", "gave None as info, where a dict belongs"),
    ],
)
def test_an_environment_in_a_process_of_its_own_is_named_too(how: str, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        learn(GymTask("Failing-v0", steps=1000, options={"how": how}, processes=True))
    assert said in str(raised.value)
    assert "EOFError" not in str(raised.value)


def test_one_that_begins_an_episode_without_info_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Failing, "reset", lambda self, **_: (np.zeros(4, np.float32), None))
    with pytest.raises(UsageError, match="when it was reset, gave None as info, where a dict"):
        learn(GymTask("Failing-v0", steps=1000, options={"how": "raises"}))


@pytest.mark.parametrize("how", ["raises", "four", "nothing"])
def test_one_that_fails_when_it_is_first_looked_at_is_named_too(how: str) -> None:
    said = SAID[how].replace("step 31", "step 1")
    with pytest.raises(UsageError, match=re.escape(said)):
        _ = GymTask("Failing-v0", options={"how": how, "after": 0}).spec


def test_a_run_that_exits_says_where_and_how(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    (folder.path / "log.txt").write_text("  logger.warn(\n")
    progress = {
        "task": "gym/X", "task_index": 0, "step": 1200, "total_steps": 5000, "run_step": 1200,
        "steps_per_second": 10.0, "recent_return": None,
    }  # fmt: skip
    (folder.path / "status.json").write_text(json.dumps({"progress": progress}))
    assert ending(folder, 3).reason == (
        "its process ended with status 3 and without a word, as where an environment or a library "
        "calls os._exit, soon after step 1,200 of task 'gym/X'"
    )
    assert ending(folder, -6).reason == (
        "its process was ended by signal 6 (SIGABRT), soon after step 1,200 of task 'gym/X'"
    )


def test_an_environment_that_cannot_be_made_says_why() -> None:
    class Broken(Failing):
        def __init__(self) -> None:
            raise RuntimeError("no licence")

    if "Broken-v0" not in gymnasium.registry:
        gymnasium.register("Broken-v0", Broken)
    with pytest.raises(UsageError, match=r"Broken-v0 cannot be made .*RuntimeError: no licence"):
        _ = GymTask("Broken-v0").spec


MODULE = """
import os
import gymnasium
import numpy as np
from pathlib import Path


class Exits(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (3,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 10
        return np.zeros(3, np.float32), {}

    def step(self, action):
        self.left -= 1
        marks = Path(__file__).parent / "mended"
        runs = Path(__file__).parent / "training"
        if runs.exists() and not marks.exists():
            os._exit(3)
        return np.zeros(3, np.float32), 1.0, not self.left, False, {}


gymnasium.register("Exits-v0", Exits)
"""


def test_other_runs_finish_and_it_can_be_retried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rich.console import Console

    from colonnade.cli.display import Display

    (tmp_path / "exiting_envs.py").write_text(MODULE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)

    def spec(label: str, task: str) -> RunSpec:
        options = {"num_envs": 2, "segment_steps": 50, "curve_steps": 50}
        tasks = (TaskBudget(task, 100),)
        return RunSpec(label, "scratch", tasks, "a2c", "default", 0, {}, {}, options, 1)

    exits, well = spec("exits", "gym/exiting_envs:Exits-v0"), spec("well", "gym/CartPole-v1")
    suite = SuiteFolder(tmp_path / "out", "mine.json", {}, Plan((exits, well))).begin()

    def go() -> dict[str, str]:
        display = Display(Console(quiet=True), "runs")
        failures = execute(suite, suite.plan, jobs=2, display=display)
        return {failure.run: failure.reason for failure in failures}

    (tmp_path / "training").touch()
    reasons = go()
    assert list(reasons) == [exits.id]
    assert "ended with status 3 and without a word" in reasons[exits.id]
    assert suite.run(well.id).done
    (tmp_path / "mended").touch()
    assert go() == {}
    assert suite.run(exits.id).done
