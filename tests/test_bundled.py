"""The columns that ship along play as well, in the real emulators, as their records say."""

import json
import re
from importlib import resources
from pathlib import Path

import pytest

from colonnade.experiments.plans.build import build_method, build_task
from colonnade.experiments.plans.bundled import bundled_columns
from colonnade.experiments.plans.plan import SuiteOptions
from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.store.parents import read_parent, read_trained, take_over
from colonnade.experiments.suites import suite_from_name
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


PAGE = Path(__file__).parents[1] / "docs" / "columns.md"


def test_the_page_of_columns_says_what_their_files_say():
    rows = [line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines() if "|" in line]
    table = {row[0]: row[1:] for row in rows if len(row) == 3}
    heads = next(row for row in rows if row[0].startswith("`bundled:"))
    assert heads == [f"`bundled:{name}`" for name in bundled_columns()]
    for place, name in enumerate(bundled_columns()):
        about, spec = read_trained(f"bundled:{name}").about, read_trained(f"bundled:{name}").spec
        said = {row: cells[place] for row, cells in table.items()}
        assert said["task"].startswith(f"`{spec.target}`")
        assert said["method, learner"] == f"`{spec.method}`, `{spec.learner}`"
        assert said["column"].startswith(f"`{spec.column['preset']}`")
        with resources.as_file(DATA / f"{name}.safetensors") as path:
            tensors, _ = read_tensors(path)
        size = sum(value.numel() for value in tensors.values())
        assert said["column"].endswith(f" {size:,} parameters")
        assert said["learned for"] == f"{about.steps:,} steps"
        score = about.score
        mean = f"{score.return_mean:.1f} ± {score.spread:.1f} over {score.episodes} episodes"
        assert said["score"].startswith(mean)
        assert said["licence"] == about.licence
        suite = re.match(r"`colonnade run (\S+) --out", said["in a suite"])[1]
        runs = suite_from_name(suite).plan(SuiteOptions()).runs
        assert f"bundled:{name}" in {run.parent for run in runs}


def test_the_runs_of_the_page_start_from_them(tmp_path):
    blocks = re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
    specs = [RunSpec.from_json(json.loads(block)) for block in blocks]
    assert [spec.parent for spec in specs] == [f"bundled:{name}" for name in bundled_columns()]
    for spec in specs:
        if spec.target.startswith("jaco/"):
            pytest.importorskip("mujoco")
        method = build_method(spec)
        take_over(method, [read_parent(tmp_path, spec.parent)])
        task = build_task(spec.tasks[0])
        assert len(method.begin_task(task.spec).columns) == 2
