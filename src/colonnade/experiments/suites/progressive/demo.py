"""The demo: one transfer in the real emulator, in minutes, from a column that ships along."""

from dataclasses import replace

from colonnade.experiments.plans.bundled import bundled_columns
from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.experiments.suites.designs.transfer import TransferDesign
from colonnade.experiments.suites.progressive.pong_soup import ATARI_COLUMN, EMULATOR_LEARNERS
from colonnade.experiments.suites.suite import Suite

TARGET = "h-flip"
SOURCE_COLUMN = "pong-source"
"""Name of the shipped source column, trained on Pong."""

DEMO = TransferDesign(
    family="pong-soup",
    sources=("pong",),
    targets=(TARGET,),
    methods=("scratch", "progressive"),
    source_steps=2_000_000,
    target_steps=200_000,
    seeds=1,
    column=ATARI_COLUMN,
    learner="ppo",
    learner_options={**EMULATOR_LEARNERS, "ppo": {"rollout_steps": 64}},
    training_options={"curve_steps": 50_000, "segment_steps": 100_000},
    evaluation_episodes=10,
)


def plan(options: SuiteOptions) -> Plan:
    """Make the demo's runs; without the shipped column a source is trained first."""
    bundled = SOURCE_COLUMN if SOURCE_COLUMN in bundled_columns() else None
    return replace(DEMO, bundled=bundled).plan(options)


DEMO_SUITE = Suite(
    name="demo",
    title="A column that has seen Pong",
    summary="a trained Pong column helps a new one to learn mirrored Pong, against scratch",
    figure="after Rusu et al. 2016, Fig. 4",
    steps_per_second=1_400,
    plan=plan,
)
