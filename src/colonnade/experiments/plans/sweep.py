"""A sweep: jobs with drawn hyperparameters, of which the best few count.

Rusu et al. 2016 report for each architecture, source and target the mean of the top 3 of 25 jobs,
"each having different seeds and random hyper-parameter sampling". Here a job is a seed and one draw
of the hyperparameters. Every cell of the suite's comparison is trained once by every job, so that
methods are compared at the same draws.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from colonnade.checks import ANY, check_fields
from colonnade.errors import UsageError
from colonnade.experiments.plans.builder import PlanBuilder
from colonnade.experiments.plans.plan import Place, Plan
from colonnade.experiments.plans.search_space import SearchSpace
from colonnade.experiments.words import without_seed

_SEEDS_APART = 1000
"""How far apart the seeds of the jobs of two sweeps begin."""


@dataclass(frozen=True)
class Job:
    """One draw.

    Attributes:
        number: From 0 on.
        seed: Of every run of the job.
        values: The drawn hyperparameters, by name.
    """

    number: int
    seed: int
    values: dict[str, float]


@dataclass(frozen=True)
class Sweep:
    """What a sweep is, beside its suite.

    Attributes:
        jobs: How many draws; of these the best become source columns.
        top: How many of the best count.
        seed: Of the draws.
        added: How many draws were added later; they start from the same source columns.
        early_stop: Whether hopeless runs are stopped.
        ranges: What a user changed about the suite's ranges, as on the command line.
    """

    jobs: int = 25
    top: int = 3
    seed: int = 0
    added: int = 0
    early_stop: bool = False
    ranges: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self, dict.fromkeys(("jobs", "top", "seed", "added"), ANY))
        if self.jobs < 1:
            raise UsageError(f"A sweep needs at least 1 job, but --jobs {self.jobs} came.")
        if self.added < 0:
            raise UsageError(f"--add-jobs is 0 or more, but {self.added} came.")
        if not 1 <= self.top <= self.total:
            raise UsageError(
                f"--top is how many of the {self.total} jobs count, from 1 to {self.total}, but "
                f"{self.top} came."
            )
        if self.total > _SEEDS_APART:
            raise UsageError(
                f"A sweep has at most {_SEEDS_APART} jobs, but {self.total} were asked for; begin "
                "a second one with another --seed."
            )
        if self.seed < 0:
            raise UsageError(f"--seed is 0 or more, but {self.seed} came.")

    @property
    def total(self) -> int:
        """How many jobs there are."""
        return self.jobs + self.added

    @property
    def changes(self) -> dict[str, Any]:
        """What differs from the defaults, and the number of jobs in any case."""
        default = asdict(Sweep())
        own = {key: value for key, value in asdict(self).items() if value != default[key]}
        return {"jobs": self.jobs} | own

    def seed_of(self, number: int) -> int:
        """Return the seed of a job."""
        return _SEEDS_APART * self.seed + number

    def number_of(self, seed: int) -> int:
        """Return the number of the job that has a seed."""
        return seed - _SEEDS_APART * self.seed

    def draw(self, space: SearchSpace) -> tuple[Job, ...]:
        """Draw all jobs."""
        return tuple(
            Job(number, self.seed_of(number), space.draw(self.seed, number))
            for number in range(self.total)
        )


def swept(once: Plan, space: SearchSpace, jobs: Sequence[Job], first: int) -> Plan:
    """Repeat every run of a plan for every job.

    What starts from a run starts from the best of that run's first jobs, as Rusu et al. 2017 choose
    their first column, whichever job it belongs to itself.

    Args:
        once: What a single job trains, with the suite's own hyperparameters.
        space: What the jobs were drawn from.
        jobs: All draws.
        first: Of so many jobs the best is what others start from.
    """
    builder = PlanBuilder()
    origins = {parent for spec in once.runs for parent in once.parents(spec)}
    depths: dict[str, int] = {}
    for spec in once.runs:
        depths[spec.id] = 1 + max((depths[run] for run in once.parents(spec)), default=-1)
    places: dict[str, list[Place]] = {}
    for entry in once.comparisons:
        places.setdefault(entry.run, []).append(entry.place)
    lone = [spec for spec in once.runs if spec.id not in places and spec.id not in origins]
    shared = Counter(once.place(spec.id) for spec in lone)
    for spec in lone:
        # What is compared with nothing has a row of its own in the table of jobs: by its method,
        # or where several share that, as told and recognised streams do, by its label.
        place = once.place(spec.id)
        row = place.method if shared[place] == 1 else without_seed(spec.label)
        places[spec.id] = [place._replace(method=row)]
    best: dict[str, str] = {}
    # Sources come first: others fill the time in which the last of them are trained.
    for spec in sorted(once.runs, key=lambda spec: (depths[spec.id], spec.id not in origins)):
        ids = []
        for job in jobs:
            label = spec.label.replace(f"seed {spec.seed}", f"job {job.number}")
            parent = best.get(spec.parent or "", spec.parent)
            parents = tuple(best.get(each, each) for each in spec.parents)
            run = replace(spec, label=label, seed=job.seed, parent=parent, parents=parents)
            drawn = builder.add(space.put(job.values, run))
            for place in places.get(spec.id, ()):
                builder.add(drawn, place.method, place.source)
            ids.append(drawn)
        if spec.id in origins:
            best[spec.id] = builder.best_of(ids[:first])
    return builder.build()
