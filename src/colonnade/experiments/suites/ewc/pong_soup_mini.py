"""EWC in reinforcement learning, small: two looks of MiniPong, one after the other, one network."""

from __future__ import annotations

from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.experiments.plans.search_space import LogUniform, SearchSpace
from colonnade.experiments.plans.spec import Json, RunSpec, TaskBudget
from colonnade.experiments.suites.progressive.pong_soup_mini import MINI, SPACES
from colonnade.experiments.suites.suite import Suite

METHODS: dict[str, dict[str, Json]] = {
    "finetune": {},
    "ewc": {"lam": 100.0, "samples": 10_000},
    "replay": {"examples": 2_000, "weight": 0.01},
}
"""Methods and their options; lambda was chosen from 10 to 300 on three other seeds, and replay's
weight from 1, 0.1 and 0.01 on one."""

TASKS = ("pong", "h-flip")
STEPS = 100_000
SEEDS = 3


def plan(options: SuiteOptions) -> Plan:
    """Make a run of both tasks for each method and seed, with scores of both as they are learned.

    Until the first task ends no method has a penalty, so that all runs of a seed have learned it
    alike, to the bit.
    """
    learner = options.learner or MINI.learner
    return Plan(
        tuple(
            RunSpec(
                label=f"{method} {' then '.join(TASKS)}, seed {seed}",
                method=method,
                tasks=tuple(
                    TaskBudget(f"{MINI.family}/{name}", options.scaled(STEPS)) for name in TASKS
                ),
                learner=learner,
                column="tiny",
                seed=seed,
                method_options=method_options,
                learner_options=MINI.learner_options.get(learner, {}),
                training_options={
                    "curve_steps": 5_000,
                    "segment_steps": 20_000,
                    "test_episodes": 100,
                    "device": options.device,
                },
                evaluation_episodes=200,
            )
            for seed in range(options.seeds or SEEDS)
            for method, method_options in METHODS.items()
        )
    )


EWC_PONG_SOUP_MINI = Suite(
    name="ewc-pong-soup-mini",
    title="One network, two looks of Pong",
    summary="EWC, replay and finetuning on MiniPong, then its mirror image: is the first kept?",
    figure="after Kirkpatrick et al. 2017, Fig. 3, on one pair of small tasks",
    steps_per_second=7_000,
    plan=plan,
    spaces={
        name: SearchSpace(space.learner, methods={"ewc": {"lam": LogUniform(10.0, 300.0)}})
        for name, space in SPACES.items()
    },
)
