"""What every family of tasks promises, over one table of tasks."""

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from colonnade.seeding import derive
from colonnade.tasks import (
    AtariTask,
    DoomLabyrinthTask,
    GymTask,
    JacoTask,
    LabyrinthTask,
    MiniPongTask,
    PongSoupTask,
    TMazeTask,
)

N = 3
EMULATOR = AtariTask("pong", max_frames=160)
TASKS = [
    EMULATOR,
    AtariTask("breakout", episodic_life=True, repeat_action_probability=0.25, max_frames=240),
    PongSoupTask("noisy", emulator=EMULATOR),
    MiniPongTask("pong"),
    MiniPongTask("zoom"),
    TMazeTask(3),
    LabyrinthTask("avoid-1", colour=False, stack=2, max_steps=25),
    DoomLabyrinthTask("avoid-2", max_steps=25),
    JacoTask("robot-conveyor", view="both", rules={"max_steps": 20}),
    JacoTask("robot", view="state", rules={"max_steps": 20}),
    GymTask("CartPole-v1"),
    GymTask("colonnade/MiniPong-Noisy-v0"),
    GymTask("toy/Dict-v0"),
    GymTask("toy/Image-v0"),
    GymTask("toy/MultiDiscrete-v0"),
]


@pytest.fixture(params=TASKS, ids=lambda task: f"{task.spec.id}")
def task(request):
    return request.param


def actions_for(env, steps, seed=0):
    env.action_space.seed(seed)
    return [env.action_space.sample() for _ in range(steps)]


def leaves(observation):
    return list(observation.values()) if isinstance(observation, dict) else [observation]


def record(task, seed, steps=60):
    """Play with random actions; observations, rewards, ends and infos of every step."""
    env = task.make_vec(N)
    try:
        trajectory = [(env.reset(seed=seed)[0],)]
        trajectory += [env.step(action) for action in actions_for(env, steps)]
        return trajectory
    finally:
        env.close()


def assert_same(one, other):
    one, other = (x if isinstance(x, list) else leaves(x) for x in (one, other))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def test_spec_describes_the_vector_environment(task):
    env = task.make_vec(N)
    try:
        assert env.num_envs == N
        assert env.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
        assert env.single_observation_space == task.spec.observation_space
        assert env.single_action_space == task.spec.action_space
        assert task.spec.outputs == sum(task.spec.action_sizes) + 1
        assert env.observation_space.contains(env.reset(seed=0)[0])
        observation, reward, terminated, truncated, _ = env.step(actions_for(env, 1)[0])
    finally:
        env.close()
    assert env.observation_space.contains(observation)
    assert (reward.dtype, reward.shape) == (np.float32, (N,))
    assert (terminated.dtype, terminated.shape) == (np.bool_, (N,))
    assert (truncated.dtype, truncated.shape) == (np.bool_, (N,))


def test_spec_is_the_same_each_time_and_tasks_are_values(task):
    assert task.spec == task.spec
    assert hash(task) == hash(task)
    with pytest.raises(AttributeError):
        task.steps = 3


def test_same_seed_same_trajectory(task):
    for one, other in zip(record(task, 7), record(task, 7), strict=True):
        assert_same(one[0], other[0])
        for a, b in zip(one[1:4], other[1:4], strict=True):
            np.testing.assert_array_equal(a, b)


def test_returned_arrays_are_not_written_to_by_later_steps(task):
    env = task.make_vec(N)
    try:
        observation, _ = env.reset(seed=1)
        held = []
        for action in actions_for(env, 45):
            held.append((observation, [leaf.copy() for leaf in leaves(observation)]))
            observation, *_, info = env.step(action)
            if "final_obs" in info:
                final = info["final_obs"]
                held.append((final, [leaf.copy() for leaf in leaves(final)]))
    finally:
        env.close()
    for array, copy in held:
        for a, b in zip(leaves(array), copy, strict=True):
            np.testing.assert_array_equal(a, b)


def test_final_observations_are_full_batches_where_episodes_end(task):
    shapes = [leaf.shape for leaf in leaves(record(task, 0, steps=0)[0][0])]
    dtypes = [leaf.dtype for leaf in leaves(record(task, 0, steps=0)[0][0])]
    ends = 0
    for _, _, terminated, truncated, info in record(task, 3, steps=100)[1:]:
        assert not (terminated & truncated & ("toy" not in task.spec.id)).any()
        if ((terminated & ~info.get("lives_on", False)) | truncated).any():
            ends += 1
            assert [leaf.shape for leaf in leaves(info["final_obs"])] == shapes
            assert [leaf.dtype for leaf in leaves(info["final_obs"])] == dtypes
    assert ends > 0, "no episode ended, so nothing was tested"


def test_environments_of_one_batch_differ(task):
    if "toy" in task.spec.id:
        pytest.skip("the toys are the same for every seed")
    steps = [step[0] for step in record(task, 0, steps=30)]
    for other in (1, 2):
        assert any((leaf[0] != leaf[other]).any() for step in steps for leaf in leaves(step))


def test_environment_i_depends_on_its_own_seed(task):
    if isinstance(task, GymTask) and "toy" in task.id:
        pytest.skip("the toys are the same for every seed")
    env = task.make_vec(N)
    one = task.make_vec(1)
    try:
        actions = actions_for(env, 60)
        many = [env.reset(seed=5)[0]] + [env.step(action)[0] for action in actions]
        alone = [one.reset(seed=5 + 2)[0]] + [one.step(action[2:])[0] for action in actions]
    finally:
        env.close()
        one.close()
    for batch, single in zip(many, alone, strict=True):
        assert_same([leaf[2] for leaf in leaves(batch)], [leaf[0] for leaf in leaves(single)])


def same_as_plain_stepping(same_step, plain, begin):
    """Check same-step resets against an environment that resets in the next step.

    Args:
        begin: Takes an action, begins the next episode of `plain` and returns its observation.

    Returns:
        How many episodes ended.
    """
    actions = actions_for(same_step, 120, seed=1)
    expected = plain.reset(seed=4)[0]
    assert_same(same_step.reset(seed=4)[0], expected)
    ends = 0
    for action in actions:
        observation, reward, terminated, truncated, info = same_step.step(action)
        expected, *outcome, _ = plain.step(action)
        for a, b in zip((reward, terminated, truncated), outcome, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)
        if (terminated | truncated).any():
            ends += 1
            assert_same(info["final_obs"], expected)
            expected = begin(action)
        assert_same(observation, expected)
    same_step.close()
    plain.close()
    return ends


@pytest.mark.parametrize("game", ["pong", "ms_pacman"])
def test_atari_resets_in_the_same_step(game):
    from ale_py.vector_env import AtariVectorEnv

    plain = AtariVectorEnv(game, 1, max_num_frames_per_episode=120, reward_clipping=False)
    task = AtariTask(game, max_frames=120)

    def begin(action):
        observation, reward, terminated, truncated, _ = plain.step(action)
        assert not (terminated | truncated).any()
        assert not reward.any()
        return observation

    assert same_as_plain_stepping(task.make_vec(1), plain, begin) >= 3


def test_gymnasium_environments_reset_in_the_same_step():
    plain = gymnasium.make_vec("CartPole-v1", 1, vectorization_mode="sync")
    seeds = [4]

    def begin(action):
        seeds.append(derive(seeds[-1], "next episode"))
        return plain.reset(seed=seeds[-1])[0]

    assert same_as_plain_stepping(GymTask("CartPole-v1").make_vec(1), plain, begin) >= 3
