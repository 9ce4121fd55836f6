"""The design shared by PathNet's suites of reinforcement: a first task, then a second one.

A fourth row, PathNet without a first task, tells apart what reuse gives and what it costs to train
a whole population.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from colonnade.experiments.plans.builder import PlanBuilder
from colonnade.experiments.plans.plan import SCRATCH, Plan, SuiteOptions
from colonnade.experiments.plans.search_space import (
    PAPER,
    PAPER_FOR_PPO,
    Choice,
    Range,
    SearchSpace,
)
from colonnade.experiments.plans.spec import Json, RunSpec, TaskBudget

EVOLUTION: Mapping[str, Mapping[str, Range]] = {
    "pathnet": {
        "rivals": Choice((3, 5, 10)),
        "spread": Choice((1, 2, 4)),
        "duplication": Choice((0.0, 0.05, 0.2)),
    }
}
"""How paths evolve: what a sweep draws of PathNet's own options."""

SPACES = {
    **{name: SearchSpace(PAPER.learner, methods=EVOLUTION) for name in ("a2c", "a3c")},
    "ppo": SearchSpace(PAPER_FOR_PPO.learner, methods=EVOLUTION),
}
"""The grids of Rusu et al. 2016 for the learner, and how paths evolve."""


@dataclass(frozen=True)
class PathDesign:
    """Sources x targets x (de novo, finetuned path, PathNet) x seeds.

    The de novo control takes the place of baseline 1 ("scratch") in reports. A finetuned path
    starts from a de novo path that learned the source.

    Attributes:
        family: First part of the tasks' names, e.g. "pong-soup".
        sources: What is learned first.
        targets: What is learned second; a source is no target of itself.
        source_steps: Agent steps of a first task.
        target_steps: Agent steps of a second one.
        seeds: How many seeds, unless the options say otherwise.
        column: The modular network, as in `RunSpec`.
        learner: Name of the learner, unless the options say otherwise.
        pathnet: Options of PathNet.
        learner_options: Hyperparameters per learner's name.
        training_options: Fields of `TrainingOptions`.
        evaluation_episodes: How many episodes score the random and the final policy.
    """

    family: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    source_steps: int
    target_steps: int
    seeds: int
    column: str | dict[str, Json]
    learner: str
    pathnet: dict[str, Json] = field(default_factory=dict)
    learner_options: dict[str, dict[str, Json]] = field(default_factory=dict)
    training_options: dict[str, Json] = field(default_factory=dict)
    evaluation_episodes: int = 30

    def plan(self, options: SuiteOptions) -> Plan:
        """Make the runs and what is compared; a source is learned once per seed and method."""
        builder = PlanBuilder()
        for seed in range(options.seeds or self.seeds):
            for target in self.targets:
                builder.add(self._run(options, seed, "path-de-novo", target), SCRATCH)
                builder.add(self._run(options, seed, "pathnet", target), "pathnet-alone")
            for source in self.sources:
                fixed = builder.add(self._run(options, seed, "path-de-novo", source, first=True))
                evolved = builder.add(self._run(options, seed, "pathnet", source, first=True))
                for target in self.targets:
                    if target != source:
                        for method, parent in (("path-finetune", fixed), ("pathnet", evolved)):
                            spec = self._run(options, seed, method, target, source, parent.id)
                            builder.add(spec, method, source)
        return builder.build()

    def _run(
        self,
        options: SuiteOptions,
        seed: int,
        method: str,
        target: str,
        source: str | None = None,
        parent: str | None = None,
        *,
        first: bool = False,
    ) -> RunSpec:
        learner = options.learner or self.learner
        steps = self.source_steps if first else self.target_steps
        origin = f"{source} to " if source else "first " if first else ""
        return RunSpec(
            label=f"{method} {origin}{target}, seed {seed}",
            method=method,
            tasks=(TaskBudget(f"{self.family}/{target}", options.scaled(steps)),),
            learner=learner,
            column=self.column,
            seed=seed,
            method_options=self.pathnet if method == "pathnet" else {},
            learner_options=self.learner_options.get(learner, {}),
            training_options=options.placed(self.training_options),
            evaluation_episodes=self.evaluation_episodes,
            parent=parent,
        )
