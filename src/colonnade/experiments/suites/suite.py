"""What a suite is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from colonnade.experiments.plan import Plan, SuiteOptions


@dataclass(frozen=True)
class Suite:
    """A set of runs that answers one question, usually a figure of a paper.

    Attributes:
        name: As on the command line.
        title: Heading of its report.
        summary: What it shows, in one line.
        figure: The paper and figure it follows.
        steps_per_second: Agent steps per second of all runs together on two cores, for the cost.
        plan: Makes the runs; None for networks that can only be described as yet.
    """

    name: str
    title: str
    summary: str
    figure: str
    steps_per_second: int
    plan: Callable[[SuiteOptions], Plan] | None
