"""DQN from the command line: trained, cut off and gone on with, reported and played."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from colonnade.cli.main import main
from colonnade.experiments.plans.spec import RunSpec, TaskBudget

SPEC = RunSpec(
    "q",
    "finetune",
    (TaskBudget("mini-pong/pong", 2400),),
    "dqn",
    "tiny",
    learner_options={"warm_up": 100, "replay": 500, "target_every": 300, "explore_steps": 1000},
    training_options={"num_envs": 4, "segment_steps": 400, "curve_steps": 400},
    evaluation_episodes=2,
)


def curve(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [
        {name: value for name, value in row.items() if "second" not in name}
        for row in rows
        if row["kind"] == "curve"
    ]


@pytest.mark.slow
def test_it_is_trained_cut_off_gone_on_with_reported_and_played(tmp_path, capsys):
    specs = tmp_path / "specs.json"
    specs.write_text(json.dumps([SPEC.to_json()]))
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert main(["run", str(specs), "--out", str(whole)]) == 0
    command = [sys.executable, "-m", "colonnade", "run", str(specs), "--out", str(cut)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    run = cut / "runs" / SPEC.id
    while not list(run.glob("checkpoint-*")) and process.poll() is None:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(timeout=60) == 143
    assert main(command[3:]) == 0
    assert curve(run) == curve(whole / "runs" / SPEC.id)
    for name in ("weights.safetensors", "network.json"):
        assert (run / name).read_bytes() == (whole / "runs" / SPEC.id / name).read_bytes()
    assert "dqn" in (cut / "report.html").read_text()
    capsys.readouterr()
    assert main(["play", str(cut), "--episodes", "2", "--film", str(tmp_path / "film.gif")]) == 0
    assert "episode 2: return" in capsys.readouterr().out
