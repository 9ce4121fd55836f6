"""The arm as a run: cut off and resumed in the middle of its episodes, and filmed."""

from pathlib import Path

import imageio.v3 as imageio
import pytest

from colonnade.experiments.execution.run import train_run
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.trained.play import play
from colonnade.training import Interrupted

OPTIONS = {"view": "state", "rules": {"max_steps": 30, "target_every": 2}, "look": {"noise": 2.0}}
SPEC = RunSpec(
    label="arm",
    method="finetune",
    tasks=(TaskBudget("jaco/robot-conveyor", 400, options=OPTIONS),),
    learner="a2c",
    column="mlp",
    training_options={"num_envs": 4, "segment_steps": 100, "curve_steps": 100},
    evaluation_episodes=2,
)


def begin(path: Path) -> SuiteFolder:
    suite = SuiteFolder(path, "test", {}, Plan((SPEC,)))
    suite.begin()
    return suite


def rows(suite: SuiteFolder) -> list[dict[str, object]]:
    kept = [dict(row) for row in suite.run(SPEC.id).metrics()]
    for row in kept:
        row.pop("steps_per_second", None)
    return [row for row in kept if row["kind"] in ("curve", "evaluation")]


def test_an_arm_is_trained_resumed_and_filmed(tmp_path: Path) -> None:
    whole, resumed = begin(tmp_path / "whole"), begin(tmp_path / "resumed")
    train_run(whole.path, SPEC)
    asked: list[int] = []

    def stop() -> bool:
        asked.append(0)
        return len(asked) > 13

    with pytest.raises(Interrupted):
        train_run(resumed.path, SPEC, stop=stop)
    train_run(resumed.path, SPEC)
    assert rows(whole) == rows(resumed)
    assert len(rows(whole)) >= 4

    film = tmp_path / "film.gif"
    played = play(whole, None, None, episodes=2, film=film, seed=3)
    pictures = imageio.imread(film)
    assert pictures.shape[1:] == (320, 320, 3), "though the agent is shown numbers alone"
    assert 40 < len(pictures) <= 60
    assert played.returns.shape == (2,)
