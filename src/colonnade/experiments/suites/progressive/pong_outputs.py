"""What the start of the output layer has to do with transfer: beside Rusu et al. 2016, Fig. 4.

A finetuned network keeps its output layer, and with it the policy of the source; a new column
begins with one that knows nothing. Here each is tried with either start.
"""

from dataclasses import replace

from colonnade.experiments.suites.designs.transfer import TransferDesign, Variant
from colonnade.experiments.suites.progressive.demo import SOURCE_COLUMN
from colonnade.experiments.suites.progressive.pong_soup import ATARI_COLUMN, EMULATOR_LEARNERS
from colonnade.experiments.suites.progressive.pong_soup_mini import MINI
from colonnade.experiments.suites.suite import Suite

VARIANTS = {
    "finetune-fresh-output": Variant("finetune", options={"fresh_output": True}),
    "progressive-2-copied-output": Variant(
        "progressive", column={"output_laterals": "linear", "output_init": "copy"}
    ),
}
"""Only linear laterals can be copied into; what the paper has there, adapters, stays in the row of
the progressive network as it is."""

METHODS = ("scratch", "finetune", "progressive", *VARIANTS)

SMALL = replace(MINI, sources=("pong",), methods=METHODS, variants=VARIANTS, columns=2, seeds=10)

EMULATOR = TransferDesign(
    family="pong-soup",
    sources=("pong",),
    targets=("noisy", "white", "zoom", "h-flip"),
    methods=METHODS,
    variants=VARIANTS,
    source_steps=2_000_000,
    target_steps=500_000,
    seeds=2,
    column=ATARI_COLUMN,
    learner="ppo",
    learner_options=EMULATOR_LEARNERS,
    training_options={"curve_steps": 25_000},
    bundled=SOURCE_COLUMN,
)

PONG_OUTPUTS_MINI = Suite(
    name="pong-outputs-mini",
    title="Where output layers start, on MiniPong",
    summary="finetuned and new columns, each with a new output layer and with the source's",
    figure="beside Rusu et al. 2016, Fig. 4",
    steps_per_second=5_000,
    plan=SMALL.plan,
)

PONG_OUTPUTS = Suite(
    name="pong-outputs",
    title="Where output layers start",
    summary="the same in the emulator, from the Pong column that ships along",
    figure="beside Rusu et al. 2016, Fig. 4",
    steps_per_second=1_400,
    plan=EMULATOR.plan,
)
