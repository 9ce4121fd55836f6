"""The library's environments through `gymnasium.make` and `make_vec`."""

import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

from colonnade.tasks import LEVELS, VARIANTS, register_envs
from colonnade.tasks.gymnasium_ids import gymnasium_id, maze_id
from colonnade.tasks.mazes.t_maze import draw_view
from colonnade.tasks.vector import SingleEnv

NAMES = ("Pong", "Noisy", "Black", "White", "Zoom", "HFlip", "VFlip", "VHFlip")
IDS = [f"colonnade/{family}-{name}-v0" for family in ("PongSoup", "MiniPong") for name in NAMES]
IDS.append("colonnade/TMaze-v0")
MAZES = ("Track1", "Track2", "Track3", "Track4", "Avoid1", "Avoid2", "MazeM", "MazeY")
LABYRINTH = [f"colonnade/Labyrinth-{name}-v0" for name in MAZES]
DOOM = [f"colonnade/DoomLabyrinth-{name}-v0" for name in MAZES]
CHECKED = [*IDS, *LABYRINTH[2::4], DOOM[4]]
DOMAINS = ("Reach", "Conveyor", "ColourSubtle", "ColourSignificant", "PerspectiveSubtle")
DOMAINS += ("PerspectiveSignificant", "RobotMild", "Robot", "RobotConveyor")
ARM_IDS = [f"colonnade/Jaco{name}-v0" for name in DOMAINS]


def test_ids_are_the_documented_ones():
    register_envs()
    assert [gymnasium_id("PongSoup", variant) for variant in VARIANTS] == IDS[:8]
    assert [maze_id("Labyrinth", level) for level in LEVELS] == LABYRINTH
    assert sorted(i for i in gymnasium.registry if i.startswith("colonnade/")) == sorted(
        IDS + LABYRINTH + DOOM + ARM_IDS
    )


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("mode", [None, "rgb_array"])
@pytest.mark.parametrize("env_id", [*CHECKED, *ARM_IDS])
def test_single_environments_pass_gymnasiums_checker_and_draw(env_id, mode):
    env = gymnasium.make(env_id, render_mode=mode)
    if "PongSoup" not in env_id or "Zoom" in env_id:  # one of the eight looks: loading takes long
        check_env(env.unwrapped)
    env.reset(seed=0)
    picture = env.render() if mode else None
    if mode:
        assert (picture.dtype, picture.shape[2:], picture.ndim) == (np.uint8, (3,), 3)
        assert len(np.unique(picture)) > 1
    env.close()


@pytest.mark.filterwarnings("error", "ignore:The minimal resolution for an image is 36x36")
@pytest.mark.parametrize("env_id", ["colonnade/PongSoup-Noisy-v0", *IDS[8:], *ARM_IDS[:1]])
def test_single_environments_pass_stable_baselines_checker(env_id):
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    env = gymnasium.make(env_id, render_mode="rgb_array")
    checker.check_env(env)
    env.close()


def test_a_t_mazes_signs_are_told_apart_in_its_pictures():
    pictures = [draw_view(view) for view in np.eye(4, dtype=np.float32)]
    assert len({picture.tobytes() for picture in pictures}) == 4
    red = [(picture == (220, 40, 40)).all(-1) for picture in pictures]
    assert [mask[:, :24].any() for mask in red] == [True, False, False, False]
    assert [mask[:, 24:].any() for mask in red] == [False, True, False, False]


@pytest.mark.parametrize("env_id", IDS[:1] + IDS[5:6] + IDS[8:])
def test_single_and_vector_environments_show_the_same(env_id):
    single, vector = gymnasium.make(env_id), gymnasium.make_vec(env_id, 1)
    batch, _ = vector.reset(seed=2)
    alone, _ = single.reset(seed=2)
    np.testing.assert_array_equal(alone, batch[0])
    ends = 0
    rng = np.random.default_rng(0)
    while ends < 2:
        action = rng.integers(0, 3)
        batch, reward, terminated, truncated, info = vector.step(np.array([action]))
        alone, *outcome, _ = single.step(action)
        assert outcome == [reward[0], terminated[0], truncated[0]]
        if outcome[1] or outcome[2]:
            ends += 1
            np.testing.assert_array_equal(alone, info["final_obs"][0])
            alone, _ = single.reset()
        np.testing.assert_array_equal(alone, batch[0])
        if "PongSoup" in env_id and rng.random() < 0.02:
            break  # a whole game of Pong is long
    single.close()
    vector.close()


def test_gymnasium_can_do_the_import_itself():
    program = (
        "import gymnasium\n"
        "env = gymnasium.make('colonnade.tasks:colonnade/MiniPong-Zoom-v0')\n"
        "print(env.reset(seed=0)[0].shape)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.strip() == "(2, 16, 16)"


def test_make_vec_takes_the_number_of_environments_and_threads():
    env = gymnasium.make_vec("colonnade/PongSoup-HFlip-v0", num_envs=3, threads=2)
    assert env.reset(seed=0)[0].shape == (3, 4, 84, 84)
    env.close()


def test_render_is_the_newest_frame_in_grey():
    env = gymnasium.make("colonnade/MiniPong-White-v0", render_mode="rgb_array")
    observation, _ = env.reset(seed=0)
    picture = env.render()
    for channel in range(3):
        np.testing.assert_array_equal(picture[..., channel], observation[-1])
    env.close()


def test_a_reset_in_the_middle_of_an_episode_begins_another():
    env = gymnasium.make("colonnade/MiniPong-Pong-v0")
    env.reset(seed=0)
    first = [env.step(0)[0] for _ in range(3)][-1]
    again, _ = env.reset()
    assert (again[0] == again[1]).all()
    assert (again != first).any()


def test_mazes_take_options_and_render_in_colour():
    env = gymnasium.make(LABYRINTH[0], render_mode="rgb_array", stack=2, max_steps=3)
    observation, _ = env.reset(seed=0)
    assert observation.shape == (6, 84, 84)
    np.testing.assert_array_equal(env.render(), observation[3:].transpose(1, 2, 0))
    assert [env.step(4)[3] for _ in range(3)] == [False, False, True]
    many = gymnasium.make_vec(LABYRINTH[7], num_envs=3, colour=False)
    assert many.reset(seed=0)[0].shape == (3, 1, 84, 84)


def test_actions_of_a_vector_environment_of_numbers_are_not_cut_to_whole_ones():
    vector = gymnasium.make_vec(
        "MountainCarContinuous-v0", 1, vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP}
    )
    single, alone = SingleEnv(vector, draw=None), gymnasium.make("MountainCarContinuous-v0")
    single.reset(seed=0)
    alone.reset(seed=0)
    for push in (0.75, -0.5):
        action = np.array([push], np.float32)
        np.testing.assert_allclose(single.step(action)[0], alone.step(action)[0])
