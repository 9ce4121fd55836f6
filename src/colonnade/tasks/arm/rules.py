"""The rules of reaching: where the target is, what is rewarded, how an episode begins and ends."""

from __future__ import annotations

from dataclasses import dataclass

from colonnade.checks import ABOVE_0, ANY, AT_LEAST_0, AT_LEAST_1, SHARE, check_fields, real


@dataclass(frozen=True)
class Rules:
    """Rusu et al. 2017, section 4: reach a target on a table, within 50 steps.

    The paper states the area of 40 cm x 30 cm, the 10 cm, the 50 steps and that the robot's target
    was moved every third episode. All else is chosen.

    Attributes:
        radius: The reward of a step is 1 where the palm is within so many metres of the target.
        max_steps: Steps after which an episode is cut off.
        area: Size of the target's area, metres: ahead of the arm, and across.
        area_centre: Its middle, metres ahead of the arm's base and to its left.
        target_side: Side of the square target, metres.
        target_every: The target is moved before every so-manieth episode.
        conveyor_speed: Metres a second by which the target moves across; it turns at the area's
            edges.
        reversal: Probability, each step, that a moving target turns round.
        spread: Multiplies how far from the home position the arm may begin.

    Raises:
        UsageError: A value is out of range.
    """

    radius: float = 0.10
    max_steps: int = 50
    area: tuple[float, float] = (0.30, 0.40)
    area_centre: tuple[float, float] = (0.40, 0.0)
    target_side: float = 0.10
    target_every: int = 1
    conveyor_speed: float = 0.0
    reversal: float = 0.0
    spread: float = 1.0

    def __post_init__(self) -> None:
        check_fields(
            self,
            {
                "radius": ABOVE_0,
                "max_steps": AT_LEAST_1,
                "target_side": ABOVE_0,
                "target_every": AT_LEAST_1,
                "conveyor_speed": AT_LEAST_0,
                "reversal": SHARE,
                "spread": AT_LEAST_0,
            },
        )
        for name, within in (("area", AT_LEAST_0), ("area_centre", ANY)):
            value = getattr(self, name)
            pair = (float(real(f"Each number in {name} of Rules", x, within)) for x in value)
            object.__setattr__(self, name, tuple(pair))
