"""Networks without a run's folder, and runs that start from networks of elsewhere."""

import json
from dataclasses import replace
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete

import colonnade
from colonnade.errors import UsageError
from colonnade.experiments.execution.run import train_run
from colonnade.experiments.launch.rehearsal import Rehearsal
from colonnade.experiments.launch.suite import begin
from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.experiments.plans.selection import Selection
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.store.kept import read_kept
from colonnade.experiments.store.parents import read_parent
from colonnade.experiments.trained.policies.alone import kept_alone
from colonnade.learners import A2C, PPO
from colonnade.methods import PathNet, Progressive
from colonnade.networks import ColumnSpec, Dense, ProgressiveNetwork, modular_preset
from colonnade.tasks.space_data import space_data, space_from_data
from colonnade.types import TaskSpec

COLUMN = ColumnSpec((Dense(6), Dense(5)), activation="tanh")
SPEC = RunSpec(
    label="first",
    method="progressive",
    tasks=(TaskBudget("CartPole-v1", 64),),
    learner="a2c",
    column=COLUMN.to_dict(),
    training_options={"num_envs": 2, "segment_steps": 64, "curve_steps": 32, "device": "cpu"},
    evaluation_episodes=2,
    evaluation_limit=600,
)
TARGET = (TaskBudget("CartPole-v1", 64, {"name": "target"}),)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> SuiteFolder:
    """Two networks that were trained independently."""
    out = tmp_path_factory.mktemp("elsewhere") / "out"
    specs = (SPEC, replace(SPEC, label="second", seed=1))
    folder = SuiteFolder(out, "specs", {}, Plan(specs)).begin()
    for spec in specs:
        train_run(out, spec)
    return folder


def begun(tmp_path: Path, *specs: RunSpec) -> SuiteFolder:
    path = tmp_path / "specs.json"
    path.write_text(json.dumps([spec.to_json() for spec in specs]))
    return begin(path, tmp_path / "out", SuiteOptions())


@pytest.mark.parametrize(
    "space",
    [
        Box(-1, 1, (3,), np.float32),
        Box(0, 255, (3, 8, 8), np.uint8),
        Box(np.array([-np.inf, 0.1], np.float32), np.array([np.inf, 0.3], np.float32)),
        Box(-np.inf, np.inf, (2,), np.float64),
        Discrete(4),
        MultiDiscrete([3, 2]),
        Dict({"a": Box(-1, 1, (2,), np.float32), "b": Dict({"c": Discrete(2)})}),
    ],
)
def test_spaces_come_back_from_json(space: gymnasium.Space[object]) -> None:
    assert space_from_data(json.loads(json.dumps(space_data(space)))) == space


@pytest.mark.parametrize("data", [None, {}, {"box": 3}, {"discrete": "x"}, {"dict": 3}])
def test_what_is_no_space_is_refused(data: object) -> None:
    with pytest.raises(UsageError, match="describes no space; restore the file"):
        space_from_data(data)


@pytest.mark.parametrize(
    ("actions", "learner"),
    [(Discrete(3), A2C(gamma=0.5)), (Box(-2, 2, (2,), np.float32), PPO())],
)
def test_a_network_without_a_run_comes_back_from_its_file(
    tmp_path: Path, actions: gymnasium.Space[object], learner: A2C
) -> None:
    observations = Dict({"observation": Box(-1, 1, (4,), np.float32), "more": Box(0, 1, (2,))})
    specs = [TaskSpec(name, observations, actions, 10, reward_clip=2.0) for name in "ab"]
    method = Progressive(COLUMN)
    for spec in specs:
        method.begin_task(spec)
    saved = colonnade.TrainedPolicy(method.network_for("b"), specs[1], learner, seed=4)
    saved.save(tmp_path / "b.safetensors")
    loaded = colonnade.load(tmp_path / "b.safetensors", seed=4)
    assert loaded.spec == specs[1]
    observations.seed(0)
    for _ in range(8):
        seen = observations.sample()
        np.testing.assert_array_equal(saved(seen), loaded(seen))
    loaded.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (
        tmp_path / "b.safetensors"
    ).read_bytes()
    with pytest.raises(UsageError, match=r"Unknown task of .*b.safetensors: 'x'; choose one of: b"):
        colonnade.load(tmp_path / "b.safetensors", "x")


def test_what_cannot_be_saved_without_a_run_says_so(tmp_path: Path) -> None:
    spec = TaskSpec("a", Box(-1, 1, (4,), np.float32), Discrete(2), 10)
    method = Progressive(COLUMN)
    network = method.begin_task(spec)

    class Other(A2C):
        pass

    with pytest.raises(UsageError, match="is no learner that has a name"):
        colonnade.TrainedPolicy(network, spec, Other()).save(tmp_path / "x")
    paths = PathNet(modular_preset("vector")).begin_task(spec)
    with pytest.raises(UsageError, match="Only networks of columns can be saved without a run"):
        kept_alone(paths, spec, A2C())


def test_a_run_starts_from_a_run_of_another_folder(tmp_path: Path, elsewhere: SuiteFolder) -> None:
    source = elsewhere.runs[0]
    given = replace(SPEC, label="after", parent=f"file:{source.path}", tasks=TARGET)
    folder = begun(tmp_path, given)
    (spec,) = folder.plan.runs
    assert spec.parent is not None
    assert spec.parent.startswith("kept:")
    assert spec.id != given.id
    train_run(folder.path, spec)
    before, _ = source.weights()
    after, meta = folder.run(spec.id).weights()
    assert set(meta["tasks"]) == {"gym/CartPole-v1", "target"}
    first = {name: value for name, value in after.items() if name.startswith("columns.0.")}
    assert first.keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in first.items())
    # The folder is whole without what it came from.
    assert torch.equal(read_parent(folder.path, spec.parent)[0]["columns.0.output.bias"],
                       before["columns.0.output.bias"])  # fmt: skip
    assert Rehearsal(folder.plan, folder=folder.path).method(spec).state()[0].keys() == after.keys()


def test_a_file_and_the_folder_that_it_came_from_are_one_parent(
    tmp_path: Path, elsewhere: SuiteFolder
) -> None:
    source = elsewhere.runs[0]
    colonnade.load(source.path).save(tmp_path / "first.safetensors")
    plans = []
    for number, where in enumerate((source.path, tmp_path / "first.safetensors")):
        (tmp_path / str(number)).mkdir()
        spec = replace(SPEC, label="after", parent=f"file:{where}", tasks=TARGET)
        plans.append(begun(tmp_path / str(number), spec).plan)
    assert plans[0] == plans[1]


def test_a_new_column_reads_networks_that_were_trained_independently(
    tmp_path: Path, elsewhere: SuiteFolder
) -> None:
    origins = [f"file:{run.path}" for run in elsewhere.runs]
    ensemble = replace(SPEC, label="both", parents=tuple(origins), tasks=TARGET)
    last = (TaskBudget("CartPole-v1", 64, {"name": "3"}),)
    later = replace(SPEC, label="later", parent=ensemble.id, tasks=last)
    folder = begun(tmp_path, ensemble, later)
    both, third = folder.plan.runs
    assert folder.plan.parents(third) == (both.id,)
    train_run(folder.path, both)
    tensors, meta = folder.run(both.id).weights()
    for place, run in enumerate(elsewhere.runs):
        for name, value in run.weights()[0].items():
            moved = name.replace("columns.0.", f"columns.{place}.")
            assert torch.equal(tensors[moved], value)
    # A task that several know stays with the first.
    assert meta["tasks"] == {"gym/CartPole-v1": 0, "target": 2}
    assert [column.get("sources") for column in meta["network"]["columns"]] == [None, [], None]
    train_run(folder.path, third)
    assert folder.run(third.id).weights()[1]["tasks"]["3"] == 3
    kept = read_kept(next((folder.path / "parents").glob("*")))
    assert kept.spec is not None
    assert kept.spec.label in ("first", "second")


def test_parents_within_a_plan_are_trained_first(tmp_path: Path) -> None:
    sources = [replace(SPEC, label=f"source {seed}", seed=seed) for seed in range(3)]
    both = replace(SPEC, label="both", parents=tuple(s.id for s in sources[:2]), tasks=TARGET)
    plan = Plan((*sources, both))
    assert plan.parents(both) == plan.waits_for(both) == (sources[0].id, sources[1].id)
    assert plan.select({both.id}.__contains__).runs == (*sources[:2], both)
    assert plan.place(sources[0].id).method == "source"
    three = replace(both, label="three", parents=tuple(s.id for s in sources))
    plan = Plan((*sources, both, three))
    assert plan.configuration(both) != plan.configuration(three)
    assert plan.configuration(both) == plan.configuration(
        replace(both, seed=5, parents=(sources[1].id, sources[2].id))
    )
    with pytest.raises(UsageError, match=f"starts from run '{sources[0].id}' and .* list the par"):
        Plan((sources[0], both))


def test_runs_with_other_parents_or_in_another_order_are_no_seeds_of_each_other() -> None:
    one, again = (replace(SPEC, label=f"one {seed}", seed=seed) for seed in (0, 1))
    other = replace(SPEC, label="other", learner="ppo")
    best = Selection((one.id, other.id))
    plan = Plan((one, again, other), selections=(best,))

    def told(seed: int, *parents: str) -> str:
        spec = replace(SPEC, label=f"seed {seed}", seed=seed, parents=parents, tasks=TARGET)
        return plan.configuration(spec)

    pairs = [
        (one.id, "bundled:pong-source"),
        ("bundled:pong-source", one.id),
        (one.id, "file:elsewhere"),
        (one.id, other.id),
        (other.id, one.id),
        (one.id, best.name),
        ("file:elsewhere", "kept:0123"),
    ]
    assert len({told(0, *pair) for pair in pairs}) == len(pairs)
    for pair in pairs:
        assert told(0, *pair) == told(1, *(again.id if each == one.id else each for each in pair))


def test_what_a_single_parent_says_of_a_configuration_stays() -> None:
    one, other = SPEC, replace(SPEC, label="other", learner="ppo")
    best = Selection((one.id, other.id))
    plan = Plan((one, other), selections=(best,))
    names = sorted(map(plan.configuration, (one, other)))
    for parent, expected in [
        (None, None),
        ("bundled:pong-source", "bundled:pong-source"),
        (one.id, [False, plan.configuration(one)]),
        (best.name, [True, *names]),
    ]:
        found = plan.configuration(replace(SPEC, parent=parent, tasks=TARGET))
        assert json.loads(found)["parent"] == expected


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"parent": "file:nowhere"}, "Run 'first' starts from 'nowhere': nowhere is neither"),
        ({"parents": ("a",)}, r"'parents' are two or more different runs, instead of a 'parent'"),
        ({"parents": ("a", "b"), "parent": "c"}, r"instead of a 'parent'; got \('a', 'b'\) and"),
        ({"method": "finetune"}, "'finetune' moves one column on, but the run has 2 'parents'"),
        ({"method": "pathnet"}, "stand side by side as columns, but PathNet has none"),
    ],
)
def test_parents_that_will_not_do_are_refused(
    tmp_path: Path, elsewhere: SuiteFolder, changes: dict[str, object], sentence: str
) -> None:
    pair = tuple(f"file:{run.path}" for run in elsewhere.runs)
    values = {"parents": () if "parent" in changes else pair, "tasks": TARGET, **changes}
    if changes.get("method") == "pathnet":
        values["column"] = "vector"
    with pytest.raises(UsageError, match=sentence):
        begun(tmp_path, replace(SPEC, **values))  # type: ignore[arg-type]


def test_columns_that_stand_side_by_side_compute_what_they_did() -> None:
    networks = []
    for seed in (1, 2):
        generator = torch.Generator().manual_seed(seed)
        network = ProgressiveNetwork()
        for _ in range(2):
            network.add_column(COLUMN, {"observation": (4,)}, 3, generator)
        networks.append(network)
    inputs = {"observation": torch.rand(7, 4)}
    alone = [network.view(k)(inputs)[0] for network in networks for k in (0, 1)]
    joined, other = networks
    assert joined.stand_beside(other) == 2
    for k, expected in enumerate(alone):
        assert torch.equal(joined.view(k)(inputs)[0], expected)
    joined.add_column(COLUMN, {"observation": (4,)}, 3)
    first = joined(inputs)[0]
    again = ProgressiveNetwork.from_spec(json.loads(json.dumps(joined.spec_dict())))
    again.load_state_dict(joined.state_dict())
    assert torch.equal(again(inputs)[0], first)
    # The newest reads all four; those of one network never read the other's.
    for k in range(4):
        broken = ProgressiveNetwork.from_spec(joined.spec_dict())
        broken.load_state_dict(joined.state_dict())
        with torch.no_grad():
            broken.column(k).stage(1).weight.fill_(float("nan"))
        assert broken(inputs)[0].isnan().all()
        for other_network in {0: (2, 3), 1: (0, 2, 3), 2: (0, 1), 3: (0, 1, 2)}[k]:
            assert broken.view(other_network)(inputs)[0].isfinite().all()
    assert {feature.column for feature in joined.column(3).output_reads} == {2}
