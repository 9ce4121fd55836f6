"""How a domain's arm moves: speeds, gains, lag, latency, noise."""

from __future__ import annotations

from dataclasses import dataclass

from colonnade.checks import ABOVE_0, AT_LEAST_0, AT_LEAST_1, BELOW_1, check_fields, real
from colonnade.errors import UsageError
from colonnade.tasks.arm.rules import Rules


@dataclass(frozen=True)
class Dynamics:
    """What becomes of the commands: a forward, a backward or no velocity for each joint.

    The speeds of joints 1 to 6 are those that the real arm's firmware allows, as dm_control's
    model of it states them; 0.1 s a step follows from the paper's "50 M steps are 53 days". All
    else is chosen.

    Attributes:
        step_seconds: Time between two actions.
        substeps: Steps of the physics within that time.
        large_speed: Degrees a second of joints 1 to 3.
        small_speed: Degrees a second of joints 4 to 6.
        finger_speed: Degrees a second of the fingers; the default, 1 rad/s, closes them in 1.2 s.
        gains: By what each joint's speed is multiplied; empty for 1 everywhere.
        lag: Seconds: the armature of Jaco's joints divided by their servos' gain, which is the
            time constant of a motor alone in continuous time. The links' inertia and the steps of
            the physics lengthen it; docs/sim-to-real.md says by how much.
        latency: Steps by which actions come late, fewer than an episode has.
        noise: Each commanded speed is multiplied by a factor between 1 - noise and 1 + noise,
            drawn anew for every joint and step.

    Raises:
        UsageError: A value is out of range.
    """

    step_seconds: float = 0.1
    substeps: int = 2
    large_speed: float = 36.0
    small_speed: float = 48.0
    finger_speed: float = 57.29577951308232
    gains: tuple[float, ...] = ()
    lag: float = 0.01
    latency: int = 0
    noise: float = 0.0

    def __post_init__(self) -> None:
        check_fields(
            self,
            {
                "step_seconds": ABOVE_0,
                "substeps": AT_LEAST_1,
                "large_speed": ABOVE_0,
                "small_speed": ABOVE_0,
                "finger_speed": ABOVE_0,
                "lag": ABOVE_0,
                "latency": AT_LEAST_0,
                "noise": BELOW_1,
            },
        )
        if isinstance(self.gains, str) or not hasattr(self.gains, "__iter__"):
            raise UsageError(f"gains of Dynamics must be numbers; got {self.gains!r}.")
        gains = tuple(
            float(real("Each number in gains of Dynamics", gain, ABOVE_0)) for gain in self.gains
        )
        object.__setattr__(self, "gains", gains)


def check_latency(dynamics: Dynamics, rules: Rules) -> None:
    """Refuse actions that come after their episode's end.

    Raises:
        UsageError: None of an episode's actions would ever be carried out.
    """
    if dynamics.latency >= rules.max_steps:
        raise UsageError(
            f"latency of Dynamics must be below max_steps of Rules, {rules.max_steps}, since no "
            f"action would be carried out before its episode ends; got {dynamics.latency}."
        )
