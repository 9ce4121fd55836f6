"""Wide and narrow, feed-forward and recurrent columns in simulation: Rusu et al. 2017, Fig. 4."""

from typing import get_args

from colonnade.experiments.plans.builder import PlanBuilder
from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.experiments.suites.designs.reaching import SPACES, Core, ReachingDesign
from colonnade.experiments.suites.suite import Suite

DESIGN = ReachingDesign()


def plan(options: SuiteOptions) -> Plan:
    """Train each column of the paper's Table 1 with every seed."""
    builder = PlanBuilder()
    for core in get_args(Core):
        for width in ("wide", "narrow"):
            for seed in DESIGN.seeds_of(options):
                label = f"{core} {width}, seed {seed}"
                spec = DESIGN.with_core(core).simulated(options, width, seed, label=label)
                builder.add(spec)
    return builder.build()


SIM_TO_REAL_COLUMNS = Suite(
    name="sim-to-real-columns",
    title="Columns in simulation",
    summary="an arm learns to reach from pixels: wide and narrow columns, with an LSTM and without",
    figure="Rusu et al. 2017, Fig. 4",
    steps_per_second=2_000,
    plan=plan,
    spaces=SPACES,
)
