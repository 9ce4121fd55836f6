"""`colonnade run`: train a suite."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, UseAppendAction, arg

from colonnade.checks import AT_LEAST_0, real
from colonnade.errors import UsageError
from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.watching import HANG_SECONDS, set_limit


@dataclass(frozen=True)
class Run:
    """Train a suite and write its report; goes on where an earlier run of it was interrupted."""

    suite: Positional[str]
    """Name of a suite (see `colonnade suites`); a plugin's file that has one; a JSON or TOML file
    that describes one; or a JSON file with a run's spec or a list of specs."""
    out: Path
    """Folder for everything that comes of it. One that holds a part of the suite is completed."""
    jobs: int | None = None
    """How many runs train at once; by default one for each core."""
    only: UseAppendAction[tuple[str, ...]] = ()
    """Train only runs whose id or label matches this pattern, and those they start from. May be
    repeated. Plain text matches anywhere; *, ? and [...] match as in file names."""
    on: str = "here"
    """Where runs train: here, or on the nodes of a Ray cluster: ray for the one that was started on
    this machine, ray:HOST:PORT for another that it is a node of (docs/clusters.md)."""
    hang_seconds: float = HANG_SECONDS
    """Seconds without a sign of life after which a process is taken to hang: it is named, ended and
    begun again from its checkpoint. Longer than an environment's longest step; 0 is never."""
    films: bool = False
    """In the end let the trained networks play, and show each task before and after training in the
    report; some seconds a task."""
    recorder: UseAppendAction[tuple[str, ...]] = ()
    """Where runs show their curves besides their own files: tensorboard (if none is given), wandb,
    one of a plugin, or none. May be repeated."""
    options: Annotated[SuiteOptions, arg(name="")] = field(default_factory=SuiteOptions)
    """What to change about the suite."""

    def __call__(self) -> None:
        """Train, then write the report."""
        from colonnade.experiments.execution.recorders import check_recorders
        from colonnade.experiments.launch.named import named

        if self.jobs is not None and self.jobs < 1:
            raise UsageError(f"--jobs is a number of processes from 1 on, but {self.jobs} came.")
        set_limit(real("--hang-seconds", self.hang_seconds, AT_LEAST_0))
        what = named(self.suite)
        recorders = check_recorders(self.recorder)  # whose parts the suite's file may hold
        # Heavy, and of no use to a mistake in the name.
        from rich.console import Console

        from colonnade.cli.display import Display, say
        from colonnade.cli.train import train
        from colonnade.experiments.execution.executors import executor
        from colonnade.experiments.launch.suite import begin

        console = Console()
        where = executor(self.on)
        suite = begin(what, self.out, self.options, partial(say, console), self._accept)
        display = Display(console, suite.name)
        selected = self._selected(suite.plan)
        own: dict[str, Any] = {"films": self.films, "recorders": recorders}
        train(suite, selected, self.jobs, display, where=where, **own)

    def _accept(self, plan: Plan) -> None:
        """Refuse a plan that has no use for --games, or nothing of --only."""
        from colonnade.experiments.launch.changes import check_games

        check_games(plan, self.options.games)
        self._selected(plan)

    def _selected(self, plan: Plan) -> Plan:
        """Choose what --only says, and what that starts from."""
        if not self.only:
            return plan
        labels = {spec.id: spec.label for spec in plan.runs}

        def matches(run: str, pattern: str) -> bool:
            names = (run, labels[run])
            return any(pattern in name or fnmatch.fnmatch(name, pattern) for name in names)

        for pattern in self.only:
            if not any(matches(run, pattern) for run in labels):
                raise UsageError(
                    f"No run matches --only {pattern}; ids look like {plan.runs[0].id!r}."
                )
        return plan.select(lambda run: any(matches(run, pattern) for pattern in self.only))
