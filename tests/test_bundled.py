"""The columns that ship along play as well, in the real emulators, as their records say."""

import json
from importlib import resources

import pytest

from colonnade.experiments.plans.bundled import bundled_columns
from colonnade.experiments.plans.plan import SuiteOptions
from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.suites.designs.reaching import ReachingDesign
from colonnade.experiments.suites.sim_to_real import mini
from colonnade.methods import Progressive
from colonnade.tasks import task_from_name
from colonnade.training import evaluate, read_tensors

DATA = resources.files("colonnade") / "data"


@pytest.mark.parametrize("few", [2, pytest.param(None, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", bundled_columns())
def test_bundled_column_reaches_its_score(name, few):
    record = json.loads((DATA / f"{name}.json").read_text())
    spec = RunSpec.from_json(record["spec"])
    if spec.target.startswith("jaco/"):
        pytest.importorskip("mujoco")
    with resources.as_file(DATA / f"{name}.safetensors") as path:
        tensors, meta = read_tensors(path)
    method = Progressive()
    method.load_state(tensors, meta)
    score = record["score"]
    task = task_from_name(spec.target, steps=1)
    episodes = few or score["episodes"]
    network = method.network_for(spec.target)
    returns = evaluate(task, network, episodes=episodes, seed=score["seed"])
    # Another processor rounds differently, and games then take other turns.
    slack = 3 * score["return_std"] / episodes**0.5
    assert returns.mean() >= score["return_mean"] - slack
    chance = evaluate(task, None, episodes=4, seed=0).mean()
    assert score["return_mean"] > chance + slack


def test_the_demo_has_its_column():
    assert bundled_columns() == ("pong-source", "reach-source")
    record = json.loads((DATA / "pong-source.json").read_text())
    assert RunSpec.from_json(record["spec"]).column == {"preset": "atari", "alpha": 1.0}


def test_the_arm_has_its_column():
    record = json.loads((DATA / "reach-source.json").read_text())
    column = RunSpec.from_json(record["spec"]).column
    assert column == ReachingDesign().column("wide")
    parents = {spec.parent for spec in mini.plan(SuiteOptions()).runs}
    assert parents == {None, "bundled:reach-source"}
