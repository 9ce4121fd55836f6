"""The T-maze against its rules, written out for one maze."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colonnade.errors import UsageError
from colonnade.tasks import TMazeTask
from colonnade.tasks.mazes.t_maze import AHEAD, LEFT, RIGHT, TMazeVectorEnv

CUES, CORRIDOR, FORK = ([1, 0, 0, 0], [0, 1, 0, 0]), [0, 0, 1, 0], [0, 0, 0, 1]


def plain(length, cue, actions):
    """One episode, step by step: views and rewards, and how it ended."""
    place, views, rewards = 0, [], []
    for number, action in enumerate(actions, 1):
        reward, over = 0.0, False
        if place < length and action == AHEAD:
            place += 1
        elif place == length and action != AHEAD:
            reward, over = (1.0 if (action == LEFT) == (cue == 0) else -1.0), True
        else:
            reward = -0.1
        views.append(CUES[cue] if place == 0 else FORK if place == length else CORRIDOR)
        rewards.append(reward)
        if over or number == 4 * (length + 1):
            return views, rewards, "terminated" if over else "truncated"
    return views, rewards, "goes on"


@given(
    length=st.integers(1, 4),
    seed=st.integers(0, 50),
    actions=st.lists(st.sampled_from([AHEAD, AHEAD, LEFT, RIGHT]), min_size=1, max_size=30),
)
def test_an_episode_is_as_the_rules_say(length, seed, actions):
    env = TMazeVectorEnv(2, length)
    first = env.reset(seed=seed)[0]
    cue = CUES.index(first[1].tolist())
    views, rewards, end = plain(length, cue, actions)
    for number, (view, expected) in enumerate(zip(views, rewards, strict=True), 1):
        observation, reward, terminated, truncated, info = env.step(np.full(2, actions[number - 1]))
        last = number == len(views)
        assert reward[1] == pytest.approx(expected)
        assert terminated[1] == (last and end == "terminated")
        assert truncated[1] == (last and end == "truncated")
        if terminated[1] or truncated[1]:
            assert info["final_obs"][1].tolist() == view
            assert observation[1].tolist() in CUES
        else:
            assert observation[1].tolist() == view


def test_both_cues_are_as_likely():
    views, _ = TMazeVectorEnv(2000).reset(seed=0)
    assert views[:, :2].sum() == 2000
    assert 900 < views[:, 0].sum() < 1100


def test_who_does_not_remember_gets_nothing_on_average_and_who_does_gets_one():
    env = TMazeVectorEnv(500, length=3)
    views, _ = env.reset(seed=1)
    cue = views[:, 1].astype(int)
    for _ in range(3):
        views, *_ = env.step(np.full(500, AHEAD))
    assert (views == FORK).all()
    _, rewards, terminated, _, _ = env.step(np.full(500, LEFT))
    assert terminated.all()
    assert abs(rewards.mean()) < 0.15
    assert (rewards == np.where(cue == 0, 1, -1)).all()


def test_the_corridor_has_a_length():
    assert TMazeTask("12") == TMazeTask(12)
    assert TMazeTask(12).spec.id == "t-maze/12"
    with pytest.raises(UsageError, match="got -1"):
        TMazeTask(-1)
