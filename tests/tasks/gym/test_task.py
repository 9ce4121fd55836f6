"""Gymnasium environments that a user names."""

import numpy as np
import pytest

from colonnade.errors import UsageError
from colonnade.tasks import GymTask
from colonnade.types import OBSERVATION


def test_a_dict_of_boxes_keeps_its_names_and_turns_images_channels_first():
    task = GymTask("toy/Dict-v0")
    assert task.spec.input_shapes == {"camera": (3, 6, 7), "joints": (2,)}
    env = task.make_vec(2)
    observations, _ = env.reset(seed=0)
    picture = np.arange(6 * 7 * 3, dtype=np.uint8).reshape(6, 7, 3)
    for c in range(3):
        for row in range(6):
            for column in range(7):
                assert observations["camera"][1, c, row, column] == picture[row, column, c]
    assert observations["camera"].flags.c_contiguous
    env.close()


def test_final_observation_is_the_ended_episodes_last_and_ends_stay_apart():
    env = GymTask("toy/Dict-v0", options={"limit": 3}).make_vec(2)
    env.reset(seed=0)
    # Environment 0 terminates in step 2 by its action, environment 1 is truncated in step 3.
    assert "final_obs" not in env.step(np.array([0, 0]))[4]
    now, rewards, terminated, truncated, info = env.step(np.array([1, 0]))
    assert rewards.dtype == np.float32
    assert rewards.tolist() == pytest.approx([0.1, 0.1])
    assert (terminated.tolist(), truncated.tolist()) == ([True, False], [False, False])
    assert info["final_obs"]["joints"][0].tolist() == [2, 0]
    assert info["final_obs"]["camera"][0, 0, 0, 0] == 2
    assert now["joints"].tolist() == [[0, 1], [2, 0]]
    now, _, terminated, truncated, info = env.step(np.array([0, 0]))
    assert (terminated.tolist(), truncated.tolist()) == ([False, False], [False, True])
    assert info["final_obs"]["joints"][1].tolist() == [3, 0]
    assert now["joints"].tolist() == [[1, 1], [0, 1]]
    env.close()


@pytest.mark.parametrize("name", ["CartPole-v1", "toy/Dict-v0"])
def test_processes_play_as_one_process_does(name):
    one, many = GymTask(name).make_vec(2), GymTask(name, processes=True).make_vec(2)
    try:
        for env in (one, many):
            env.reset(seed=3)
        for action in np.random.default_rng(0).integers(0, 2, (40, 2)):
            for a, b in zip(one.step(action)[:4], many.step(action)[:4], strict=True):
                for key in a if isinstance(a, dict) else [...]:
                    np.testing.assert_array_equal(a[key], b[key])
    finally:
        one.close()
        many.close()


def test_a_plain_image_is_the_one_input():
    assert GymTask("toy/Image-v0").spec.input_shapes == {OBSERVATION: (3, 6, 7)}


def test_action_sizes():
    assert GymTask("CartPole-v1").spec.action_sizes == (2,)
    assert GymTask("toy/MultiDiscrete-v0").spec.action_sizes == (2, 3)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("toy/StartsAtOne-v0", "counted from 0.*TransformAction"),
        ("toy/DiscreteObservation-v0", "gave the observation .* none of its space Discrete"),
    ],
)
def test_spaces_that_do_not_fit_are_refused_with_the_way_out(name, sentence):
    with pytest.raises(UsageError, match=sentence):
        _ = GymTask(name).spec


def test_unknown_id_suggests_the_nearest():
    with pytest.raises(UsageError, match=r"'CartPol-v1'.*'CartPole-v1'"):
        GymTask("CartPol-v1")
    with pytest.raises(UsageError, match="needs the module 'no_such_module'"):
        GymTask("no_such_module:Thing-v0")


def test_an_id_may_name_the_module_that_registers_it():
    assert GymTask("toy_envs:toy/Image-v0").make_vec(1).num_envs == 1


def test_options_that_the_environment_rejects():
    with pytest.raises(UsageError, match=r"does not take the options.*wind"):
        _ = GymTask("CartPole-v1", options={"wind": 3}).spec
