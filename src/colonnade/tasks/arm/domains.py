"""Domains by name: what differs between simulation and what stands in for reality.

Rusu et al. 2017 change colours or perspective a little or much (Fig. 6), go to a real robot
(Fig. 5) and to a target on a conveyor (Fig. 7). They state none of the amounts: those here are
chosen, and kept, since results hang on them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from colonnade.errors import unknown_name
from colonnade.tasks.arm.dynamics import Dynamics
from colonnade.tasks.arm.look import Look
from colonnade.tasks.arm.rules import Rules


@dataclass(frozen=True)
class Domain:
    """A world for the arm.

    Attributes:
        look: What the camera sees.
        dynamics: What becomes of commands.
        rules: What is rewarded.
    """

    look: Look = field(default_factory=Look)
    dynamics: Dynamics = field(default_factory=Dynamics)
    rules: Rules = field(default_factory=Rules)


_CONVEYOR = Rules(conveyor_speed=0.05, reversal=0.02)
_ON_ROBOT = Rules(target_every=3)

_ROBOT_LOOK_MILD = Look(
    arm=(0.20, 0.21, 0.25),
    rings=(0.66, 0.65, 0.66),
    table=(0.58, 0.52, 0.46),
    target=(0.80, 0.14, 0.12),
    floor=(0.33, 0.33, 0.34),
    background=(0.60, 0.62, 0.66),
    camera=(1.17, 0.22, 0.97),
    looks_at=(0.33, 0.01, 0.14),
    field_of_view=43.5,
    light=(-0.30, 0.45, -0.84),
    ambient=0.48,
    diffuse=0.50,
    noise=3.0,
)
_ROBOT_DYNAMICS_MILD = Dynamics(
    gains=(0.95, 1.05, 0.90, 1.10, 0.92, 1.00, 0.85, 0.85, 0.85),
    lag=0.05,
    latency=1,
    noise=0.10,
)
_ROBOT_LOOK = Look(
    arm=(0.12, 0.12, 0.14),
    rings=(0.45, 0.45, 0.48),
    table=(0.72, 0.68, 0.62),
    target=(0.75, 0.20, 0.16),
    floor=(0.45, 0.42, 0.38),
    background=(0.80, 0.78, 0.74),
    camera=(1.24, 0.30, 1.02),
    looks_at=(0.35, 0.03, 0.12),
    field_of_view=45.0,
    light=(0.20, 0.60, -0.77),
    ambient=0.60,
    diffuse=0.45,
    noise=5.0,
)
_ROBOT_DYNAMICS = Dynamics(
    gains=(0.85, 1.10, 0.80, 1.15, 0.80, 0.90, 0.70, 0.70, 0.70),
    lag=0.10,
    latency=2,
    noise=0.20,
)

DOMAINS: dict[str, Domain] = {
    "reach": Domain(),
    "conveyor": Domain(rules=_CONVEYOR),
    "colour-subtle": Domain(
        Look(
            arm=(0.30, 0.26, 0.24),
            rings=(0.58, 0.62, 0.58),
            table=(0.50, 0.52, 0.46),
            target=(0.80, 0.18, 0.14),
            floor=(0.34, 0.32, 0.31),
            background=(0.62, 0.62, 0.66),
        )
    ),
    "colour-significant": Domain(
        Look(
            arm=(0.62, 0.48, 0.20),
            rings=(0.20, 0.34, 0.52),
            table=(0.26, 0.40, 0.34),
            target=(0.90, 0.80, 0.15),
            floor=(0.52, 0.46, 0.50),
            background=(0.30, 0.24, 0.30),
        )
    ),
    "perspective-subtle": Domain(
        Look(camera=(1.19, 0.12, 0.99), looks_at=(0.34, 0.0, 0.14), field_of_view=44.0)
    ),
    "perspective-significant": Domain(
        Look(camera=(0.95, -0.55, 1.05), looks_at=(0.34, 0.0, 0.12), field_of_view=45.0)
    ),
    "robot-mild": Domain(_ROBOT_LOOK_MILD, _ROBOT_DYNAMICS_MILD, _ON_ROBOT),
    "robot": Domain(_ROBOT_LOOK, _ROBOT_DYNAMICS, _ON_ROBOT),
    "robot-conveyor": Domain(_ROBOT_LOOK_MILD, _ROBOT_DYNAMICS_MILD, _CONVEYOR),
}
"""By name: "reach" is the simulation that a first column learns in; "robot-mild" and "robot" stand
in for reality in two strengths, and "robot-conveyor" is the mild one with a moving target."""


def domain(name: str) -> Domain:
    """Return a domain.

    Raises:
        UsageError: There is none of that name; the nearest is suggested.
    """
    if name not in DOMAINS:
        raise unknown_name("domain of the arm", str(name), DOMAINS)
    return DOMAINS[name]
