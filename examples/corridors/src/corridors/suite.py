"""A suite: what the way to one wall gives to the way to another."""

from __future__ import annotations

from colonnade.experiments.plans.search_space import Choice, SearchSpace
from colonnade.experiments.suites import Suite
from colonnade.experiments.suites.designs.transfer import TransferDesign

DESIGN = TransferDesign(
    family="corridors",
    sources=("north", "east"),
    targets=("north", "east", "south"),
    methods=("scratch", "finetune", "progressive", "tethered"),
    source_steps=20_000,
    target_steps=20_000,
    column="gated",
    learner="ppo",
    learner_options={"ppo": {"learning_rate": 0.003, "rollout_steps": 32}},
    training_options={"num_envs": 16, "curve_steps": 1_000},
)

CORRIDORS = Suite(
    name="corridors",
    title="Corridors",
    summary="ways to three walls of a small room",
    plan=DESIGN.plan,
    spaces={
        "ppo": SearchSpace(
            learner={"learning_rate": Choice((0.01, 0.003, 0.001))},
            methods={"tethered": {"strength": Choice((0.01, 0.1, 1.0))}},
        )
    },
)
