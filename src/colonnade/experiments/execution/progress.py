"""How far runs are, and what is told of it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.words import duration
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
        trains = self.state == "running" and not self.hangs
        return float(self.progress["steps_per_second"]) if self.progress and trains else 0.0

    @property
    def score(self) -> str:
        """Recent mean return, in words."""
        score = self.progress["recent_return"] if self.progress else None
        return "-" if score is None else f"{score:.2f}"


def summary(views: list[RunView]) -> str:
    """Say in one line how far all runs together are."""
    done = sum(view.state == "done" for view in views)
    failed = sum(view.state == "failed" for view in views)
    rate = sum(view.rate for view in views)
    left = sum(v.spec.steps - v.step for v in views if v.state in ("waiting", "running"))
    parts = [f"{done} of {len(views)} runs complete"]
    if stopped := sum(view.state == "stopped" for view in views):
        parts.append(f"{stopped} stopped early")
    if failed:
        parts.append(f"{failed} failed")
    if rate:
        parts += [f"{rate:,.0f} steps/s", f"about {duration(left / rate)} left"]
    return ", ".join(parts)


class Display(AbstractContextManager[Any, None], Protocol):
    """What shows the progress of all runs, and leaves the last state to be read; a context."""

    def show(self, views: list[RunView]) -> None:
        """Show where the runs stand."""

    def say(self, text: str) -> None:
        """Say something beside."""
