"""Whatever an environment draws from, an episode follows from its seed and its actions."""

import random
from contextlib import contextmanager

import drawing_envs
import numpy as np
import pytest
import torch

from colonnade.learners.acting.under_way import UnderWay
from colonnade.tasks import GymTask
from colonnade.tasks.gym import made as gym_made
from colonnade.tasks.gym import probing
from colonnade.tasks.gym.global_streams import GlobalStreams, drawn_from
from colonnade.tasks.gym.probing import Draws

N = 3
SOURCES = (*drawing_envs.SOURCES, "spaces", "normal")
numpy_number = np.random.rand
TASK = GymTask("drawing/Draws-v0", options={"sources": SOURCES})


@contextmanager
def made(task, **options):
    env = task.make_vec(N, **options)
    try:
        yield env
    finally:
        env.close()


def played(env, seed, steps=40, disturb=lambda: None):
    """Observations [T + 1, N, 3, sources] under the same random actions."""
    actions = np.random.default_rng(0).integers(0, 2, (steps, N))
    seen = [env.reset(seed=seed)[0]]
    for action in actions:
        disturb()
        seen.append(env.step(action)[0])
    return np.stack(seen)


def disturb_everything():
    random.random()
    numpy_number()
    torch.rand(1)


def process_numbers():
    return random.random(), numpy_number(), torch.rand(1).item()


@pytest.mark.parametrize("source", SOURCES)
def test_seeds_environments_and_steps_are_all_distinct(source):
    column = SOURCES.index(source)
    with made(TASK) as env:
        runs = np.stack([played(env, 1000 * seed) for seed in range(3)])[..., column]
    begun, now = runs[..., 1], runs[:, 1:, :, 2]
    assert len(np.unique(begun[:, 0])) == 3 * N
    assert len(np.unique(begun)) > 6 * N
    drawn = now[now != 0]
    assert len(np.unique(drawn)) == len(drawn) > 200
    assert len(np.unique(runs[0, 0, :, 0])) == N


def test_the_same_seed_gives_the_same_numbers_whatever_is_drawn_elsewhere():
    with made(TASK) as env:
        once = played(env, 5)
    disturb_everything()
    with made(TASK) as env:
        np.testing.assert_array_equal(once, played(env, 5, disturb=disturb_everything))


def test_one_process_draws_as_processes_of_their_own_do():
    with made(TASK) as env, made(GymTask(TASK.id, processes=True, options=TASK.options)) as apart:
        np.testing.assert_array_equal(played(env, 5), played(apart, 5))


def test_an_environment_disturbs_nobody_elses_numbers():
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(3)
    expected = [process_numbers() for _ in range(3)]
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(3)
    got = [process_numbers()]
    with made(TASK) as env:
        got.append(process_numbers())
        played(env, 1)
    got.append(process_numbers())
    assert got == expected


def test_an_episode_is_replayed_from_its_seed_and_actions_in_another_place():
    actions = np.random.default_rng(1).integers(0, 2, (60, N))
    with made(TASK) as env:
        env.reset(seed=8)
        start, seed = 0, 8
        for t, action in enumerate(actions, 1):
            shown = env.step(action)[0]
            if env.episode_seeds[0] != seed:
                start, seed = t, int(env.episode_seeds[0])
    assert 0 < start < 60
    with made(TASK) as other:
        other.reset(seed=99)
        other.step(actions[0])
        mask = np.array([False, False, True])
        again = other.reset(seed=[0, 0, seed], options={"reset_mask": mask})[0]
        for action in actions[start:]:
            again = other.step(action[[1, 2, 0]])[0]
    # What a constructor drew belongs to its place, not to the episode.
    np.testing.assert_array_equal(again[2, 1:], shown[0, 1:])


def test_a_reset_that_drops_its_seed_is_seeded_all_the_same():
    task = GymTask("drawing/Draws-v0", options={"sources": ["np_random"], "polite": False})
    with made(task) as env, made(task) as again:
        first = played(env, 5)
        np.testing.assert_array_equal(first, played(again, 5))
        assert (first != played(env, 6)).any()


def test_a_vector_environment_of_a_users_own_draws_from_streams_of_its_own():
    rows = []
    for seed in (5, 5, 6):
        disturb_everything()
        with made(GymTask("drawing/OwnVector-v0")) as env:
            assert isinstance(env.unwrapped, drawing_envs.DrawsTogether)
            rows.append(played(env, seed, disturb=disturb_everything))
    np.testing.assert_array_equal(rows[0], rows[1])
    assert (rows[0] != rows[2]).all()
    assert len(np.unique(rows[0])) == rows[0].size


def test_a_source_that_the_probe_missed_is_noticed(monkeypatch):
    # Drawn from for the first time in step 70, past the 64 that are probed here.
    monkeypatch.setattr(probing, "MOST_STEPS", 64)
    task = GymTask("drawing/Draws-v0", options={"sources": ["numpy.random"], "late": 70})
    rows = []
    for _ in range(2):
        numpy_number()
        with made(task) as env:
            env.reset(seed=0)
            rows.append([env.step(np.zeros(N, int))[0][:, 2, 0] for _ in range(3 * 91)])
    first, second = np.array(rows)
    assert (first[:91] != second[:91]).any()
    np.testing.assert_array_equal(first[91:], second[91:])
    assert first[91 + 75].all()


@pytest.mark.parametrize("source", ["random", "numpy.random", "torch"])
def test_a_probe_plays_whole_episodes(source):
    # Drawn from only in the last steps of an episode of 91.
    task = GymTask("drawing/Draws-v0", options={"sources": [source], "late": 85})
    with made(task) as env:
        once = played(env, 5, 91)
    disturb_everything()
    with made(task) as env:
        np.testing.assert_array_equal(once, played(env, 5, 91, disturb=disturb_everything))
    assert once[85, :, 2].any()


@pytest.mark.parametrize("processes", [False, True])
def test_a_checkpoint_holds_which_sources_were_found(monkeypatch, processes):
    """Another process may have probed less, or noticed less, than the one that saved."""
    task = GymTask("drawing/Draws-v0", options={"sources": ["numpy.random"]}, processes=processes)
    actions = np.zeros((5, N, 1), int)
    with made(task) as env:
        saved = UnderWay(env, task.spec.actions)
        saved.begin(3)
        for action in actions:
            shown = env.step(action[:, 0])[0]
            saved.note(action)
        tensors = saved.state(np.full(N, 5))
    blind = Draws(frozenset(), ignores_seed=False, spaces=False)
    monkeypatch.setattr(gym_made, "probe", lambda env: blind)
    monkeypatch.setattr(gym_made, "_KNOWN", {})
    with made(task) as other:
        assert not other.seeded_sources.any()
        disturb_everything()
        again = UnderWay(other, task.spec.actions).restore(tensors)
    np.testing.assert_array_equal(again, shown)


def test_a_vector_environment_with_a_state_of_its_own_meaning_is_seeded_too():
    rows = []
    for _ in range(2):
        disturb_everything()
        with made(GymTask("drawing/OwnState-v0")) as env:
            assert isinstance(env.unwrapped, drawing_envs.DrawsTogether)
            rows.append(played(env, 5, disturb=disturb_everything))
    np.testing.assert_array_equal(rows[0], rows[1])


@pytest.mark.parametrize("own", ["drawing/Unseeded-v0", "drawing/UnseededVector-v0"])
def test_an_environment_that_does_not_follow_from_its_seed_is_named_once(own):
    with pytest.warns(UserWarning, match=f"^{own} showed different episodes for") as warned:
        GymTask(own).make_vec(N).close()
    GymTask(own).make_vec(N).close()
    assert len(warned) == 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("task", [TASK, GymTask("drawing/OwnVector-v0"), GymTask("CartPole-v1")])
def test_an_environment_that_follows_from_its_seed_is_not_warned_of(monkeypatch, task):
    monkeypatch.setattr(gym_made, "_KNOWN", {})
    monkeypatch.setattr(gym_made, "_KNOWN_VECTORS", {})
    with made(task) as env:
        env.reset(seed=0)


def test_who_draws_from_nothing_is_stepped_without_a_detour():
    env = GymTask("CartPole-v1").make_vec(1)
    (single,) = env.env.envs
    assert single.step == single.env.step
    assert single.reset(seed=3)[0].shape == (4,)
    drawing = GymTask("drawing/Draws-v0", options={"sources": ["torch"]}).make_vec(1)
    assert drawing.env.envs[0].step != drawing.env.envs[0].env.step


def test_a_generators_stream_is_that_of_its_seed():
    streams = GlobalStreams(["random", "torch"])
    streams.seed(4)
    torch.manual_seed(0)
    outside = torch.rand(2).tolist()
    torch.manual_seed(0)
    got = [torch.rand(1).item()]
    with streams:
        inside = [random.random(), torch.rand(1).item()]
    with streams:
        inside += [random.random(), torch.rand(1).item()]
    got.append(torch.rand(1).item())
    assert got == outside
    assert len(set(inside)) == 4
    assert drawn_from(lambda: None) == frozenset()
    assert drawn_from(random.random) == {"random"}
    assert drawn_from(disturb_everything) == {"random", "numpy.random", "torch"}
