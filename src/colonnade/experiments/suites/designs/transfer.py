"""The design shared by all suites that ask what sources give to targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations, permutations
from typing import Literal

from colonnade.checks import AT_LEAST_1, Range, check_fields
from colonnade.errors import UsageError, unknown_name
from colonnade.experiments.plans.builder import PlanBuilder
from colonnade.experiments.plans.plan import SCRATCH, Plan, SuiteOptions
from colonnade.experiments.plans.spec import BUNDLED, DEFAULT_COLUMN, Json, RunSpec, TaskBudget

_ALONE = ("scratch", "random-column")
"""Methods that start from nothing; all others start from a source column."""

_FROM_SOURCE = ("output-only", "finetune", "progressive")
"""Those of Rusu et al. that do, in the order of their Table 1."""


@dataclass(frozen=True)
class Arm:
    """What is trained once for every seed or job.

    Attributes:
        method: Name of the method.
        target: The variant that is learned.
        sources: The variants that were learned before, in order.
        row: Key of the report's row that shows it; None for what only prepares others.
        steps: Agent steps.
    """

    method: str
    target: str
    sources: tuple[str, ...]
    row: str | None
    steps: int

    @property
    def learned(self) -> tuple[str, ...]:
        """All variants that its columns know in the end."""
        return (*self.sources, self.target)


@dataclass(frozen=True)
class Variant:
    """A method with something changed, as a row of its own.

    Attributes:
        method: Name of the method.
        column: Fields of its column that differ from the design's.
        options: Options of the method.
    """

    method: str
    column: dict[str, Json] = field(default_factory=dict)
    options: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class TransferDesign:
    """Sources x targets x methods x seeds, as in Fig. 4 and 6 of Rusu et al. 2016.

    Attributes:
        sources: Variants that source columns are trained on.
        targets: Variants that are learned after each source; a source is no target of itself.
        methods: "scratch" and "random-column", which learn a target alone; and others, each of
            which learns it after each source: "output-only", "finetune", "progressive", or of a
            user's own, or a key of `variants`.
        family: First part of the tasks' names, e.g. "pong-soup"; empty where sources and targets
            are whole names.
        columns: Up to how many columns progressive networks have, from 2 on.
        orders: With several sources, whether one network learns them, in the order of `sources`, or
            one for each order.
        source_steps: Agent steps of a source column.
        target_steps: Agent steps of everything else.
        seeds: How many seeds, unless the options say otherwise.
        column: Of every run, as in `RunSpec`.
        learner: Name of the learner, unless the options say otherwise.
        learner_options: Hyperparameters per learner's name.
        method_options: Options per method's name.
        variants: Methods with something changed, by the keys of their rows.
        training_options: Fields of `TrainingOptions`.
        source_options: More of them, such as a return at which to end, for sources alone that
            stand in no row of the report.
        task_options: Fields of every task.
        bundled: Name of a shipped column that stands for the one source; None trains the sources.
        evaluation_episodes: How many episodes score the random and the final policy.

    Raises:
        UsageError: Nothing would be compared, or a number is out of range.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    methods: tuple[str, ...]
    source_steps: int
    target_steps: int
    seeds: int = 3
    column: str | dict[str, Json] = DEFAULT_COLUMN
    learner: str = "ppo"
    family: str = ""
    columns: int = 2
    orders: Literal["one", "all"] = "one"
    learner_options: dict[str, dict[str, Json]] = field(default_factory=dict)
    method_options: dict[str, dict[str, Json]] = field(default_factory=dict)
    variants: dict[str, Variant] = field(default_factory=dict)
    training_options: dict[str, Json] = field(default_factory=dict)
    source_options: dict[str, Json] = field(default_factory=dict)
    task_options: dict[str, Json] = field(default_factory=dict)
    bundled: str | None = None
    evaluation_episodes: int = 30

    def __post_init__(self) -> None:
        """Refuse what would come to no comparison."""
        counts = ("source_steps", "target_steps", "seeds", "evaluation_episodes")
        check_fields(self, {**dict.fromkeys(counts, AT_LEAST_1), "columns": Range(2)})
        for name in ("targets", "methods", *(["sources"] if self._from_source() else [])):
            if not getattr(self, name):
                raise UsageError(f"{name!r} of a transfer design is empty; name at least one.")
        for name in ("sources", "targets", "methods"):
            values = getattr(self, name)
            if twice := next((value for value in values if values.count(value) > 1), None):
                raise UsageError(
                    f"{name!r} of a transfer design has {twice!r} twice; name it once."
                )
        for name in ("method_options", "variants"):
            if unknown := [key for key in getattr(self, name) if key not in self.methods]:
                where = f"key of {name!r} of a transfer design"
                raise unknown_name(where, unknown[0], self.methods)
        if both := self.variants.keys() & self.method_options.keys():
            key = min(both)
            raise UsageError(
                f"{key!r} is in 'variants' and in 'method_options' of a transfer design; give a "
                "variant's options in its own 'options'."
            )
        if self.columns > 2 and "progressive" not in self.methods:
            raise UsageError(
                f"{self.columns} columns of a transfer design are of progressive networks; add "
                "'progressive' to 'methods', or leave 'columns' out."
            )
        if self.columns > len(self.sources) + 1 and self._from_source():
            raise UsageError(
                f"{self.columns} columns of a transfer design ask for {self.columns - 1} sources, "
                f"but it has {len(self.sources)}; name more, or say columns="
                f"{max(2, len(self.sources) + 1)}."
            )
        if self.bundled is not None and len(self.sources) != 1:
            raise UsageError(
                f"'bundled' of a transfer design stands for its one source, but it has "
                f"{len(self.sources)}: {', '.join(self.sources)}; name one, or leave 'bundled' out."
            )

    def plan(self, options: SuiteOptions) -> Plan:
        """Make the runs and what is compared; a source column is trained once per seed."""
        builder = PlanBuilder()
        for seed in range(options.seeds or self.seeds):
            parents: dict[tuple[str, ...], str] = {}
            for arm in self.arms():
                spec = self.spec(arm, options, seed, self.parent(arm, parents))
                builder.add(spec, arm.row, _words(arm))
                if arm in self.trunk():
                    parents[arm.learned] = spec.id
        return builder.build()

    def arms(self) -> tuple[Arm, ...]:
        """Everything that is trained, each after what it starts from."""
        arms: list[Arm] = []
        for method in _ALONE:
            if method in self.methods:
                arms += [self._arm(method, target, (), method) for target in self.targets]
        arms += [arm for arm in self.trunk() if not arm.sources]
        for source in self.sources:
            for target in (target for target in self.targets if target != source):
                for method in self._from_source():
                    row = "progressive-2" if method == "progressive" else method
                    arms.append(self._arm(method, target, (source,), row))
        for sources in self._chains():
            arms += [arm for arm in self.trunk() if arm.learned == sources]
            for target in (target for target in self.targets if target not in sources):
                row = f"progressive-{len(sources) + 1}"
                arms.append(self._arm("progressive", target, sources, row))
        return tuple(dict.fromkeys(arms))

    def _from_source(self) -> list[str]:
        """Methods that start from a source: the paper's, then others as they are listed."""
        known = [method for method in _FROM_SOURCE if method in self.methods]
        return known + [m for m in self.methods if m not in (*_FROM_SOURCE, *_ALONE)]

    def _chains(self) -> list[tuple[str, ...]]:
        """Sequences of two and more sources."""
        if "progressive" not in self.methods:
            return []
        orders = permutations if self.orders == "all" else combinations
        lengths = range(2, self.columns)
        return [chain for length in lengths for chain in orders(self.sources, length)]

    def trunk(self) -> tuple[Arm, ...]:
        """The arms that others start from, by what they have learned; none if one is shipped."""
        chains = self._chains()
        begun = [chain[:length] for chain in chains for length in range(1, len(chain) + 1)]
        if self._from_source():
            begun = [*((source,) for source in self.sources), *begun]
        if self.bundled is not None:
            begun = [chain for chain in begun if len(chain) > 1]
        arms = []
        for *before, last in dict.fromkeys(begun):
            method = "progressive" if before else SCRATCH
            arm = self._arm(method, last, tuple(before), None)
            if before and last in self.targets:
                # It is one of those compared as well, and trained as long as they are.
                arm = replace(arm, row=f"progressive-{len(before) + 1}")
            elif not before and self.source_steps == self.target_steps and last in self.targets:
                arm = replace(arm, row=SCRATCH if SCRATCH in self.methods else None)
            else:
                arm = replace(arm, steps=self.source_steps)
            arms.append(arm)
        return tuple(arms)

    def _arm(self, method: str, target: str, sources: tuple[str, ...], row: str | None) -> Arm:
        return Arm(method, target, sources, row, self.target_steps)

    def parent(self, arm: Arm, parents: Mapping[tuple[str, ...], str]) -> str | None:
        """Say what an arm starts from, as `RunSpec.parent`, given the runs of the trunk by name."""
        if not arm.sources:
            return None
        if self.bundled is not None and len(arm.sources) == 1:
            return BUNDLED + self.bundled
        return parents[arm.sources]

    def spec(self, arm: Arm, options: SuiteOptions, seed: int, parent: str | None) -> RunSpec:
        """Make the run of an arm and a seed."""
        learner = options.learner or self.learner
        origin = f"{', '.join(arm.sources)} to " if arm.sources else ""
        source = arm.row is None and not arm.sources
        name = "source" if source and arm.steps != self.target_steps else arm.method
        steps = options.scaled(arm.steps)
        training = self.training_options | (self.source_options if source else {})
        plain = Variant(arm.method, options=self.method_options.get(arm.method, {}))
        variant = self.variants.get(arm.method, plain)
        column = {"preset": self.column} if isinstance(self.column, str) else self.column
        return RunSpec(
            label=f"{name} {origin}{arm.target}, seed {seed}",
            method=variant.method,
            tasks=(TaskBudget(self._name(arm.target), steps, self.task_options),),
            learner=learner,
            column={**column, **variant.column} if variant.column else self.column,
            seed=seed,
            method_options=variant.options,
            learner_options=self.learner_options.get(learner, {}),
            training_options=options.placed(training),
            evaluation_episodes=self.evaluation_episodes,
            parent=parent,
        )

    def _name(self, variant: str) -> str:
        return f"{self.family}/{variant}" if self.family else variant


def _words(arm: Arm) -> str | None:
    return " + ".join(arm.sources) or None
