"""Kinova's Jaco arm with three fingers, as blocks: lengths, limits, speeds.

Frames, the ranges of joints 2, 3 and of the fingers are those of dm_control's model of the arm
(`third_party/kinova/jaco_arm.xml` and `jaco_hand.xml`); boxes instead of its meshes, as Rusu et al.
2017 had them. Joints 1 and 4 to 6 of the real arm turn without end; their limits here are chosen.
"""

from __future__ import annotations

import math

from colonnade.tasks.arm.dynamics import Dynamics
from colonnade.tasks.arm.look import Colour, Look

HOME = (9.0, 155.0, 282.0, 17.0, -62.0, 0.0)
"""Angles of joints 1 to 6, in degrees, about which episodes begin: the palm 25 cm over the middle
of the target's area."""

SPREAD = (35.0, 12.0, 15.0, 25.0, 25.0, 60.0)
"""How far from `HOME` they may begin, in degrees."""

HOME_FINGERS, SPREAD_FINGERS = 0.5, 0.25
"""The same of the fingers, in radians."""

_FINGER_RANGE = "0.15 1.35"
_LIMITS = (
    (-150.0, 150.0),
    (47.0, 313.0),
    (19.0, 341.0),
    (-180.0, 180.0),
    (-180.0, 180.0),
    (-270.0, 270.0),
)
_ARMATURE = {"large": 1.0, "small": 0.5, "finger": 0.1}
"""Inertia of the geared motors, kg m^2, beside which the links weigh little."""


def jaco_mjcf(look: Look, dynamics: Dynamics) -> str:
    """Write the arm as MJCF: nine velocity servos, a site `palm`, and boxes in two colours."""
    dark, light = _rgba(look.arm), _rgba(look.rings)
    joints = "".join(
        f'<velocity name="joint_{i}" joint="joint_{i}" {_servo(dynamics, size, i)}/>'
        for i, size in enumerate(["large"] * 3 + ["small"] * 3, 1)
    )
    fingers = "".join(
        f'<velocity name="finger_{i}" joint="finger_{i}" {_servo(dynamics, "finger", 6 + i)}/>'
        for i in (1, 2, 3)
    )
    finger_bodies = "".join(
        f"""
        <body name="finger_{i}" pos="{pos}" quat="{quat}">
          <joint name="finger_{i}" range="{_FINGER_RANGE}" armature="{_ARMATURE["finger"]}"/>
          <geom pos=".022 -.0015 0" size=".026 .011 .011" mass=".03" {light}/>
          <geom pos=".064 -.003 0" size=".022 .009 .009" mass=".02" {dark}/>
        </body>"""
        for i, (pos, quat) in enumerate(_FINGERS, 1)
    )
    within = f'<site name="palm" pos="0 -.0001 -.159"/>{finger_bodies}'
    for number, (pos, quat, box) in reversed([*enumerate(_LINKS, 1)]):
        colour = light if number % 2 else dark
        within = f"""
        <body name="link_{number}" pos="{pos}" quat="{quat}">
          {_joint(number)}
          <geom {box} {colour}/>{within}
        </body>"""
    return f"""
<mujoco model="jaco">
  <compiler angle="radian"/>
  <default>
    <joint type="hinge" axis="0 0 1"/>
    <geom type="box"/>
  </default>
  <worldbody>
    <body name="base">
      <geom pos="0 0 .068" size=".05 .05 .068" {dark}/>{within}
    </body>
  </worldbody>
  <contact>
    <exclude body1="base" body2="link_1"/>
    <exclude body1="link_4" body2="link_6"/>
    <exclude body1="finger_1" body2="finger_2"/>
    <exclude body1="finger_1" body2="finger_3"/>
    <exclude body1="finger_2" body2="finger_3"/>
  </contact>
  <actuator>{joints}{fingers}</actuator>
</mujoco>"""


_WRIST = 'fromto="0 0 .01 0 -.03703 -.06414" size=".032" mass=".22"'
_LINKS = (
    ("0 0 .15675", "0 0 1 0", 'pos="0 0 -.055" size=".044 .044 .072" mass=".64"'),
    ("0 .0016 -.11875", "0 0 -.707107 .707107", 'pos="0 -.205 0" size=".042 .225 .04" mass="1.17"'),
    ("0 -.41 0", "0 0 1 0", 'pos="0 .1037 -.006" size=".036 .115 .034" mass=".67"'),
    ("0 .2073 -.0114", "0 0 -.707107 .707107", _WRIST),
    ("0 -.03703 -.06414", "0 0 .5 .866025", _WRIST),
    ("0 -.03703 -.06414", "0 0 .5 .866025", 'pos="0 0 -.055" size=".042 .042 .06" mass=".55"'),
)
"""Of links 1 to 6: where each hangs on the one before it, how it is turned there, and its box."""

# The attachment of dm_control's hand and the hand's own frame both turn by 180 degrees and cancel:
# fingers and palm are given in the frame of the sixth link.
_FINGERS = (
    ("0.00279 0.03126 -0.11467", "0.24396 -0.63159 -0.38818 0.62521"),
    ("-0.02226 -0.02707 -0.11482", "0.601679 -0.254671 0.659653 -0.37146"),
    ("0.02226 -0.02707 -0.11482", "0.659653 -0.37146 0.601679 -0.254671"),
)


def _joint(number: int) -> str:
    low, high = (math.radians(degrees) for degrees in _LIMITS[number - 1])
    armature = _ARMATURE["large" if number <= 3 else "small"]
    return f'<joint name="joint_{number}" range="{low} {high}" armature="{armature}"/>'


def _servo(dynamics: Dynamics, size: str, number: int) -> str:
    speed = math.radians(getattr(dynamics, f"{size}_speed"))
    gain = _ARMATURE[size] / dynamics.lag
    return f'kv="{gain}" ctrllimited="true" ctrlrange="{-speed} {speed}"'


def _rgba(colour: Colour) -> str:
    return f'rgba="{" ".join(map(str, colour))} 1"'
