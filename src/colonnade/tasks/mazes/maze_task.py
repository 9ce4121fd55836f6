"""What the tasks of both bodies of a maze have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from colonnade.checks import AT_LEAST_1, check_fields
from colonnade.errors import UsageError
from colonnade.tasks.mazes.levels import Level
from colonnade.tasks.mazes.maze_env import MAX_STEPS, action_space, view_space
from colonnade.tasks.mazes.paper_levels import level_of
from colonnade.tasks.task_ids import task_id
from colonnade.tasks.vector import AnyVectorEnv
from colonnade.types import TaskSpec


@dataclass(frozen=True)
class MazeTask(ABC):
    """A level of Labyrinth in one of its bodies; `MazeVectorEnv` has the rules.

    Attributes:
        level: The name of one, of a JSON file of your own, or a `Level`.
        steps: Budget in agent steps.
        colour: Whether views have three channels, red, green and blue, or a grey one.
        stack: How many views an observation holds, the newest last.
        max_steps: Steps after which an episode is truncated.
        name: What the task is called in a sequence instead of its family and the level's name, so
            that one may hold it twice with other options.

    Raises:
        UsageError: There is no such level (the nearest name is suggested), or a number is out of
            range.
    """

    family: ClassVar[str]
    """First part of the task's name."""

    level: Level | str = "track-1"
    steps: int = 2_000_000
    colour: bool = True
    stack: int = 1
    max_steps: int = MAX_STEPS
    name: str | None = None

    def __post_init__(self) -> None:
        level: object = self.level
        if not isinstance(level, Level | str):
            raise UsageError(
                f"level of {type(self).__name__} must be a level's name or a Level; got "
                f"{level!r:.80}."
            )
        check_fields(self, {"steps": AT_LEAST_1, "stack": AT_LEAST_1, "max_steps": AT_LEAST_1})
        task_id(self.name, level_of(self.level).name)

    @property
    def spec(self) -> TaskSpec:
        """What methods and learners need to know."""
        return TaskSpec(
            id=task_id(self.name, f"{self.family}/{level_of(self.level).name}"),
            observation_space=view_space(self.colour, self.stack),
            action_space=action_space(),
            steps=self.steps,
        )

    @abstractmethod
    def make_vec(self, num_envs: int, threads: int = 1) -> AnyVectorEnv:
        """Make `num_envs` copies."""
