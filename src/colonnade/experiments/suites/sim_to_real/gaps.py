"""Progressive against finetuning over four gaps and many draws: Rusu et al. 2017, Fig. 6."""

from colonnade.experiments.plans.builder import PlanBuilder
from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.experiments.suites.designs.reaching import (
    FINETUNE,
    PROGRESSIVE,
    SPACES,
    ReachingDesign,
)
from colonnade.experiments.suites.suite import Suite

GAPS = "colour-subtle", "colour-significant", "perspective-subtle", "perspective-significant"

DESIGN = ReachingDesign(seeds=1)


def plan(options: SuiteOptions) -> Plan:
    """Make both methods' runs in each domain; a sweep draws rates and entropy costs for them."""
    builder = PlanBuilder()
    parent = DESIGN.source(options, builder)
    for seed in DESIGN.seeds_of(options):
        for gap in GAPS:
            for learning in (FINETUNE, PROGRESSIVE):
                spec = DESIGN.on_robot(
                    options, learning, gap, seed, parent=parent, analyses=("zero-shot",)
                )
                builder.add(spec, learning.row, "reach")
    return builder.build()


SIM_TO_REAL_GAPS = Suite(
    name="sim-to-real-gaps",
    title="Over gaps of colour and perspective",
    summary="finetuning and progressive in four changed simulations; sweep it for sorted rewards",
    figure="Rusu et al. 2017, Fig. 6",
    steps_per_second=2_000,
    plan=plan,
    spaces=SPACES,
)
"""The paper draws 300 times: `colonnade sweep sim-to-real-gaps --jobs 300 --top 300`."""
