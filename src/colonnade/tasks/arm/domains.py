"""Domains by name: what differs between simulation and what stands in for reality.

Rusu et al. 2017 change colours or perspective a little or much (Fig. 6), go to a real robot
(Fig. 5) and to a target on a conveyor (Fig. 7). They state none of the amounts: those here are
chosen, and kept, since results hang on them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from colonnade.errors import unknown_name
from colonnade.tasks.arm.dynamics import Dynamics
from colonnade.tasks.arm.look import Colour, Look
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

_COLOURED = "arm", "rings", "table", "target", "floor", "background"


def _colours(*colours: Colour) -> dict[str, Any]:
    """Give everything its colour, in the order of `Look`."""
    return dict(zip(_COLOURED, colours, strict=True))


_COLOUR_SUBTLE = Look(
    **_colours(
        (0.30, 0.26, 0.24),
        (0.58, 0.62, 0.58),
        (0.50, 0.52, 0.46),
        (0.80, 0.18, 0.14),
        (0.34, 0.32, 0.31),
        (0.62, 0.62, 0.66),
    )
)
_COLOUR_SIGNIFICANT = Look(
    **_colours(
        (0.62, 0.48, 0.20),
        (0.20, 0.34, 0.52),
        (0.26, 0.40, 0.34),
        (0.90, 0.80, 0.15),
        (0.52, 0.46, 0.50),
        (0.30, 0.24, 0.30),
    )
)
_PERSPECTIVE_SUBTLE = Look(
    camera=(1.19, 0.12, 0.99), looks_at=(0.34, 0.0, 0.14), field_of_view=44.0
)
_PERSPECTIVE_SIGNIFICANT = Look(
    camera=(0.95, -0.55, 1.05), looks_at=(0.34, 0.0, 0.12), field_of_view=45.0
)
_MILD = Domain(
    Look(
        **_colours(
            (0.20, 0.21, 0.25),
            (0.66, 0.65, 0.66),
            (0.58, 0.52, 0.46),
            (0.80, 0.14, 0.12),
            (0.33, 0.33, 0.34),
            (0.60, 0.62, 0.66),
        ),
        camera=(1.17, 0.22, 0.97),
        looks_at=(0.33, 0.01, 0.14),
        field_of_view=43.5,
        light=(-0.30, 0.45, -0.84),
        ambient=0.48,
        diffuse=0.50,
        noise=3.0,
    ),
    Dynamics(
        gains=(0.975, 1.025, 0.95, 1.05, 0.96, 1.0, 0.925, 0.925, 0.925),
        lag=0.03,
        latency=1,
        noise=0.10,
    ),
    _ON_ROBOT,
)
_STRONG = Domain(
    Look(
        **_colours(
            (0.12, 0.12, 0.14),
            (0.45, 0.45, 0.48),
            (0.72, 0.68, 0.62),
            (0.75, 0.20, 0.16),
            (0.45, 0.42, 0.38),
            (0.80, 0.78, 0.74),
        ),
        camera=(1.24, 0.30, 1.02),
        looks_at=(0.35, 0.03, 0.12),
        field_of_view=45.0,
        light=(0.20, 0.60, -0.77),
        ambient=0.60,
        diffuse=0.45,
        noise=5.0,
    ),
    Dynamics(
        gains=(0.85, 1.10, 0.80, 1.15, 0.80, 0.90, 0.70, 0.70, 0.70),
        lag=0.10,
        latency=2,
        noise=0.20,
    ),
    _ON_ROBOT,
)

DOMAINS: dict[str, Domain] = {
    "reach": Domain(),
    "conveyor": Domain(rules=_CONVEYOR),
    "colour-subtle": Domain(_COLOUR_SUBTLE),
    "colour-significant": Domain(_COLOUR_SIGNIFICANT),
    "perspective-subtle": Domain(_PERSPECTIVE_SUBTLE),
    "perspective-significant": Domain(_PERSPECTIVE_SIGNIFICANT),
    "robot-mild": _MILD,
    "robot": _STRONG,
    "robot-conveyor": replace(_MILD, rules=_CONVEYOR),
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
