"""How arms move: against MuJoCo's own step in a plain loop, and against laws in closed form."""

import re
from pathlib import Path

import mujoco
import numpy as np
import pytest

from colonnade.errors import UsageError
from colonnade.tasks.arm import DOMAINS, Dynamics, JacoTask, Rules
from colonnade.tasks.arm.actions import BACKWARD, FORWARD, STILL
from colonnade.tasks.arm.reacher import ArmVectorEnv

NO_CONTACT = int(mujoco.mjtDisableBit.mjDSBL_CONTACT)


def arms(count=3, seed=0, **changed):
    env = ArmVectorEnv(count, dynamics=Dynamics(**changed), view="state")
    env.reset(seed=seed)
    return env


def angles(env):
    return env._qpos[:, env._scene.joints].copy()


def told(env, action):
    before = angles(env)
    env.step(np.broadcast_to(action, (env.num_envs, 9)))
    return angles(env) - before


def test_many_arms_move_as_each_would_in_mujocos_own_loop():
    env = arms(5)
    scene, rng = env._scene, np.random.default_rng(0)
    datas = [mujoco.MjData(scene.model) for _ in range(5)]
    for data, qpos in zip(datas, env._qpos, strict=True):
        data.qpos[:] = qpos
    alive = np.ones(5, bool)
    for _ in range(30):
        actions = rng.integers(0, 3, (5, 9))
        alive &= ~np.logical_or(*env.step(actions)[2:4])
        scene.model.opt.disableflags = NO_CONTACT
        for arm in np.flatnonzero(alive):
            data = datas[arm]
            wanted = scene.speeds * np.array([0.0, 1.0, -1.0])[actions[arm]]
            for finger in (6, 7, 8):
                room = np.array([scene.low[finger], scene.high[finger]]) - data.qpos[finger]
                wanted[finger] = np.clip(wanted[finger], *(room / 0.1))
            data.ctrl[:] = wanted
            for _ in range(2):
                mujoco.mj_step(scene.model, data)
            data.qpos[6:] = np.clip(data.qpos[6:], 0.15, 1.35)
            np.testing.assert_array_equal(env._qpos[arm], data.qpos)
        scene.model.opt.disableflags = 0
    assert alive.any()


def test_joints_turn_at_their_speeds_either_way_or_not_at_all():
    env = arms()
    told(env, FORWARD)
    forward = np.degrees(told(env, FORWARD))
    np.testing.assert_allclose(forward[:, :6], [[3.6] * 3 + [4.8] * 3] * 3, rtol=0.03)
    told(env, BACKWARD)
    np.testing.assert_allclose(told(env, BACKWARD)[:, :6], np.radians(-forward[:, :6]), rtol=0.05)
    told(env, STILL)
    assert np.abs(np.degrees(told(env, STILL)[:, :6])).max() < 0.1


def test_gains_multiply_speeds():
    gains = (0.5, 1.0, 1.2, 0.8, 1.0, 1.1, 0.3, 0.6, 1.0)
    plain, changed = arms(), arms(gains=gains)
    plain._qpos[:, 6:] = changed._qpos[:, 6:] = 0.5
    for env in (plain, changed):
        told(env, FORWARD)
    ratio = told(changed, FORWARD) / told(plain, FORWARD)
    np.testing.assert_allclose(ratio, [gains] * 3, rtol=0.05)


@pytest.mark.parametrize("lag", [0.05, 0.2])
def test_a_lagging_joint_takes_up_speed_as_a_first_order_system_does(lag):
    env = arms(1, lag=lag, substeps=50)  # fine steps, so that the law of continuous time holds
    moved, time = 0.0, 0.0
    for _ in range(5):
        moved, time = moved + told(env, FORWARD)[0, 5], time + 0.1
        law = np.radians(48) * (time - lag * (1 - np.exp(-time / lag)))
        assert moved == pytest.approx(law, rel=0.03)


def shares(lag):
    """What share of its speed each joint has after a step from rest at home, alone."""
    env = arms(6, lag=lag)
    state = env.state()
    state["qpos"][:] = env._home
    env.load_state(state)
    env.step(np.eye(6, 9, dtype=int))
    return (env._qvel[:, env._scene.dofs] / env._scene.speeds).diagonal()


def test_a_lag_is_what_the_page_says():
    page = Path(__file__).parents[3] / "docs" / "sim-to-real.md"
    rows = re.findall(r"^\| (\d+) ms \| ([\d.]+) \| (\d+) ms \| (.+) \|$", page.read_text(), re.M)
    assert [int(row[0]) for row in rows] == [10, 30, 100]
    for milliseconds, first, constant, others in rows:
        lag = int(milliseconds) / 1000
        measured = shares(lag)
        stated = [float(share) for share in (first, *others.split(", "))]
        np.testing.assert_allclose(measured, stated, atol=5.1e-4)
        assert -100 / np.log(1 - measured[0]) == pytest.approx(int(constant), abs=0.6)
        model = arms(1, lag=lag)._scene.model
        armature = model.dof_armature[model.actuator_trnid[:, 0]]
        np.testing.assert_allclose(armature / model.actuator_gainprm[:, 0], lag)


def test_velocities_are_shares_of_speeds_that_include_the_gains():
    env = arms(3, gains=(0.7,) * 9)
    for _ in range(4):
        told(env, FORWARD)
    turning = np.degrees(env._qvel[:, env._scene.dofs[0]])
    np.testing.assert_allclose(turning, 0.7 * 36, rtol=0.01)
    np.testing.assert_allclose(env._observe(np.ones(3, bool))[:, 9], 1.0, atol=0.01)


def test_no_action_may_come_after_its_episodes_end():
    late, short = Dynamics(latency=10**9), Rules(max_steps=3)
    for make in (
        lambda: ArmVectorEnv(1, dynamics=late),
        lambda: JacoTask(dynamics={"latency": 50}),
        lambda: JacoTask("robot", dynamics={"latency": 3}, rules=short),
    ):
        with pytest.raises(
            UsageError, match=r"^latency of Dynamics must be below max_steps of Rul"
        ):
            make()
    assert JacoTask("robot", rules=short).dynamics.latency == 2


def test_actions_come_late_and_none_of_the_last_episodes_is_left():
    env = arms(2, latency=2)
    assert np.abs(told(env, FORWARD)[:, :6]).max() < 1e-6
    assert np.abs(told(env, STILL)[:, :6]).max() < 1e-6
    assert (told(env, STILL)[:, :6] > np.radians(3)).all()
    env._age[0] = 49
    truncated = env.step(np.ones((2, 9), int))[3]
    assert truncated.tolist() == [True, False]
    moved = [told(env, STILL) for _ in range(2)]
    assert max(np.abs(one[0, :6]).max() for one in moved) < 1e-6, "a new episode"
    assert max(one[1, :6].max() for one in moved) > np.radians(3), "its neighbour's goes on"


def test_noisy_speeds_are_even_within_their_bounds():
    plain, noisy = arms(200), arms(200, noise=0.3)
    for env in (plain, noisy):
        env._qpos[:, 6:] = 0.5
    ratio = (told(noisy, FORWARD) / told(plain, FORWARD))[:, :6]
    assert ratio.min() > 0.68
    assert ratio.max() < 1.32
    assert ratio.mean() == pytest.approx(1.0, abs=0.02)
    assert ratio.std() == pytest.approx(0.3 / np.sqrt(3), rel=0.08)


@pytest.mark.parametrize(("action", "limit"), [(FORWARD, 1.35), (BACKWARD, 0.15)])
def test_fingers_stop_at_their_limits_and_end_nothing(action, limit):
    env = arms(4)
    for _ in range(20):
        actions = np.zeros((4, 9), int)
        actions[:, 6:] = action
        _, _, terminated, _, _ = env.step(actions)
        assert not terminated.any()
    np.testing.assert_allclose(angles(env)[:, 6:], limit, atol=0.01)
    assert (angles(env)[:, 6:] >= 0.15).all()
    assert (angles(env)[:, 6:] <= 1.35).all()


def test_the_robots_differ_from_simulation_in_all_and_the_mild_one_less():
    plain, mild, strong = (DOMAINS[name] for name in ("reach", "robot-mild", "robot"))
    for part in ("lag", "latency", "noise"):
        values = [getattr(domain.dynamics, part) for domain in (plain, mild, strong)]
        assert values == sorted(set(values))
    gains = [np.abs(np.array(domain.dynamics.gains) - 1).max() for domain in (mild, strong)]
    assert 0 < gains[0] < gains[1]
    moved = [np.subtract(d.look.camera, plain.look.camera) for d in (mild, strong)]
    assert 0 < np.linalg.norm(moved[0]) < np.linalg.norm(moved[1])
    assert 0 == plain.look.noise < mild.look.noise < strong.look.noise
