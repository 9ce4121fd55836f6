"""Episodes: their beginning, their reward, their end, their seeds and their state."""

import itertools
import os
import sys
from pathlib import Path

import mujoco
import numpy as np
import pytest
import scripted

from colonnade.errors import UsageError
from colonnade.tasks.arm import Dynamics, JacoTask, Look, Rules
from colonnade.tasks.arm.actions import FORWARD
from colonnade.tasks.arm.reacher import ArmVectorEnv

EVERYTHING = {
    "look": Look(noise=4.0),
    "dynamics": Dynamics(latency=2, noise=0.2, lag=0.05),
    "rules": Rules(conveyor_speed=0.05, reversal=0.05, target_every=2, max_steps=9),
    "view": "both",
}


def assert_same(one, other):
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def play(env, steps, seed=None, first=0):
    """All that is said in some steps of random play, the actions the same each time."""
    said = [] if seed is None else [env.reset(seed=seed)[0]]
    for number in range(first, first + steps):
        actions = np.random.default_rng(number).integers(0, 3, (50, 9))[: env.num_envs]
        observations, *rest, info = env.step(actions)
        said += [observations, dict(enumerate(rest)), info.get("final_obs", {})]
    return said


def test_episodes_begin_free_anywhere_about_home_with_the_target_anywhere_in_its_area():
    env = ArmVectorEnv(400, view="state")
    env.reset(seed=0)
    scene = env._scene
    spread = (env._qpos[:, scene.joints] - env._home) / env._spread
    assert np.abs(spread).max() <= 1
    assert (spread.std(0) > 0.5).all(), "an even draw has 0.577"
    target = env._mocap_pos[:, 0]
    low, high = target[:, :2].min(0), target[:, :2].max(0)
    np.testing.assert_allclose(low, (0.25, -0.20), atol=0.005)
    np.testing.assert_allclose(high, (0.55, 0.20), atol=0.005)
    data = mujoco.MjData(scene.model)
    for qpos in env._qpos[:50]:
        data.qpos[:] = qpos
        mujoco.mj_forward(scene.model, data)
        assert data.ncon == 0


def test_a_step_is_rewarded_where_the_palm_is_within_ten_centimetres():
    env = ArmVectorEnv(60, view="state")
    solver = scripted.InverseKinematics(env._scene)
    env.reset(seed=1)
    near = 0
    for _ in range(25):
        observations, rewards, terminated, truncated, _ = env.step(scripted.actions(env, solver))
        going = ~(terminated | truncated)
        palm, target = observations[:, 18:21] / 5, observations[:, 21:24] / 5
        expected = np.linalg.norm(palm - target, axis=1) <= 0.10
        np.testing.assert_array_equal(rewards[going], expected[going])
        near += expected.sum()
    assert near > 300


@pytest.mark.parametrize("name", ["reach", "conveyor"])
def test_who_knows_where_everything_is_scores_above_30(name):
    env = JacoTask(name, view="state").make_vec(48)
    solver = scripted.InverseKinematics(env._scene)
    scores = scripted.returns(env, lambda: scripted.actions(env, solver), 48)
    assert scores.mean() > 30
    assert (scores <= 50).all()


def test_who_plays_at_random_scores_below_a_half():
    env = ArmVectorEnv(100, view="state")
    rng = np.random.default_rng(0)
    scores = scripted.returns(env, lambda: rng.integers(0, 3, (100, 9)), 300)
    assert 0 < scores.mean() < 0.5


def test_an_episode_is_cut_off_after_50_steps():
    env = ArmVectorEnv(2, view="state")
    env.reset(seed=0)
    env._age[1] = 20  # the ends of one's episodes are nothing to the other
    for number in range(1, 101):
        _, _, terminated, truncated, info = env.step(np.zeros((2, 9), int))
        assert truncated.tolist() == [number % 50 == 0, (number + 20) % 50 == 0]
        assert truncated.any() == ("final_obs" in info)
        assert not terminated.any()


def ends(**angles):
    """Whether an episode terminates in a step at such angles, in degrees, standing still."""
    env = ArmVectorEnv(2, view="state")
    env.reset(seed=0)
    state = env.state()
    for name, value in angles.items():
        state["qpos"][0, int(name[-1]) - 1] = np.radians(value)
    env.load_state(state)
    _, _, terminated, truncated, _ = env.step(np.zeros((2, 9), int))
    assert not terminated[1]
    assert not truncated.any()
    return bool(terminated[0])


def test_an_episode_ends_where_a_joint_passes_its_limit_or_anything_is_touched():
    free = {"joint_1": 0, "joint_2": 180, "joint_3": 180, "joint_4": 0, "joint_5": 0}
    assert not ends(**free), "upright"
    assert ends(**free | {"joint_1": 151})
    assert ends(**free | {"joint_4": -181})
    assert ends(**free | {"joint_2": 60}), "on the table"
    assert ends(**free | {"joint_3": 20}), "folded onto itself"


def test_what_ends_them_is_what_mujoco_calls_a_contact():
    env = ArmVectorEnv(60, view="state")
    env.reset(seed=3)
    scene, data, rng = env._scene, mujoco.MjData(env._scene.model), np.random.default_rng(0)
    kinds = set()
    for _ in range(4):
        state = env.state()
        spread = np.radians([20, 70, 70, 120, 120, 90, 0, 0, 0])
        state["qpos"] = np.clip(
            state["qpos"] + rng.uniform(-spread, spread, (60, 9)), scene.low, scene.high
        )
        env.load_state(state)
        touches = []
        for qpos in state["qpos"]:
            data.qpos[:] = qpos
            mujoco.mj_forward(scene.model, data)
            touches.append(data.ncon > 0)
            table = scene.model.geom("table").id
            kinds |= {table in (c.geom1, c.geom2) for c in data.contact}
        np.testing.assert_array_equal(env.step(np.zeros((60, 9), int))[2], touches)
    assert kinds == {True, False}


def test_the_robots_target_is_moved_every_third_episode():
    env = JacoTask("robot-mild", view="state", rules={"max_steps": 2}).make_vec(2)
    env.reset(seed=0)
    targets = [env._mocap_pos[0, 0].copy()]
    for _ in range(8):
        for _ in range(2):
            env.step(np.zeros((2, 9), int))
        targets.append(env._mocap_pos[0, 0].copy())
    moved = [bool((a != b).any()) for a, b in itertools.pairwise(targets)]
    assert moved == [False, False, True] * 2 + [False, False]


def test_the_conveyor_goes_its_way_turns_by_chance_and_never_leaves_the_area():
    rules = Rules(conveyor_speed=0.05, reversal=0.1, max_steps=10_000)
    env = ArmVectorEnv(50, rules=rules, view="state")
    env.reset(seed=0)
    assert 10 < (env._velocity > 0).sum() < 40
    places = [env._mocap_pos[:, 0].copy()]
    for _ in range(200):
        env.step(np.zeros((50, 9), int))
        places.append(env._mocap_pos[:, 0].copy())
    moved = np.diff(np.array(places), axis=0)
    assert not moved[..., [0, 2]].any()
    inside = np.abs(np.array(places)[1:-1, :, 1]) < 0.19
    np.testing.assert_allclose(np.abs(moved[..., 1])[1:][inside], 0.005)
    turns = np.sign(moved[1:, :, 1]) != np.sign(moved[:-1, :, 1])
    assert turns[inside].mean() == pytest.approx(0.1, abs=0.01)
    assert np.abs(np.array(places)[..., 1]).max() <= 0.2 + 1e-12


@pytest.mark.parametrize(
    ("actions", "came"),
    [
        (np.full((2, 9), -1), "numbers from -1 to -1"),
        (np.full((2, 9), 3, np.uint8), "numbers from 3 to 3"),
        (np.eye(2, 9, dtype=np.int8) - 3, "numbers from -3 to -2"),
        (np.eye(2, 9, dtype=np.uint64) * 2**63, "numbers from 0 to 9223372036854775808"),
        (np.zeros((2, 8), int), r"int64 of shape \(2, 8\)"),
        (np.zeros((1, 9), int), r"int64 of shape \(1, 9\)"),
        (np.zeros(9, int), r"int64 of shape \(9,\)"),
        (np.ones((2, 9)), r"float64 of shape \(2, 9\)"),
        (np.ones((2, 9), bool), r"bool of shape \(2, 9\)"),
    ],
)
def test_what_are_no_actions_is_refused_and_moves_nothing(actions, came):
    env = ArmVectorEnv(2, dynamics=Dynamics(noise=0.1), view="state")
    env.reset(seed=0)
    before = env.state()
    sentence = r"^Actions must be whole numbers of shape \(2, 9\), for each .* 0 \(stand.*got "
    with pytest.raises(UsageError, match=rf"{sentence}{came}\.$"):
        env.step(actions)
    assert_same(before, env.state())
    env.step(np.full((2, 9), 2, np.uint8))


def test_threads_change_no_bit():
    one, three = (ArmVectorEnv(7, **EVERYTHING, threads=threads) for threads in (1, 3))
    for a, b in zip(play(one, 25, seed=5), play(three, 25, seed=5), strict=True):
        assert_same(a, b)
    three.close()


def test_an_arm_alone_does_what_it_does_among_others():
    many, alone = ArmVectorEnv(6, **EVERYTHING), ArmVectorEnv(1, **EVERYTHING)
    many.reset(seed=10)
    alone.reset(seed=14)
    for number in range(30):
        actions = np.random.default_rng(number).integers(0, 3, (6, 9))
        a, b = many.step(actions), alone.step(actions[4:5])
        assert_same({name: part[4:5] for name, part in a[0].items()}, b[0])
        for i in (1, 2, 3):
            assert a[i][4] == b[i][0]


def test_what_is_saved_in_the_middle_goes_on_to_the_bit():
    env, other = ArmVectorEnv(5, **EVERYTHING), ArmVectorEnv(5, **EVERYTHING)
    play(env, 13, seed=2)
    saved = env.state()
    kept = {name: value.copy() for name, value in saved.items()}
    expected = play(env, 25, first=13)
    assert_same(saved, kept)
    other.reset(seed=99)
    other.load_state(saved)
    assert_same(other.state(), saved)
    for a, b in zip(expected, play(other, 25, first=13), strict=True):
        assert_same(a, b)


def test_views_show_the_same_arm():
    views = {}
    for view in ("pixels", "proprioception", "both", "state"):
        env = JacoTask(view=view).make_vec(3)
        views[view] = env.reset(seed=4)[0], env.step(np.full((3, 9), FORWARD))[0]
    for moment in (0, 1):
        both = views["both"][moment]
        np.testing.assert_array_equal(both["observation"], views["pixels"][moment])
        numbers = views["proprioception"][moment]
        np.testing.assert_array_equal(both["proprioception"], numbers)
        np.testing.assert_array_equal(views["state"][moment][:, :18], numbers)
    assert not views["proprioception"][0][:, 9:].any()
    np.testing.assert_allclose(views["proprioception"][1][:, 9:15], 1.0, atol=0.1)


def test_the_target_is_seen_where_it_is():
    env = ArmVectorEnv(1, Look(arm=(0, 0, 0), rings=(0, 0, 0)), rules=Rules(target_side=0.06))
    env.reset(seed=0)
    columns, rows = [], []
    for x, y in ((0.4, 0.15), (0.4, -0.15), (0.3, 0.0), (0.5, 0.0)):
        state = env.state()
        state["mocap_pos"][0, 0, :2] = x, y
        state["qpos"][:] = np.radians([0, 180, 180, 0, 0, 0, 20, 20, 20])  # out of the way
        env.load_state(state)
        red, green, _ = env._observe(np.ones(1, bool))[0].astype(int)
        seen = np.argwhere(red > 2 * green + 40)
        assert len(seen) > 5
        rows.append(seen[:, 0].mean())
        columns.append(seen[:, 1].mean())
    assert columns[0] > columns[1] + 15, "the camera looks back at the arm: its left is our right"
    assert rows[3] > rows[2] + 8, "nearer to the camera is lower"


def resident():
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_ten_thousand_episodes_leave_nothing_behind():
    env, stream = ArmVectorEnv(64, view="both"), np.random.default_rng(0)
    env.reset(seed=0)
    ended, after_a_thousand = 0, 0
    while ended < 10_000:
        _, _, terminated, truncated, _ = env.step(stream.integers(0, 3, (64, 9)))
        ended += int((terminated | truncated).sum())
        if not after_a_thousand and ended >= 1_000:
            after_a_thousand = resident()
    # A frame is 12 kB: one that is kept of each episode would be 110 MB.
    assert resident() - after_a_thousand < 4e6
