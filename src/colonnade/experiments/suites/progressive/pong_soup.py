"""Pong Soup: Rusu et al. 2016 (arXiv 1606.04671), Fig. 4 and the first column of Table 1."""

from colonnade.experiments.plans.spec import Json
from colonnade.experiments.suites.designs.transfer import TransferDesign
from colonnade.experiments.suites.suite import Suite

VARIANTS = ("pong", "noisy", "black", "white", "zoom", "h-flip", "v-flip", "vh-flip")
ALL_METHODS = ("scratch", "output-only", "finetune", "random-column", "progressive")

COLUMN: dict[str, Json] = {"preset": "pong-soup", "alpha": 1.0}
"""The paper draws alpha from {1, 0.1, 0.01} for each job; 1 transferred most on MiniPong."""

ATARI_COLUMN: dict[str, Json] = {"preset": "atari", "alpha": 1.0}
"""The paper's network for Atari games, with half as many weights."""

EMULATOR_LEARNERS: dict[str, dict[str, Json]] = {
    name: {"mean_square_start": 0.01} for name in ("a2c", "a3c")
}
"""Hyperparameters with which A2C and A3C were seen to learn Pong; the others are their defaults."""

FULL = TransferDesign(
    family="pong-soup",
    sources=("pong", "noisy", "h-flip"),
    targets=VARIANTS,
    methods=ALL_METHODS,
    columns=3,
    source_steps=5_000_000,
    target_steps=5_000_000,
    seeds=3,
    column=COLUMN,
    learner="a2c",
    learner_options=EMULATOR_LEARNERS,
    training_options={"curve_steps": 50_000},
)
"""The paper trains up to 40 M agent steps and 25 jobs a cell; Pong is learned well before 5 M."""

SHORT = TransferDesign(
    family="pong-soup",
    sources=("pong",),
    targets=("noisy", "white", "zoom", "h-flip"),
    methods=("scratch", "finetune", "progressive"),
    source_steps=4_000_000,
    target_steps=1_000_000,
    seeds=2,
    column=ATARI_COLUMN,
    learner="ppo",
    learner_options=EMULATOR_LEARNERS,
    source_options={"goal_episodes": 100, "goal_return": 18.0},
)
"""On two cores: PPO, which is quicker here, and sources trained until they win."""

PONG_SOUP = Suite(
    name="pong-soup",
    title="Pong Soup",
    summary="8 looks of Pong: 3 sources x all targets x all baselines, 2 and 3 columns",
    figure="Rusu et al. 2016, Fig. 4 and Table 1",
    steps_per_second=1_400,
    plan=FULL.plan,
    paper="Pong Soup",
)

PONG_SOUP_SHORT = Suite(
    name="pong-soup-short",
    title="Pong Soup, short",
    summary="Pong to Noisy, White, Zoom and H-flip, 1 M steps each",
    figure="Rusu et al. 2016, part of Fig. 4",
    steps_per_second=1_400,
    plan=SHORT.plan,
    paper="Pong Soup",
)
