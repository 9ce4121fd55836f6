"""What Gymnasium lets environments declare of observations, as networks get them."""

import functools

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Space
from gymnasium.wrappers import FilterObservation, FlattenObservation, TransformObservation

from colonnade.errors import UsageError
from colonnade.methods import method_from_name
from colonnade.networks import ProgressiveNetwork, default_column
from colonnade.tasks import GymTask
from colonnade.tasks.observations import full_batch, present, presented_space


class Shows(gymnasium.Env):
    """Shows samples of a space."""

    def __init__(self, space, actions=None):
        self.observation_space, self.action_space = (
            space,
            Discrete(2) if actions is None else actions,
        )

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 0.0, False, False, {}


@pytest.fixture
def shown():
    """Register an environment, made anew by each call, and return its id."""

    def register(make):
        gymnasium.registry.pop("observing/Now-v0", None)
        gymnasium.register("observing/Now-v0", make, disable_env_checker=True)
        return "observing/Now-v0"

    yield register
    gymnasium.registry.pop("observing/Now-v0", None)


def image(*shape, dtype=np.uint8, high=255):
    return Box(0, high, shape, dtype)


def by_index(batch, *axes):
    """Batch [N, ...] with its axes in another order, element by element."""
    shape = [batch.shape[0], *(batch.shape[1 + axis] for axis in axes)]
    out = np.empty(shape, batch.dtype)
    for place in np.ndindex(*batch.shape):
        out[(place[0], *(place[1 + axis] for axis in axes))] = batch[place]
    return out


@pytest.mark.parametrize(
    ("shape", "axes", "seen"),
    [
        ((84, 84, 3), (2, 0, 1), (3, 84, 84)),
        ((7, 7, 3), (2, 0, 1), (3, 7, 7)),
        ((12, 10, 4), (2, 0, 1), (4, 12, 10)),
        ((9, 9, 17), (2, 0, 1), (17, 9, 9)),
        ((84, 84, 12), (2, 0, 1), (12, 84, 84)),
        ((40, 30, 6), (2, 0, 1), (6, 40, 30)),
        ((17, 9, 9), (0, 1, 2), (17, 9, 9)),
        ((4, 84, 84), (0, 1, 2), (4, 84, 84)),
        ((2, 16, 16), (0, 1, 2), (2, 16, 16)),
        ((84, 84), (0, 1), (1, 84, 84)),
        ((4, 42, 42, 3), (0, 3, 1, 2), (12, 42, 42)),
        ((4, 42, 42, 1), (0, 3, 1, 2), (4, 42, 42)),
        ((4, 3, 42, 42), (0, 1, 2, 3), (12, 42, 42)),
        ((5, 6), (0, 1), (5, 6)),
        ((8,), (0,), (8,)),
        ((), (), (1,)),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_images_are_seen_for_what_they_are(shape, axes, seen, dtype):
    space = image(*shape, dtype=dtype)
    batch = np.random.default_rng(0).integers(0, 256, (2, *shape)).astype(dtype)
    got = present(space, batch)
    np.testing.assert_array_equal(got, by_index(batch, *axes).reshape(2, *seen))
    assert got.flags.c_contiguous
    assert presented_space("it", space) == image(*seen, dtype=dtype)


@pytest.mark.parametrize("shape", [(5, 5, 5), (84, 3, 84), (2, 4, 84, 84, 3), (5, 6, 7, 8)])
def test_shapes_that_can_be_no_image_are_refused(shape):
    with pytest.raises(UsageError, match=r"it has observations of shape .*TransformObservation"):
        presented_space("it", image(*shape))


@pytest.mark.parametrize(
    ("low", "high", "dtype"), [(0, 1, np.int8), (0, 200, np.int16), (3, 255, np.int16)]
)
def test_uint8_of_other_bounds_is_no_image_to_be_divided(low, high, dtype):
    space = Box(low, high, (6,), np.uint8)
    values = np.arange(low, low + 6, dtype=np.uint8)[None]
    got = present(space, np.minimum(values, high).astype(np.uint8))
    assert presented_space("it", space) == Box(low, high, (6,), dtype)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, np.minimum(values, high))
    assert present(image(6), values).dtype == np.uint8


def test_a_one_hot_context_reaches_the_network_as_ones(shown):
    env_id = shown(lambda: Shows(Box(0, 1, (4,), np.uint8)))
    env = GymTask(env_id).make_vec(2)
    network = ProgressiveNetwork()
    network.add_column(default_column({"observation": (4,)}), {"observation": (4,)}, 3)
    observations = env.reset(seed=0)[0]
    out = network(torch.from_numpy(observations))[0]
    torch.testing.assert_close(out, network(torch.from_numpy(observations).float())[0])
    assert env.observation_space.contains(observations)
    env.close()


def test_final_observations_keep_bounds_and_layout():
    space = Dict({"a": image(5, 6, 3), "b": Box(0, 1, (2,), np.uint8)})
    one = {"a": np.ones((5, 6, 3), np.uint8), "b": np.array([0, 1], np.uint8)}
    final = present(space, full_batch(space, [None, one], np.array([False, True])))
    assert final["a"].shape == (2, 3, 5, 6)
    assert final["b"].tolist() == [[0, 0], [0, 1]]
    assert final["b"].dtype == np.int8


def first_layer_reads(shapes, dtype=torch.float32):
    """Which inputs of the default column change its output."""
    network = ProgressiveNetwork()
    network.add_column(default_column(shapes), shapes, 5)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn_like(parameter))
    inputs = {name: torch.rand(2, *shape) for name, shape in shapes.items()}
    base = network(inputs)[0]
    return {
        name
        for name, value in inputs.items()
        if not torch.equal(base, network({**inputs, name: value + 1})[0])
    }


@pytest.mark.parametrize(
    "shapes",
    [
        {"observation": (6,), "achieved_goal": (3,), "desired_goal": (3,)},
        {"speed": (1,), "angle": (2,)},
        {"camera": (3, 84, 84), "joints": (9,), "goal": (2,)},
        {"left": (3, 16, 16), "right": (3, 24, 24)},
        {"image": (3, 7, 7), "direction": (4,)},
        {"observation": (3, 7, 7)},
        {"observation": (3, 2, 9)},
        {"observation": (1, 8, 8)},
        {"observation": (5, 6)},
    ],
    ids=str,
)
def test_the_default_column_reads_all_inputs(shapes):
    assert first_layer_reads(shapes) == set(shapes)


def test_a_path_network_does_not_choose_one_of_several_inputs_by_itself(shown):
    goal = Dict({"observation": Box(-1, 1, (6,)), "desired_goal": Box(-1, 1, (3,))})
    spec = GymTask(shown(lambda: Shows(goal))).spec
    with pytest.raises(UsageError, match="reads one input, but the task gives several"):
        method_from_name("pathnet").begin_task(spec)


def test_a_path_network_plays_what_a_grids_walker_sees(shown):
    spec = GymTask(shown(lambda: Shows(image(7, 7, 3)))).spec
    assert method_from_name("pathnet").begin_task(spec).initial_state(16)


class Sound(Space):
    """A space of Gymnasium's kind of which nothing can be known."""

    def sample(self, mask=None, probability=None):
        return object()

    def contains(self, x):
        return True


def heard():
    return Dict({"direction": Discrete(4), "image": image(7, 7, 3), "sound": Sound()})


ADVICE = {"FlattenObservation": FlattenObservation, "FilterObservation": FilterObservation}


@pytest.mark.parametrize(
    ("make", "advice"),
    [
        (heard, "FlattenObservation"),
        (lambda: Dict({"image": image(7, 7, 3), "sound": Sound()}), "FilterObservation"),
    ],
)
def test_the_advice_works_when_it_is_followed(make, advice, shown):
    env_id = shown(lambda: Shows(make()))
    with pytest.raises(UsageError, match=advice) as error:
        _ = GymTask(env_id).spec
    sentence = str(error.value)
    wrap = []
    if "FilterObservation" in sentence:
        keys = sentence.split("FilterObservation(env, ")[1].split(")")[0]
        wrap.append(functools.partial(FilterObservation, filter_keys=eval(keys)))
    if "FlattenObservation" in sentence:
        wrap.append(FlattenObservation)

    def followed():
        env = Shows(make())
        for wrapper in wrap:
            env = wrapper(env)
        return env

    task = GymTask(shown(followed))
    env = task.make_vec(2)
    assert env.observation_space.contains(env.reset(seed=0)[0])
    shapes = task.spec.input_shapes
    assert first_layer_reads(shapes) == set(shapes)
    env.close()


class Counts(gymnasium.Env):
    """Shows the step of its episode, a single number, up to 3."""

    observation_space = Box(0, 3, (), np.float32)
    action_space = Discrete(2)

    def reset(self, *, seed=None, options=None):
        self.t = 0
        return np.float32(0), {}

    def step(self, action):
        self.t += 1
        return np.float32(self.t), 0.0, self.t == 3, False, {}


def test_a_single_number_is_a_vector_of_one(shown):
    task = GymTask(shown(Counts))
    assert task.spec.observation_space == Box(0, 3, (1,), np.float32)
    env = task.make_vec(2)
    seen, info = [env.reset(seed=0)[0]], {}
    for _ in range(3):
        observations, *_, info = env.step(np.zeros(2, int))
        seen.append(observations)
    env.close()
    assert np.array(seen)[..., 0].T.tolist() == [[0, 1, 2, 0]] * 2
    assert info["final_obs"].tolist() == [[3], [3]]


def test_a_vector_environment_alone_is_refused():
    gymnasium.register("observing/Vector-v0", vector_entry_point="no:Matter")
    try:
        with pytest.raises(UsageError, match=r"^observing/Vector-v0 is registered with a vector"):
            _ = GymTask("observing/Vector-v0").spec
    finally:
        gymnasium.registry.pop("observing/Vector-v0")


def test_an_id_that_gymnasium_cannot_make_gets_one_sentence(shown):
    def broken():
        raise gymnasium.error.InvalidAction("It is\nbroken.")

    with pytest.raises(UsageError, match=r"^observing/Now-v0 cannot be made: It is broken\.$"):
        _ = GymTask(shown(broken)).spec


def test_what_nothing_flattens_is_to_be_made_a_box(shown):
    with pytest.raises(UsageError, match=r"make a Box of them with .*TransformObservation"):
        _ = GymTask(shown(lambda: Shows(Sound()))).spec
    box = Box(0, 1, (2,), np.float32)
    env_id = shown(lambda: TransformObservation(Shows(Sound()), lambda o: np.ones(2), box))
    assert GymTask(env_id).spec.input_shapes == {"observation": (2,)}


def test_an_id_that_is_registered_anew_is_looked_at_anew(shown):
    assert GymTask(shown(lambda: Shows(Box(0, 1, (2,))))).spec.input_shapes["observation"] == (2,)
    env_id = shown(lambda: Shows(Box(0, 1, (3,)), Discrete(7)))
    assert GymTask(env_id).spec.input_shapes["observation"] == (3,)
    assert GymTask(env_id).spec.action_sizes == (7,)


@pytest.mark.parametrize(
    "actions",
    [Discrete(3, start=-1), MultiDiscrete([2, 2], start=[1, 0]), MultiDiscrete([[2, 3], [4, 5]])],
)
def test_actions_that_are_not_one_row_counted_from_zero_are_refused(actions, shown):
    with pytest.raises(UsageError, match="counted from 0"):
        _ = GymTask(shown(lambda: Shows(Box(0, 1, (2,)), actions))).spec
