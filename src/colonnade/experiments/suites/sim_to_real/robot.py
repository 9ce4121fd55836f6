"""From simulation to what stands in for a robot: Rusu et al. 2017, Fig. 5, by their protocol."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from colonnade.experiments.plans.plan import Plan, PlanBuilder, SuiteOptions
from colonnade.experiments.plans.search_space import SIM_TO_REAL as SPACE
from colonnade.experiments.suites.designs.reaching import (
    FINETUNE,
    NARROW,
    PROGRESSIVE,
    PROGRESSIVE_WIDE,
    SPACES,
    WIDE,
    ReachingDesign,
)
from colonnade.experiments.suites.suite import Suite

if TYPE_CHECKING:
    from colonnade.networks import ProgressiveNetwork

TARGET = "robot-mild"
REHEARSAL = "perspective-subtle"
"""The domain of simulation that rates and entropy costs are chosen in; the paper doesn't say."""

SOURCES, TRIES = 30, 10
"""How many first columns are trained, of which the best is taken, 30 as in the paper; and how many
draws of rate and entropy cost are tried for each method, which it doesn't say."""

_DRAWS = 0
"""Seed of the draws."""

DESIGN = ReachingDesign("recurrent", ships=False)


def plan(options: SuiteOptions) -> Plan:
    """Make a grid of first columns, the choice of rates within simulation, and the transfers."""
    builder = PlanBuilder()
    grid = []
    for draw in range(SOURCES):
        label, values = f"source reach, draw {draw}", SPACE.draw(_DRAWS, draw)
        spec = DESIGN.simulated(options, "wide", draw, label=label, values=values)
        grid.append(builder.add(spec))
    first = builder.best_of(grid)
    chosen = {}
    for learning in (PROGRESSIVE, PROGRESSIVE_WIDE, FINETUNE):
        tries = [
            DESIGN.on_robot(
                options,
                learning,
                REHEARSAL,
                draw,
                parent=first,
                label=f"try {learning.row} {REHEARSAL}, draw {draw}",
                values=SPACE.draw(_DRAWS, draw),
            )
            for draw in range(TRIES)
        ]
        chosen[learning.row] = builder.best_of([builder.add(spec) for spec in tries])
    # From scratch nothing is learned that a rate could be chosen by.
    chosen[NARROW.row], chosen[WIDE.row] = chosen[PROGRESSIVE.row], chosen[PROGRESSIVE_WIDE.row]
    for seed in DESIGN.seeds_of(options):
        for learning in (NARROW, WIDE, FINETUNE, PROGRESSIVE, PROGRESSIVE_WIDE):
            spec = DESIGN.on_robot(
                options,
                learning,
                TARGET,
                seed,
                parent=first,
                learner_from=chosen[learning.row],
                analyses=("zero-shot",),
            )
            builder.add(spec, learning.row, "reach" if learning.transfers else None)
    return builder.build()


def job(options: SuiteOptions) -> Plan:
    """Make what each job of a sweep trains: the sweep draws, and chooses the source."""
    builder = PlanBuilder()
    parent = DESIGN.source(options, builder)
    for learning in (NARROW, FINETUNE, PROGRESSIVE):
        spec = DESIGN.on_robot(options, learning, TARGET, 0, parent=parent, analyses=("zero-shot",))
        builder.add(spec, learning.row, "reach" if learning.transfers else None)
    return builder.build()


def networks() -> Iterator[tuple[str, ProgressiveNetwork]]:
    """Build the columns of the paper's Table 1 and Fig. 7."""
    from colonnade.networks import sim_to_real_network

    yield "Feed-forward, narrow on wide", sim_to_real_network("ff")
    yield "Recurrent, narrow on wide", sim_to_real_network("recurrent")
    yield (
        "Recurrent: pixels; with proprioception; without pixels",
        sim_to_real_network("recurrent", 3),
    )


SIM_TO_REAL = Suite(
    name="sim-to-real",
    title="From simulation to a robot's stand-in",
    summary="best of 30 columns, rates chosen in simulation, 60k steps by every method",
    figure="Rusu et al. 2017, Fig. 5",
    steps_per_second=2_000,
    plan=plan,
    job=job,
    spaces=SPACES,
    networks=networks,
)
