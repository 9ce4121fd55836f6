"""What policies say, and what environments are sent."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Text

from colonnade.errors import UsageError
from colonnade.tasks import GymTask
from colonnade.types import Actions, TaskSpec


def test_choices_are_sent_as_they_are():
    one, several = Actions("a", Discrete(5)), Actions("a", MultiDiscrete([2, 3]))
    chosen = np.array([[1], [4]])
    assert one.sent(chosen).tolist() == [1, 4]
    assert several.sent(np.array([[1, 2]])).tolist() == [[1, 2]]
    assert (one.parameters, several.parameters, several.sizes) == (5, 5, (2, 3))
    assert (one.dtype, one.continuous) == (torch.int64, False)


def test_choices_are_sent_from_where_their_space_begins():
    chosen = np.array([[0], [2]])
    assert Actions("a", Discrete(3, start=-1)).sent(chosen).tolist() == [-1, 1]
    several = MultiDiscrete([2, 3], start=[5, -2])
    assert Actions("a", several).sent(np.array([[0, 0], [1, 2]])).tolist() == [[5, -2], [6, 0]]


def test_tables_of_choices_are_sent_in_the_spaces_shape():
    table = Actions("a", MultiDiscrete([[2, 3], [4, 5]], start=[[0, 1], [0, 0]]))
    assert table.sent(np.array([[1, 2, 3, 4]])).tolist() == [[[1, 3], [3, 4]]]


def test_numbers_are_scaled_to_their_bounds_and_cut_off_there():
    low, high = np.array([[-2.0, 0.0]], np.float32), np.array([[2.0, 10.0]], np.float32)
    actions = Actions("a", Box(low, high))
    assert (actions.width, actions.parameters, actions.sizes) == (2, 4, ())
    sent = actions.sent(np.array([[0.0, 0.0], [-1, 1], [0.5, -0.5], [-3, 7]], np.float32))
    assert (sent.shape, sent.dtype) == ((4, 1, 2), np.float32)
    assert sent[:, 0].tolist() == [[0, 5], [-2, 10], [1, 2.5], [-2, 10]]


def test_numbers_without_bounds_keep_their_unit():
    half = Box(np.array([-np.inf, 0.0]), np.array([np.inf, np.inf]), dtype=np.float64)
    sent = Actions("a", half).sent(np.array([[3.5, 2.5], [-7.0, -1.0]], np.float32))
    assert sent.tolist() == [[3.5, 2.5], [-7.0, 0.0]]


def test_random_actions_fill_the_space_evenly():
    generator = torch.Generator().manual_seed(0)
    space = Box(np.array([-1, -np.inf], np.float32), np.array([3, np.inf], np.float32))
    drawn = Actions("a", space).random(4000, generator)
    bounded = Actions("a", space).sent(drawn.numpy())[:, 0]
    # Uniform from -1 to 3: mean 1, standard deviation 4 / sqrt(12).
    assert bounded.mean() == pytest.approx(1, abs=0.06)
    assert bounded.std() == pytest.approx(4 / 12**0.5, rel=0.03)
    assert bounded.min() >= -1
    assert bounded.max() <= 3
    assert float(drawn[:, 1].std()) == pytest.approx(1, rel=0.05)
    choices = Actions("a", MultiDiscrete([2, 3])).random(600, generator)
    assert np.bincount(choices[:, 1].numpy()).min() > 150
    assert int(choices[:, 0].max()) == 1


def test_a_box_of_whole_numbers_is_refused():
    with pytest.raises(TypeError, match=r"'a' has action space .*int64; .* as MultiDiscrete"):
        Actions("a", Box(0, 3, (1,), np.int64))


def test_other_spaces_are_refused():
    with pytest.raises(TypeError, match="need Discrete, MultiDiscrete or Box"):
        Actions("a", Text(3))


def test_a_task_of_numbers_has_a_mean_and_a_width_for_each_and_a_value():
    spec = GymTask("Pendulum-v1").spec
    assert isinstance(spec, TaskSpec)
    assert (spec.outputs, spec.action_sizes, spec.actions.width) == (3, (), 1)


def test_levels_of_numbers_are_chosen_all_at_once():
    task = GymTask("Pendulum-v1", action_levels=3)
    assert task.spec.action_sizes == (3,)
    plain = gymnasium.make("Pendulum-v1")
    plain.reset(seed=7)
    envs = task.make_vec(1)
    envs.reset(seed=7)
    inner, start = envs.unwrapped.envs[0].unwrapped, plain.unwrapped.state.copy()
    for level, torque in ((0, -2.0), (1, 0.0), (2, 2.0)):
        plain.unwrapped.state, inner.state = start.copy(), start.copy()
        expected, reward, *_ = plain.step(np.array([torque], np.float32))
        seen, rewards, *_ = envs.step(np.array([[level]]))
        np.testing.assert_array_equal(seen[0], expected)
        assert rewards[0] == np.float32(reward)
    envs.close()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"id": "CartPole-v1", "action_levels": 3}, "numbers with bounds, but CartPole-v1 has"),
        ({"id": "Pendulum-v1", "action_levels": 1}, "action_levels"),
        ({"id": "Pendulum-v1", "action_levels": 2.5}, "action_levels"),
    ],
)
def test_levels_that_make_no_sense(arguments, sentence):
    with pytest.raises(UsageError, match=sentence):
        _ = GymTask(**arguments).spec
