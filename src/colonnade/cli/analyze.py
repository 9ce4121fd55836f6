"""`colonnade analyze`: which features of which column trained policies lean on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from colonnade.checks import AT_LEAST_0, real
from colonnade.cli.measuring import measure_each, results_of, that_play
from colonnade.errors import ColonnadeError, UsageError
from colonnade.experiments.trained.analysis_options import AnalysisOptions
from colonnade.watching import HANG_SECONDS, set_limit

if TYPE_CHECKING:
    from rich.console import Console

    from colonnade.experiments.store.folders import RunFolder
    from colonnade.experiments.trained.analysis import RunAnalysis


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
    jobs: int | None = None
    """How many processes play at once; by default one for each core."""
    hang_seconds: float = HANG_SECONDS
    """Seconds without a sign of life after which a process is taken to hang: it is named, ended and
    begun again. Longer than an environment's longest step; 0 is never."""
    trust: bool = False
    """Import the code that the folder names, such as an environment's module or a stage's factory;
    see docs/trust.md."""
    options: Annotated[AnalysisOptions, arg(name="")] = field(default_factory=AnalysisOptions)
    """How to analyse."""

    def __call__(self) -> None:
        """Measure, write the page and say where it is."""
        from rich.console import Console

        set_limit(real("--hang-seconds", self.hang_seconds, AT_LEAST_0))
        console = Console()
        page = analyze(
            self.run,
            self.task,
            self.options,
            jobs=self.jobs,
            console=console,
            trust=self.trust,
        )
        console.print(f"Analysis: {page}", markup=False, highlight=False, soft_wrap=True)


def analyze(
    path: Path,
    task: str | None,
    options: AnalysisOptions,
    *,
    jobs: int | None = None,
    console: Console | None = None,
    trust: bool = False,
) -> Path:
    """Analyse the progressive networks of an output folder, or of one run, and write a page.

    What was measured before with the same options is not measured again.

    Args:
        path: An output folder of `colonnade run --out`, or the folder of one run inside it.
        task: The task whose column is analysed; each run's last one if not given.
        options: How.
        jobs: How many processes play; one for each core if not given.
        console: Where to say how far it is.
        trust: Whether code that the folder names is imported.

    Returns:
        Path of the page: in the run's folder, or in the output folder.

    Raises:
        UsageError: The path or the task is wrong.
        ColonnadeError: A run is not complete or has no progressive network.
    """
    if jobs is not None and jobs < 1:
        raise UsageError(f"--jobs is a number of processes from 1 on, but {jobs} came.")
    from rich.console import Console

    from colonnade.analysis.policies.players import player_pool
    from colonnade.experiments.execution.resources import available_cores
    from colonnade.experiments.results.transfer import Results
    from colonnade.experiments.store.folders import find_runs
    from colonnade.experiments.trained.load import is_progressive
    from colonnade.experiments.trained.sensitivity import analyse_run, known_analysis
    from colonnade.reports.sensitivity.page import write_analysis

    suite, runs, single = find_runs(path)
    if not single:
        runs = [folder for folder in results_of(suite, runs) if is_progressive(folder)]
        runs = that_play(runs, task)
    if not runs:
        raise ColonnadeError(
            f"{path} holds no complete run of the method 'progressive' with several columns, so "
            "there is no progressive network to analyse."
        )
    say = console or Console(quiet=True)
    with player_pool(jobs or available_cores()) as pool:

        def known(folder: RunFolder) -> RunAnalysis | None:
            return known_analysis(folder, task, options)

        def measure(folder: RunFolder, say_how_far: Callable[[str], None]) -> RunAnalysis:
            def watch(done: int, total: int) -> None:
                say_how_far(f"{done} of {total} plays")

            found = analyse_run(suite, folder, task, options, pool, watch, trust=trust)
            found.save(folder.path)
            return found

        analyses = measure_each(runs, known, measure, say)
    results = None if single else Results(suite)
    return write_analysis(runs[0].path if single else suite.path, analyses, suite, results)
