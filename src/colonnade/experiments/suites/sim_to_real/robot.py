"""From simulation to what stands in for a robot: Rusu et al. 2017, Fig. 5, by their protocol."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from colonnade.experiments.plans.builder import PlanBuilder
from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.experiments.plans.search_space import SIM_TO_REAL as SPACE
from colonnade.experiments.suites.designs.reaching import (
    FINETUNE,
    NARROW,
    PROGRESSIVE,
    PROGRESSIVE_WIDE,
    SPACES,
    WIDE,
    Learning,
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

SHORT_DESIGN = ReachingDesign()
SHORT = NARROW, FINETUNE, PROGRESSIVE


def plan(options: SuiteOptions) -> Plan:
    """Make a grid of first columns, the choice of rates within simulation, and the transfers."""
    builder = PlanBuilder()
    grid = []
    for draw in range(SOURCES):
        label, values = f"source reach, draw {draw}", SPACE.draw(_DRAWS, draw)
        spec = DESIGN.simulated(options, "wide", draw, label=label, values=values)
        grid.append(builder.add(spec))
    learnings = NARROW, WIDE, FINETUNE, PROGRESSIVE, PROGRESSIVE_WIDE
    _transfers(DESIGN, options, builder, builder.best_of(grid), learnings)
    return builder.build()


def short(options: SuiteOptions) -> Plan:
    """Make the choice of rates within simulation and the transfers, from the shipped column."""
    builder = PlanBuilder()
    first = SHORT_DESIGN.source(options, builder)
    _transfers(SHORT_DESIGN, options, builder, first, SHORT)
    return builder.build()


def _transfers(
    design: ReachingDesign,
    options: SuiteOptions,
    builder: PlanBuilder,
    first: str,
    learnings: Sequence[Learning],
) -> None:
    """Add the tries in simulation of every method that transfers, and all methods on the robot."""
    chosen = {}
    for learning in learnings:
        if not learning.transfers:
            continue
        tries = [
            design.on_robot(
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
    chosen[NARROW.row] = chosen[PROGRESSIVE.row]
    if WIDE in learnings:
        chosen[WIDE.row] = chosen[PROGRESSIVE_WIDE.row]
    for seed in design.seeds_of(options):
        for learning in learnings:
            # The domains are the same for all: once is enough.
            more = ("domains",) if (seed, learning) == (0, PROGRESSIVE) else ()
            spec = design.on_robot(
                options,
                learning,
                TARGET,
                seed,
                parent=first,
                learner_from=chosen[learning.row],
                analyses=("zero-shot", *more),
            )
            builder.add(spec, learning.row, "reach" if learning.transfers else None)


def job(options: SuiteOptions) -> Plan:
    """Make what each job of a sweep trains: the sweep draws, and chooses the source."""
    return _job(DESIGN, options)


def short_job(options: SuiteOptions) -> Plan:
    """Make the same from the shipped column."""
    return _job(SHORT_DESIGN, options)


def _job(design: ReachingDesign, options: SuiteOptions) -> Plan:
    builder = PlanBuilder()
    parent = design.source(options, builder)
    for learning in SHORT:
        spec = design.on_robot(options, learning, TARGET, 0, parent=parent, analyses=("zero-shot",))
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
    steps_per_second=1_000,
    plan=plan,
    job=job,
    spaces=SPACES,
    networks=networks,
)

SIM_TO_REAL_SHORT = Suite(
    name="sim-to-real-short",
    title="From simulation to a robot's stand-in, rates chosen",
    summary="rates chosen in simulation for both methods, then 60k steps, from a trained column",
    figure="part of Rusu et al. 2017, Fig. 5",
    steps_per_second=800,
    plan=short,
    job=short_job,
    spaces=SPACES,
)
