"""What a suite is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from colonnade.errors import UsageError
from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.experiments.plans.search_space import PAPER, PAPER_FOR_PPO, SearchSpace


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
        job: Makes what a sweep repeats for every job, if that is not the plan of one seed.
        spaces: What a sweep draws, by the learner's name; the paper's grids for any other.
        paper: The experiment of a paper that it repeats and whose numbers may stand beside its own;
            empty for whatever learns something else.
    """

    name: str
    title: str
    summary: str
    figure: str
    steps_per_second: int
    plan: Callable[[SuiteOptions], Plan] | None
    job: Callable[[SuiteOptions], Plan] | None = None
    spaces: Mapping[str, SearchSpace] = field(default_factory=dict)
    paper: Literal["", "Pong Soup", "Atari", "Labyrinth", "binary MNIST", "permuted MNIST"] = ""

    def once(self, options: SuiteOptions) -> Plan:
        """Make what each job of a sweep trains.

        Raises:
            UsageError: There is nothing to sweep.
        """
        make = self.job or self.plan
        if make is None:
            raise UsageError(
                f"Suite {self.name!r} has nothing to sweep; choose one that is trained, such as "
                "pong-soup-mini."
            )
        return make(replace(options, seeds=1))

    def space(self, learner: str) -> SearchSpace:
        """Return what is drawn for a learner."""
        return self.spaces.get(learner, PAPER_FOR_PPO if learner == "ppo" else PAPER)
