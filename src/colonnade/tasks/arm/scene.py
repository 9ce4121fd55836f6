"""The arm on its table, compiled: what there is to move, to measure and to see."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.errors import UsageError
from colonnade.tasks.arm import extra
from colonnade.tasks.arm.dynamics import Dynamics
from colonnade.tasks.arm.jaco import jaco_mjcf
from colonnade.tasks.arm.look import Colour, Look

Floats = NDArray[np.float64]

CAMERA, TARGET, TABLE, PALM = "camera", "target", "table", "palm"

_CLAMPED = "finger"
"""Joints of such names stop at their limits; others end the episode there."""

_PREFIX = "arm/"  # before the names of all that is attached
_FLOOR = -0.7
_THIN = 0.002


@dataclass(frozen=True)
class Scene:
    """A compiled scene and where its parts are; n joints, G boxes to be seen.

    Attributes:
        model: The `mujoco.MjModel`.
        joints: [n] places in qpos of the joints that servos turn, in the servos' order.
        dofs: [n] their places in qvel.
        speeds: [n] largest velocities of the servos, rad/s.
        low, high: [n] limits, infinite where a joint has none.
        clamped: [n] whether a joint stops at its limits, as fingers do.
        home: [n] angles of the MJCF's keyframe "home"; zeros where it has none.
        palm: Index of the site `palm`.
        drawn: [G] indices of the geoms that are seen, those of the arm and the target.
        centres, halves: [G, 3] the boxes around them in their own frames, metres.
        colours: [G, 3] from 0 to 1.
        still: The same of those that never move, (positions [S, 3], frames [S, 3, 3], halves
            [S, 3], colours [S, 3]).
    """

    model: Any
    joints: NDArray[np.int64]
    dofs: NDArray[np.int64]
    speeds: Floats
    low: Floats
    high: Floats
    clamped: NDArray[np.bool_]
    home: Floats
    palm: int
    drawn: NDArray[np.int64]
    centres: Floats
    halves: Floats
    colours: Floats
    still: tuple[Floats, Floats, Floats, Floats]


def compile_scene(
    look: Look, dynamics: Dynamics, target_side: float, mjcf: str | Path | None = None
) -> Scene:
    """Put an arm on the table.

    Args:
        look: What is seen.
        dynamics: How the arm moves.
        target_side: Side of the square target, metres.
        mjcf: A file with another arm; None for Jaco. It needs a `velocity` actuator with a
            `ctrlrange` for each joint to be turned, each a hinge or a slide, and a site `palm`.
            Angles are in the file's unit: MJCF's is the degree, unless its `compiler` says
            `angle="radian"`.

    Raises:
        UsageError: The file is no MJCF, or lacks one of those, or has another kind of actuator or
            a keyframe of another length; or there are gains for another number of joints.
    """
    mujoco = extra.mujoco()
    world = mujoco.MjSpec.from_string(_world(look, dynamics, target_side))
    arm = _read(mujoco, mjcf) if mjcf else mujoco.MjSpec.from_string(jaco_mjcf(look, dynamics))
    where = str(mjcf or "the Jaco arm")
    if arm.site(PALM) is None or not len(arm.actuators):
        raise UsageError(
            f"{where} needs a site named {PALM!r} and a velocity actuator for each joint; it has "
            f"{len(arm.actuators)} actuators and the sites {[site.name for site in arm.sites]}."
        )
    _check_keyframes(mujoco, arm, where)
    for light in arm.lights:
        light.active = False
    try:
        world.attach(arm, prefix=_PREFIX, frame=world.worldbody.add_frame())
        model = world.compile()
    except ValueError as error:
        raise UsageError(f"{where} can't be compiled: {' '.join(str(error).split())}") from None
    scene = _look_up(mujoco, model, where, dynamics)
    model.jnt_limited[:] = 0  # `ArmVectorEnv` has them end episodes, or stop
    model.actuator_ctrllimited[:] = 0  # gains and noise go beyond
    return scene


def _read(mujoco: Any, path: str | Path) -> Any:
    try:
        return mujoco.MjSpec.from_file(str(path))
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"No arm can be read from {str(path)!r}: {reason}") from None


def _check_keyframes(mujoco: Any, arm: Any, where: str) -> None:
    """Refuse keyframes of the wrong length, of which MuJoCo fills short ones with zeros."""
    sizes = {mujoco.mjtJoint.mjJNT_FREE: 7, mujoco.mjtJoint.mjJNT_BALL: 4}
    size = sum(sizes.get(joint.type, 1) for joint in arm.joints)
    for key in arm.keys:
        if len(key.qpos) not in (0, size):
            raise UsageError(
                f"Keyframe {key.name!r} of {where} needs a qpos of {size} numbers, as many as the "
                f"joints take; it has {len(key.qpos)}."
            )


def _world(look: Look, dynamics: Dynamics, target_side: float) -> str:
    """Write everything but the arm."""
    fog = f"{_words(look.background)}"
    timestep = dynamics.step_seconds / dynamics.substeps
    side = target_side / 2
    nothing = 'contype="0" conaffinity="0"'
    return f"""
<mujoco model="reach">
  <compiler angle="radian" autolimits="false"/>
  <option timestep="{timestep}" gravity="0 0 0" integrator="implicitfast"/>
  <statistic extent="1.5" center="0.3 0 0.2"/>
  <visual>
    <global offwidth="1280" offheight="1280"/>
    <quality offsamples="0"/>
    <map znear="0.02" zfar="20"/>
    <headlight ambient="{_grey(look.ambient)}" diffuse="0 0 0" specular="0 0 0"/>
  </visual>
  <asset>
    <texture type="skybox" builtin="flat" rgb1="{fog}" rgb2="{fog}" width="8" height="48"/>
  </asset>
  <worldbody>
    <light dir="{_words(look.light)}" type="directional" castshadow="false"
      ambient="0 0 0" diffuse="{_grey(look.diffuse)}" specular="0 0 0"/>
    <camera name="{CAMERA}" pos="{_words(look.camera)}" xyaxes="{_words(_axes(look))}"
      fovy="{look.field_of_view}"/>
    <geom name="floor" type="box" pos="0 0 {_FLOOR - 0.05}" size="4 4 .05" {nothing}
      rgba="{_words(look.floor)} 1"/>
    <geom name="{TABLE}" type="box" pos=".3 0 -.02" size=".55 .6 .02"
      rgba="{_words(look.table)} 1"/>
    <body name="{TARGET}" mocap="true" pos="0 0 {_THIN}">
      <geom name="{TARGET}" type="box" size="{side} {side} {_THIN}" {nothing}
        rgba="{_words(look.target)} 1"/>
    </body>
  </worldbody>
</mujoco>"""


def _look_up(mujoco: Any, model: Any, where: str, dynamics: Dynamics) -> Scene:
    hinge = {int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE)}
    joint_transmission = int(mujoco.mjtTrn.mjTRN_JOINT)
    turned = model.actuator_trnid[:, 0]
    for i in range(model.nu):
        name = model.actuator(i).name.removeprefix(_PREFIX)
        named = f"Actuator {repr(name) if name else i + 1} of {where}"
        if model.actuator_trntype[i] != joint_transmission or (
            int(model.jnt_type[turned[i]]) not in hinge
        ):
            raise UsageError(f"{named} must turn a hinge or slide joint.")
        _check_servo(mujoco, model, i, named)
        if model.actuator_ctrlrange[i, 1] <= 0:
            raise UsageError(f"{named} needs a ctrlrange, whose upper end is its speed.")
        if turned[i] in turned[:i]:
            joint = model.joint(int(turned[i])).name.removeprefix(_PREFIX)
            raise UsageError(
                f"{named} turns joint {joint!r}, which another turns already; give each joint one."
            )
    gains = np.array(dynamics.gains or np.ones(model.nu))
    if len(gains) != model.nu:
        raise UsageError(
            f"gains of Dynamics must be empty or as many as {where} has joints, {model.nu}; got "
            f"{len(gains)}."
        )
    ranges, limited = model.jnt_range[turned], model.jnt_limited[turned].astype(np.bool_)
    names = [model.joint(int(joint)).name for joint in turned]
    places = model.jnt_qposadr[turned].astype(np.int64)
    home = np.zeros(model.nu)
    if model.nkey:
        home = model.key_qpos[0][places].copy()
    bodies = model.geom_bodyid
    fixed = (model.body_weldid[bodies] == 0) & (model.body_mocapid[bodies] < 0)
    seen = (model.geom_rgba[:, 3] > 0) & (model.geom_group < 3)
    drawn = np.flatnonzero(seen & ~fixed)
    return Scene(
        model=model,
        joints=places,
        dofs=model.jnt_dofadr[turned].astype(np.int64),
        speeds=model.actuator_ctrlrange[:, 1] * gains,
        low=np.where(limited, ranges[:, 0], -np.inf),
        high=np.where(limited, ranges[:, 1], np.inf),
        clamped=np.array([_CLAMPED in name for name in names]),
        home=home,
        palm=model.site(_PREFIX + PALM).id,
        drawn=drawn,
        centres=model.geom_aabb[drawn, :3].copy(),
        halves=model.geom_aabb[drawn, 3:].copy(),
        colours=model.geom_rgba[drawn, :3].astype(np.float64),
        still=_still(mujoco, model, np.flatnonzero(seen & fixed)),
    )


def _check_servo(mujoco: Any, model: Any, i: int, named: str) -> None:
    """Refuse an actuator whose command is no velocity."""
    gain_kind = mujoco.mjtGain(int(model.actuator_gaintype[i]))
    bias_kind = mujoco.mjtBias(int(model.actuator_biastype[i]))
    dynamics = mujoco.mjtDyn(int(model.actuator_dyntype[i]))
    gain, gear = float(model.actuator_gainprm[i, 0]), float(model.actuator_gear[i, 0])
    bias = tuple(model.actuator_biasprm[i, :3].tolist())
    if (
        gain_kind == mujoco.mjtGain.mjGAIN_FIXED
        and bias_kind == mujoco.mjtBias.mjBIAS_AFFINE
        and dynamics == mujoco.mjtDyn.mjDYN_NONE
        and gain > 0
        and bias == (0.0, 0.0, -gain)
        and gear == 1
    ):
        return
    gain_words, bias_words, dynamics_words = (
        kind.name.split("_", 1)[1].lower() for kind in (gain_kind, bias_kind, dynamics)
    )
    raise UsageError(
        f"{named} must be a velocity servo of gear 1, <velocity kv=... ctrlrange=.../>, with a "
        f"fixed gain kv above 0, an affine bias (0, 0, -kv) and no activation dynamics; it has a "
        f"{gain_words} gain of {gain:g}, the {bias_words} bias {bias}, the dynamics "
        f"{dynamics_words!r} and gear {gear:g}."
    )


def _still(
    mujoco: Any, model: Any, geoms: NDArray[np.int64]
) -> tuple[Floats, Floats, Floats, Floats]:
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    frames = data.geom_xmat[geoms].reshape(-1, 3, 3).copy()
    offsets = np.einsum("gij,gj->gi", frames, model.geom_aabb[geoms, :3])
    return (
        data.geom_xpos[geoms] + offsets,
        frames,
        model.geom_aabb[geoms, 3:].copy(),
        model.geom_rgba[geoms, :3].astype(np.float64),
    )


def camera_frame(look: Look) -> Floats:
    """Return the camera's axes in its rows, [3, 3]: right, up, and back."""
    back = np.subtract(look.camera, look.looks_at)
    back /= np.linalg.norm(back)
    right = np.cross((0.0, 0.0, 1.0), back)
    right /= np.linalg.norm(right)
    return np.stack((right, np.cross(back, right), back))


def _axes(look: Look) -> tuple[float, ...]:
    return tuple(camera_frame(look)[:2].ravel())


def _grey(level: float) -> str:
    return _words((level, level, level))


def _words(numbers: Colour | tuple[float, ...]) -> str:
    return " ".join(f"{number:.17g}" for number in numbers)


def degrees(angles: tuple[float, ...]) -> Floats:
    """Return angles given in degrees in radians."""
    return np.array([math.radians(angle) for angle in angles])
