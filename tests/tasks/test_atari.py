"""Atari tasks and Pong Soup against ALE's own vector environment."""

import subprocess
import sys

import numpy as np
import pytest
from ale_py import roms
from ale_py.vector_env import AtariVectorEnv

from colonnade.errors import UsageError
from colonnade.tasks import VARIANTS, AtariTask, PongSoupTask
from colonnade.tasks.atari import game_name, games
from colonnade.tasks.variants import Look, make_transform


def play(env, steps, actions=6, seed=0):
    rng = np.random.default_rng(seed)
    yield env.reset(seed=9)[0]
    for _ in range(steps):
        yield env.step(rng.integers(0, actions, env.num_envs))
    env.close()


def test_games_for_two_players_are_left_out():
    # Loading one of these four ends the process.
    two_players = {"combat", "joust", "maze_craze", "warlords"}
    assert set(roms.get_all_rom_ids()) - set(games()) == two_players


@pytest.mark.slow
def test_every_game_can_be_loaded():
    for game in games():
        assert 3 <= AtariTask(game).spec.action_sizes[0] <= 18


def test_a_game_has_its_own_actions():
    assert AtariTask("pong").spec.action_sizes == (6,)
    assert AtariTask("breakout").spec.action_sizes == (4,)
    assert AtariTask("breakout", full_action_space=True).spec.action_sizes == (18,)
    assert AtariTask("seaquest").spec.action_sizes == (18,)


@pytest.mark.parametrize("spelling", ["ms_pacman", "MsPacman", "ms-pacman", "mspacman"])
def test_spellings_of_a_game_are_one_task(spelling):
    assert AtariTask(spelling) == AtariTask("ms_pacman")
    assert AtariTask(spelling).spec.id == "atari/ms_pacman"


@pytest.mark.parametrize("game", games())
def test_camel_case_is_understood_for_every_game(game):
    assert game_name("".join(part.capitalize() for part in game.split("_"))) == game


def test_unknown_game_suggests_the_nearest():
    with pytest.raises(UsageError, match=r"'sequest'.*'seaquest'"):
        AtariTask("sequest")


@pytest.mark.parametrize(
    "options",
    [
        {"steps": 0},
        {"frame_skip": 0},
        {"noop_max": -1},
        {"max_frames": 0},
        {"repeat_action_probability": 1.0},
    ],
)
def test_numbers_out_of_range_are_refused(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        AtariTask("pong", **options)


def test_rewards_are_the_games_own():
    steps = list(play(AtariTask("space_invaders").make_vec(4), 150))[1:]
    rewards = np.stack([step[1] for step in steps])
    assert AtariTask("space_invaders").spec.reward_clip == 1.0
    assert rewards.max() >= 5.0


def test_truncation_comes_from_the_frame_limit_alone():
    steps = list(play(AtariTask("pong", max_frames=80, noop_max=0).make_vec(2), 25))[1:]
    truncated = np.stack([step[3] for step in steps])
    terminated = np.stack([step[2] for step in steps])
    assert truncated.any(0).all()
    assert not terminated.any()


def test_a_lost_life_terminates_only_where_asked():
    ends = {
        episodic: any(step[2].any() for step in list(play(task.make_vec(4), 90, actions=4))[1:])
        for episodic in (False, True)
        for task in [AtariTask("breakout", episodic_life=episodic)]
    }
    assert ends == {False: False, True: True}


def test_a_game_of_pong_terminates_at_21_points():
    total = 0.0
    for step in list(play(PongSoupTask("black").make_vec(1), 1500))[1:]:
        total += float(step[1][0])
        if step[2][0]:
            assert not step[3][0]
            break
    else:
        pytest.fail("the game did not end")
    assert -21 <= total <= -15


def test_seeds_may_be_numpy_integers_lists_and_very_large():
    env = AtariTask("pong").make_vec(2)
    first = env.reset(seed=np.int64(3))[0]
    np.testing.assert_array_equal(first, env.reset(seed=[3, 4])[0])
    env.reset(seed=2**31 - 1)
    env.close()


@pytest.mark.parametrize("variant", VARIANTS)
def test_pong_soup_is_ale_pong_seen_through_the_transform(variant):
    plain = AtariVectorEnv(
        "pong", 2, max_num_frames_per_episode=160, reward_clipping=False, autoreset_mode="SameStep"
    )
    task = PongSoupTask(variant, emulator=AtariTask("pong", max_frames=160))
    transform = make_transform(variant, (84, 84), task.look)
    ours, theirs = play(task.make_vec(2), 90), play(plain, 90)
    np.testing.assert_array_equal(next(ours), transform(next(theirs)))
    ends = 0
    for (shown, *outcome, info), (raw, *expected, raw_info) in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(shown, transform(raw))
        for a, b in zip(outcome, expected, strict=True):
            np.testing.assert_array_equal(a, b)
        if "final_obs" in raw_info:
            ends += 1
            np.testing.assert_array_equal(info["final_obs"], transform(raw_info["final_obs"]))
    assert ends > 0


def test_the_default_background_is_that_of_pongs_field():
    frames = list(play(AtariTask("pong").make_vec(1), 40))[-1][0]
    values, counts = np.unique(frames, return_counts=True)
    assert values[counts.argmax()] == Look().background


def test_unknown_variant_suggests_the_nearest():
    with pytest.raises(UsageError, match=r"'nosy'.*'noisy'"):
        PongSoupTask("nosy")


HELD_BY_A_THREAD = """
import threading, time
threading.Thread(target=lambda held: time.sleep(60), args=(env,), daemon=True).start()
"""


@pytest.mark.parametrize("ending", ["env.close(); env.close()", HELD_BY_A_THREAD])
def test_nothing_is_printed_at_exit(ending):
    program = (
        "from colonnade.tasks import PongSoupTask\n"
        "env = PongSoupTask('h-flip').make_vec(2)\n"
        "env.reset(seed=0)\n" + ending
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
