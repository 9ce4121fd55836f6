"""Kill runs at random moments, resume them, and compare them with runs that nobody disturbed.

    python tests/stress.py --kills 50

Half of the kills come at a moment drawn from the whole length of a run, from its beginning to its
DONE; the other half follow a change in its folder at once, where files are being written. Every
third one ends the process that workers are forked from as well, and after every fourth a byte of
the newest checkpoint is damaged. The last line says how many of the resumed runs are equal to the
undisturbed one in every row, weight and score.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from colonnade.experiments.execution.processes import ForkedWorkers
from colonnade.experiments.execution.resources import Resources
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.spec import RunSpec, TaskBudget, TaskVisit
from colonnade.experiments.store.folders import RunFolder, SuiteFolder

_OPTIONS = {"num_envs": 4, "segment_steps": 160, "curve_steps": 80}

SPECS = (
    RunSpec(
        label="progressive a2c",
        method="progressive",
        tasks=(TaskBudget("mini-pong/pong", 1200), TaskBudget("mini-pong/zoom", 800)),
        learner="a2c",
        column="tiny",
        training_options=_OPTIONS,
        evaluation_episodes=2,
    ),
    RunSpec(
        label="finetune ppo",
        method="finetune",
        tasks=(TaskBudget("mini-pong/noisy", 800), TaskBudget("mini-pong/h-flip", 1200)),
        learner="ppo",
        learner_options={"rollout_steps": 20, "minibatches": 2},
        column="tiny",
        training_options=_OPTIONS,
        evaluation_episodes=2,
    ),
    RunSpec(
        label="consolidated a2c",
        method="ewc",
        tasks=(TaskBudget("mini-pong/pong", 800), TaskBudget("mini-pong/white", 800)),
        learner="a2c",
        column="tiny",
        training_options=_OPTIONS,
        evaluation_episodes=2,
    ),
    RunSpec(
        label="consolidated a2c of two processes",
        method="ewc",
        tasks=(TaskBudget("mini-pong/pong", 800), TaskBudget("mini-pong/zoom", 800)),
        learner="a2c",
        learner_options={"workers": 2},
        column="tiny",
        training_options=_OPTIONS,
        evaluation_episodes=2,
    ),
    RunSpec(
        label="recurrent ppo",
        method="progressive",
        tasks=(TaskBudget("t-maze/3", 800), TaskBudget("t-maze/5", 800)),
        learner="ppo",
        learner_options={"rollout_steps": 20, "minibatches": 2},
        column={"stages": [{"kind": "dense", "units": 16}, {"kind": "lstm", "units": 16}]},
        training_options=_OPTIONS,
        evaluation_episodes=2,
    ),
    RunSpec(
        label="recognising dqn",
        method="ewc",
        tasks=(TaskBudget("mini-pong/pong", 800), TaskBudget("mini-pong/black", 800)),
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
        visits=tuple(TaskVisit(f"mini-pong/{name}", 400) for name in ("pong", "black") * 2),
        labels={"kind": "forget-me-not", "size": 16},
    ),
    RunSpec(
        label="evolving a2c",
        method="pathnet",
        tasks=(TaskBudget("mini-pong/pong", 800), TaskBudget("mini-pong/zoom", 800)),
        learner="a2c",
        method_options={"population": 4, "episodes": 1},
        column={"preset": "mini", "modules": 4},
        training_options=_OPTIONS,
        evaluation_episodes=2,
    ),
)


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


class Stress:
    """Trains runs in forked workers and ends them as asked."""

    def __init__(self, path: Path) -> None:
        self.suite = SuiteFolder(path, "stress", {}, Plan(SPECS))
        self.suite.begin()
        self.workers = ForkedWorkers(path)

    def begin(self, spec: RunSpec) -> RunFolder:
        folder = self.suite.run(spec.id)
        folder.path.mkdir(parents=True, exist_ok=True)
        self.workers.start(spec.id, Resources())
        return folder

    def wait(self, until: Callable[[], bool] = lambda: False) -> bool:
        """Say whether the worker ended before a moment, other than with its server."""
        while not until():
            for end in self.workers.ended(0.0005):
                return end.outcome != "lost"
        return False

    def train(self, spec: RunSpec) -> RunFolder:
        folder = self.begin(spec)
        self.wait()
        if not folder.done:
            sys.exit(f"{spec.label} did not complete; see {folder.log_path}")
        return folder

    def kill(self, spec: RunSpec, moment: Callable[[], bool], server: bool) -> bool:
        """Kill a run at a moment; False where it was complete before."""
        folder = self.begin(spec)
        if self.wait(moment):
            return False
        if server:
            process = self.workers._server
            assert process is not None
            # The server first: its worker is an orphan for as long as it takes to end it as well.
            process.kill()
            if pid := folder.status().get("pid"):
                os.kill(pid, signal.SIGKILL)
        else:
            self.workers.kill(spec.id)
        self.wait()
        return not folder.done


def damage(folder: RunFolder, stream: random.Random) -> bool:
    """Change a byte of the newest checkpoint, if there is one."""
    checkpoints = sorted(folder.path.glob("checkpoint-*.safetensors"))
    if not checkpoints:
        return False
    content = bytearray(checkpoints[-1].read_bytes())
    content[stream.randrange(len(content))] ^= 0xFF
    checkpoints[-1].write_bytes(content)
    return True


def after(seconds: float) -> Callable[[], bool]:
    """Say when that many seconds have passed."""
    limit = time.monotonic() + seconds
    return lambda: time.monotonic() >= limit


def at_change(path: Path, number: int) -> Callable[[], bool]:
    """Say when the names in a folder have changed that often."""
    seen: set[Path] = set()
    changes = 0

    def moment() -> bool:
        nonlocal seen, changes
        names = set(path.iterdir())
        changes += names != seen
        seen = names
        return changes > number

    return moment


def main(arguments: list[str]) -> int:
    """Kill, resume, compare; 0 where all are equal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    stream = random.Random(given.seed)
    equal = 0
    with tempfile.TemporaryDirectory() as scratch:
        stress = Stress(Path(scratch))
        reference, seconds = {}, {}
        for spec in SPECS:
            stress.train(spec)
            shutil.rmtree(stress.suite.run(spec.id).path)
            started = time.monotonic()
            reference[spec.id] = content(stress.train(spec))
            seconds[spec.id] = time.monotonic() - started
            shutil.rmtree(stress.suite.run(spec.id).path)
        number = 0
        while number < given.kills:
            spec = SPECS[number % len(SPECS)]
            folder = stress.suite.run(spec.id)
            server = number % 3 == 2
            if stream.random() < 0.5:
                moment = after(stream.uniform(0, seconds[spec.id]))
            else:
                folder.path.mkdir(parents=True)
                moment = at_change(folder.path, stream.randint(1, 60))
            if stress.kill(spec, moment, server):
                number += 1
                rows = len(folder.metrics())
                damaged = number % 4 == 0 and damage(folder, stream)
                stress.train(spec)
                same = content(folder) == reference[spec.id]
                equal += same
                who = "worker and server" if server else "worker"
                what = ", its newest checkpoint damaged" if damaged else ""
                verdict = "equal" if same else "DIFFERENT"
                print(f"{number:>4}  {spec.label}: {who} killed at row {rows}{what}: {verdict}")
                if damaged and not any("damaged" in note for note in folder.result()["notes"]):
                    sys.exit(f"Nobody said that a checkpoint of {spec.label} was damaged.")
                if not same:
                    shutil.copytree(folder.path, f"stress-different-{number}")
            shutil.rmtree(folder.path)
        stress.workers.close()
    print(f"{equal} of {given.kills}", flush=True)
    return 0 if equal == given.kills else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
