"""Transfer between Atari games: Rusu et al. 2016 (arXiv 1606.04671), Fig. 6 and Table 1."""

from colonnade.experiments.suites.designs.transfer import TransferDesign
from colonnade.experiments.suites.progressive.pong_soup import (
    ALL_METHODS,
    ATARI_COLUMN,
    EMULATOR_LEARNERS,
)
from colonnade.experiments.suites.suite import Suite

SOURCES = ("pong", "riverraid", "seaquest")
TARGETS = (
    "alien",
    "asterix",
    "boxing",
    "centipede",
    "gopher",
    "hero",
    "jamesbond",
    "krull",
    "robotank",
    "road_runner",
    "star_gunner",
    "wizard_of_wor",
)

DESIGN = TransferDesign(
    family="atari",
    sources=SOURCES,
    targets=TARGETS,
    methods=ALL_METHODS,
    columns=4,
    orders="all",
    source_steps=2_000_000,
    target_steps=500_000,
    seeds=1,
    column=ATARI_COLUMN,
    learner="ppo",
    learner_options=EMULATOR_LEARNERS,
    task_options={"full_action_space": True},
    training_options={"curve_steps": 25_000},
    evaluation_episodes=10,
)
"""Every order of the sources, which gives the paper's 72 networks of three columns, and as many of
four. All games have all 18 actions, so that baselines 2 and 3 can take over a source's output
layer; the paper does not say what it does there. It trains up to 40 M agent steps and 25 jobs a
cell: budgets here are for PPO on a machine of one's own, and `--budget 80` are the paper's."""

ATARI_TRANSFER = Suite(
    name="atari-transfer",
    title="Atari transfer",
    summary="3 source games x 12 targets x all baselines, 2, 3 and 4 columns in every order",
    figure="Rusu et al. 2016, Fig. 6 and Table 1",
    steps_per_second=1_900,
    plan=DESIGN.plan,
    paper="Atari",
)
