"""From simulation to a robot's stand-in in minutes, from a column that ships along."""

from colonnade.experiments.plans.builder import PlanBuilder
from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.experiments.suites.designs.reaching import (
    FINETUNE,
    NARROW,
    PROGRESSIVE,
    SPACES,
    ReachingDesign,
)
from colonnade.experiments.suites.sim_to_real.robot import TARGET
from colonnade.experiments.suites.suite import Suite

DESIGN = ReachingDesign(seeds=2)


def plan(options: SuiteOptions) -> Plan:
    """Make the runs; without the shipped column a source is trained first."""
    builder = PlanBuilder()
    parent = DESIGN.source(options, builder)
    for seed in DESIGN.seeds_of(options):
        for learning in (PROGRESSIVE, FINETUNE, NARROW):
            # The domains are the same for all: once is enough.
            more = ("domains",) if (seed, learning) == (0, PROGRESSIVE) else ()
            spec = DESIGN.on_robot(
                options, learning, TARGET, seed, parent=parent, analyses=("zero-shot", *more)
            )
            builder.add(spec, learning.row, "reach" if learning.transfers else None)
    return builder.build()


SIM_TO_REAL_MINI = Suite(
    name="sim-to-real-mini",
    title="From simulation to a robot's stand-in, mini",
    summary="a trained column helps a narrow one to reach where the arm and the camera differ",
    figure="after Rusu et al. 2017, Fig. 5",
    steps_per_second=1_000,
    plan=plan,
    spaces=SPACES,
)
