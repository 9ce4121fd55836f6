"""An environment, and the tasks that it gives: "corridors/north" and so on."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from colonnade.tasks import GymTask

SIZE = 5
GOALS = {"north": (0, 2), "east": (2, 4), "south": (4, 2), "west": (2, 0)}
MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))


class Corridors(gymnasium.Env[NDArray[np.float32], np.int64]):
    """A room of 5 x 5 fields, from any of which the way leads to the middle of one wall.

    It shows where the agent is, as one number of 25 that is 1; not where the goal is. A step costs
    0.1 and the goal gives 1.
    """

    observation_space = gymnasium.spaces.Box(0, 1, (SIZE * SIZE,), np.float32)
    action_space = gymnasium.spaces.Discrete(len(MOVES))

    def __init__(self, goal: str = "north", limit: int = 40) -> None:
        self._goal, self._limit = GOALS[goal], limit
        self._place, self._steps = (0, 0), 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Put the agent anywhere but on the goal."""
        super().reset(seed=seed)
        self._place, self._steps = self._goal, 0
        while self._place == self._goal:
            row, column = self.np_random.integers(0, SIZE, 2)
            self._place = int(row), int(column)
        return self._seen(), {}

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Go a field north, east, south or west, where there is one."""
        row, column = (a + b for a, b in zip(self._place, MOVES[int(action)], strict=True))
        self._place = min(max(row, 0), SIZE - 1), min(max(column, 0), SIZE - 1)
        self._steps += 1
        there = self._place == self._goal
        return self._seen(), 1.0 if there else -0.1, there, self._steps >= self._limit, {}

    def _seen(self) -> NDArray[np.float32]:
        seen = np.zeros((SIZE, SIZE), np.float32)
        seen[self._place] = 1
        return seen.ravel()


gymnasium.register("Corridors-v0", "corridors.task:Corridors")


def corridors(
    goal: str, *, steps: int = 20_000, limit: int = 40, name: str | None = None
) -> GymTask:
    """Make the task of a goal.

    Args:
        goal: "north", "east", "south" or "west", which follows the family's name.
        steps: Budget in agent steps.
        limit: Steps that an episode may last, an option of specs.
        name: What a sequence calls it, if not its name.
    """
    return GymTask(
        "Corridors-v0",
        steps=steps,
        options={"goal": goal, "limit": limit},
        name=name or f"corridors/{goal}",
    )
