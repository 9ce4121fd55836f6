"""Each method with the hyperparameters that suit it, found by successive halving."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from colonnade.checks import AT_LEAST_1, check_fields
from colonnade.errors import UsageError
from colonnade.experiments.plans.builder import PlanBuilder
from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.experiments.plans.search_space import SearchSpace
from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.suites.designs.transfer import TransferDesign
from colonnade.experiments.suites.suite import drawn_for

_DRAWS = 0
"""Seed of the draws."""

_TRIES = 1000
"""Where the seeds of a round's tries begin, times the round: none is a seed of what is reported."""


@dataclass(frozen=True)
class Round:
    """How many configurations of each cell are tried, and for how long.

    Attributes:
        tries: How many; in the first round the draws, later the best of the round before.
        steps: Agent steps of each.
        episodes: How many episodes score each, and the random policy beside it.

    Raises:
        UsageError: One is below 1.
    """

    tries: int
    steps: int
    episodes: int = 30

    def __post_init__(self) -> None:
        check_fields(self, dict.fromkeys(("tries", "steps", "episodes"), AT_LEAST_1))


@dataclass(frozen=True)
class HalvingDesign:
    """A transfer design whose every cell is trained with its own best configuration.

    Every method tries the same draws on every target, after every source: all of them briefly, the
    best few anew for longer (successive halving, Jamieson and Talwalkar 2016, arXiv 1502.07943),
    and only then, with the best one and new seeds, what is reported. A try that goes on is trained
    from the start again: learning rates that fall to zero fall in each round over its own steps.
    Sources are trained once, with the design's own hyperparameters.

    Attributes:
        transfer: What is compared.
        rounds: From many short tries to few long ones.
        spaces: What is drawn, by the learner's name; the paper's grids for any other.

    Raises:
        UsageError: There is no round, or one has more tries than the round before.
    """

    transfer: TransferDesign
    rounds: tuple[Round, ...]
    spaces: Mapping[str, SearchSpace] = field(default_factory=dict)

    def __post_init__(self) -> None:
        tries = [each.tries for each in self.rounds]
        if not tries or tries != sorted(tries, reverse=True):
            raise UsageError(
                "'rounds' of a halving design are one or more, each with at most as many tries as "
                f"the one before; got {', '.join(map(str, tries)) or 'none'}."
            )

    def plan(self, options: SuiteOptions) -> Plan:
        """Make the tries of all rounds, and the runs that are compared."""
        builder = PlanBuilder()
        parents: dict[tuple[str, ...], str] = {}
        for arm in self.transfer.arms():
            usual = self.transfer.spec(arm, options, 0, self.transfer.parent(arm, parents))
            if arm in self.transfer.trunk():
                source = f"source {', '.join(arm.learned)}, seed 0"
                parents[arm.learned] = builder.add(replace(usual, label=source)).id
            if arm.row is None:
                continue
            best = self._best(usual, options, builder)
            for seed in range(options.seeds or self.transfer.seeds):
                label = usual.label.replace("seed 0", f"seed {seed}")
                spec = replace(usual, label=label, seed=seed, learner_from=best, column_too=True)
                builder.add(spec, arm.row, " + ".join(arm.sources) or None)
        return builder.build()

    def _best(self, usual: RunSpec, options: SuiteOptions, builder: PlanBuilder) -> str:
        """Add the tries of a cell; return how a spec names the best of the last round."""
        space = drawn_for([usual], self.spaces)
        tried: list[RunSpec] = []
        for number, stage in enumerate(self.rounds):
            tasks = (replace(usual.tasks[-1], steps=options.scaled(stage.steps)),)
            runs = []
            for place in range(stage.tries):
                what = f"rank {place + 1} of round {number}" if number else f"draw {place}"
                run = replace(
                    usual,
                    label=usual.label.replace("seed 0", f"round {number + 1}, {what}"),
                    tasks=tasks,
                    seed=_TRIES * (number + 1) + place,
                    evaluation_episodes=stage.episodes,
                )
                if number:
                    best = builder.best_of(tried, place)
                    run = replace(run, learner_from=best, column_too=True)
                else:
                    run = space.put(space.draw(_DRAWS, place), run)
                runs.append(builder.add(run))
            tried = runs
        return builder.best_of(tried)
