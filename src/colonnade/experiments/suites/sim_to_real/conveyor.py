"""A moving target as second or as third column: Rusu et al. 2017, Fig. 7."""

from dataclasses import replace

from colonnade.experiments.plans.builder import PlanBuilder
from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.experiments.suites.designs.reaching import SPACES, Learning, ReachingDesign
from colonnade.experiments.suites.suite import Suite

TARGET, BEFORE = "robot-conveyor", "robot-mild"

SECOND = Learning("progressive-2", "progressive", "narrow-both")
THIRD = Learning("progressive-3", "progressive", "narrow-proprioception")

DESIGN = ReachingDesign(steps=50_000)
"""The second column reached its full score after 50,000 steps in the paper. Its columns were
recurrent; these are feed-forward as the one that ships is."""


def plan(options: SuiteOptions) -> Plan:
    """Make, for each seed, the conveyor upon one column and upon two.

    The second column sees pixels and proprioception, the third proprioception alone.
    """
    builder = PlanBuilder()
    first = DESIGN.source(options, builder)
    longer = replace(DESIGN, steps=60_000)
    for seed in DESIGN.seeds_of(options):
        second = DESIGN.on_robot(
            options, SECOND, TARGET, seed, parent=first, view="both", analyses=("zero-shot",)
        )
        builder.add(second, SECOND.row, "reach")
        reached = longer.on_robot(options, SECOND, BEFORE, seed, parent=first, view="both")
        builder.add(reached)
        label = f"third {TARGET}, seed {seed}"
        third = DESIGN.on_robot(
            options,
            THIRD,
            TARGET,
            seed,
            parent=reached.id,
            label=label,
            view="both",
            analyses=("zero-shot",),
        )
        builder.add(third, THIRD.row, f"reach + {BEFORE}")
    return builder.build()


SIM_TO_REAL_CONVEYOR = Suite(
    name="sim-to-real-conveyor",
    title="A moving target, seen through other columns",
    summary="a conveyor learned by a second column, or by a third from proprioception alone",
    figure="Rusu et al. 2017, Fig. 7",
    steps_per_second=1_500,
    plan=plan,
    spaces=SPACES,
)
