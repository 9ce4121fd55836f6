"""What environments do can go on elsewhere: from their state, or from seeds and actions."""

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from colonnade.learners.acting.under_way import UnderWay
from colonnade.seeding import derive
from colonnade.tasks import AtariTask, GymTask, MiniPongTask, PongSoupTask, TMazeTask, atari
from colonnade.tasks.episode_seeds import EpisodeSeeds, reset_mask

N = 3
STICKY = AtariTask("breakout", repeat_action_probability=0.25, max_frames=320)


def random_actions(env, steps, seed=0):
    env.action_space.seed(seed)
    return [env.action_space.sample() for _ in range(steps)]


def assert_same_steps(one, other):
    for a, b in zip(one[:4], other[:4], strict=True):
        np.testing.assert_array_equal(a, b)
    assert ("final_obs" in one[4]) == ("final_obs" in other[4])
    if "final_obs" in one[4]:
        np.testing.assert_array_equal(one[4]["final_obs"], other[4]["final_obs"])


@pytest.mark.parametrize(
    "task",
    [
        MiniPongTask("pong"),
        MiniPongTask("noisy"),
        TMazeTask(3),
        GymTask("colonnade/MiniPong-HFlip-v0"),
        GymTask("colonnade/TMaze-v0"),
    ],
    ids=lambda task: task.spec.id,
)
def test_our_own_environments_go_on_from_their_state(task):
    env, other = task.make_vec(N), task.make_vec(N)
    env.reset(seed=1)
    other.reset(seed=2)
    actions = random_actions(env, 400)
    for action in actions[:150]:
        env.step(action)
    saved = env.state()
    assert all(isinstance(value, np.ndarray) for value in saved.values())
    copies = {name: value.copy() for name, value in saved.items()}
    expected = [env.step(action) for action in actions[150:]]
    other.load_state(saved)
    for action, step in zip(actions[150:], expected, strict=True):
        assert_same_steps(other.step(action), step)
    assert any(step[2].any() for step in expected)
    for name, value in saved.items():
        np.testing.assert_array_equal(value, copies[name])


def replayed(task, threads, changes, actions, slots, total):
    """Step copies of `task` so that what env i did since its seed was set is done by slots[i].

    Args:
        changes: [N] (seed, step at which it was set).
        actions: Of all `total` steps.
        slots: Where each environment is played.
    """
    env = task.make_vec(N, threads)
    env.reset(seed=12345)
    fresh = 0
    for t in range(min(start for _, start in changes), total + 1):
        seeds, mask = np.zeros(N, np.int64), np.zeros(N, bool)
        for i, (seed, start) in enumerate(changes):
            if start == t:
                seeds[slots[i]], mask[slots[i]] = seed, True
        if mask.any():
            before = env.episode_seeds
            observations, _ = env.reset(seed=seeds, options={"reset_mask": mask})
            assert env.episode_seeds.tolist() == np.where(mask, seeds, before).tolist()
            fresh += 1
        if t < total:
            moved = np.empty_like(actions[t])
            moved[slots] = actions[t]
            observations = env.step(moved)[0]
    assert fresh > 0
    return env, observations


@pytest.mark.parametrize(
    ("task", "seed_lasts"),
    [
        (AtariTask("seaquest", full_action_space=True, max_frames=480), 10_000),
        (STICKY, 100),
        (PongSoupTask("zoom", emulator=AtariTask("pong", max_frames=200)), 50),
        (GymTask("CartPole-v1"), 0),
        (GymTask("CartPole-v1", processes=True), 0),
        (GymTask("Acrobot-v1"), 0),
    ],
    ids=lambda value: getattr(value, "id", None) or str(value)[:40],
)
def test_what_is_under_way_follows_from_seeds_and_actions(task, seed_lasts, monkeypatch):
    monkeypatch.setattr(atari, "SEED_LASTS", seed_lasts)
    env = task.make_vec(N, 1)
    observations, _ = env.reset(seed=7)
    assert env.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    assert env.episode_seeds.dtype == np.int64
    assert env.episode_seeds.tolist() == [7, 8, 9]
    total = 190
    actions = random_actions(env, total + 40)
    changes = [(seed, 0) for seed in (7, 8, 9)]
    for t, action in enumerate(actions[:total], 1):
        observations = env.step(action)[0]
        for i, seed in enumerate(env.episode_seeds.tolist()):
            if seed != changes[i][0]:
                assert seed == derive(changes[i][0], "next episode")
                changes[i] = (seed, t)
        if seed_lasts:
            assert env.steps_since_seed.tolist() == [t - start for _, start in changes]
    if 0 < seed_lasts < total and task is not STICKY:
        assert all(start > 0 for _, start in changes)

    slots = np.array([2, 0, 1])
    other, seen = replayed(task, 2, changes, actions, slots, total)
    np.testing.assert_array_equal(seen[slots], observations)
    for action in actions[total:]:
        moved = np.empty_like(action)
        moved[slots] = action
        one, two = env.step(action), other.step(moved)
        for a, b in zip(one[:4], two[:4], strict=True):
            np.testing.assert_array_equal(a, b[slots])
    env.close()
    other.close()


def test_a_checkpoint_keeps_the_actions_since_a_seed_that_outlives_episodes(monkeypatch):
    monkeypatch.setattr(atari, "SEED_LASTS", 100)
    task = AtariTask("pong", max_frames=160)
    env, other = task.make_vec(N), task.make_vec(N)
    under_way, after = (UnderWay(e, task.spec.actions) for e in (env, other))
    observations, lengths = under_way.begin(3), np.zeros(N, np.int64)
    for action in random_actions(env, 190):
        under_way.note(action[:, None])
        observations, _, terminated, truncated, _ = env.step(action)
        lengths = np.where(terminated | truncated, 0, lengths + 1)
        under_way.forget(lengths)
    # Games of 40 steps: the fifth is under way, and the fourth began with a seed, at 120.
    assert lengths.tolist() == [30] * N
    saved = under_way.state(lengths)
    assert len(saved["actions"]) == 70
    np.testing.assert_array_equal(after.restore(saved), observations)
    env.close()
    other.close()


@pytest.mark.parametrize("processes", [False, True])
def test_the_seeds_shown_are_those_that_the_environments_were_given(processes):
    env = GymTask("CartPole-v1", processes=processes).make_vec(2)
    env.reset(seed=[5, 50])
    ends = 0
    for action in random_actions(env, 80):
        ends += int((env.step(action)[2]).sum())
        assert env.env.get_attr("np_random_seed") == tuple(env.episode_seeds.tolist())
    assert ends > 2
    env.close()


def test_a_reset_without_a_seed_goes_on_with_the_chain():
    for task in (GymTask("CartPole-v1"), AtariTask("pong")):
        env = task.make_vec(2)
        env.reset(seed=3)
        one, _ = env.reset()
        assert env.episode_seeds.tolist() == [derive(s, "next episode") for s in (3, 4)]
        np.testing.assert_array_equal(one, env.reset(seed=env.episode_seeds)[0])
        env.close()


def test_environments_without_a_seed_begin_differently_each_time():
    first, second = EpisodeSeeds(4).values, EpisodeSeeds(4).values
    assert len({*first.tolist(), *second.tolist()}) == 8


def test_seeds_of_any_size_and_sign_are_taken_modulo_two_to_the_31():
    seeds = EpisodeSeeds(3)
    seeds.begin(2**31 - 1, np.ones(3, bool))
    assert seeds.values.tolist() == [2**31 - 1, 0, 1]
    seeds.begin([-1, 2**40 + 5, 3], np.array([True, True, False]))
    assert seeds.values.tolist() == [2**31 - 1, 5, 1]


@pytest.mark.parametrize("mask", [[1, 0, 1], [True, False], [False] * 3])
def test_a_mask_that_fits_no_environment_is_refused(mask):
    with pytest.raises(ValueError, match="reset_mask must be a bool array of shape"):
        reset_mask({"reset_mask": np.array(mask)}, 3)


def test_a_vector_environment_of_a_users_own_promises_nothing():
    env = GymTask("toy/OwnVector-v0").make_vec(2)
    assert type(env).__name__ == "OwnVector"
    assert not hasattr(env, "episode_seeds")
    assert not hasattr(env, "state")


def test_a_vector_environment_that_shows_something_else_than_the_single_one_is_not_used():
    task = GymTask("toy/OwnVectorOfOthers-v0")
    env = task.make_vec(2)
    assert env.single_observation_space == task.spec.observation_space
    assert env.reset(seed=0)[0].shape == (2, 3, 6, 7)
