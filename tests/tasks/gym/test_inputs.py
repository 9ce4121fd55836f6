"""Observations of every kind as named inputs, and packages whose ids work as they are."""

import contextlib
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Text, Tuple

from colonnade.errors import UsageError
from colonnade.learners import A2C
from colonnade.methods import Progressive
from colonnade.tasks import GymTask, task_from_name
from colonnade.tasks.gym.inputs import WORDS, words_of
from colonnade.testing import check_task
from colonnade.training import TrainingOptions, train_sequence

JOINTS = Box(-1, 1, (2,), np.float32)
ROBOT = Dict(
    {
        "camera": Box(0, 255, (8, 9, 3), np.uint8),
        "goal": Tuple((Discrete(3, start=5), MultiDiscrete([2, 3]))),
        "arm": Dict({"joints": JOINTS, "touch": MultiBinary(4)}),
        "said": Text(20),
    }
)


class Shows(gymnasium.Env[Any, Any]):
    """Shows one observation again and again, for five steps."""

    action_space = Discrete(2)

    def __init__(self, space: Any, observation: Any) -> None:
        self.observation_space, self._observation = space, observation

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._left = 5
        return self._observation, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._left -= 1
        return self._observation, 0.0, False, self._left == 0, {}


def robot() -> Shows:
    camera = np.arange(8 * 9 * 3, dtype=np.uint8).reshape(8, 9, 3)
    arm = {"joints": np.float32([0.5, -1]), "touch": np.array([0, 1, 1, 0], np.int8)}
    goal = (np.int64(6), np.array([1, 2]))
    return Shows(ROBOT, {"camera": camera, "goal": goal, "arm": arm, "said": "push the lid"})


def test_nested_parts_become_inputs_by_name() -> None:
    task = GymTask(robot, name="robot")
    assert task.spec.input_shapes == {
        "camera": (3, 8, 9),
        "goal.0": (3,),
        "goal.1": (5,),
        "arm.joints": (2,),
        "arm.touch": (4,),
        "said": (WORDS,),
    }
    with contextlib.closing(task.make_vec(2)) as envs:
        for seen in (envs.reset(seed=0)[0], envs.step(np.array([0, 1]))[0]):
            assert seen["camera"][1, 2, 3, 4] == 3 * 27 + 4 * 3 + 2
            assert seen["goal.0"][1].tolist() == [0, 1, 0]  # 6 of 5, 6, 7
            assert seen["goal.1"][0].tolist() == [0, 1, 0, 0, 1]
            assert seen["arm.joints"][0].tolist() == [0.5, -1]
            assert seen["arm.touch"][0].tolist() == [0, 1, 1, 0]
            np.testing.assert_array_equal(seen["said"][0], words_of("push the lid"))


@pytest.mark.parametrize(
    ("space", "observation", "expected"),
    [
        (Discrete(4), np.int64(2), [0, 0, 1, 0]),
        (MultiDiscrete([2, 2]), np.array([1, 0]), [0, 1, 1, 0]),
        (MultiBinary((2, 2)), np.array([[1, 0], [0, 1]], np.int8), [1, 0, 0, 1]),
    ],
)
def test_a_single_part_is_the_one_input(space: Any, observation: Any, expected: Any) -> None:
    task = GymTask(lambda: Shows(space, observation), name="one")
    assert task.spec.input_shapes == {"observation": (4,)}
    with contextlib.closing(task.make_vec(1)) as envs:
        assert envs.reset(seed=0)[0][0].tolist() == expected


def test_texts_tell_words_and_their_order() -> None:
    assert words_of("Go to the red door").sum() == 5 + 4
    assert words_of("a b a")[np.flatnonzero(words_of("a"))] == 2
    near, far = words_of("put the red ball by the blue box"), words_of("put the blue ball by the")
    assert not np.array_equal(near, far)
    swapped = words_of("put the blue ball by the red box")
    assert near.sum() == swapped.sum()
    assert not np.array_equal(near, swapped)
    assert not words_of("").any()


@pytest.mark.parametrize("processes", [False, True])
def test_tasks_of_many_parts_keep_the_contract_and_are_learned(processes: bool) -> None:
    task = GymTask(robot, name="robot", processes=processes, steps=64)
    check_task(task, num_envs=2)
    if not processes:
        _learns(task, GymTask(robot, name="again", steps=64))


def _learns(*tasks: GymTask) -> None:
    """Every input of the default column moves its output's gradient."""
    method = Progressive()
    options = TrainingOptions(num_envs=2, segment_steps=64, curve_steps=64)
    train_sequence(tasks, method, A2C(rollout_steps=8), options=options)
    assert len(method.network.columns) == len(tasks)


def test_two_parts_of_one_name_are_refused() -> None:
    space = Dict({"a.b": Discrete(2), "a": Dict({"b": Discrete(2)})})
    with pytest.raises(UsageError, match=r"come to the one name 'a\.b'; give one of them another"):
        _ = GymTask(lambda: Shows(space, None), name="x").spec


def test_an_observation_that_is_none_of_its_space_is_told() -> None:
    with pytest.raises(UsageError, match=r"gave the observation 4, which is none of its space"):
        _ = GymTask(lambda: Shows(Discrete(3), 4), name="x").spec


def test_minigrid_works_as_it_is() -> None:
    pytest.importorskip("minigrid")
    task = task_from_name("gym/MiniGrid-Fetch-5x5-N2-v0", steps=64)
    assert isinstance(task, GymTask)
    shapes = {"direction": (4,), "image": (3, 7, 7), "mission": (WORDS,)}
    assert task.spec.input_shapes == shapes
    with contextlib.closing(task.make_vec(1)) as envs:
        seen, _ = envs.reset(seed=5)
        bare = gymnasium.make("MiniGrid-Fetch-5x5-N2-v0")
        expected, _ = bare.reset(seed=5)
        np.testing.assert_array_equal(seen["image"][0], expected["image"].transpose(2, 0, 1))
        assert seen["direction"][0].argmax() == expected["direction"]
        np.testing.assert_array_equal(seen["mission"][0], words_of(expected["mission"]))
    _learns(task, GymTask("BabyAI-GoToLocal-v0", steps=64))


@pytest.mark.slow
def test_gymnasium_robotics_works_as_it_is() -> None:
    pytest.importorskip("gymnasium_robotics")
    task = GymTask("PointMaze_UMaze-v3", steps=64)
    shapes = {"achieved_goal": (2,), "desired_goal": (2,), "observation": (4,)}
    assert task.spec.input_shapes == shapes
    _learns(task)
