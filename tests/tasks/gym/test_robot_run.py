"""The page's own run: a robot's stand-in in the arm's place, beside the column that ships along."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from colonnade.errors import ColonnadeError
from colonnade.experiments.execution.run import train_run
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.training import Interrupted

PAGE = Path(__file__).parents[3] / "docs" / "sim-to-real.md"

# What stands for a robot: the arm of another domain, alone, in real time, without seeds.
MODULE = """
import gymnasium
from colonnade.tasks.arm import JacoTask

class Robot(gymnasium.Env):
    metadata = {"real_time": True, "render_modes": []}
    calls = {"reset": 0, "lost": 0}

    def __init__(self):
        self.arm = JacoTask("robot-mild").make_vec(1)
        self.observation_space = self.arm.single_observation_space
        self.action_space = self.arm.single_action_space
        self.seen, self.under_way, self.steps = self.arm.reset(seed=0)[0], False, 0

    def reset(self, *, seed=None, options=None):
        assert seed is None and not self.under_way
        self.calls["reset"] += 1
        self.under_way = True
        return self.seen[0], {}

    def step(self, action):
        assert self.under_way
        self.steps += 1
        if self.steps == 30:
            self.under_way = False
            self.calls["lost"] += 1
            self.seen = self.arm.reset()[0]
            raise TimeoutError("no packet")
        self.seen, rewards, terminated, truncated, info = self.arm.step(action[None])
        over = bool(terminated[0] or truncated[0])
        self.under_way = not over
        shown = info["final_obs"] if over else self.seen
        return shown[0], float(rewards[0]), bool(terminated[0]), bool(truncated[0]), {}

gymnasium.register("lab/Jaco-v0", Robot)
"""


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunSpec:
    (tmp_path / "my_lab.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    (block,) = re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
    whole = RunSpec.from_json(json.loads(block), "the page")
    assert whole.tasks[0].steps == 60_000
    return replace(
        whole,
        tasks=(replace(whole.tasks[0], steps=200),),
        training_options={**whole.training_options, "segment_steps": 60},
    )


def test_the_pages_run_is_learned_stopped_and_gone_on_with(tmp_path: Path, spec: RunSpec) -> None:
    suite = SuiteFolder(tmp_path / "out", "robot.json", {}, Plan((spec,)))
    suite.begin()
    asked: list[int] = []

    def stop() -> bool:
        asked.append(0)
        return len(asked) > 7

    with pytest.raises(Interrupted):
        train_run(suite.path, spec, stop=stop)
    train_run(suite.path, spec)
    folder = suite.run(spec.id)
    assert folder.done
    assert [len(c["spec"]["stages"]) for c in folder.network()["network"]["columns"]] == [3, 3]
    tensors, _ = folder.weights()
    assert tensors["columns.1.output.weight"].abs().sum() > 0, "its own weights started at zero"
    import my_lab  # type: ignore[import-not-found]

    assert my_lab.Robot.calls["lost"] >= 1
    assert my_lab.Robot.calls["reset"] > 5


def test_several_of_it_are_refused_before_anything_moves(tmp_path: Path, spec: RunSpec) -> None:
    several = replace(spec, training_options={**spec.training_options, "num_envs": 2})
    suite = SuiteFolder(tmp_path / "out", "robot.json", {}, Plan((several,)))
    suite.begin()
    with pytest.raises(ColonnadeError, match="num_envs"):
        train_run(suite.path, several)
