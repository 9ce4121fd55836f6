"""Runs whose tasks normalise what they show: what reads their folders reads as they learned."""

from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch

import colonnade
from colonnade.errors import UsageError
from colonnade.experiments.execution.run import train_run
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.trained.load import task_as_learned
from colonnade.learners import A2C
from colonnade.methods import Progressive
from colonnade.networks import mlp_column
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
