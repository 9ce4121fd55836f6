"""How a domain looks: colours, camera, light, noise."""

from __future__ import annotations

from dataclasses import dataclass

from colonnade.checks import ANY, AT_LEAST_0, SHARE, check_fields, real
from colonnade.checks import Range as Within
from colonnade.errors import UsageError

Colour = tuple[float, float, float]
"""Red, green and blue, each from 0 to 1."""
Point = tuple[float, float, float]
"""Metres: x ahead of the arm's base, y to its left, z above the table."""


@dataclass(frozen=True)
class Look:
    """What a camera sees of the arm, the table and the target; everything here is chosen.

    Rusu et al. 2017 state 64 x 64 pixels, a red target and a blocky arm, and show two pictures.

    Attributes:
        arm: Colour of the arm's links.
        rings: Colour of every other link and of the fingers.
        table: Colour of the table.
        target: Colour of the target.
        floor: Colour of the floor, 0.7 m below the table.
        background: Colour of what is behind everything.
        camera: Where the camera is.
        looks_at: The point in the picture's middle.
        field_of_view: Vertical, in degrees.
        light: Where the light shines to, a direction.
        ambient: Brightness of what the light does not reach.
        diffuse: What the light adds where it falls straight on.
        noise: Deviation of the camera's noise, in grey levels of 255, drawn anew for every
            pixel and frame.

    Raises:
        UsageError: A value is out of range.
    """

    arm: Colour = (0.25, 0.25, 0.28)
    rings: Colour = (0.62, 0.62, 0.66)
    table: Colour = (0.55, 0.50, 0.42)
    target: Colour = (0.85, 0.10, 0.10)
    floor: Colour = (0.30, 0.32, 0.35)
    background: Colour = (0.55, 0.65, 0.75)
    camera: Point = (1.15, 0.2, 0.95)
    looks_at: Point = (0.32, 0.0, 0.14)
    field_of_view: float = 43.0
    light: Point = (-0.45, 0.30, -0.84)
    ambient: float = 0.45
    diffuse: float = 0.55
    noise: float = 0.0

    def __post_init__(self) -> None:
        for name in ("arm", "rings", "table", "target", "floor", "background"):
            _triple(self, name, SHARE)
        for name in ("camera", "looks_at", "light"):
            _triple(self, name, ANY)
        check_fields(
            self,
            {
                "field_of_view": Within(1, 170),
                "ambient": SHARE,
                "diffuse": SHARE,
                "noise": AT_LEAST_0,
            },
        )
        ahead = [to - here for to, here in zip(self.looks_at, self.camera, strict=True)]
        if not any(ahead[:2]):
            raise UsageError(
                "camera of Look must not stand straight above or below what it looks_at, since "
                f"then no direction is up; got {self.camera} and {self.looks_at}."
            )
        if not any(self.light):
            raise UsageError("light of Look must be a direction, not (0, 0, 0).")


def _triple(look: Look, name: str, within: Within) -> None:
    """Make three plain floats of a field, or refuse it."""
    value = getattr(look, name)
    if isinstance(value, str) or not hasattr(value, "__len__") or len(value) != 3:
        raise UsageError(f"{name} of Look must be three numbers; got {value!r}.")
    numbers = (real(f"Each number in {name} of Look", number, within) for number in value)
    object.__setattr__(look, name, tuple(float(number) for number in numbers))
