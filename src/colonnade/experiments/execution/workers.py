"""What a schedule asks of those who train its runs, wherever they are.

`processes` has those of this machine, `on_ray` those of a cluster's. Nothing here is a signal's
number, an exit code or a path of one machine; the output folder is on a file system that all of
them share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from colonnade.experiments.execution.resources import Resources


@dataclass(frozen=True)
class Ended:
    """A run that is no longer being trained.

    Attributes:
        run: Its id.
        outcome: "finished" when it is complete, "stopped" when it did what `stop` asks for, "lost"
            when whoever trained it is gone by no fault of the run, "failed" otherwise.
        reason: Why it is not complete, in one sentence.
        lasting: Whether it would fail again in the same way.
        passing: Whether it failed for want of something, such as a free disk, that says nothing of
            the run.
        cpu_seconds: Processor time it used.
        memory: The most memory it held, in bytes; 0 where nobody knows.
    """

    run: str
    outcome: Literal["finished", "stopped", "failed", "lost"]
    reason: str = ""
    lasting: bool = False
    passing: bool = False
    cpu_seconds: float = 0.0
    memory: int = 0


class Workers(Protocol):
    """Trains runs of a suite, each somewhere of its own."""

    def machines(self, runs: int) -> Sequence[Resources]:
        """Return the whole of each machine that runs can train on now; none while none is ready.

        Args:
            runs: How many are to train at once. Where cores are fewer, runs share them, and there
                are as many here; 0 for as many as there are cores.
        """

    def start(self, run: str, share: Resources) -> None:
        """Begin to train a run with a share of the machine."""

    def stop(self, run: str) -> None:
        """Ask a run, if it still trains, to keep a checkpoint and end."""

    def kill(self, run: str) -> None:
        """End a run at once, if it still trains."""

    def ended(self, seconds: float) -> list[Ended]:
        """Return what ended since the last call; wait for something to end that long at most."""

    def silent(self) -> Mapping[str, float]:
        """Say for how many seconds runs have given no sign of life, as far as that is known."""

    def close(self) -> None:
        """Let go of everything; runs that still train are asked to stop."""
