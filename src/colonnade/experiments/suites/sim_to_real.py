"""Sim-to-real: Rusu et al. 2017 (arXiv 1610.04286), Table 1. Its networks, to be described."""

from colonnade.experiments.plans.search_space import SIM_TO_REAL as SIM_TO_REAL_SPACE
from colonnade.experiments.suites.suite import Suite

SIM_TO_REAL = Suite(
    name="sim-to-real",
    title="Sim-to-real columns",
    summary="the four columns of the robot experiments; `colonnade describe sim-to-real`",
    figure="Rusu et al. 2017, Table 1",
    steps_per_second=1,
    plan=None,
    spaces=dict.fromkeys(("a2c", "a3c", "ppo"), SIM_TO_REAL_SPACE),
)
