"""Transfer between mazes: Rusu et al. 2016 (arXiv 1606.04671), Fig. 8 and Table 1's last column.

`--set column.preset=labyrinth-lstm` gives all columns of any of these suites a memory.
"""

from dataclasses import replace

from colonnade.experiments.plans.spec import Json
from colonnade.experiments.suites.designs.transfer import TransferDesign
from colonnade.experiments.suites.progressive.pong_soup import ALL_METHODS, EMULATOR_LEARNERS
from colonnade.experiments.suites.suite import Suite

LEVELS = (
    "track-1", "track-2", "track-3", "track-4", "avoid-1", "avoid-2", "maze-m", "maze-y",
)  # fmt: skip

COLUMN: dict[str, Json] = {"preset": "labyrinth", "alpha": 1.0}
"""The paper draws alpha from {1, 0.1, 0.01} for each job."""

FULL = TransferDesign(
    family="labyrinth",
    sources=LEVELS,
    targets=LEVELS,
    methods=ALL_METHODS,
    source_steps=1_000_000,
    target_steps=1_000_000,
    seeds=1,
    column=COLUMN,
    learner="ppo",
    learner_options=EMULATOR_LEARNERS,
    training_options={"curve_steps": 25_000},
)
"""The paper trains with A3C and 25 jobs a cell, to budgets it does not state."""

SHORT = replace(
    FULL,
    sources=("track-1", "track-3", "avoid-1", "maze-y"),
    methods=("scratch", "output-only", "finetune", "progressive"),
    source_steps=200_000,
    target_steps=200_000,
    seeds=2,
    training_options={"curve_steps": 10_000},
)
"""One source of each kind: many apples, few, some to be left alone, and a fork."""

MINI = TransferDesign(
    family="labyrinth",
    sources=("track-1",),
    targets=("track-2", "track-4"),
    methods=ALL_METHODS,
    source_steps=60_000,
    target_steps=40_000,
    seeds=2,
    column={"preset": "labyrinth-mini", "alpha": 1.0},
    learner="ppo",
    learner_options={**EMULATOR_LEARNERS, "ppo": {"learning_rate": 1e-3, "rollout_steps": 64}},
    training_options={"curve_steps": 4_000, "segment_steps": 20_000},
    task_options={"max_steps": 200},
    evaluation_episodes=32,
)
"""Episodes of 200 steps are time enough for each of the tracks, of which the longest takes 80."""

DOOM = TransferDesign(
    family="doom-labyrinth",
    sources=("track-1", "maze-y"),
    targets=("track-2", "track-4", "avoid-1", "maze-m"),
    methods=("scratch", "finetune", "progressive"),
    source_steps=300_000,
    target_steps=300_000,
    seeds=1,
    column=COLUMN,
    learner="ppo",
    learner_options=EMULATOR_LEARNERS,
    training_options={"curve_steps": 10_000},
    evaluation_episodes=16,
)

LABYRINTH = Suite(
    name="labyrinth",
    title="Labyrinth",
    summary="8 mazes seen from within: all sources x all targets x all baselines, 2 columns",
    figure="Rusu et al. 2016, Fig. 8 and Table 1",
    steps_per_second=1_500,
    plan=FULL.plan,
    paper="Labyrinth",
)

LABYRINTH_SHORT = Suite(
    name="labyrinth-short",
    title="Labyrinth, short",
    summary="4 mazes to all 8, against baselines 1 to 3, 200 k steps each",
    figure="Rusu et al. 2016, part of Fig. 8",
    steps_per_second=1_500,
    plan=SHORT.plan,
    paper="Labyrinth",
)

LABYRINTH_MINI = Suite(
    name="labyrinth-mini",
    title="Labyrinth, mini",
    summary="Track 1 to two other tracks, all baselines, with a small column",
    figure="after Rusu et al. 2016, Fig. 8",
    steps_per_second=2_000,
    plan=MINI.plan,
)

DOOM_LABYRINTH = Suite(
    name="doom-labyrinth",
    title="Labyrinth in ViZDoom",
    summary="the same mazes in a real engine: a track and a fork to four others",
    figure="Rusu et al. 2016, part of Fig. 8",
    steps_per_second=1_000,
    plan=DOOM.plan,
    paper="Labyrinth",
)
