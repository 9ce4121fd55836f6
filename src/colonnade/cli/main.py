"""The command line: `colonnade suites | run | sweep | report | play | describe | analyze | prune`.

Exit status 0 for success, 1 for a failure, 2 for wrong use, 130 and 143 for Ctrl-C and SIGTERM.
Heavy packages are imported by the commands that need them, so that help and mistakes come at once.
"""

from __future__ import annotations

import fnmatch
import logging
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from tyro.conf import Positional, UseAppendAction, arg, subcommand

from colonnade.errors import ColonnadeError, UsageError
from colonnade.experiments.plans.plan import SuiteOptions

if TYPE_CHECKING:
    from colonnade.experiments.store.folders import SuiteFolder

DESCRIPTION = """Continual and transfer learning for deep reinforcement learning.

`colonnade --version` prints the version; `--debug` anywhere shows where an error arose.
"""


@dataclass(frozen=True)
class Suites:
    """List what can be run, with its cost on two cores."""

    def __call__(self) -> None:
        """Print one line for each suite."""
        from colonnade.cli.suites import print_suites

        print_suites()


@dataclass(frozen=True)
class Run:
    """Train a suite and write its report; goes on where an earlier run of it was interrupted."""

    suite: Positional[str]
    """Name of a suite (see `colonnade suites`), or a JSON file with a run's spec or a list of
    specs."""
    out: Path
    """Folder for everything that comes of it. One that holds a part of the suite is completed."""
    jobs: int | None = None
    """How many runs train at once; by default one for each core."""
    only: UseAppendAction[tuple[str, ...]] = ()
    """Train only runs whose id or label matches this pattern, and those they start from. May be
    repeated. Plain text matches anywhere; *, ? and [...] match as in file names."""
    options: Annotated[SuiteOptions, arg(name="")] = field(default_factory=SuiteOptions)
    """What to change about the suite."""

    def __call__(self) -> None:
        """Train, then write the report."""
        from rich.console import Console

        from colonnade.cli.conclude import conclude
        from colonnade.cli.display import Display
        from colonnade.experiments.execution.execute import execute
        from colonnade.experiments.launch.cost import estimate
        from colonnade.experiments.launch.suite import begin

        if self.jobs is not None and self.jobs < 1:
            raise UsageError(f"--jobs is a number of processes from 1 on, but {self.jobs} came.")
        suite = begin(self.suite, self.out, self.options)
        plan = suite.plan.select(self._wanted(suite))
        if not plan.runs:
            raise UsageError(
                f"No run matches --only {' '.join(self.only)}; ids look like "
                f"{suite.plan.runs[0].id!r}."
            )
        console = Console()
        if cost := estimate(suite, (spec.id for spec in plan.runs), self.jobs):
            console.print(cost, highlight=False, soft_wrap=True)
        failures = execute(suite, plan, jobs=self.jobs, display=Display(console, suite.name))
        conclude(suite, failures, console)

    def _wanted(self, suite: SuiteFolder) -> Callable[[str], bool]:
        labels = {spec.id: spec.label for spec in suite.plan.runs}

        def matches(run: str, pattern: str) -> bool:
            names = (run, labels[run])
            return any(pattern in name or fnmatch.fnmatch(name, pattern) for name in names)

        return lambda run: not self.only or any(matches(run, pattern) for pattern in self.only)


@dataclass(frozen=True)
class Sweep:
    """Train a suite with many draws of the hyperparameters; report the mean of the best few.

    A job is a seed and a draw; each trains every cell of the suite's comparison once. The same
    command goes on where it was stopped. docs/sweeps.md explains the protocol.
    """

    suite: Positional[str]
    """Name of a suite (see `colonnade suites`)."""
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
    options: Annotated[SuiteOptions, arg(name="")] = field(default_factory=SuiteOptions)
    """What to change about the suite."""

    def __call__(self) -> None:
        """Train, then write the report and the tables."""
        from rich.console import Console

        from colonnade.cli.conclude import conclude
        from colonnade.cli.display import Display, job_columns
        from colonnade.experiments.execution.execute import execute
        from colonnade.experiments.launch.cost import estimate
        from colonnade.experiments.launch.sweep import begin_sweep
        from colonnade.experiments.plans.sweep import Sweep as SweepOf
        from colonnade.experiments.results.early_stop import MedianRule

        if self.workers is not None and self.workers < 1:
            raise UsageError(f"--workers is a number from 1 on, but {self.workers} came.")
        sweep = SweepOf(self.jobs, self.top, self.seed, self.add_jobs, self.early_stop, self.range)
        out = self.out or Path("runs") / f"sweep-{self.suite}"
        suite = begin_sweep(self.suite, out, sweep, self.options)
        console = Console()
        console.print(f"Sweep of {suite.name} in {out}.", highlight=False, soft_wrap=True)
        if cost := estimate(suite, (spec.id for spec in suite.plan.runs), self.workers):
            console.print(cost, highlight=False, soft_wrap=True)
        failures = execute(
            suite,
            suite.plan,
            jobs=self.workers,
            display=Display(console, f"Sweep of {suite.name}", job_columns(suite)),
            retry=self.retry,
            judge=MedianRule(suite) if self.early_stop else None,
        )
        conclude(suite, failures, console)


@dataclass(frozen=True)
class Report:
    """Write DIR/report.html from what a folder holds, complete or not."""

    dir: Positional[Path]
    """A folder that `colonnade run --out` made."""

    def __call__(self) -> None:
        """Write the report and say where it is."""
        from colonnade.experiments.store.folders import SuiteFolder
        from colonnade.reports.suite import write_report

        print(write_report(SuiteFolder.read(self.dir)))


@dataclass(frozen=True)
class Play:
    """Let a trained column play, and film what it sees; needs no display."""

    dir: Positional[Path]
    """A folder that `colonnade run --out` made."""
    run: str | None = None
    """Id of the run whose network plays, or a beginning that no other has; by default the last one
    that is complete."""
    task: str | None = None
    """Name of the task to play, among those the network has learned; by default its last."""
    episodes: int = 1
    """How many episodes to play."""
    film: Path | None = None
    """Where to write a film of what the agent sees; the name ends in .mp4 or .gif."""
    seed: int = 0
    """Of the environment and of the actions."""

    def __call__(self) -> None:
        """Play, film, and print the returns."""
        from colonnade.experiments.store.folders import SuiteFolder
        from colonnade.experiments.trained.play import play

        suite = SuiteFolder.read(self.dir)
        played = play(suite, self.run, self.task, self.episodes, self.film, self.seed)
        print(f"{played.run} plays {played.task}")
        for number, score in enumerate(played.returns, start=1):
            print(f"episode {number}: return {score:g}")
        if self.film is not None:
            print(f"film: {self.film}")


@dataclass(frozen=True)
class Describe:
    """Print networks layer by layer: shapes, parameters, laterals."""

    what: Positional[str]
    """Name of a suite, or a folder that `colonnade run --out` made."""

    def __call__(self) -> None:
        """Print the networks."""
        from colonnade.cli.describe import print_networks

        print_networks(self.what)


@dataclass(frozen=True)
class Analyze:
    """Show which features of which column trained policies lean on: AFS, APS, spectra.

    Writes analysis.html into the folder given, self-contained, with the paper's figures.
    """

    run: Positional[Path]
    """A folder that `colonnade run --out DIR` made, for all its progressive networks together; or
    one run's folder inside it, DIR/runs/ID, for that network alone."""
    task: str | None = None
    """Analyse the column that plays this task; by default each run's last one."""
    states: int = 5_000
    """How many states of the policy's own play the Fisher is averaged over."""
    episodes: int = 10
    """How many episodes to play at each noise level in each layer; 0 leaves noise (APS) out."""
    noise: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0)
    """Noise levels, in standard deviations of each feature."""
    normalisation: Literal["map", "map-shift", "pixel"] = "map"
    """How pixels of a map are taken together: "map" sums squared gradients, "map-shift" squares the
    summed gradient, "pixel" weighs each pixel by its own variance."""
    seed: int = 0
    """Of states, episodes and noise."""
    jobs: int | None = None
    """How many processes play at once; by default one for each core."""

    def __call__(self) -> None:
        """Measure, write the page and say where it is."""
        from rich.console import Console

        from colonnade.experiments.trained.analysis import AnalysisOptions
        from colonnade.reports.sensitivity.page import analyze

        options = AnalysisOptions(
            self.states, self.episodes, tuple(sorted(self.noise)), self.normalisation, self.seed
        )
        console = Console()
        page = analyze(self.run, self.task, options, jobs=self.jobs, console=console)
        console.print(f"Analysis: {page}", highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Prune:
    """Make a trained network smaller by what its policies do not need, as a run of its own.

    Features go by their sensitivity (AFS); real episodes check that no task loses more than --bound
    of its score. Where one does, more is kept.
    """

    run: Positional[Path]
    """One run's folder, DIR/runs/ID; or an output folder DIR that holds one progressive run."""
    keep: float = 0.95
    """Share of each policy's sensitivity to hold, above 0 and at most 1."""
    bound: float = 0.05
    """Most that a task may lose of its score above the random policy's."""
    tasks: UseAppendAction[tuple[str, ...]] = ()
    """A task that must go on being played; may be repeated. All that the network plays if not
    given. Earlier columns are then kept only as far as the columns of these tasks read them."""
    columns: UseAppendAction[tuple[int, ...]] = ()
    """A column that loses features, counted from 0; may be repeated. All if not given."""
    out: Path | None = None
    """Output folder of the new run; "pruned" inside the run's own output folder if not given."""
    states: int = 5_000
    """How many states of each policy's own play its sensitivity is averaged over."""
    episodes: int = 30
    """How many episodes each policy plays before and after."""
    seed: int = 0
    """Of states and episodes."""

    def __call__(self) -> None:
        """Prune, check and write, and say what it cost."""
        from rich.console import Console

        from colonnade.experiments.trained.prune import PruneOptions, prune_run

        options = PruneOptions(
            self.keep, self.bound, self.tasks, self.columns, self.states, self.episodes, self.seed
        )
        prune_run(self.run, options, self.out, Console())


Command = (
    Annotated[Suites, subcommand("suites")]
    | Annotated[Run, subcommand("run")]
    | Annotated[Sweep, subcommand("sweep")]
    | Annotated[Report, subcommand("report")]
    | Annotated[Play, subcommand("play")]
    | Annotated[Describe, subcommand("describe")]
    | Annotated[Analyze, subcommand("analyze")]
    | Annotated[Prune, subcommand("prune")]
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    Args:
        arguments: Those of the command line if not given.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [argument for argument in given if argument != "--debug"]
    if given == ["--version"]:
        print(f"colonnade {version('colonnade')}")
        return 0
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    try:
        with _sigterm_raises():
            tyro.cli(Command, prog="colonnade", description=DESCRIPTION, args=given)()
    except ColonnadeError as error:
        return _fail(str(error), error.exit_status, debug)
    except KeyboardInterrupt as error:
        return _fail("Stopped.", 143 if isinstance(error, _TerminatedError) else 130, debug)
    except BrokenPipeError:
        # Whoever read our output has had enough: nothing to say, and nobody to say it to.
        sys.stdout = None
        return 1
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        return _fail(f"An unforeseen {what}; --debug shows where it arose.", 1, debug)
    return 0


def _fail(message: str, status: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(f"colonnade: {message}", file=sys.stderr)
    return status


class _TerminatedError(KeyboardInterrupt):
    """SIGTERM came; like Ctrl-C it passes by whoever handles errors."""


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    def terminate(_: int, __: object) -> None:
        raise _TerminatedError

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
