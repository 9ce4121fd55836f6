"""Atari tasks and Pong Soup against ALE's own vector environment."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from ale_py import roms
from ale_py.vector_env import AtariVectorEnv

from colonnade.errors import UsageError
from colonnade.experiments.trained.films.camera import FilmedTask
from colonnade.tasks import VARIANTS, AtariTask, PongSoupTask
from colonnade.tasks.atari import game_name, games
from colonnade.tasks.pong.variants import Look, make_transform
from colonnade.tasks.vector import SingleEnv


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


def test_a_lost_life_ends_what_is_learned_from_and_not_the_game():
    game = "breakout"
    task = AtariTask(game, max_frames=720)
    whole, lives = task.make_vec(4), replace(task, episodic_life=True).make_vec(4)
    plain = AtariVectorEnv(
        game,
        4,
        max_num_frames_per_episode=720,
        reward_clipping=False,
        life_loss_info=True,
        autoreset_mode="SameStep",
    )
    lost = ends = 0
    actions = task.spec.action_sizes[0]
    for one, other, ale in zip(
        *(play(env, 400, actions) for env in (whole, lives, plain)), strict=True
    ):
        np.testing.assert_array_equal(one[0], other[0])
        if len(one) != 5:
            continue
        shown, rewards, terminated, truncated, info = other
        np.testing.assert_array_equal(one[1], rewards)
        np.testing.assert_array_equal(one[3], truncated)
        np.testing.assert_array_equal(one[2], terminated & ~info["lives_on"])
        np.testing.assert_array_equal(shown, ale[0])
        np.testing.assert_array_equal(terminated, ale[2])
        assert "lives_on" not in one[4]
        assert ("final_obs" in info) == bool((one[2] | one[3]).any())
        lost += int(info["lives_on"].sum())
        ends += int((one[2] | one[3]).sum())
    assert lost > ends > 0


def lives_and_games(task, steps):
    """Actions of one game's steps, and of each step how many lives and episodes it ended."""
    env, lives, games = task.make_vec(1), [], []
    actions = np.random.default_rng(0).integers(0, task.spec.action_sizes[0], (steps, 1))
    env.reset(seed=9)
    for action in actions:
        *_, info = env.step(action)
        lives.append(bool(info["lives_on"][0]))
        games.append("final_obs" in info)
    env.close()
    assert sum(lives) > sum(games) > 0
    return actions, lives, games


def test_a_film_goes_on_over_a_lost_life_to_the_games_end():
    task = AtariTask("breakout", episodic_life=True, max_frames=720)
    actions, _, games = lives_and_games(task, 400)
    stage = FilmedTask(task, episodes=1)
    env = stage.make_vec(1)
    env.reset(seed=9)
    for action in actions:
        env.step(action)
    env.close()
    assert len(stage.frames) == 1 + games.index(True) + 1


def test_a_single_environment_goes_on_with_the_game_after_a_lost_life():
    task = AtariTask("breakout", episodic_life=True, max_frames=720)
    actions, lives, games = lives_and_games(task, 400)
    vector, single = task.make_vec(1), SingleEnv(task.make_vec(1))
    np.testing.assert_array_equal(vector.reset(seed=9)[0][0], single.reset(seed=9)[0])
    for action, life, game in zip(actions, lives, games, strict=True):
        batch, _, ended, cut, infos = vector.step(action)
        shown, _, terminated, truncated, info = single.step(action[0])
        assert (terminated, truncated) == (ended[0], cut[0])
        assert (terminated or truncated) == (life or game)
        assert info.get("lives_on", False) == life
        np.testing.assert_array_equal(shown, (infos["final_obs"] if game else batch)[0])
        if terminated or truncated:
            np.testing.assert_array_equal(single.reset()[0], batch[0])
    vector.close()
    single.close()


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
