"""Runs whose tasks normalise what they show: what reads their folders reads as they learned."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

import colonnade
from colonnade.analysis.policies.states import joined, policy_states
from colonnade.errors import UsageError
from colonnade.experiments.execution.run import train_run
from colonnade.experiments.launch.suite import begin
from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.trained import prune, sensitivity
from colonnade.experiments.trained.analysis_options import AnalysisOptions
from colonnade.experiments.trained.load import column_method, task_as_learned
from colonnade.experiments.trained.play import play
from colonnade.experiments.trained.prune_options import PruneOptions
from colonnade.experiments.trained.sensitivity import analyse_run
from colonnade.learners import A2C
from colonnade.methods import Finetune, Progressive
from colonnade.networks import ColumnSpec, Dense, mlp_column
from colonnade.seeding import derive
from colonnade.tasks import GymTask
from colonnade.training import TrainingOptions, evaluate, train_sequence

NORMAL = {"normalize_observations": True, "normalize_rewards": 0.99}


def run(label: str, task: str, parent: str | None = None) -> RunSpec:
    budget = TaskBudget("CartPole-v1", 400, {**NORMAL, "name": task})
    return RunSpec(
        label,
        "progressive",
        (budget,),
        "a2c",
        "mlp",
        learner_options={"rollout_steps": 5},
        training_options={"num_envs": 4, "segment_steps": 100, "device": "cpu"},
        evaluation_episodes=6,
        parent=parent,
    )


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> SuiteFolder:
    source = run("source", "short")
    target = run("target", "long", source.id)
    folder = SuiteFolder(
        tmp_path_factory.mktemp("normal") / "out", "by hand", {}, Plan((source, target))
    )
    folder.begin()
    for spec in (source, target):
        train_run(folder.path, spec)
    return folder


def test_what_was_scored_is_scored_again_from_the_folder_alone(suite: SuiteFolder) -> None:
    for folder, names in zip(suite.runs, (["short"], ["short", "long"]), strict=True):
        task = task_as_learned(suite, folder, names[-1])
        network = colonnade.load(folder.path).network
        seed = derive(0, "trained policy", names[-1])
        scores = evaluate(task, network, episodes=6, seed=seed, device="cpu")
        (own,) = [
            row["return_mean"] for row in folder.result()["scores"] if row["policy"] == "trained"
        ]
        assert scores.mean() == own
        # The source's own statistics stand beside the second column too.
        counts = {name: colonnade.load(folder.path, name) for name in names}
        assert [policy.spec.id for policy in counts.values()] == names
    source, target = suite.runs
    observation = np.array([0.1, -0.5, 0.02, 0.7])
    first = [colonnade.load(folder.path, "short", greedy=True) for folder in (source, target)]
    outputs = [
        policy.network({"observation": torch.from_numpy(seen(policy, observation))})[0]
        for policy in first
    ]
    torch.testing.assert_close(outputs[0], outputs[1])


def seen(policy: colonnade.TrainedPolicy, observation: np.ndarray) -> np.ndarray:
    raw, _ = policy._batch(observation)
    return raw["observation"].numpy()


def test_policies_take_observations_as_they_come(suite: SuiteFolder, tmp_path: Path) -> None:
    folder = suite.runs[1]
    policy = colonnade.load(folder.path, greedy=True)
    statistics = task_as_learned(suite, folder, "long").normalization
    env = gymnasium.make("CartPole-v1")
    raw = np.stack([env.reset(seed=seed)[0] for seed in range(30)]) * np.float32(9)
    normal = statistics.normalized(raw)
    assert np.abs(normal - raw).max() > 0.5
    with torch.no_grad():
        output = policy.network({"observation": torch.from_numpy(normal)})[0]
    assert policy(raw).tolist() == output[:, :-1].argmax(1).tolist()

    policy.save(tmp_path / "kept.safetensors")
    again = colonnade.load(tmp_path / "kept.safetensors", greedy=True)
    assert again.spec.id == "long"  # the last one learned, not the last by name
    assert again(raw).tolist() == policy(raw).tolist()

    policy.export(tmp_path / "policy.pt2")
    program = torch.export.load(tmp_path / "policy.pt2").module()
    actions, exported = program(torch.from_numpy(raw))
    assert actions.tolist() == policy(raw).tolist()
    torch.testing.assert_close(exported, output, rtol=1e-6, atol=1e-6)


def test_a_policy_without_a_run_is_saved_with_what_was_seen(tmp_path: Path) -> None:
    task = GymTask("CartPole-v1", 200, name="alone", **NORMAL)
    method = Progressive(mlp_column((8,)))
    train_sequence([task], method, A2C(), options=TrainingOptions(num_envs=2, device="cpu"))
    policy = colonnade.TrainedPolicy(
        method.network_for("alone"),
        task.spec,
        A2C(),
        greedy=True,
        normalization=task.normalization,
    )
    policy.save(tmp_path / "alone.safetensors")
    again = colonnade.load(tmp_path / "alone.safetensors", greedy=True)
    raw = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32) * 3
    assert again(raw).tolist() == policy(raw).tolist()
    np.testing.assert_array_equal(seen(again, raw), task.normalization.normalized(raw))


def test_a_file_without_what_was_seen_is_told(suite: SuiteFolder, tmp_path: Path) -> None:
    policy = colonnade.load(suite.runs[0].path)
    kept = policy._kept
    assert kept is not None
    bare = {name: v for name, v in kept.tensors.items() if not name.startswith("normalization")}
    kept._replace(tensors=bare).write(tmp_path / "bare.safetensors")
    with pytest.raises(
        UsageError, match=r"'short' normalises .* holds no statistics of it that fit"
    ):
        colonnade.load(tmp_path / "bare.safetensors")


@pytest.mark.slow
def test_onnx_takes_observations_as_they_come(suite: SuiteFolder, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    policy = colonnade.load(suite.runs[1].path, greedy=True)
    policy.export(tmp_path / "policy.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "policy.onnx")
    raw = np.random.default_rng(1).normal(size=(50, 4)).astype(np.float32) * 3
    actions, output = session.run(["actions", "output"], {"observation": raw})
    np.testing.assert_array_equal(actions, policy(raw))
    with torch.no_grad():
        truth = policy.network({"observation": torch.from_numpy(normalized(suite, raw))})[0]
    np.testing.assert_allclose(output, truth, rtol=1e-5, atol=1e-6)


def test_what_is_filmed_plays_as_what_is_not(suite: SuiteFolder, tmp_path: Path) -> None:
    pytest.importorskip("pygame")
    returns = [
        play(suite, suite.runs[1].id, None, 3, film, seed=5).returns.tolist()
        for film in (None, tmp_path / "film.webp")
    ]
    assert returns[0] == returns[1]
    assert (tmp_path / "film.webp").stat().st_size > 0


def test_analyses_see_what_the_network_learned_to_read(
    suite: SuiteFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []

    def kept(*arguments: Any, **options: Any) -> Any:
        states = list(policy_states(*arguments, **options))
        found.extend(states)
        return iter(states)

    monkeypatch.setattr(sensitivity, "policy_states", kept)
    options = AnalysisOptions(states=400, episodes=0)
    analyse_run(suite, suite.runs[1], None, options, None)
    inputs = joined(found).inputs["observation"]
    network = column_method(suite.runs[1]).network_for("long")
    # The same episodes once more, of environments that know nothing of it all.
    plain = GymTask("CartPole-v1", 400)
    reads = Reading(network, suite)
    seed = derive(0, "analysis", suite.runs[1].id, "long")
    truth = joined(policy_states(plain, reads, 400, seed=seed)).inputs["observation"].numpy()
    np.testing.assert_allclose(inputs, normalized(suite, truth), rtol=1e-5, atol=1e-6)


class Reading(torch.nn.Module):
    """The network of the target, before which raw observations are normalised by hand."""

    def __init__(self, network: Any, suite: SuiteFolder) -> None:
        super().__init__()
        self.network, self._suite = network, suite

    def __getattr__(self, name: str) -> Any:
        if name in ("initial_state", "head_widths"):
            return getattr(self.network, name)
        return super().__getattr__(name)

    def precompute(self, inputs: Any, state: Any) -> Any:
        return inputs, state

    def forward(self, inputs: Any, state: Any = None) -> Any:
        raw = inputs["observation"].numpy()
        return self.network({"observation": torch.from_numpy(normalized(self._suite, raw))}, state)


def normalized(suite: SuiteFolder, raw: np.ndarray) -> np.ndarray:
    """Do by hand, with what the file says, what networks see."""
    tensors = suite.runs[1].weights()[0]
    kept = {
        name: tensors[f"normalization of long: input observation|{name}"].numpy()
        for name in ("mean", "variance")
    }
    return ((raw - kept["mean"]) / np.sqrt(kept["variance"] + 1e-8)).astype(np.float32)


def test_a_pruned_run_normalises_by_what_its_original_has_seen(
    suite: SuiteFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def skilled(task: Any, network: Any, **options: Any) -> Any:
        return np.zeros(1) if network is None else evaluate(task, network, **options)

    monkeypatch.setattr(prune, "evaluate", skilled)  # so few steps need not teach anything
    original = suite.runs[1]
    options = PruneOptions(keep=1.0, bound=0.5, tasks=("long",), states=200, episodes=6)
    pruned = prune.prune_run(original.path, options, tmp_path / "pruned")
    raw = np.random.default_rng(2).normal(size=(30, 4)).astype(np.float32) * 3
    policies = [colonnade.load(folder.path, "long", greedy=True) for folder in (original, pruned)]
    assert policies[0](raw).tolist() == policies[1](raw).tolist()
    np.testing.assert_array_equal(seen(policies[1], raw), normalized(suite, raw))
    before, after = (score["return_mean"] for score in pruned.result()["scores"])
    assert before == pytest.approx(after)


def test_a_run_starts_from_a_file_with_what_its_tasks_have_seen(
    suite: SuiteFolder, tmp_path: Path
) -> None:
    policy = colonnade.load(suite.runs[0].path, greedy=True)
    policy.save(tmp_path / "short.safetensors")
    child = replace(run("child", "other", f"file:{tmp_path / 'short.safetensors'}"), seed=1)
    (tmp_path / "specs.json").write_text(json.dumps(child.to_json()))
    begun = begin(tmp_path / "specs.json", tmp_path / "out", SuiteOptions())
    (child,) = begun.plan.runs
    train_run(begun.path, child)
    folder = begun.run(child.id)
    raw = np.random.default_rng(3).normal(size=(30, 4)).astype(np.float32) * 3
    again = colonnade.load(folder.path, "short", greedy=True)
    np.testing.assert_array_equal(seen(again, raw), seen(policy, raw))
    assert again(raw).tolist() == policy(raw).tolist()
    assert np.abs(seen(colonnade.load(folder.path), raw) - seen(policy, raw)).max() > 0.01
    assert play(begun, folder.id, "short", 2, None, seed=5).task == "short"


def test_a_network_that_reads_what_is_normalised_is_no_policy_without_what_was_seen():
    task = GymTask("CartPole-v1", steps=64, normalize_observations=True)
    network = Finetune(ColumnSpec((Dense(4),))).begin_task(task.spec)
    with pytest.raises(UsageError, match="give what the task has seen: normalization=task"):
        colonnade.TrainedPolicy(network, task.spec, A2C())
    colonnade.TrainedPolicy(network, task.spec, A2C(), normalization=task.normalization)
