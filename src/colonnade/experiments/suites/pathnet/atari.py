"""PathNet on Atari games (Fernando et al. 2017): L 4, M 10, N 4.

Which games the paper pairs could not be recovered; the three sources and twelve targets are those
of Rusu et al. 2016, which share most of them.
"""

from colonnade.experiments.suites.designs.paths import SPACES, PathDesign
from colonnade.experiments.suites.progressive.pong_soup import EMULATOR_LEARNERS
from colonnade.experiments.suites.suite import Suite

SOURCES = ("pong", "riverraid", "seaquest")

TARGETS = (
    "alien", "asterix", "boxing", "centipede", "gopher", "hero", "jamesbond", "krull", "robotank",
    "road_runner", "star_gunner", "wizard_of_wor",
)  # fmt: skip

ATARI = PathDesign(
    family="atari",
    sources=SOURCES,
    targets=TARGETS,
    source_steps=40_000_000,
    target_steps=40_000_000,
    seeds=1,
    column="atari",
    learner="a3c",
    pathnet={"population": 64, "episodes": 10, "rivals": 20},
    learner_options={**EMULATOR_LEARNERS, "a3c": {**EMULATOR_LEARNERS["a3c"], "workers": 16}},
    training_options={"curve_steps": 250_000, "num_envs": 64},
)
"""64 genotypes as in the paper, here four to a worker; steps as for progressive networks."""

PATHNET_ATARI = Suite(
    name="pathnet-atari",
    title="PathNet on Atari",
    summary="3 games to 12 others, PathNet against both controls; for a large machine",
    figure="Fernando et al. 2017, Atari transfer",
    steps_per_second=3_000,
    plan=ATARI.plan,
    spaces=SPACES,
)
