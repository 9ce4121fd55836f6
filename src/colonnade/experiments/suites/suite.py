"""What a suite is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from colonnade.errors import UsageError
from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.experiments.plans.search_space import PAPER, PAPER_FOR_PPO, SearchSpace
from colonnade.experiments.plans.spec import DEFAULT_COLUMN, RunSpec

if TYPE_CHECKING:
    from colonnade.networks import ProgressiveNetwork


@dataclass(frozen=True)
class Suite:
    """A set of runs that answers one question, usually a figure of a paper.

    Attributes:
        name: As on the command line.
        title: Heading of its report.
        summary: What it shows, in one line.
        plan: Makes the runs.
        figure: The paper and figure it follows; empty where it follows none.
        steps_per_second: Agent steps per second of all runs together on two cores, for the cost; 0
            where nobody has measured it.
        job: Makes what a sweep repeats for every job, if that is not the plan of one seed.
        spaces: What a sweep draws, by the learner's name; the paper's grids for any other.
        networks: Makes what `colonnade describe` shows of it, each with its title, if that is not
            the networks of its plan.
        paper: The experiment of a paper that it repeats and whose numbers may stand beside its own;
            empty for whatever learns something else.

    Raises:
        UsageError: Its plan is no function.
    """

    name: str
    title: str
    summary: str
    plan: Callable[[SuiteOptions], Plan]
    figure: str = ""
    steps_per_second: int = 0
    job: Callable[[SuiteOptions], Plan] | None = None
    spaces: Mapping[str, SearchSpace] = field(default_factory=dict)
    networks: Callable[[], Iterator[tuple[str, ProgressiveNetwork]]] | None = None
    paper: Literal["", "Pong Soup", "Atari", "Labyrinth", "binary MNIST", "permuted MNIST"] = ""

    def __post_init__(self) -> None:
        """Refuse what plans nothing."""
        if not callable(self.plan):
            raise UsageError(
                f"The plan of suite {self.name!r} must be a function of its options, but "
                f"{type(self.plan).__name__} came; of a design give its `plan`."
            )

    def once(self, options: SuiteOptions) -> Plan:
        """Make what each job of a sweep trains."""
        return (self.job or self.plan)(replace(options, seeds=1))

    def space(self, learner: str) -> SearchSpace:
        """Return what is drawn for a learner."""
        return self.spaces.get(learner) or _of_the_paper(learner)

    def drawn(self, plan: Plan) -> SearchSpace:
        """Return what is drawn for a plan's runs."""
        return drawn_for(plan.runs, self.spaces)


def drawn_for(runs: Sequence[RunSpec], spaces: Mapping[str, SearchSpace]) -> SearchSpace:
    """Return what is drawn for runs of one learner.

    Args:
        runs: The runs.
        spaces: By the learner's name; for any other the paper's grids, of which only that is drawn
            what the runs' parts have.
    """
    learner = runs[0].learner
    if learner in spaces:
        return spaces[learner]
    from colonnade.experiments.plans.build import build_learner

    space, options = _of_the_paper(learner), vars(build_learner(runs[0]))
    ranges = {name: of for name, of in space.learner.items() if name in options}
    unnamed = any(spec.column == DEFAULT_COLUMN for spec in runs)
    return SearchSpace(ranges, {} if unnamed else space.column)


def _of_the_paper(learner: str) -> SearchSpace:
    return PAPER_FOR_PPO if learner == "ppo" else PAPER
