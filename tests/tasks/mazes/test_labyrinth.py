"""Labyrinth in the ray caster: rewards, ends, seeds, frame stacks, and a state that comes back."""

import numpy as np
import pytest

from colonnade.errors import UsageError
from colonnade.tasks import DoomLabyrinthTask, LabyrinthTask, task_from_name
from colonnade.tasks.mazes import LEVELS, Item, LabyrinthVectorEnv, Level
from colonnade.tasks.mazes.labyrinth import first_layout

FORWARD, BACK = 4, 5
WORTH = Level(
    "worth",
    ((0.0, -1.0), (9.0, -1.0), (9.0, 1.0), (0.0, 1.0)),
    (1.0, 0.0, 0.0),
    (Item("lemon", 2.2, 0.0, -0.5), Item("apple", 3.4, 0.0, 2.5), Item("apple", 5.0, 0.0)),
)


def forward(env, steps, action=FORWARD):
    return [env.step(np.full(env.num_envs, action)) for _ in range(steps)]


def test_items_are_eaten_within_reach_and_earn_their_values():
    env = LabyrinthVectorEnv(WORTH, 2)
    env.reset(seed=0)
    results = forward(env, 12)
    earned = {step: result[1][0] for step, result in enumerate(results, 1) if result[1][0]}
    # 0.3 m a step from x = 1; an item is within 0.55 m first after ...
    steps = [int(np.ceil((x - 0.55 - 1.0) / 0.3)) for x in (2.2, 3.4, 5.0)]
    assert earned == {steps[0]: -0.5, steps[1]: 2.5, steps[2]: 1.0}
    ends = [bool(result[2][0]) for result in results]
    assert ends.index(True) + 1 == steps[2]
    assert WORTH.best == 3.5
    assert env.items_left.all()  # a new episode


def test_only_good_items_need_to_be_eaten():
    only = Level("only", WORTH.outline, WORTH.start, (WORTH.items[1], Item("lemon", 8.0, 0.0)))
    env = LabyrinthVectorEnv(only, 1)
    env.reset(seed=0)
    assert [bool(result[2][0]) for result in forward(env, 7)] == [False] * 6 + [True]


def test_an_episode_is_cut_off_and_the_next_begins_in_the_same_step():
    env = LabyrinthVectorEnv("track-1", 1, max_steps=5)
    first, _ = env.reset(seed=0)
    *_, last = forward(env, 5, BACK)
    observation, reward, terminated, truncated, info = last
    assert (bool(terminated[0]), bool(truncated[0]), float(reward[0])) == (False, True, 0.0)
    np.testing.assert_array_equal(observation, first)
    assert (info["final_obs"] != first).any()
    assert env.poses[0].tolist() == [0.6, 0.0, 0.0, 0.0]


def test_eating_the_last_in_the_last_step_is_an_end_and_no_cut():
    env = LabyrinthVectorEnv(WORTH, 1, max_steps=12)
    env.reset(seed=0)
    results = forward(env, 12)
    assert bool(results[11][2][0])
    assert not results[11][3][0]


def test_each_copy_follows_from_its_own_seed():
    env = LabyrinthVectorEnv("avoid-1", 3)
    env.reset(seed=7)
    places, poses = env.places, env.poses
    for i in range(3):
        begin = first_layout(LEVELS["avoid-1"], 7 + i)
        np.testing.assert_array_equal(places[i], begin.places)
        assert poses[i, 2] == begin.heading
    alone = LabyrinthVectorEnv("avoid-1", 1, max_steps=20)
    many = LabyrinthVectorEnv("avoid-1", 3, max_steps=20)
    alone.reset(seed=9)
    many.reset(seed=7)
    actions = np.random.default_rng(0).integers(0, 8, (50, 3))
    for action in actions:
        np.testing.assert_array_equal(many.step(action)[0][2], alone.step(action[2:])[0][0])
    # Another episode is another layout.
    assert (many.places != places).any()


@pytest.mark.parametrize("stack", [1, 3])
def test_a_state_comes_back(stack):
    def fresh():
        return LabyrinthVectorEnv("avoid-2", 4, colour=False, stack=stack, max_steps=30)

    env, other = fresh(), fresh()
    env.reset(seed=3)
    actions = np.random.default_rng(1).integers(0, 8, (70, 4))
    for action in actions[:40]:
        env.step(action)
    saved = env.state()
    held = {name: array.copy() for name, array in saved.items()}
    expected = [env.step(action) for action in actions[40:]]
    for name, array in saved.items():
        np.testing.assert_array_equal(array, held[name])
    other.load_state(saved)
    for action, one in zip(actions[40:], expected, strict=True):
        for a, b in zip(one[:4], other.step(action)[:4], strict=True):
            np.testing.assert_array_equal(a, b)
    assert any(result[3].any() for result in expected)


def test_a_stack_holds_the_last_views_and_begins_with_the_first_one():
    plain = LabyrinthVectorEnv("track-1", 2, max_steps=7)
    stacked = LabyrinthVectorEnv("track-1", 2, stack=3, max_steps=7)
    view = plain.reset(seed=0)[0]
    views = [view] * 3
    np.testing.assert_array_equal(stacked.reset(seed=0)[0], np.concatenate(views, axis=1))
    for _ in range(15):
        view, *_, info = plain.step(np.full(2, FORWARD))
        seen, *_, stacked_info = stacked.step(np.full(2, FORWARD))
        if "final_obs" in info:
            last = np.concatenate([*views[1:], info["final_obs"]], axis=1)
            np.testing.assert_array_equal(stacked_info["final_obs"], last)
            views = [view] * 3
        else:
            views = [*views[1:], view]
        np.testing.assert_array_equal(seen, np.concatenate(views, axis=1))


def test_names_and_options():
    assert task_from_name("labyrinth/maze-y", steps=9) == LabyrinthTask("maze-y", steps=9)
    assert task_from_name("doom-labyrinth/maze-y") == DoomLabyrinthTask("maze-y")
    assert LabyrinthTask("track-2").spec.id == "labyrinth/track-2"
    assert DoomLabyrinthTask("track-2").spec.id == "doom-labyrinth/track-2"
    assert LabyrinthTask(WORTH).spec.id == "labyrinth/worth"
    assert LabyrinthTask(WORTH, name="my own").spec.id == "my own"
    shape = LabyrinthTask(colour=False, stack=4).spec.observation_space.shape
    assert shape == (4, 84, 84)
    assert LabyrinthTask(stack=2).spec.observation_space.shape == (6, 84, 84)
    assert LabyrinthTask().spec.action_sizes == (8,)


@pytest.mark.parametrize("task", [LabyrinthTask, DoomLabyrinthTask])
@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"level": "track-9"}, "level of Labyrinth 'track-9'; did you mean 'track-"),
        ({"level": 3}, "must be a level's name or a Level; got 3"),
        ({"stack": 0}, "stack of .* at least 1; got 0"),
        ({"max_steps": 1.5}, "max_steps of .* whole number"),
        ({"colour": "grey"}, "colour of .* True or False"),
        ({"name": ""}, "line of text"),
    ],
)
def test_tasks_that_make_no_sense_are_refused(task, given, sentence):
    with pytest.raises(UsageError, match=sentence):
        task(**given)


def test_a_level_of_a_file_is_a_task_by_name(tmp_path):
    import json

    path = tmp_path / "mine.json"
    path.write_text(json.dumps(WORTH.to_json()))
    task = task_from_name(f"labyrinth/{path}")
    assert task.spec.id == "labyrinth/worth"
    assert task.make_vec(1).level == WORTH


def test_walking_ahead_eats_all_of_track_1_and_playing_at_random_does_not():
    env = LabyrinthVectorEnv("track-1", 20)
    env.reset(seed=0)
    total = sum(result[1] for result in forward(env, 46))
    assert (total == 14).all()
    env.reset(seed=0)
    random = np.random.default_rng(0)
    total = sum(env.step(random.integers(0, 8, 20))[1] for _ in range(200))
    assert 0.3 < total.mean() < 6
