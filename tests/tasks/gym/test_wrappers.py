"""Wrappers by name: what a task shows is what the wrapped environment shows, wherever it runs."""

import contextlib
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import ClipReward, FlattenObservation, TimeAwareObservation

from colonnade.errors import UsageError
from colonnade.experiments.plans.build import build_task, named_code
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.tasks import GymTask
from colonnade.testing import check_task
from colonnade.trust import UntrustedError, only_if_trusted

TIMED = {"wrapper": "gymnasium.wrappers:TimeAwareObservation", "normalize_time": True}
CLIPPED = {"wrapper": "gymnasium.wrappers:ClipReward", "max_reward": 0.25}
NESTED = {"wrapper": "gymnasium.wrappers:TimeAwareObservation", "flatten": False}
FLAT = "gymnasium.wrappers:FlattenObservation"


def test_what_is_wrapped_is_what_is_shown() -> None:
    task = GymTask("CartPole-v1", wrappers=[TIMED, CLIPPED])
    assert task.spec.input_shapes == {"observation": (5,)}
    by_hand = ClipReward(
        TimeAwareObservation(gymnasium.make("CartPole-v1"), normalize_time=True), max_reward=0.25
    )
    with contextlib.closing(task.make_vec(2)) as envs:
        seen, _ = envs.reset(seed=[3, 4])
        expected, _ = by_hand.reset(seed=int(envs.episode_seeds[0]))  # type: ignore[attr-defined]
        for action in (0, 1, 1, 0):
            np.testing.assert_array_equal(seen[0], expected.astype(np.float32))
            seen, rewards, *_ = envs.step(np.array([action, 0]))
            expected, reward, *_ = by_hand.step(action)
            assert rewards[0] == np.float32(reward) == 0.25


def test_the_first_wrapper_is_the_innermost() -> None:
    task = GymTask("CartPole-v1", wrappers=[NESTED, FLAT])
    env: Any = FlattenObservation(
        TimeAwareObservation(gymnasium.make("CartPole-v1"), flatten=False)
    )
    assert task.spec.observation_space.shape == env.observation_space.shape
    assert set(GymTask("CartPole-v1", wrappers=[FLAT, NESTED]).spec.input_shapes) == {"obs", "time"}


@pytest.mark.parametrize("processes", [False, True])
def test_wrapped_tasks_keep_the_contract(processes: bool) -> None:
    check_task(GymTask("CartPole-v1", wrappers=[TIMED], processes=processes), num_envs=2)


def test_specs_hold_wrappers() -> None:
    budget = TaskBudget("CartPole-v1", 100, {"wrappers": [TIMED, "my_package:Mine"]})
    spec = RunSpec("x", "scratch", (budget,), "a2c", "mlp")
    assert RunSpec.from_json(spec.to_json()) == spec
    assert named_code([spec]) == ["gymnasium.wrappers", "my_package"]
    task = build_task(TaskBudget("CartPole-v1", 100, {"wrappers": [TIMED]}))
    assert task == GymTask("CartPole-v1", 100, wrappers=[TIMED])
    assert hash(task) != hash(GymTask("CartPole-v1", 100))


def test_a_wrapper_that_only_a_folder_names_is_not_imported() -> None:
    task = GymTask("Acrobot-v1", wrappers=["gymnasium.wrappers:RecordVideo"])
    with (
        only_if_trusted("a folder", trust=False),
        pytest.raises(UntrustedError, match=r"a folder names the module 'gymnasium.wrappers'"),
    ):
        _ = task.spec


@pytest.mark.parametrize(
    ("wrappers", "sentence"),
    [
        ("gymnasium.wrappers:FlattenObservation", "wrappers of GymTask must be a list; got 'gym"),
        (["FlattenObservation"], "A wrapper is named as 'gymnasium.wrappers:FlattenObservation'"),
        ([{"flatten": True}], r"but \{'flatten': True\} came"),
        ([{**TIMED, "more": {1}}], "Options of wrapper .* must be plain JSON values"),
        (["gymnasium.wrappers:NormalizeReward"], "goes on from one episode to the next, so that"),
        (["gymnasium.wrappers:Flat"], "'gymnasium.wrappers:Flat' cannot be put around .*Attribute"),
        (["no_such:Wrapper"], "cannot be put around .* ModuleNotFoundError: No module named 'no"),
        (["builtins:str"], "Wrapper 'builtins:str' made .*, which is no environment"),
        ([{**TIMED, "nonsense": 1}], "cannot be put around .* TypeError"),
    ],
)
def test_wrappers_that_will_not_do_are_refused(wrappers: Any, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        _ = GymTask("CartPole-v1", wrappers=wrappers).spec
