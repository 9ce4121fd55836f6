"""The script for Slurm of docs/clusters.md, with stand-ins for Slurm's commands and one node."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from colonnade.experiments.store.folders import SuiteFolder
from harness.nodes import write_specs
from harness.runs import PAIR

pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_the_script_for_slurm_trains(tmp_path: Path) -> None:
    page = Path(__file__).parent.parent / "docs" / "clusters.md"
    script = page.read_text().partition("```bash\n")[2].partition("```")[0]
    sweep = "colonnade sweep pong-soup-mini --jobs 25"
    assert sweep in script
    specs = write_specs(tmp_path / "specs.json", PAIR)
    (tmp_path / "job.sh").write_text(
        script.replace(sweep, f"{sys.executable} -m colonnade run {specs}")
    )
    stand_ins = {
        "srun": 'while [ "${1#--}" != "$1" ]; do shift; done; exec "$@"',
        "scontrol": 'test "$*" = "show hostnames nodes[1-4]" && echo 127.0.0.1 && echo other',
        "ray": f'exec {sys.executable} -m ray.scripts.scripts "$@"',
    }
    for name, does in stand_ins.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{does}\n")
        (tmp_path / name).chmod(0o755)
    given = {
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "SLURM_JOB_NODELIST": "nodes[1-4]",
        "SLURM_JOB_ID": str(os.getpid()),
        "SLURM_NNODES": "1",
        "SLURM_CPUS_PER_TASK": "2",
        "SLURM_SUBMIT_DIR": str(tmp_path),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    job = ["bash", str(tmp_path / "job.sh")]
    said = subprocess.run(job, env=os.environ | given, capture_output=True, text=True)
    assert said.returncode == 0, said.stdout + said.stderr
    assert all(run.done for run in SuiteFolder.read(tmp_path / "sweep").runs)
