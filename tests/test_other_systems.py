"""Where `fork` and `fcntl` are missing, what works works, and what can't says so."""

import json
import subprocess
import sys
import time
from pathlib import Path

from finished import poles

from colonnade.experiments.plans.spec import RunSpec, TaskBudget

HIDDEN = """
import sys, os
sys.modules["fcntl"] = None
for name in ("fork", "forkpty", "wait4", "setsid"):
    if hasattr(os, name):
        delattr(os, name)
import multiprocessing, multiprocessing.context
multiprocessing.get_all_start_methods = lambda: ["spawn"]
import warnings
warnings.simplefilter("ignore")
from colonnade.cli.main import main
for command in COMMANDS:
    print(command[0], main(command), flush=True)
from colonnade.errors import ColonnadeError
from colonnade.learners import A2C
from colonnade.methods import Scratch
from colonnade.tasks import MiniPongTask
from colonnade.training import TrainingOptions, train_sequence
options = TrainingOptions(num_envs=2, segment_steps=32, curve_steps=32)
train_sequence([MiniPongTask("pong", steps=64)], Scratch(), A2C(), options=options)
print("trained")
try:
    train_sequence([MiniPongTask("pong", steps=64)], Scratch(), A2C(workers=2), options=options)
except ColonnadeError as error:
    print("workers:", error)
"""


def test_without_fork_and_fcntl(tmp_path: Path) -> None:
    poles(tmp_path / "done")
    spec = RunSpec("one", "scratch", (TaskBudget("mini-pong/pong", 100),), "a2c", "tiny")
    (tmp_path / "spec.json").write_text(json.dumps(spec.to_json()))
    commands = [
        ["suites"],
        ["report", "done"],
        ["describe", "done"],
        ["play", "done"],
        ["run", "spec.json", "--out", "out"],
    ]
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", f"COMMANDS = {commands!r}\n{HIDDEN}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    took = time.monotonic() - begun
    assert done.returncode == 0, done.stderr
    assert took < 50, "nobody waits for runs that could not be begun"
    for command in ("suites", "report", "describe", "play"):
        assert f"{command} 0" in done.stdout, done.stderr
    assert "run 1" in done.stdout
    assert "which this system can't do (it has no os.fork)" in done.stderr
    assert "unforeseen" not in done.stderr
    assert "Traceback" not in done.stderr
    assert "trained" in done.stdout
    assert "workers: A2C's workers need a system that can fork processes" in done.stdout
