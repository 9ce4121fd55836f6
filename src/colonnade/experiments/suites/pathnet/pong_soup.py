"""PathNet on Pong Soup, in the emulator and on MiniPong; the paper itself has no Pong Soup."""

from colonnade.experiments.suites.designs.paths import SPACES, PathDesign
from colonnade.experiments.suites.progressive.pong_soup import EMULATOR_LEARNERS
from colonnade.experiments.suites.suite import Suite

FULL = PathDesign(
    family="pong-soup",
    sources=("pong", "noisy", "h-flip"),
    targets=("pong", "noisy", "black", "white", "zoom", "h-flip", "v-flip", "vh-flip"),
    source_steps=10_000_000,
    target_steps=5_000_000,
    seeds=3,
    column="atari",
    learner="a2c",
    learner_options=EMULATOR_LEARNERS,
    pathnet={"population": 16, "episodes": 10},
    training_options={"curve_steps": 50_000, "num_envs": 16},
)

MINI = PathDesign(
    family="mini-pong",
    sources=("pong",),
    targets=("noisy", "white", "h-flip"),
    source_steps=150_000,
    target_steps=75_000,
    seeds=3,
    column={"preset": "mini", "modules": 5},
    learner="ppo",
    pathnet={"population": 16, "episodes": 10},
    learner_options={
        "ppo": {"learning_rate": 3e-3, "rollout_steps": 32, "clip": 0.2},
        "a2c": {"learning_rate": 2e-3, "rollout_steps": 10},
    },
    training_options={"curve_steps": 5_000, "segment_steps": 50_000, "num_envs": 16},
    evaluation_episodes=100,
)

PATHNET_PONG_SOUP = Suite(
    name="pathnet-pong-soup",
    title="PathNet on Pong Soup",
    summary="8 looks of Pong: 3 first tasks x all second ones, PathNet against both controls",
    figure="Fernando et al. 2017, in the manner of its Atari figure",
    steps_per_second=3_000,
    plan=FULL.plan,
    spaces=SPACES,
)

PATHNET_PONG_SOUP_MINI = Suite(
    name="pathnet-pong-soup-mini",
    title="PathNet on Pong Soup, mini",
    summary="PathNet on MiniPong: Pong to three variants, against de novo and finetuned paths",
    figure="Fernando et al. 2017, in the manner of its Atari figure",
    steps_per_second=7_000,
    plan=MINI.plan,
    spaces=SPACES,
)
