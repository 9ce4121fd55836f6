"""What a trained network says of itself: in its file, at the console, and to those who go on."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from finished import POLE, balancing_network, poles, write_suite

import colonnade
from colonnade.cli.main import main
from colonnade.errors import UsageError
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.store.kept import About, Score
from colonnade.learners import PPO
from colonnade.networks import ColumnSpec, Dense, ProgressiveNetwork
from colonnade.training import read_tensors, write_tensors


def described(capsys: pytest.CaptureFixture[str], what: object) -> dict[str, str]:
    assert main(["describe", str(what)]) == 0
    lines = re.findall(r"^ (\w[\w ]*?)  +(.*?) *$", capsys.readouterr().out, re.MULTILINE)
    return dict(lines)


def test_a_runs_network_says_how_well_it_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = poles(tmp_path / "out").runs[1]
    result = json.loads((folder.path / "result.json").read_text())
    common = {"kind": "evaluation", "task": POLE, "step": 640, "episodes": 30}
    row = {**common, "policy": "trained", "return_mean": 481.5, "return_std": 20.25}
    chance = {**common, "policy": "random", "return_mean": 22.0, "return_std": 9.0}
    result["scores"] = [chance, row]
    (folder.path / "result.json").write_text(json.dumps(result))
    policy = colonnade.load(folder.path)
    assert policy.about.score == Score(POLE, 30, 481.5, 20.25)
    assert policy.about.steps == 640
    assert policy.about.versions == result["versions"]
    assert policy.about.licence == ""

    file = tmp_path / "pole.safetensors"
    policy.save(file, licence="CC-BY-4.0", note="Leans to the left.")
    for source in (folder.path, file):
        said = described(capsys, source)
        assert said["score"] == f"481.5 ± 21 over 30 episodes of {POLE}"
        assert said["learned for"] == "640 steps"
        assert said["method"] == folder.spec.method
        assert str(folder.spec.seed) == said["seed"]
    assert said["licence"] == "CC-BY-4.0"
    assert said["note"] == "Leans to the left."
    assert said["start from it"] == f'"parent": "file:{file}"'
    assert described(capsys, folder.path)["licence"] == "not stated; ask whoever made it"

    again = colonnade.load(file)
    assert again.about == About(
        640,
        policy.about.score,
        "CC-BY-4.0",
        "Leans to the left.",
        result["versions"],
        policy.about.hardware,
    )
    again.save(tmp_path / "other.safetensors", licence="MIT")  # what is not said again stays
    other = colonnade.load(tmp_path / "other.safetensors").about
    assert (other.licence, other.note, other.score) == (
        "MIT",
        "Leans to the left.",
        again.about.score,
    )


def test_the_steps_of_several_tasks_are_the_last_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = (POLE, "gym/Acrobot-v1")
    tasks = tuple(TaskBudget(name, 1000) for name in names)
    spec = RunSpec("both", "finetune", tasks, "ppo", "default")
    played = dict.fromkeys(names, 0)
    folder = write_suite(tmp_path / "out", [(spec, balancing_network(1), played)]).runs[0]
    result = json.loads((folder.path / "result.json").read_text())
    row = {"kind": "evaluation", "task": names[1], "policy": "trained", "step": 640}
    result["scores"] = [{**row, "episodes": 30, "return_mean": 1.0, "return_std": 0.0}]
    (folder.path / "result.json").write_text(json.dumps(result))
    said = described(capsys, folder.path)
    assert said["last task learned for"] == "640 steps"
    assert "learned for" not in said


def alone() -> colonnade.TrainedPolicy:
    network = ProgressiveNetwork()
    network.add_column(ColumnSpec((Dense(8),)), {"observation": (4,)}, 3)
    from colonnade.tasks import GymTask

    return colonnade.TrainedPolicy(network.view(0), GymTask("CartPole-v1").spec, PPO())


def test_a_network_without_a_run_has_the_score_that_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "pole.safetensors"
    alone().save(file)
    assert colonnade.load(file).about == About()
    said = described(capsys, file)
    assert (said["task"], said["learner"]) == (POLE, "ppo")
    assert said["score"] == "not known; save(path, returns=evaluate(...)) says it"

    alone().save(file, returns=np.float32([10, 20, 60]))
    # By hand: mean 30, deviations -20, -10, 30: sqrt((400 + 100 + 900) / 3).
    score = colonnade.load(file).about.score
    assert score is not None
    assert (score.task, score.episodes, score.return_mean) == (POLE, 3, 30.0)
    assert score.return_std == pytest.approx(21.602, abs=1e-3)
    assert described(capsys, file)["score"] == f"30 ± 26 over 3 episodes of {POLE}"


def test_those_that_ship_say_all(capsys: pytest.CaptureFixture[str]) -> None:
    said = described(capsys, "bundled:pong-source")
    assert said["tasks"] == "pong-soup/pong (4,000,000)"
    assert said["learned for"] == "1,875,968 steps"
    assert said["licence"] == "Apache-2.0"
    assert said["start from it"] == '"parent": "bundled:pong-source"'


def test_mistakes_are_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "pole.safetensors"
    with pytest.raises(UsageError, match="returns of save are one number for each episode"):
        alone().save(file, returns=[[1.0]])
    with pytest.raises(UsageError, match="returns of save are one number for each episode"):
        alone().save(file, returns=[float("nan")])
    with pytest.raises(UsageError, match="licence of save"):
        alone().save(file, licence=3)  # type: ignore[arg-type]
    assert not file.exists()

    alone().save(file)
    tensors, meta = read_tensors(file)
    for wrong in ([], {"licence": 3}, {"price": "high"}, {"score": {"task": "x"}}):
        meta["policy"]["about"] = wrong
        write_tensors(file, tensors, meta)
        assert main(["describe", str(file)]) == 2
        sentence = capsys.readouterr().err
        assert f"{file}: 'about'" in sentence
        assert "Traceback" not in sentence
    assert main(["describe", "bundled:nothing"]) == 2
    assert "choose one of: pong-source, reach-source" in capsys.readouterr().err
    assert main(["describe", str(tmp_path / "none.safetensors")]) == 2
