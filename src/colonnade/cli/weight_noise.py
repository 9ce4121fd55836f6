"""`colonnade weight-noise`: how much noise in their weights trained policies bear."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from colonnade.checks import AT_LEAST_0, real
from colonnade.cli.measuring import measure_each, results_of, that_play
from colonnade.errors import ColonnadeError, UsageError
from colonnade.experiments.trained.weight_noise_options import WeightNoiseOptions
from colonnade.watching import HANG_SECONDS, set_limit

if TYPE_CHECKING:
    from rich.console import Console

    from colonnade.experiments.store.folders import RunFolder
    from colonnade.experiments.trained.weight_noise import WeightNoise as Measured


@dataclass(frozen=True)
class WeightNoise:
    """Show how much noise in their weights trained policies bear: uniform, or as EWC allows.

    Writes weight-noise.html into the folder given, self-contained, after Kirkpatrick et al. 2017,
    Fig. 3C.
    """

    run: Positional[Path]
    """A folder that `colonnade run --out DIR` made, for all its complete runs; or one run's folder
    inside it, DIR/runs/ID, for that run alone."""
    task: str | None = None
    """Play this task; by default each run's last one."""
    jobs: int | None = None
    """How many processes play at once; by default one for each core."""
    hang_seconds: float = HANG_SECONDS
    """Seconds without a sign of life after which a process is taken to hang: it is named, ended and
    begun again. Longer than an environment's longest step; 0 is never."""
    trust: bool = False
    """Import the code that the folder names, such as an environment's module or a stage's factory;
    see docs/trust.md."""
    options: Annotated[WeightNoiseOptions, arg(name="")] = field(default_factory=WeightNoiseOptions)
    """How weights are disturbed."""

    def __call__(self) -> None:
        """Measure, write the page and say where it is."""
        from rich.console import Console

        set_limit(real("--hang-seconds", self.hang_seconds, AT_LEAST_0))
        console = Console()
        page = weight_noise(
            self.run, self.task, self.options, jobs=self.jobs, console=console, trust=self.trust
        )
        console.print(f"Weight noise: {page}", markup=False, highlight=False, soft_wrap=True)


def weight_noise(
    path: Path,
    task: str | None,
    options: WeightNoiseOptions,
    *,
    jobs: int | None = None,
    console: Console | None = None,
    trust: bool = False,
) -> Path:
    """Disturb the networks of an output folder, or of one run, and write a page.

    What was measured before with the same options is not measured again.

    Args:
        path: An output folder of `colonnade run --out`, or the folder of one run inside it.
        task: The task that is played; each run's last one if not given.
        options: How.
        jobs: How many processes play; one for each core if not given.
        console: Where to say how far it is.
        trust: Whether code that the folder names is imported.

    Returns:
        Path of the page: in the run's folder, or in the output folder.

    Raises:
        UsageError: The path or the task is wrong.
        ColonnadeError: A run is not complete, or plays no better than the random policy.
    """
    if jobs is not None and jobs < 1:
        raise UsageError(f"--jobs is a number of processes from 1 on, but {jobs} came.")
    from rich.console import Console

    from colonnade.analysis.policies.players import player_pool
    from colonnade.experiments.execution.resources import available_cores
    from colonnade.experiments.store.folders import find_runs
    from colonnade.experiments.trained.weight_noise import disturb_run, known_weight_noise
    from colonnade.reports.sensitivity.weight_noise import write_weight_noise

    suite, runs, single = find_runs(path)
    if not single:
        runs = that_play([run for run in results_of(suite, runs) if run.done], task)
    if not runs:
        raise ColonnadeError(f"{path} holds no complete run, so there is no agent to disturb.")
    say = console or Console(quiet=True)
    with player_pool(jobs or available_cores()) as pool:

        def known(folder: RunFolder) -> Measured | None:
            return known_weight_noise(folder, task, options)

        def measure(folder: RunFolder, _: Callable[[str], None]) -> Measured:
            found = disturb_run(suite, folder, task, options, pool, trust=trust)
            found.save(folder.path)
            return found

        measured = measure_each(runs, known, measure, say)
    return write_weight_noise(runs[0].path if single else suite.path, measured, suite.name)
