"""How far runs are, and what is told of it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from colonnade.experiments.plans.spec import RunSpec
from colonnade.watching import limit

_SILENT_SECONDS = 30.0

State = Literal["waiting", "running", "done", "failed", "stopped"]


@dataclass(frozen=True)
class RunView:
    """Where a run stands.

    Attributes:
        spec: The run.
        state: Whether it waits, trains or is over.
        progress: As `status.json` has it, while it trains; None before the first news.
        notes: What the user should know of it.
        silent: For how many seconds it has given no sign of life; short times count as none.
    """

    spec: RunSpec
    state: State
    progress: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)
    silent: float = 0.0

    @property
    def hangs(self) -> bool:
        """Whether it has been silent for so long that a person should know."""
        return self.silent >= min(_SILENT_SECONDS, limit() / 2)

    @property
    def step(self) -> int:
        """Agent steps taken, of `spec.steps`."""
        if self.state == "done":
            return self.spec.steps
        return min(self.spec.steps, self.progress["run_step"]) if self.progress else 0

    @property
    def rate(self) -> float:
        """Agent steps per second of late; 0 where it does not train."""
        return float(self.progress["steps_per_second"]) if self.progress and not self.hangs else 0.0

    @property
    def score(self) -> str:
        """Recent mean return, in words."""
        score = self.progress["recent_return"] if self.progress else None
        return "-" if score is None else f"{score:.2f}"


class Display(AbstractContextManager[Any, None], Protocol):
    """What shows the progress of all runs, and leaves the last state to be read; a context."""

    def show(self, views: list[RunView]) -> None:
        """Show where the runs stand."""

    def say(self, text: str) -> None:
        """Say something beside."""
