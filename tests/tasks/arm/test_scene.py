"""The arm's geometry against chains of transforms written out, and what a user's arm must have."""

import math
from pathlib import Path

import mujoco
import numpy as np
import pytest

from colonnade.errors import UsageError
from colonnade.tasks.arm import Dynamics, JacoTask, Look
from colonnade.tasks.arm.reacher import ArmVectorEnv
from colonnade.tasks.arm.scene import compile_scene

# Kinova's frames, link by link: where a joint is in the frame before it, and how that is turned
# before the joint turns about z.
HALF_Y = np.diag([-1.0, 1.0, -1.0])
SWAP = np.array([[-1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, -1.0, 0.0]])
C, S = math.cos(math.radians(60)), math.sin(math.radians(60))
WRIST = np.array([[-1.0, 0.0, 0.0], [0.0, -C, S], [0.0, S, C]])
CHAIN = [
    ((0, 0, 0.15675), HALF_Y),
    ((0, 0.0016, -0.11875), SWAP),
    ((0, -0.41, 0), HALF_Y),
    ((0, 0.2073, -0.0114), SWAP),
    ((0, -0.03703, -0.06414), WRIST),
    ((0, -0.03703, -0.06414), WRIST),
]
PALM = (0, -0.0001, -0.159)


def palm_by_hand(angles):
    place, turned = np.zeros(3), np.eye(3)
    for (offset, before), angle in zip(CHAIN, angles, strict=True):
        place = place + turned @ np.array(offset)
        c, s = math.cos(angle), math.sin(angle)
        turned = turned @ before @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return place + turned @ np.array(PALM)


@pytest.fixture(scope="module")
def scene():
    return compile_scene(Look(), Dynamics(), 0.1)


def test_the_palm_is_where_the_chain_of_links_puts_it(scene):
    data, rng = mujoco.MjData(scene.model), np.random.default_rng(0)
    for _ in range(20):
        angles = rng.uniform(-3, 3, 6)
        data.qpos[scene.joints[:6]] = angles
        mujoco.mj_kinematics(scene.model, data)
        np.testing.assert_allclose(data.site_xpos[scene.palm], palm_by_hand(angles), atol=1e-5)


def test_limits_and_speeds_are_the_real_arms(scene):
    np.testing.assert_allclose(np.degrees(scene.speeds[:6]), [36] * 3 + [48] * 3)
    np.testing.assert_allclose(scene.speeds[6:], 1.0)
    np.testing.assert_allclose(np.degrees(scene.low[1:3]), (47, 19), atol=0.01)
    np.testing.assert_allclose(np.degrees(scene.high[1:3]), (313, 341), atol=0.01)
    np.testing.assert_allclose((scene.low[6:], scene.high[6:]), ([0.15] * 3, [1.35] * 3))
    assert scene.clamped.tolist() == [False] * 6 + [True] * 3


def test_fingers_point_away_from_the_wrist_and_close_towards_each_other(scene):
    data = mujoco.MjData(scene.model)

    def tips(angle):
        data.qpos[scene.joints[6:]] = angle
        mujoco.mj_kinematics(scene.model, data)
        wrist = data.body("arm/link_6")
        tips = [
            data.geom_xpos[scene.model.body(f"arm/finger_{i}").geomadr[0] + 1] for i in (1, 2, 3)
        ]
        return (np.array(tips) - wrist.xpos) @ wrist.xmat.reshape(3, 3)

    opened, closed = tips(0.15), tips(1.35)
    assert (opened[:, 2] < -0.12).all()
    assert (np.linalg.norm(closed[:, :2], axis=1) < np.linalg.norm(opened[:, :2], axis=1)).all()


OWN = """
<mujoco>
  <compiler angle="radian"/>
  <worldbody>
    <body name="post">
      <geom type="capsule" fromto="0 0 0 0 0 .3" size=".03"/>
      <body name="upper" pos="0 0 .42">
        <joint name="turn" axis="0 0 1" range="-2 2"/>
        <joint name="lift" axis="0 1 0" range="-1.5 1.5"/>
        <geom type="capsule" fromto="0 0 0 .3 0 0" size=".03" rgba="0 1 0 1"/>
        <body pos=".34 0 0">
          <joint name="elbow" axis="0 1 0" range="-2 2"/>
          <geom type="capsule" fromto="0 0 0 .2 0 0" size=".02"/>
          <site name="palm" pos=".2 0 0"/>
        </body>
      </body>
    </body>
  </worldbody>
  <actuator>
    <velocity joint="turn" kv="50" ctrlrange="-1 1"/>
    <velocity joint="lift" kv="50" ctrlrange="-1 1"/>
    <velocity joint="elbow" kv="50" ctrlrange="-2 2"/>
  </actuator>
  <keyframe><key name="home" qpos="0 .5 0"/></keyframe>
</mujoco>
"""


ELBOW = '<velocity joint="elbow" kv="50" ctrlrange="-2 2"/>'
INTEGRATED = '<intvelocity joint="elbow" kp="50" ctrlrange="-2 2" actrange="-3 3"/>'
GENERAL = """<general joint="elbow" gainprm="{gain}" biastype="affine" biasprm="{bias}"
  ctrlrange="-2 2"/>"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own.xml"
    path.write_text(OWN)
    return path


def test_an_arm_of_a_users_own(own):
    task = JacoTask(mjcf=str(own), view="both", name="my arm")
    assert (task.spec.id, task.spec.action_sizes) == ("my arm", (3, 3, 3))
    env = task.make_vec(4)
    observations, _ = env.reset(seed=0)
    assert observations["proprioception"].shape == (4, 6)
    assert (abs(observations["proprioception"][:, :3]) < 0.27).all()  # 15 degrees about "home"
    green = observations["observation"][:, 1] > 1.5 * observations["observation"][:, 0].clip(1)
    assert green.any((1, 2)).all(), "its box is drawn in its colour"
    before = env._qpos.copy()
    env.step(np.array([[0, 1, 2]] * 4))
    np.testing.assert_allclose(env._qpos - before, [[0, 0.1, -0.2]] * 4, atol=0.02)
    env.close()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name="palm"', 'name="hand"', "needs a site named 'palm'"),
        ("<velocity", "<nonsense", "No arm can be read"),
        (' ctrlrange="-2 2"', "", "needs a ctrlrange"),
        ('qpos="0 .5 0"', 'qpos="0 .5"', r"Keyframe 'home' of .* qpos of 3 numbers, .* has 2\."),
        ('qpos="0 .5 0"', 'qpos="0 .5 0 1"', r"Keyframe 'home' .* qpos of 3 numbers, .* has 4\."),
        (
            'qpos="0 .5 0"',
            'qpos="0 .5 0" ctrl="1 1 1 1"',
            "can't be compiled: .* invalid ctrl size",
        ),
        (ELBOW, ELBOW.replace("velocity", "motor").replace('kv="50" ', ""), "dynamics 'none' and"),
        (ELBOW, ELBOW.replace("velocity", "position").replace("kv", "kp"), r"-50\.0, 0\.0\), the "),
        (ELBOW, INTEGRATED, "the dynamics 'integrator'"),
        (ELBOW, ELBOW.replace("/>", ' gear="100"/>'), r"'none' and gear 100\.$"),
        (ELBOW, ELBOW.replace('kv="50"', 'kv="0"'), "has a fixed gain of 0,"),
        (ELBOW, GENERAL.format(gain=50, bias="0 0 -40"), r"affine bias \(0\.0, 0\.0, -40\.0\)"),
    ],
)
def test_an_arm_that_will_not_do_is_explained(own, old, new, said):
    assert old in OWN
    own.write_text(OWN.replace(old, new))
    with pytest.raises(UsageError, match=said) as caught:
        ArmVectorEnv(1, mjcf=own)
    assert "\n" not in str(caught.value)


def test_an_actuator_that_is_no_velocity_servo_is_named(own):
    servo = ELBOW.replace("velocity", "motor").replace('kv="50" ', "")
    own.write_text(OWN.replace(ELBOW, servo))
    with pytest.raises(UsageError, match=r"^Actuator 3 of .*own\.xml must be a velocity servo of"):
        ArmVectorEnv(1, mjcf=own)
    own.write_text(OWN.replace(ELBOW, servo.replace("<motor", '<motor name="push"')))
    with pytest.raises(UsageError, match=r"^Actuator 'push' of .*own\.xml must be a velocity"):
        ArmVectorEnv(1, mjcf=own)


def test_a_joint_that_two_actuators_turn_is_named(own):
    own.write_text(OWN.replace(ELBOW, ELBOW + ELBOW))
    with pytest.raises(UsageError, match=r"^Actuator 4 of .* turns joint 'elbow', which another"):
        ArmVectorEnv(1, mjcf=own)


def test_a_general_actuator_that_is_a_velocity_servo_will_do(own):
    own.write_text(OWN.replace(ELBOW, GENERAL.format(gain=50, bias="0 0 -50")))
    assert compile_scene(Look(), Dynamics(), 0.1, own).speeds.tolist() == [1, 1, 2]


def test_limits_are_those_that_mujoco_reads(own):
    def limits(text):
        own.write_text(text)
        plain = mujoco.MjModel.from_xml_path(str(own))
        scene = compile_scene(Look(), Dynamics(), 0.1, own)
        within = plain.jnt_limited.astype(bool)
        np.testing.assert_array_equal(scene.low, np.where(within, plain.jnt_range[:, 0], -np.inf))
        np.testing.assert_array_equal(scene.high, np.where(within, plain.jnt_range[:, 1], np.inf))
        assert not scene.model.jnt_limited.any()
        assert not scene.model.actuator_ctrllimited.any()
        return scene.high.tolist()

    assert limits(OWN) == [2, 1.5, 2]
    in_degrees = OWN.replace('<compiler angle="radian"/>', "").replace("-2 2", "-114.6 114.6")
    assert limits(in_degrees) == pytest.approx([2, np.radians(1.5), 2], abs=1e-3)
    endless = 'range="-1.5 1.5" limited="false"'
    assert limits(OWN.replace('range="-1.5 1.5"', endless)) == [2, np.inf, 2]
    assert limits(OWN.replace('range="-1.5 1.5"', "")) == [2, np.inf, 2]


def test_the_pages_arm_turns_as_far_as_the_page_means(own):
    page = Path(__file__).parents[3] / "docs" / "sim-to-real.md"
    own.write_text(page.read_text().split("```xml")[1].split("```")[0])
    scene = compile_scene(Look(), Dynamics(), 0.1, own)
    np.testing.assert_allclose((scene.low, scene.high), ([-2, -1.5], [2, 1.5]))
    ArmVectorEnv(2, mjcf=own, view="state").reset(seed=0)


def test_a_joint_without_limits_ends_no_episode(own):
    own.write_text(OWN.replace('name="turn"', 'name="turn" limited="false"'))
    env = ArmVectorEnv(2, mjcf=own, view="proprioception")
    env.reset(seed=0)
    state = env.state()
    state["qpos"][:, 0] = 3.0, -7.0
    env.load_state(state)
    assert env.step(np.zeros((2, 3), int))[2].tolist() == [False, False]
    state["qpos"][1, 2] = 2.1
    env.load_state(state)
    assert env.step(np.zeros((2, 3), int))[2].tolist() == [False, True], "its elbow has limits"
    env.close()


def test_a_mesh_is_seen_as_the_box_around_it(own):
    wedge = "0 0 0 .3 0 0 0 .1 0 0 0 .05"
    own.write_text(
        OWN.replace(
            "<worldbody>", f'<asset><mesh name="wedge" vertex="{wedge}"/></asset><worldbody>'
        ).replace('type="capsule" fromto="0 0 0 .2 0 0" size=".02"', 'type="mesh" mesh="wedge"')
    )
    scene = compile_scene(Look(), Dynamics(), 0.1, own)
    model = scene.model
    geom = int(np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_MESH)[0])
    place = scene.drawn.tolist().index(geom)
    apart = model.mesh_vert - scene.centres[place]
    np.testing.assert_allclose(apart.max(0), scene.halves[place], atol=1e-6)
    np.testing.assert_allclose(apart.min(0), -scene.halves[place], atol=1e-6)
    assert np.abs(scene.centres[place]).max() > 0.01, "which is not in its frame's middle"


def test_gains_for_another_number_of_joints_are_explained(own):
    with pytest.raises(UsageError, match=r"as many as .* has joints, 3; got 9"):
        ArmVectorEnv(1, dynamics=Dynamics(gains=(1.0,) * 9), mjcf=own)
