"""`colonnade suites`: what can be run."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from colonnade.errors import UsageError


@dataclass(frozen=True)
class Suites:
    """List what can be run, with its cost on two cores."""

    def __call__(self) -> None:
        """Print one line for each suite."""
        from rich.console import Console
        from rich.table import Table

        from colonnade.experiments.plans.plan import SuiteOptions
        from colonnade.experiments.suites import suite_from_name, suite_names
        from colonnade.experiments.words import duration

        table = Table(box=None)
        table.add_column("suite")
        for name in ("runs", "steps", "two cores"):
            table.add_column(name, justify="right")
        table.add_column("what it shows", overflow="fold")
        failed = []
        for name in suite_names():
            try:
                suite = suite_from_name(name)
                plan = suite.plan(SuiteOptions())
            except UsageError as error:  # of a package that others cannot mend
                failed.append(str(error))
                continue
            runs, steps = str(len(plan.runs)), f"{plan.steps / 1e6:,.1f} M"
            rate, much = suite.steps_per_second, "up to " if plan.may_end_early else ""
            time = f"{much}{duration(plan.steps / rate)}" if rate else "?"
            shows = suite.summary + (f" ({suite.figure})" if suite.figure else "")
            table.add_row(name, runs, steps, time, shows)
        # A pipe has no width: there, lines stay whole.
        Console(width=None if sys.stdout.isatty() else 200).print(table)
        for line in failed:
            print(f"colonnade: {line}", file=sys.stderr)
