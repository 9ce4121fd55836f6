"""Pong Soup with each method at its best, for less: part of Fig. 4 of Rusu et al. 2016."""

from colonnade.experiments.plans.search_space import PAPER_FOR_PPO
from colonnade.experiments.suites.designs.halving import HalvingDesign, Round
from colonnade.experiments.suites.designs.transfer import TransferDesign
from colonnade.experiments.suites.progressive.demo import SOURCE_COLUMN
from colonnade.experiments.suites.progressive.pong_soup import ATARI_COLUMN, EMULATOR_LEARNERS
from colonnade.experiments.suites.suite import Suite

BEST = HalvingDesign(
    transfer=TransferDesign(
        family="pong-soup",
        sources=("pong",),
        targets=("noisy", "white", "zoom", "h-flip"),
        methods=("scratch", "finetune", "random-column", "progressive"),
        source_steps=4_000_000,
        target_steps=1_000_000,
        seeds=3,
        column=ATARI_COLUMN,
        learner="ppo",
        learner_options=EMULATOR_LEARNERS,
        training_options={"curve_steps": 25_000},
        bundled=SOURCE_COLUMN,
    ),
    rounds=(Round(tries=8, steps=100_000, episodes=10), Round(tries=2, steps=400_000)),
    spaces={"ppo": PAPER_FOR_PPO},
)
"""The paper's best 3 of 25 jobs take 25 long runs a cell; eight short ones, two longer ones and
three full ones take 4.6 M steps, from the Pong column that ships along."""

PONG_SOUP_BEST = Suite(
    name="pong-soup-best",
    title="Pong Soup, each method at its best",
    summary="the best of 8 draws for each cell, by successive halving, then 3 seeds of 1 M steps",
    figure="Rusu et al. 2016, part of Fig. 4",
    steps_per_second=2_000,
    plan=BEST.plan,
    job=BEST.transfer.plan,
    paper="Pong Soup",
)
