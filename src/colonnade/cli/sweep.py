"""`colonnade sweep`: train a suite with many draws of its hyperparameters."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, UseAppendAction, arg

from colonnade.checks import AT_LEAST_0, real
from colonnade.errors import UsageError
from colonnade.experiments.plans.plan import SuiteOptions
from colonnade.watching import HANG_SECONDS, set_limit


@dataclass(frozen=True)
class Sweep:
    """Train a suite with many draws of the hyperparameters; report the mean of the best few.

    A job is a seed and a draw; each trains every cell of the suite's comparison once. The same
    command goes on where it was stopped. docs/sweeps.md explains the protocol.
    """

    suite: Positional[str]
    """Name of a suite (see `colonnade suites`), or a file that has one, of a plugin or as data."""
    out: Path | None = None
    """Folder for everything that comes of it; runs/sweep-SUITE if not given."""
    jobs: int = 25
    """How many jobs; the best of them also become the source columns."""
    top: int = 3
    """How many of the best jobs count."""
    seed: int = 0
    """Of the draws and of the jobs' random streams."""
    add_jobs: int = 0
    """How many jobs more than --jobs: adds to a folder that has --jobs already, and keeps its
    source columns."""
    range: UseAppendAction[tuple[str, ...]] = ()
    """Draw a hyperparameter from another range: NAME=LOW:HIGH for log-uniform, NAME=A,B,C for a
    grid. May be repeated."""
    workers: int | None = None
    """How many processes, each with one thread; by default one for each core."""
    early_stop: bool = False
    """Stop runs whose curve is below the median of their cell's complete runs."""
    retry: bool = False
    """Begin failed runs again."""
    on: str = "here"
    """Where runs train: here, or on the nodes of a Ray cluster: ray for the one that was started on
    this machine, ray:HOST:PORT for another that it is a node of (docs/clusters.md)."""
    hang_seconds: float = HANG_SECONDS
    """Seconds without a sign of life after which a process is taken to hang: it is named, ended and
    begun again from its checkpoint. Longer than an environment's longest step; 0 is never."""
    recorder: UseAppendAction[tuple[str, ...]] = ()
    """Where runs show their curves besides their own files: tensorboard (if none is given), wandb,
    one of a plugin, or none. May be repeated."""
    options: Annotated[SuiteOptions, arg(name="")] = field(default_factory=SuiteOptions)
    """What to change about the suite."""

    def __call__(self) -> None:
        """Train, then write the report and the tables."""
        from colonnade.experiments.execution.recorders import check_recorders
        from colonnade.experiments.launch.named import named_suite
        from colonnade.experiments.plans.sweep import Sweep as SweepOf

        if self.workers is not None and self.workers < 1:
            raise UsageError(f"--workers is a number from 1 on, but {self.workers} came.")
        set_limit(real("--hang-seconds", self.hang_seconds, AT_LEAST_0))
        sweep = SweepOf(self.jobs, self.top, self.seed, self.add_jobs, self.early_stop, self.range)
        needed = "A sweep is of a suite, whose ranges it draws from"
        named = named_suite(self.suite, needed)
        recorders = check_recorders(self.recorder)  # whose parts the suite's file may hold
        out = self.out or Path("runs") / f"sweep-{named.name}"
        # Heavy, and of no use to a mistake in the name.
        from rich.console import Console

        from colonnade.cli.display import Display, job_columns, say
        from colonnade.cli.train import train
        from colonnade.experiments.execution.executors import executor
        from colonnade.experiments.launch.sweep import begin_sweep
        from colonnade.experiments.results.sweep.early_stop import MedianRule

        console = Console()
        where = executor(self.on)
        suite = begin_sweep(named, out, sweep, self.options, partial(say, console))
        display = Display(console, f"Sweep of {suite.name}", job_columns(suite))
        display.say(f"Sweep of {suite.name} in {out}.")
        judge = MedianRule(suite) if self.early_stop else None
        own: dict[str, Any] = {"retry": self.retry, "judge": judge, "recorders": recorders}
        train(suite, suite.plan, self.workers, display, where=where, **own)
