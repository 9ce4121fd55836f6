"""The design shared by all suites that ask what sources give to targets."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import combinations

from colonnade.experiments.plan import SCRATCH, Plan, PlanBuilder, SuiteOptions
from colonnade.experiments.spec import BUNDLED, Json, RunSpec, TaskBudget

_FROM_SOURCE = {
    "output-only": "output-only",
    "finetune": "finetune",
    "progressive": "progressive-2",
}
"""Methods that start from a source column, and the row of the report that shows them."""


@dataclass(frozen=True)
class TransferDesign:
    """Sources x targets x methods x seeds, as in Fig. 4 of Rusu et al. 2016.

    Attributes:
        family: First part of the tasks' names, e.g. "pong-soup".
        sources: Variants that source columns are trained on.
        targets: Variants that are learned after each source; a source is no target of itself.
        methods: Among "scratch", "output-only", "finetune", "random-column" and "progressive".
        chains: Whether each pair of sources also gives 3-column progressive networks.
        source_steps: Agent steps of a source column.
        target_steps: Agent steps of everything else.
        seeds: How many seeds, unless the options say otherwise.
        column: Of every run, as in `RunSpec`.
        learner: Name of the learner, unless the options say otherwise.
        learner_options: Hyperparameters per learner's name.
        training_options: Fields of `TrainingOptions`.
        bundled: Name of a shipped column that stands for the one source; None trains the sources.
        evaluation_episodes: How many episodes score the random and the final policy.
    """

    family: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    methods: tuple[str, ...]
    source_steps: int
    target_steps: int
    seeds: int
    column: str | dict[str, Json]
    learner: str
    chains: bool = False
    learner_options: dict[str, dict[str, Json]] = field(default_factory=dict)
    training_options: dict[str, Json] = field(default_factory=dict)
    bundled: str | None = None
    evaluation_episodes: int = 30

    def plan(self, options: SuiteOptions) -> Plan:
        """Make the runs and what is compared; a source column is trained once per seed."""
        builder = PlanBuilder()
        for seed in range(options.seeds or self.seeds):
            _Seed(self, options, seed, builder).add_all()
        return builder.build()


@dataclass(frozen=True)
class _Seed:
    """All runs of one seed."""

    design: TransferDesign
    options: SuiteOptions
    seed: int
    builder: PlanBuilder

    def add_all(self) -> None:
        design = self.design
        if SCRATCH in design.methods:
            for target in design.targets:
                self.builder.add(self._target(SCRATCH, target), SCRATCH)
        if "random-column" in design.methods:
            for target in design.targets:
                self.builder.add(self._target("random-column", target), "random-column")
        firsts = {source: self._source(source) for source in design.sources}
        for source, parent in firsts.items():
            for target in (target for target in design.targets if target != source):
                for method in (method for method in design.methods if method in _FROM_SOURCE):
                    spec = self._target(method, target, (source,), parent)
                    self.builder.add(spec, _FROM_SOURCE[method], source)
        if design.chains:
            for first, second in combinations(design.sources, 2):
                self._add_chain(first, second, firsts[first])

    def _add_chain(self, first: str, second: str, parent: str) -> None:
        middle = self.builder.add(self._target("progressive", second, (first,), parent))
        for target in self.design.targets:
            if target not in (first, second):
                spec = self._target("progressive", target, (first, second), middle.id)
                self.builder.add(spec, "progressive-3", f"{first} + {second}")

    def _source(self, source: str) -> str:
        """Add the run of a source column, if it is to be trained, and return what to start from."""
        if self.design.bundled is not None:
            return BUNDLED + self.design.bundled
        spec = self._target(SCRATCH, source)
        if self.design.source_steps != self.design.target_steps:
            steps = self.options.scaled(self.design.source_steps)
            tasks = (TaskBudget(spec.target, steps),)
            spec = replace(spec, label=f"source {source}, seed {self.seed}", tasks=tasks)
        return self.builder.add(spec).id

    def _target(
        self, method: str, target: str, sources: tuple[str, ...] = (), parent: str | None = None
    ) -> RunSpec:
        design, options = self.design, self.options
        learner = options.learner or design.learner
        origin = f"{', '.join(sources)} to " if sources else ""
        return RunSpec(
            label=f"{method} {origin}{target}, seed {self.seed}",
            method=method,
            tasks=(TaskBudget(f"{design.family}/{target}", options.scaled(design.target_steps)),),
            learner=learner,
            column=design.column,
            seed=self.seed,
            learner_options=design.learner_options.get(learner, {}),
            training_options={**design.training_options, "device": options.device},
            evaluation_episodes=design.evaluation_episodes,
            parent=parent,
        )
