"""A finished run to be analysed."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from colonnade.experiments.execution.run import train_run
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.store.folders import SuiteFolder

SPEC = RunSpec(
    label="analysed",
    method="progressive",
    tasks=(TaskBudget("t-maze/3", 4000), TaskBudget("t-maze/5", 400)),
    learner="ppo",
    learner_options={"rollout_steps": 20, "minibatches": 2},
    column={"stages": [{"kind": "dense", "units": 16}, {"kind": "lstm", "units": 16}]},
    training_options={"num_envs": 4, "segment_steps": 2000, "curve_steps": 1000},
    evaluation_episodes=2,
)


def trained(out: Path) -> None:
    """Put a trained run of two columns into a folder; it is trained once in each process."""
    shutil.copytree(_once(), out)


@functools.cache
def _once() -> Path:
    place = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    suite = SuiteFolder(place / "out", "stress", {}, Plan((SPEC,))).begin()
    suite.run(SPEC.id).path.mkdir(parents=True)
    train_run(suite.path, SPEC)
    return suite.path
