"""Small runs of every kind, and what they came to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from colonnade.experiments.plans.spec import RunSpec, TaskBudget, TaskVisit
from colonnade.experiments.store.folders import RunFolder

_OPTIONS = {"num_envs": 4, "segment_steps": 160, "curve_steps": 80}

SPECS = (
    RunSpec(
        label="progressive a2c",
        method="progressive",
        tasks=(TaskBudget("mini-pong/pong", 640), TaskBudget("mini-pong/zoom", 480)),
        learner="a2c",
        column="tiny",
        training_options=_OPTIONS,
        evaluation_episodes=2,
    ),
    RunSpec(
        label="finetune ppo",
        method="finetune",
        tasks=(TaskBudget("mini-pong/noisy", 480), TaskBudget("mini-pong/h-flip", 640)),
        learner="ppo",
        learner_options={"rollout_steps": 20, "minibatches": 2},
        column="tiny",
        training_options=_OPTIONS,
        evaluation_episodes=2,
    ),
    RunSpec(
        label="consolidated a2c",
        method="ewc",
        tasks=(TaskBudget("mini-pong/pong", 480), TaskBudget("mini-pong/white", 480)),
        learner="a2c",
        method_options={"samples": 200},
        column="tiny",
        training_options=_OPTIONS,
        evaluation_episodes=2,
    ),
    RunSpec(
        label="consolidated a2c of two processes",
        method="ewc",
        tasks=(TaskBudget("mini-pong/pong", 480), TaskBudget("mini-pong/zoom", 480)),
        learner="a2c",
        learner_options={"workers": 2},
        method_options={"samples": 200},
        column="tiny",
        training_options=_OPTIONS,
        evaluation_episodes=2,
    ),
    RunSpec(
        label="recurrent ppo",
        method="progressive",
        tasks=(TaskBudget("t-maze/3", 480), TaskBudget("t-maze/5", 480)),
        learner="ppo",
        learner_options={"rollout_steps": 20, "minibatches": 2},
        column={"stages": [{"kind": "dense", "units": 16}, {"kind": "lstm", "units": 16}]},
        training_options=_OPTIONS,
        evaluation_episodes=2,
    ),
    RunSpec(
        label="evolving a2c",
        method="pathnet",
        tasks=(TaskBudget("mini-pong/pong", 480), TaskBudget("mini-pong/zoom", 480)),
        learner="a2c",
        method_options={"population": 4, "episodes": 1},
        column={"preset": "mini", "modules": 4},
        training_options=_OPTIONS,
        evaluation_episodes=2,
    ),
    RunSpec(
        label="remembering dqn",
        method="progressive",
        tasks=(TaskBudget("mini-pong/pong", 640), TaskBudget("mini-pong/zoom", 480)),
        learner="dqn",
        learner_options={"replay": 600, "warm_up": 100, "update_every": 8, "batch_size": 16},
        column="tiny",
        training_options=_OPTIONS,
        evaluation_episodes=2,
    ),
    RunSpec(
        label="recognising dqn",
        method="ewc",
        tasks=(TaskBudget("mini-pong/pong", 480), TaskBudget("mini-pong/black", 480)),
        learner="dqn",
        learner_options={
            "warm_up": 40,
            "replay": 400,
            "batch_size": 8,
            "update_every": 16,
            "target_every": 50,
        },
        method_options={"samples": 40, "own": "released", "start": 100},
        column={"preset": "tiny", "task_gains": True},
        training_options={**_OPTIONS, "test_episodes": 1, "test_unseen": True},
        evaluation_episodes=2,
        visits=tuple(TaskVisit(f"mini-pong/{name}", 240) for name in ("pong", "black") * 2),
        labels={"kind": "forget-me-not", "size": 16},
    ),
    RunSpec(
        label="arm a2c",
        method="progressive",
        tasks=(TaskBudget("jaco/reach", 320), TaskBudget("jaco/robot", 320)),
        learner="a2c",
        column="tiny",
        training_options={"num_envs": 4, "segment_steps": 160, "curve_steps": 80},
        evaluation_episodes=2,
    ),
    RunSpec(
        label="maze ppo",
        method="finetune",
        tasks=(TaskBudget("labyrinth/avoid-1", 480, {"max_steps": 60}),),
        learner="ppo",
        learner_options={"rollout_steps": 20, "minibatches": 2},
        column="tiny",
        training_options={"num_envs": 4, "segment_steps": 160, "curve_steps": 80},
        evaluation_episodes=2,
    ),
    RunSpec(
        label="asynchronous a3c",
        method="progressive",
        tasks=(TaskBudget("mini-pong/pong", 1200), TaskBudget("mini-pong/zoom", 1200)),
        learner="a3c",
        column="tiny",
        training_options={"num_envs": 4, "segment_steps": 300, "curve_steps": 100},
        evaluation_episodes=2,
    ),
)

PAIR = (
    RunSpec(
        label="parent",
        method="progressive",
        tasks=(TaskBudget("mini-pong/pong", 240),),
        learner="a2c",
        column="tiny",
        training_options={"num_envs": 4, "segment_steps": 80, "curve_steps": 80},
        evaluation_episodes=1,
    ),
)
PAIR += (replace(PAIR[0], label="child", parent=PAIR[0].id),)
"""The shortest plan in which a run starts from another."""


def content(folder: RunFolder) -> tuple[Any, ...]:
    """Everything that a run came to, less what the clock says."""
    rows = [
        {key: value for key, value in row.items() if key != "steps_per_second"}
        for row in folder.metrics()
    ]
    tensors, meta = folder.weights()
    weights = {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}
    files = {path.name.partition(".tfevents")[0] for path in folder.path.iterdir()}
    return rows, weights, meta, folder.result()["scores"], files


def faults(spec: RunSpec, folder: RunFolder) -> list[str]:
    """What is wrong with a run that hangs on timing: steps lost or counted twice, no score."""
    rows = folder.metrics()
    found = []
    for index, task in enumerate(spec.tasks):
        steps = [r["step"] for r in rows if r["kind"] == "curve" and r["task_index"] == index]
        if steps != sorted(set(steps)) or not steps or steps[-1] < task.steps:
            found.append(f"bins of task {index} end at {steps}")
    scored = [(row["task"], row["policy"]) for row in rows if row["kind"] == "evaluation"]
    wanted = [(task.name, policy) for task in spec.tasks for policy in ("random", "trained")]
    if sorted(scored) != sorted(wanted):
        found.append(f"scores of {scored}")
    if folder.result()["scores"] != [row for row in rows if row["kind"] == "evaluation"]:
        found.append("scores of the result are not those of the metrics")
    return found
