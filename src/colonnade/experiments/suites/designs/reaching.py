"""The design shared by the suites of the arm: a column from simulation, and what learns from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from colonnade.experiments.plans.builder import PlanBuilder
from colonnade.experiments.plans.bundled import bundled_columns
from colonnade.experiments.plans.plan import SCRATCH, SuiteOptions
from colonnade.experiments.plans.search_space import SIM_TO_REAL
from colonnade.experiments.plans.spec import BUNDLED, Json, RunSpec, TaskBudget

Core = Literal["ff", "recurrent"]

SOURCE_COLUMN = "reach-source"
"""Name of the shipped column, which learned to reach in simulation."""

SPACES = dict.fromkeys(("a2c", "a3c", "ppo"), SIM_TO_REAL)
"""What sweeps draw, for every learner: rates and entropy costs, log-uniformly."""

_SIMULATION: dict[str, dict[str, Json]] = {
    "ppo": {
        "learning_rate": 1e-3,
        "entropy_cost": 3e-3,
        "gamma": 0.95,
        "rollout_steps": 64,
        "minibatches": 8,
        "clip": 0.2,
    },
    **{name: {"gamma": 0.95, "rollout_steps": 20} for name in ("a2c", "a3c")},
}
"""Hyperparameters by learner. The paper states ranges of rates and entropy costs alone; PPO's were
seen to learn, the others are chosen."""

_ROBOT = {**_SIMULATION, "ppo": {**_SIMULATION["ppo"], "learning_rate": 3e-4}}
"""The same where a column is there already. With 1e-3 PPO was seen to undo what it began with."""


@dataclass(frozen=True)
class Learning:
    """A way to learn on a robot, a row of the report.

    Attributes:
        row: Its key there.
        method: Name of the method.
        column: Last part of the preset's name, "narrow" or "wide".
    """

    row: str
    method: str
    column: str

    @property
    def transfers(self) -> bool:
        """Whether it starts from the column of simulation."""
        return self.method != SCRATCH


PROGRESSIVE = Learning("progressive-2", "progressive", "narrow")
PROGRESSIVE_WIDE = Learning("progressive-2-wide", "progressive", "wide")
FINETUNE = Learning("finetune", "finetune", "wide")
NARROW = Learning(SCRATCH, "scratch", "narrow")
WIDE = Learning("scratch-wide", "scratch", "wide")


@dataclass(frozen=True)
class ReachingDesign:
    """Makes the runs of the arm's suites, so that they differ in what is asked alone.

    Attributes:
        core: Columns with an LSTM or without.
        source_steps: Agent steps in simulation.
        steps: Agent steps on a robot; 60,000 are the paper's.
        seeds: How many seeds, unless the options say otherwise.
        ships: Whether the column that ships along stands for the source, where it is there.
        learner: Name of the learner in simulation and on the robot, unless the options say
            otherwise.
    """

    core: Core = "ff"
    source_steps: int = 2_000_000
    steps: int = 60_000
    seeds: int = 5
    ships: bool = True
    learner: str = "ppo"

    def source(self, options: SuiteOptions, builder: PlanBuilder) -> str:
        """Name the column that learned in simulation, for `RunSpec.parent`; train it if need be."""
        if self.ships and SOURCE_COLUMN in bundled_columns():
            return BUNDLED + SOURCE_COLUMN
        return builder.add(self.simulated(options, "wide", 0, label="source reach, seed 0")).id

    def simulated(
        self,
        options: SuiteOptions,
        column: str,
        seed: int,
        *,
        label: str,
        values: Mapping[str, Json] | None = None,
    ) -> RunSpec:
        """Let a column learn to reach in simulation, from nothing.

        Args:
            options: Of the suite.
            column: Last part of the preset's name.
            seed: Of the run.
            label: What the run is called.
            values: Hyperparameters that were drawn for it.
        """
        learner = options.learner or self.learner
        return RunSpec(
            label=label,
            method="scratch",
            tasks=(TaskBudget("jaco/reach", options.scaled(self.source_steps)),),
            learner=learner,
            column=self.column(column),
            seed=seed,
            learner_options=_SIMULATION.get(learner, {}) | dict(values or {}),
            training_options={
                "num_envs": 64,
                "curve_steps": 20_000,
                "segment_steps": 100_000,
                "device": options.device,
            },
            evaluation_episodes=100,
        )

    def on_robot(
        self,
        options: SuiteOptions,
        learning: Learning,
        domain: str,
        seed: int,
        *,
        parent: str | None,
        label: str = "",
        values: Mapping[str, Json] | None = None,
        learner_from: str | None = None,
        view: str = "pixels",
        analyses: Iterable[str] = (),
    ) -> RunSpec:
        """Let a method learn in a domain that is not simulation.

        Args:
            options: Of the suite.
            learning: The method, and what its column looks like.
            domain: Name of the domain.
            seed: Of the run.
            parent: What it starts from, as in `RunSpec.parent`.
            label: What the run is called, if not by all of these.
            values: Hyperparameters that were drawn for it.
            learner_from: As in `RunSpec`.
            view: What is seen.
            analyses: As in `RunSpec`; "zero-shot" where there is something to transfer.
        """
        learner = options.learner or self.learner
        wide = " wide" if learning.row.endswith("wide") else ""
        return RunSpec(
            label=label or f"{learning.method}{wide} {domain}, seed {seed}",
            method=learning.method,
            tasks=(
                TaskBudget(
                    f"jaco/{domain}",
                    options.scaled(self.steps),
                    {} if view == "pixels" else {"view": view},
                ),
            ),
            learner=learner,
            column=self.column(learning.column, copies=learning.method == "progressive"),
            seed=seed,
            learner_options=_ROBOT.get(learner, {}) | dict(values or {}),
            training_options={
                # One arm for single-threaded A2C, as in the paper.
                "num_envs": 1 if learner == "a2c" else 16,
                "curve_steps": 250,
                "segment_steps": 20_000,
                "device": options.device,
            },
            evaluation_episodes=100,
            parent=parent if learning.transfers else None,
            # What finetuning began with is gone when it ends.
            analyses=tuple(analyses) if learning.method == "progressive" else (),
            learner_from=learner_from,
        )

    def column(self, kind: str, *, copies: bool = False) -> dict[str, Json]:
        """Describe a column, for `RunSpec.column`.

        Images are mostly background, so that first kernels that sum to zero are chosen here.

        Args:
            kind: Last part of the preset's name.
            copies: Whether a wide one, too, starts with the policy of the column before it.
        """
        column: dict[str, Json] = {"preset": f"sim-to-real-{self.core}-{kind}"}
        if kind != "narrow-proprioception":
            column["init"] = "zero-sum"
        if kind == "wide" and copies:
            column["output_init"] = "copy"
        return column

    def seeds_of(self, options: SuiteOptions) -> range:
        """Return the seeds."""
        return range(options.seeds or self.seeds)

    def with_core(self, core: Core) -> ReachingDesign:
        """Return the same for other columns."""
        return replace(self, core=core)
