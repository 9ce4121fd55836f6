"""A penalty for each task, replaced when the task ends again, and all of them merged into one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from torch import Tensor

from colonnade.ops import Quadratic

Own = Literal["added", "replaced", "released"]
"""What becomes of a task's own penalty when the task comes back: it stays, and another is "added"
at its end; it holds until it is "replaced" there; or it is "released" while the task is learned,
and replaced at its end (Kirkpatrick et al. 2017, supplement: "recomputed for a task")."""


_UNKNOWN = ""
"""Stands for tasks whose penalties came as one sum; no task has that id."""


class TaskPenalties:
    """Quadratic penalties by task id; each costs three numbers a parameter."""

    def __init__(self) -> None:
        """Begin with none."""
        self._parts: dict[str, Quadratic] = {}

    def replace(
        self, task: str, curvature: Mapping[str, Tensor], anchor: Mapping[str, Tensor]
    ) -> None:
        """Put a task's penalty, 1/2 sum_i F_i (theta_i - a_i)^2, in place of its last one.

        Raises:
            UsageError: A shape is not as before.
        """
        part = Quadratic()
        part.merge(curvature, anchor)
        self._parts[task] = part

    def keep(self, quadratic: Quadratic) -> None:
        """Take over the sum of penalties of which is not known what part is whose."""
        self._parts[_UNKNOWN] = quadratic

    def widen(self, parameters: Mapping[str, Tensor]) -> None:
        """Make room for parameters that were added at the end of a first axis: they are free."""
        for part in self._parts.values():
            part.widen(parameters)

    def merged(self, without: str | None = None) -> Quadratic:
        """Return the sum of all penalties, or of all but one, as one; see `Quadratic`."""
        total = Quadratic()
        for task, part in self._parts.items():
            if task != without:
                total.add(part)
        return total

    def state(self) -> tuple[dict[str, Tensor], list[str]]:
        """Return all tensors under "task/NUMBER/", and the ids in the order of the numbers."""
        tensors: dict[str, Tensor] = {}
        for number, part in enumerate(self._parts.values()):
            tensors |= part.state(f"task/{number}/")
        return tensors, list(self._parts)

    def load_state(self, tensors: Mapping[str, Tensor], tasks: list[Any]) -> None:
        """Return to what `state` gave."""
        self._parts = {}
        for number, task in enumerate(tasks):
            self._parts[str(task)] = part = Quadratic()
            part.load_state(tensors, f"task/{number}/", 1)
