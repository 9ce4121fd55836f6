"""PathNet on Labyrinth (Fernando et al. 2017), with modules copied into other slots.

Its levels were others of the same world (`lt_chasm`, `seekavoid_arena`, `stairway_to_melon`), which
were not published; those here are of the same kinds: a way to find, things to leave alone, few
things far away. `--set column.preset=labyrinth-lstm` gives every path a memory.
"""

from colonnade.experiments.suites.designs.paths import SPACES, PathDesign
from colonnade.experiments.suites.progressive.pong_soup import EMULATOR_LEARNERS
from colonnade.experiments.suites.suite import Suite

LEVELS = ("track-3", "avoid-1", "maze-y")

LABYRINTH = PathDesign(
    family="labyrinth",
    sources=LEVELS,
    targets=LEVELS,
    source_steps=2_000_000,
    target_steps=1_000_000,
    seeds=1,
    column={"preset": "labyrinth"},
    learner="ppo",
    pathnet={"population": 16, "episodes": 4, "duplication": 0.05},
    learner_options=EMULATOR_LEARNERS,
    training_options={"curve_steps": 25_000, "num_envs": 16},
)
"""Episodes take up to 525 steps: four of each of 16 paths are 34 k."""

PATHNET_LABYRINTH = Suite(
    name="pathnet-labyrinth",
    title="PathNet on Labyrinth",
    summary="3 mazes to each other, PathNet against both controls",
    figure="Fernando et al. 2017, Labyrinth transfer",
    steps_per_second=1_200,
    plan=LABYRINTH.plan,
    spaces=SPACES,
)
