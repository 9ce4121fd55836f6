"""Where training writes: curve points, checkpoints, progress; and how it is asked to stop."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from colonnade.errors import ColonnadeError

logger = logging.getLogger(__name__)

Row = dict[str, Any]
"""One line of metrics: JSON data with a "kind"."""


@dataclass(frozen=True)
class Progress:
    """How far training has come.

    Attributes:
        task: Id of the task.
        task_index: Its place in the sequence.
        step: Agent steps taken in it.
        total_steps: Its budget.
        steps_per_second: Of late.
        recent_return: Mean over the last 100 episodes; None before the first ends.
        visit: Number of the visit of the schedule; None counts tasks, each visited once.
    """

    task: str
    task_index: int
    step: int
    total_steps: int
    steps_per_second: float
    recent_return: float | None
    visit: int | None = None


class Interrupted(ColonnadeError):
    """Training was asked to stop; the last checkpoint is kept."""


class DivergedError(ColonnadeError):
    """A loss or a parameter became NaN or infinite; the last good checkpoint is kept."""


class Recorder(Protocol):
    """What training needs of a place to write to."""

    @property
    def rows(self) -> int:
        """Number of rows so far."""
        ...

    def append(self, row: Row) -> None:
        """Add a row."""
        ...

    def rewind(self, rows: int) -> None:
        """Drop all but the first `rows` rows: those after the checkpoint to resume from."""
        ...

    def save_checkpoint(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Keep a checkpoint; it must be whole or absent whenever the process dies."""
        ...

    def load_checkpoint(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return the newest whole checkpoint, if there is one."""
        ...

    def progress(self, progress: Progress) -> None:
        """Take note of the progress; called about once a second."""
        ...

    def note(self, message: str) -> None:
        """Say something that the user should know of the run."""
        ...

    def should_stop(self) -> bool:
        """Say whether to stop at the next rollout."""
        ...


class MemoryRecorder:
    """Keeps the rows in a list and no checkpoint: for scripts and tests.

    It may be given to one training after another, whose rows then follow each other.

    Attributes:
        history: All rows.
        notes: What a user should know of the run.
    """

    def __init__(self) -> None:
        """Begin with no row."""
        self.history: list[Row] = []
        self.notes: list[str] = []
        self._before = 0

    @property
    def rows(self) -> int:
        """Number of rows so far."""
        return len(self.history)

    def append(self, row: Row) -> None:
        """Add a row."""
        self.history.append(row)

    def rewind(self, rows: int) -> None:
        """Drop all but the first `rows` rows, and those of trainings before."""
        del self.history[max(rows, self._before) :]

    def save_checkpoint(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Keep nothing."""

    def load_checkpoint(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return None, since nothing is kept: what begins now begins after the rows so far."""
        self._before = len(self.history)
        return None

    def progress(self, progress: Progress) -> None:
        """Show nothing."""

    def note(self, message: str) -> None:
        """Keep it, and log it."""
        self.notes.append(message)
        logger.warning("%s", message)

    def should_stop(self) -> bool:
        """Never stop."""
        return False
