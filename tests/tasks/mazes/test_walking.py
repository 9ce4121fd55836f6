"""Steps, turns and collisions, against arithmetic by hand."""

import numpy as np
import pytest

from colonnade.tasks.mazes import LEVELS, Item, Level
from colonnade.tasks.mazes.levels import BODY
from colonnade.tasks.mazes.walking import ACTIONS, STEP, Walkers

UP, DOWN, LEFT, RIGHT, FORWARD, BACK, GO_LEFT, GO_RIGHT = range(8)
ROOM = Level(
    "room",
    ((0.0, 0.0), (6.0, 0.0), (6.0, 6.0), (0.0, 6.0)),
    (3.0, 3.0, 0.0),
    (Item("apple", 1.0, 1.0),),
)


def act(walkers, *actions):
    for action in actions:
        walkers.act(np.full(len(walkers.x), action))
    return walkers.x[0], walkers.y[0], walkers.heading[0], walkers.tilt[0]


def test_the_papers_eight_actions():
    assert ACTIONS == (
        "look up",
        "look down",
        "look left",
        "look right",
        "move forward",
        "move back",
        "move left",
        "move right",
    )


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (UP, (3.0, 3.0, 0.0, 8)),
        (DOWN, (3.0, 3.0, 0.0, -8)),
        (LEFT, (3.0, 3.0, 15.0, 0)),
        (RIGHT, (3.0, 3.0, 345.0, 0)),
        (FORWARD, (3.3, 3.0, 0.0, 0)),
        (BACK, (2.7, 3.0, 0.0, 0)),
        (GO_LEFT, (3.0, 3.3, 0.0, 0)),
        (GO_RIGHT, (3.0, 2.7, 0.0, 0)),
    ],
)
def test_each_action_in_the_open(action, expected):
    assert act(Walkers(ROOM, 1), action) == pytest.approx(expected)


def test_moves_follow_the_heading_and_looks_have_bounds():
    assert act(Walkers(ROOM, 1), *[LEFT] * 6, FORWARD, GO_LEFT)[:3] == pytest.approx((2.7, 3.3, 90))
    assert act(Walkers(ROOM, 1), *[UP] * 9)[3] == 32
    assert act(Walkers(ROOM, 1), *[DOWN] * 9)[3] == -32
    assert act(Walkers(ROOM, 1), *[LEFT] * 25)[2] == pytest.approx(15)


def test_a_wall_is_slid_along():
    walkers = Walkers(ROOM, 1)
    x, y, *_ = act(walkers, *[LEFT] * 2, *[FORWARD] * 12)
    # At 30 degrees the wall x = 6 stops x and lets y go on.
    assert x == pytest.approx(6 - BODY)
    assert y == pytest.approx(3 + 12 * STEP * np.sin(np.pi / 6))
    x, y, *_ = act(walkers, *[FORWARD] * 40)
    assert (x, y) == pytest.approx((6 - BODY, 6 - BODY))


@pytest.mark.parametrize("name", sorted(LEVELS))
def test_nobody_leaves_a_maze(name):
    walkers = Walkers(LEVELS[name], 200)
    random = np.random.default_rng(0)
    still = random.integers(4, 8, 200)
    for step in range(300):
        wild = random.integers(0, 8, 200)
        walkers.act(np.where(random.random(200) < 0.7, still, wild))
        if step % 50 == 0:
            still = random.integers(4, 8, 200)
        assert walkers.within_walls().all()
    assert np.ptp(walkers.x) + np.ptp(walkers.y) > 4


def test_who_is_in_a_wall_is_noticed():
    walkers = Walkers(ROOM, 2)
    walkers.x[0] = 6.2
    assert walkers.within_walls().tolist() == [False, True]
    walkers.x[0] = 5.8
    assert walkers.within_walls().tolist() == [False, True]


def test_only_the_chosen_begin():
    walkers = Walkers(ROOM, 2)
    act(walkers, FORWARD, UP)
    walkers.begin(np.array([False, True]), np.array([30.0]))
    assert walkers.x.tolist() == pytest.approx([3.3, 3.0])
    assert walkers.heading.tolist() == [0.0, 30.0]
    assert walkers.tilt.tolist() == [8, 0]
