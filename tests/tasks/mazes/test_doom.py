"""Labyrinth in ViZDoom, against the ray caster, and what its engines leave behind: nothing."""

import io
import os
import signal
import struct
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from unittest.mock import MagicMock

import imageio.v3 as imageio
import numpy as np
import pytest
from walker import walk

from colonnade.errors import ColonnadeError, UsageError
from colonnade.tasks.mazes import (
    LEVELS,
    Item,
    LabyrinthVectorEnv,
    Level,
)
from colonnade.tasks.mazes.doom import engines, maps
from colonnade.tasks.mazes.doom.labyrinth import DoomLabyrinthVectorEnv
from colonnade.tasks.mazes.doom.palette import light_maps, palette
from colonnade.tasks.mazes.doom.worker import Games
from colonnade.tasks.mazes.labyrinth import first_layout

pytest.importorskip("vizdoom")
SHARED = Path("/dev/shm")


def doom_names():
    return {path.name for path in SHARED.glob("ViZDoom*")} if SHARED.exists() else set()


def leaves_nothing(before, seconds=30):
    """Whether no more names are left than before, but for those of engines that just start."""
    deadline = time.monotonic() + seconds
    while not doom_names() <= before and time.monotonic() < deadline:
        time.sleep(0.1)
    return doom_names() <= before


def running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children(pid):
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rsplit(")", 1)[1].split()[1]) == pid:
                found.append(int(stat.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


@pytest.mark.parametrize("name", sorted(LEVELS))
def test_a_walker_takes_the_same_route_and_eats_the_same_in_both_bodies(name):
    order, path, rewards = walk(LabyrinthVectorEnv(name), name, seed=3)
    doom = DoomLabyrinthVectorEnv(name)
    try:
        doom_order, doom_path, doom_rewards = walk(doom, name, seed=3)
    finally:
        doom.close()
    assert doom_order == order
    assert sum(doom_rewards) == sum(rewards)
    if LEVELS[name].scattered:
        assert len(order) >= 2
    else:
        assert sum(rewards) == LEVELS[name].best
    gaps = [np.hypot(*(path[:, :2] - place).T).min() for place in doom_path[:, :2]]
    assert max(gaps) < 0.15


def test_both_bodies_show_the_same_picture():
    ray, doom = LabyrinthVectorEnv("avoid-1", 2), DoomLabyrinthVectorEnv("avoid-1", 2)
    try:
        pairs = [(ray.reset(seed=1)[0], doom.reset(seed=1)[0])]
        for action in (0, 2, 2, 4, 4, 1, 1, 6):
            actions = np.full(2, action)
            pairs.append((ray.step(actions)[0], doom.step(actions)[0]))
        np.testing.assert_allclose(doom.poses, ray.poses, atol=0.05)
    finally:
        doom.close()
    for one, other in pairs:
        like = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(one, other, strict=True)]
        assert min(like) > 0.65
    # An item is where the ray caster has it: yellow is a lemon's.
    yellow = [(views[:, 0] > 150) & (views[:, 1] > 130) & (views[:, 2] < 90) for views in pairs[0]]
    shared = (yellow[0] & yellow[1]).sum() / (yellow[0] | yellow[1]).sum()
    assert shared > 0.6


def test_episodes_follow_from_seeds_and_actions_and_leave_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before, own = doom_names(), set(children(os.getpid()))
    env = DoomLabyrinthVectorEnv("avoid-2", 2, colour=False, stack=2, max_steps=12, threads=2)
    actions = np.random.default_rng(0).integers(0, 8, (30, 2))
    try:
        first = [env.reset(seed=5)[0], *(env.step(action) for action in actions)]
        assert leaves_nothing(before)  # not even while it runs
        again = [env.reset(seed=5)[0], *(env.step(action) for action in actions)]
        seeds = env.episode_seeds
        assert first[0].shape == (2, 2, 84, 84)
        assert first[12][3].all()
        assert "final_obs" in first[12][4]
        for one, other in zip(first[1:], again[1:], strict=True):
            for a, b in zip(one[:4], other[:4], strict=True):
                np.testing.assert_array_equal(a, b)
        # The present episodes, played again from their own seeds.
        env.reset(seed=seeds)
        replayed = [env.step(action) for action in actions[24:]]
        np.testing.assert_array_equal(replayed[-1][0], first[-1][0])
        # One copy alone is begun anew.
        poses = env.poses
        env.reset(seed=np.array([77, 0]), options={"reset_mask": np.array([True, False])})
        assert env.episode_seeds[0] == 77
        assert env.poses[0, 2] == pytest.approx(
            first_layout(LEVELS["avoid-2"], 77).heading, abs=0.1
        )
        np.testing.assert_array_equal(env.poses[1], poses[1])
    finally:
        env.close()
    assert list(tmp_path.iterdir()) == []
    assert leaves_nothing(before)
    assert set(children(os.getpid())) == own


def test_each_episode_of_a_small_level_has_its_own_layout():
    small = Level(
        "small",
        ((0.0, 0.0), (6.0, 0.0), (6.0, 6.0), (0.0, 6.0)),
        (3.0, 3.0, 0.0),
        (Item("apple", 1.0, 1.0),),
        scattered=True,
        any_heading=True,
    )
    env = DoomLabyrinthVectorEnv(small)
    try:
        for seed in (1, 2, 3):
            env.reset(seed=seed)
            expected = first_layout(small, seed).heading
            assert (env.poses[0, 2] - expected + 180) % 360 - 180 == pytest.approx(0, abs=0.1)
    finally:
        env.close()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize(
    "victim",
    [pytest.param("parent", marks=pytest.mark.slow), "parent, engines stopped", "worker"],
)
def test_engines_end_with_who_is_killed(victim, tmp_path):
    before = doom_names()
    program = (
        "import time, numpy as np\n"
        "from colonnade.tasks.mazes.doom.labyrinth import DoomLabyrinthVectorEnv\n"
        "env = DoomLabyrinthVectorEnv('track-1', 2)\n"
        "env.reset(seed=0)\n"
        "print('ready', flush=True)\n"
        "while True: env.step(np.array([4, 5]))\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    )
    assert parent.stdout.readline() == "ready\n"
    (worker,) = children(parent.pid)
    engines = children(worker)
    assert len(engines) == 2
    if victim.endswith("stopped"):
        for engine in engines:
            os.kill(engine, signal.SIGSTOP)
    os.kill(worker if victim == "worker" else parent.pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while any(map(running, (worker, *engines))) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(running, (worker, *engines)))
    assert parent.wait(30) != 0
    assert leaves_nothing(before)
    assert list(tmp_path.iterdir()) == []


def test_engines_that_start_together_find_the_folder_that_they_would_make(tmp_path, monkeypatch):
    found = []
    stub = MagicMock(__file__=str(tmp_path / "vizdoom" / "__init__.py"))
    stub.DoomGame.return_value.init.side_effect = lambda: found.append(
        (tmp_path / "_vizdoom").is_dir()
    )
    monkeypatch.setitem(sys.modules, "vizdoom", stub)
    Games(
        tmp_path,
        {"wad": b"", "offset": 0, "games": 3, "colour": False, "counters": 1}
        | {"size": 84, "tics": 4, "push": 1.0},
    )
    assert found == [True] * 3


def test_a_killed_engine_is_one_sentence():
    env = DoomLabyrinthVectorEnv("track-1", 1)
    try:
        env.reset(seed=0)
        (engine,) = children(env._engines._workers[0].process.pid)
        os.kill(engine, signal.SIGKILL)
        with pytest.raises(ColonnadeError, match="goes on from the last checkpoint"):
            deque(env.step(np.array([4])) for _ in range(50))
    finally:
        env.close()
    assert not running(engine)


def test_a_map_that_the_engine_refuses_is_told_in_its_words(monkeypatch):
    before = doom_names()
    actors = maps._actors
    monkeypatch.setattr(
        maps, "_actors", lambda level: actors(level).replace("A_WeaponReady", "A_Nonsense")
    )
    with pytest.raises(UsageError, match=r"engine refuses the map .*line 4: .*a_nonsense"):
        DoomLabyrinthVectorEnv("track-1", 1)
    assert leaves_nothing(before)


def test_the_engine_has_nothing_to_say_of_a_map_that_is_right():
    level = LEVELS["maze-y"]
    content, _ = maps.level_wad(level, first_layout(level, 0))
    assert engines.engine_complaint(content) is None


def test_without_vizdoom_the_sentence_names_the_extra(monkeypatch):
    monkeypatch.setattr(engines.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r'pip install "colonnade\[vizdoom\]"'):
        DoomLabyrinthVectorEnv("track-1", 1)


def test_names_of_dead_runs_are_removed_and_those_in_use_are_not():
    dead, young = SHARED / "ViZDoomSMdeadtest01", SHARED / "ViZDoomSMyoungtest1"
    for path in (dead, young):
        path.write_bytes(b"")
    os.utime(dead, (0, 0))
    try:
        engines.remove_stale_names()
        assert not dead.exists()
        assert young.exists()
    finally:
        for path in (dead, young):
            path.unlink(missing_ok=True)


def lumps_of(content):
    kind, count, place = struct.unpack("<4sII", content[:12])
    assert kind == b"PWAD"
    found = []
    for i in range(count):
        begin, size, name = struct.unpack_from("<II8s", content, place + 16 * i)
        found.append((name.rstrip(b"\0").decode(), content[begin : begin + size]))
    return found


def test_a_level_as_a_file():
    level = LEVELS["maze-y"]
    content, offset = maps.level_wad(level, first_layout(level, 0))
    lumps = dict(lumps_of(content))
    text = lumps["TEXTMAP"]
    assert content[offset : offset + len(text)] == text
    corners = [(64 * x, 64 * y) for x, y in level.outline]
    assert text.count(b"vertex{") == text.count(b"sidedef{") == len(corners)
    assert f"vertex{{x={corners[3][0]:.4f};y={corners[3][1]:.4f};}}".encode() in text
    assert f"thing{{x={2.4 * 64:10.3f};y={2.4 * 64:10.3f};".encode() in text
    # A wall's front is on its right: from the second corner back to the first.
    assert b"linedef{v1=1;v2=0;" in text
    wall = imageio.imread(io.BytesIO(lumps["MAZEWALL"]))
    assert wall.shape == (128, 128, 3)
    apple = imageio.imread(io.BytesIO(lumps["MZAIA0"]))
    assert apple.shape == (48, 48, 4)
    assert set(np.unique(apple[..., 3])) == {0, 255}


def test_every_layout_has_a_text_as_long():
    level = LEVELS["avoid-1"]
    assert len({len(maps.text_map(level, first_layout(level, s))) for s in range(30)}) == 1


def test_what_was_eaten_is_read_off_the_amounts():
    amounts = np.array([[2.0**0 + 2.0**29, 2.0**3], [0.0, 0.0]])
    eaten = maps.eaten_items(amounts, 35)
    assert np.flatnonzero(eaten[0]).tolist() == [0, 29, 33]
    assert not eaten[1].any()


def test_colours_of_the_engine_are_near_those_of_the_level():
    decor = LEVELS["track-1"].decor
    colours = palette(decor).astype(float)
    for wanted in (decor.wall, decor.floor, decor.ceiling):
        for light in (0.4, 0.7, 1.0):
            assert np.abs(colours - light * np.array(wanted)).max(-1).min() < 9
    maps = light_maps(palette(decor))
    assert maps.shape == (34, 256)
    dark = colours[maps[16]].sum(-1) / np.maximum(colours.sum(-1), 1)
    assert np.median(dark) == pytest.approx(0.5, abs=0.05)
