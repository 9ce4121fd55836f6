"""Pong Soup: Atari Pong in the eight looks of Rusu et al. (2016, section 5.1)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from colonnade.tasks.atari import SCREEN, AtariTask
from colonnade.tasks.variants import DEFAULT_LOOK, Look, check_variant, make_transform
from colonnade.tasks.vector import AnyVectorEnv, TransformedVectorEnv
from colonnade.types import TaskSpec


@dataclass(frozen=True)
class PongSoupTask:
    """Pong whose picture is altered and whose rules are not.

    Attributes:
        variant: One of `colonnade.tasks.variants.VARIANTS`.
        steps: Budget in agent steps, each 4 frames.
        look: The constants of the variants, which the paper leaves open.
        emulator: How Pong itself is run; its `steps` do not count.

    Raises:
        UsageError: The variant is unknown; the nearest name is suggested.
    """

    variant: str
    steps: int = 10_000_000
    look: Look = DEFAULT_LOOK
    emulator: AtariTask = field(default_factory=lambda: AtariTask("pong"))

    def __post_init__(self) -> None:
        check_variant(self.variant)

    @property
    def spec(self) -> TaskSpec:
        """What methods and learners need to know."""
        return replace(self.emulator.spec, id=f"pong-soup/{self.variant}", steps=self.steps)

    def make_vec(self, num_envs: int, threads: int = 1) -> AnyVectorEnv:
        """Make `num_envs` copies on `threads` threads; see `TransformedVectorEnv`."""
        return TransformedVectorEnv(
            self.emulator.make_vec(num_envs, threads),
            make_transform(self.variant, SCREEN, self.look),
        )
