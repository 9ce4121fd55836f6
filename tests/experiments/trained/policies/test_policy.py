"""`colonnade.load`: a trained network acts in a loop of one's own as it does in ours."""

from dataclasses import replace
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from finished import POLE, poles, run_spec, write_suite
from gymnasium.spaces import Box, Dict

import colonnade
from colonnade.errors import ColonnadeError, UsageError
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.learners import A2C, DQN, PPO
from colonnade.networks import LSTM, ColumnSpec, Dense, ProgressiveNetwork
from colonnade.seeding import generator
from colonnade.types import TaskSpec


def played(policy: colonnade.TrainedPolicy, seed: int) -> float:
    env, total, over = gymnasium.make("CartPole-v1"), 0.0, False
    observation, _ = env.reset(seed=seed)
    policy.reset()
    while not over:
        observation, reward, terminated, truncated, _ = env.step(policy(observation))
        total, over = total + float(reward), terminated or truncated
    return total


def test_it_balances_as_its_weights_say(tmp_path: Path) -> None:
    suite = poles(tmp_path / "out")
    for source in (suite.path, suite.runs[0].path, str(suite.runs[1].path)):
        policy = colonnade.load(source, greedy=True)
        assert policy.spec.id == POLE
        assert played(policy, seed=3) == 500
    # Positive angles lean to the right, by hand: the cart must follow.
    assert policy(np.array([0, 0, 0.05, 0.5], np.float32)) == 1
    assert type(policy(np.array([0, 0, -0.05, -0.5], np.float32))) is int
    leaning = np.array([[0, 0, 0.05, 0.5], [0, 0, -0.05, -0.5]])
    policy.reset()
    assert policy(leaning).tolist() == [1, 0]


def test_a_file_holds_all_that_is_needed(tmp_path: Path) -> None:
    suite = poles(tmp_path / "out")
    policy = colonnade.load(suite.runs[1].path, seed=5)
    policy.save(tmp_path / "pole.safetensors")
    again = colonnade.load(tmp_path / "pole.safetensors", seed=5)
    seen = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    assert [policy(one) for one in seen] == [again(one) for one in seen]
    again.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (
        tmp_path / "pole.safetensors"
    ).read_bytes()


def recurrent(outputs: int = 3) -> ProgressiveNetwork:
    network = ProgressiveNetwork()
    column = ColumnSpec((Dense(8), LSTM(6)), output_gain=5.0)
    network.add_column(column, {"observation": (4,)}, outputs, generator(0))
    return network


SPEC = TaskSpec(
    "pole", gymnasium.spaces.Box(-9, 9, (4,), np.float64), gymnasium.spaces.Discrete(2), steps=1
)


def test_what_was_seen_is_remembered_until_an_episode_ends() -> None:
    network = recurrent().view(0)
    seen = np.random.default_rng(0).normal(size=(6, 2, 4))
    starts = torch.tensor([[1, 1], [0, 0], [0, 0], [0, 1], [0, 0], [1, 1]]).bool()
    state = {name: part.clone() for name, part in network.initial_state(2).items()}
    expected = []
    for t in range(6):  # the slow way: rows of the state are zeroed where episodes begin
        state = {k: torch.where(starts[t][:, None], 0, part) for k, part in state.items()}
        with torch.no_grad():
            output, state = network({"observation": torch.from_numpy(seen[t]).float()}, state)
        expected.append(output[:, :-1].argmax(1).tolist())
    policy = colonnade.TrainedPolicy(network, SPEC, PPO(), greedy=True)
    came = []
    for t in range(6):
        policy.reset(starts[t] if t < 5 else None)
        came.append(policy(seen[t]).tolist())
    assert came == expected
    alone = colonnade.TrainedPolicy(network, SPEC, PPO(), greedy=True)
    assert [alone(seen[t, 0]) for t in range(5)] == [row[0] for row in expected[:5]]
    assert len({tuple(row) for row in expected}) > 1


def test_a_learner_says_how_its_networks_act() -> None:
    network = recurrent(outputs=2).view(0)
    seen = np.random.default_rng(1).normal(size=(50, 4))
    values = colonnade.TrainedPolicy(network, SPEC, DQN(test_epsilon=0.0))
    with torch.no_grad():
        output, _ = network(
            {"observation": torch.from_numpy(seen).float()}, network.initial_state(50)
        )
    assert values(seen).tolist() == output.argmax(1).tolist()


def test_samples_follow_from_the_seed(tmp_path: Path) -> None:
    suite = poles(tmp_path / "out")
    nearly_even = np.tile(np.float32([0, 0, 0.001, 0]), (200, 1))
    draws = [colonnade.load(suite.path, seed=seed)(nearly_even).tolist() for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
    assert 20 < sum(draws[0]) < 180


def test_a_column_that_ships_acts() -> None:
    policy = colonnade.load("bundled:pong-source", greedy=True)
    frames = np.zeros((4, 84, 84), np.uint8)
    assert policy(frames) in range(6)
    assert policy.spec.id == "pong-soup/pong"


def test_wrong_use_is_one_sentence(tmp_path: Path) -> None:
    suite = poles(tmp_path / "out")
    policy = colonnade.load(suite.path)
    with pytest.raises(UsageError, match=r"has the shape \[4\], or \[N, 4\] in batches, but \[3\]"):
        policy(np.zeros(3))
    two = replace(policy.spec, observation_space=Dict({"a": Box(0, 1, (2,)), "b": Box(0, 1, (3,))}))
    for sizes, words in (((2,), (5, 3)), "'a' one, 'b' 5"), (((4, 2), (5, 3)), "'a' 4, 'b' 5"):
        mixed = {name: np.zeros(size) for name, size in zip("ab", sizes, strict=True)}
        with pytest.raises(UsageError, match=f"or of as many each, but came: {words}"):
            colonnade.TrainedPolicy(policy.network, two, A2C())(mixed)
    with pytest.raises(UsageError, match="the observation has only 'pixels'"):
        policy({"pixels": np.zeros(4)})
    policy = colonnade.TrainedPolicy(recurrent().view(0), SPEC, PPO())
    policy(np.zeros((2, 4)))
    with pytest.raises(UsageError, match=r"acted in 2 environments.* of 3; call reset\(\)"):
        policy(np.zeros((3, 4)))
    with pytest.raises(UsageError, match=r"each of 2 environments, but got .* \[3\]"):
        policy.reset(np.zeros(3))
    with pytest.raises(UsageError, match=r"task of .*'gym/CartPole-v0'.*did you mean"):
        colonnade.load(suite.path, "gym/CartPole-v0")
    with pytest.raises(UsageError, match=r"bundled column.*'pong'"):
        colonnade.load("bundled:pong")
    with pytest.raises(UsageError, match=r"neither a folder"):
        colonnade.load(tmp_path)
    with pytest.raises(UsageError, match=r"holds weights, but no policy"):
        colonnade.load(suite.runs[0].path / "weights.safetensors")
    (suite.runs[0].path / "DONE").unlink()
    with pytest.raises(ColonnadeError, match=r"No run in .* is complete"):
        colonnade.load(suite.runs[0].path)


def screen_policy() -> colonnade.TrainedPolicy:
    network = ProgressiveNetwork()
    network.add_column(ColumnSpec((Dense(8),), output_gain=5.0), {"observation": (1, 8, 8)}, 5)
    spec = TaskSpec(
        "screen", Box(0, 255, (1, 8, 8), np.uint8), gymnasium.spaces.Discrete(4), steps=1
    )
    return colonnade.TrainedPolicy(network.view(0), spec, A2C(), greedy=True)


def test_numbers_that_a_task_never_shows_are_refused_and_others_taken_as_they_are() -> None:
    policy = screen_policy()
    screens = np.random.default_rng(0).integers(0, 256, (40, 1, 8, 8)).astype(np.uint8)
    acts = [policy(screen) for screen in screens]
    assert len(set(acts)) > 1
    assert [policy(screen.astype(np.int64)) for screen in screens] == acts
    assert [policy(screen.tolist()) for screen in screens] == acts
    for wrong, words in {
        "floats": (screens[0] / 255, "'observation' of task 'screen' is uint8, 0 to 255, but floa"),
        "above": (screens[0].astype(int) + 256, "is uint8, 0 to 255, but numbers from 2"),
        "below": (screens[0].astype(int) - 255, "but numbers from -2"),
        "text": ("a", "is uint8, but 'a' came; give what environments give"),
        "nothing": (None, "is uint8, but None came"),
        "ragged": ([[1], [1, 2]], "came; give what environments give"),
    }.values():
        with pytest.raises(UsageError, match=words):
            policy(wrong)
    poles = colonnade.TrainedPolicy(recurrent().view(0), SPEC, A2C())
    assert poles([0, 0, 1, 0]) in (0, 1)  # whole numbers for real ones lose nothing
    with pytest.raises(UsageError, match="is float64, but NaN or infinity came"):
        poles([0.0, 0.0, np.nan, 0.0])


def test_modules_that_a_folder_names_are_imported_when_it_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "strange.py").write_text("raise AssertionError('was imported')")
    spec = RunSpec("odd", "scratch", (TaskBudget("gym/strange:Pole-v0", 100),), "ppo", "default")
    network = ProgressiveNetwork()
    network.add_column(ColumnSpec((Dense(4),)), {"observation": (4,)}, 3, generator(0))
    suite = write_suite(tmp_path / "out", [(spec, network, {"gym/strange:Pole-v0": 0})])
    with pytest.raises(UsageError, match=r"names the module 'strange', which would be run"):
        colonnade.load(suite.path)
    with pytest.raises(UsageError, match="was imported"):
        colonnade.load(suite.path, trust=True)


def test_run_of_the_suite_is_the_last_complete_one(tmp_path: Path) -> None:
    suite = poles(tmp_path / "out")
    assert colonnade.load(suite.path).network is not None
    assert run_spec("source pole", "scratch", POLE).id == suite.runs[0].id
    (suite.runs[1].path / "DONE").unlink()
    policy = colonnade.load(suite.path)
    policy.save(tmp_path / "one.safetensors")
    assert b"source pole" in (tmp_path / "one.safetensors").read_bytes()
