"""`colonnade suites`: what can be run."""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Suites:
    """List what can be run, with its cost on two cores."""

    def __call__(self) -> None:
        """Print one line for each suite."""
        from rich.console import Console
        from rich.table import Table

        from colonnade.experiments.plans.plan import SuiteOptions
        from colonnade.experiments.suites import SUITES
        from colonnade.experiments.words import duration

        table = Table(box=None)
        table.add_column("suite")
        for name in ("runs", "steps", "two cores"):
            table.add_column(name, justify="right")
        table.add_column("what it shows", overflow="fold")
        for suite in SUITES:
            plan = suite.plan(SuiteOptions())
            runs, steps = str(len(plan.runs)), f"{plan.steps / 1e6:,.1f} M"
            time = duration(plan.steps / suite.steps_per_second)
            table.add_row(suite.name, runs, steps, time, f"{suite.summary} ({suite.figure})")
        # A pipe has no width: there, lines stay whole.
        Console(width=None if sys.stdout.isatty() else 200).print(table)
