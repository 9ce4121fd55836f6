"""Pong Soup's design on MiniPong: the whole of it in minutes."""

from colonnade.experiments.plans.search_space import PAPER, PAPER_FOR_PPO, Choice, SearchSpace
from colonnade.experiments.suites.designs.transfer import TransferDesign
from colonnade.experiments.suites.progressive.pong_soup import ALL_METHODS
from colonnade.experiments.suites.suite import Suite

MINI = TransferDesign(
    family="mini-pong",
    sources=("pong", "noisy"),
    targets=("noisy", "white", "zoom", "h-flip"),
    methods=ALL_METHODS,
    columns=3,
    source_steps=100_000,
    target_steps=50_000,
    seeds=2,
    column={"preset": "tiny", "alpha": 1.0},
    learner="ppo",
    learner_options={
        "ppo": {"learning_rate": 3e-3, "rollout_steps": 32, "clip": 0.2},
        "a2c": {"learning_rate": 2e-3, "rollout_steps": 10},
    },
    training_options={"curve_steps": 2_500, "segment_steps": 50_000},
    evaluation_episodes=100,
)

SPACES = {
    "ppo": SearchSpace(
        learner={**PAPER_FOR_PPO.learner, "learning_rate": Choice((1e-2, 3e-3, 1e-3))},
        column=PAPER_FOR_PPO.column,
    ),
    "a2c": SearchSpace(
        learner={**PAPER.learner, "learning_rate": Choice((6e-3, 2e-3, 6e-4))},
        column=PAPER.column,
    ),
}
"""The paper's grids, with learning rates for a task that is learned in 50 k steps."""

PONG_SOUP_MINI = Suite(
    name="pong-soup-mini",
    title="Pong Soup, mini",
    summary="the same design on MiniPong, a small Pong that is learned in seconds",
    figure="after Rusu et al. 2016, Fig. 4",
    steps_per_second=10_000,
    plan=MINI.plan,
    spaces=SPACES,
)
