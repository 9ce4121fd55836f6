"""Pong Soup: Atari Pong in the eight looks of Rusu et al. (2016, section 5.1)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from colonnade.checks import AT_LEAST_1, check_fields
from colonnade.tasks.atari import SCREEN, AtariTask
from colonnade.tasks.pong.variants import DEFAULT_LOOK, Look, check_variant, make_transform
from colonnade.tasks.task_ids import task_id
from colonnade.tasks.vector import AnyVectorEnv, TransformedVectorEnv
from colonnade.types import TaskSpec


@dataclass(frozen=True)
class PongSoupTask:
    """Pong whose picture is altered and whose rules are not.

    Attributes:
        variant: One of `colonnade.tasks.pong.variants.VARIANTS`.
        steps: Budget in agent steps, each 4 frames.
        look: The constants of the variants, which the paper leaves open.
        emulator: How Pong itself is run; its `steps` and `name` do not count.
        name: What the task is called in a sequence instead of "pong-soup/" and the variant,
            so that one may hold it twice with other options.

    Raises:
        UsageError: The variant is unknown (the nearest name is suggested), or `steps` no whole
            number of 1 or more.
    """

    variant: str
    steps: int = 10_000_000
    look: Look = DEFAULT_LOOK
    emulator: AtariTask = field(default_factory=lambda: AtariTask("pong"))
    name: str | None = None

    def __post_init__(self) -> None:
        check_variant(self.variant)
        check_fields(self, {"steps": AT_LEAST_1})
        task_id(self.name, self.variant)

    @property
    def spec(self) -> TaskSpec:
        """What methods and learners need to know."""
        name = task_id(self.name, f"pong-soup/{self.variant}")
        return replace(self.emulator.spec, id=name, steps=self.steps)

    def make_vec(self, num_envs: int, threads: int = 1) -> AnyVectorEnv:
        """Make `num_envs` copies on `threads` threads; see `TransformedVectorEnv`."""
        return TransformedVectorEnv(
            self.emulator.make_vec(num_envs, threads),
            make_transform(self.variant, SCREEN, self.look),
        )
