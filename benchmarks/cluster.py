"""What a Ray cluster costs: 100 short runs on two simulated nodes, beside this machine alone.

Both sides have two cores; on the cluster each of two nodes has one. A turn is a process of its own:
its seconds are those from `--on` being read to the last run's end, so that connecting, what stands
for the executor on the nodes and the imports there count, and the cluster's own start does not.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import _alternate

NAMES = ("here", "ray")
STEPS = 2_000


def turn(on: str, out: str, runs: str) -> None:
    """Train the runs, and print the seconds that took."""
    from rich.console import Console

    from colonnade.cli.display import Display
    from colonnade.experiments.execution.execute import execute
    from colonnade.experiments.execution.executors import executor
    from colonnade.experiments.plans.plan import Plan
    from colonnade.experiments.plans.spec import RunSpec, TaskBudget
    from colonnade.experiments.store.folders import SuiteFolder

    specs = tuple(
        RunSpec(
            label=f"run {seed}",
            method="scratch",
            tasks=(TaskBudget("mini-pong/pong", STEPS),),
            learner="a2c",
            column="tiny",
            training_options={"num_envs": 8, "device": "cpu"},
            evaluation_episodes=2,
            seed=seed,
        )
        for seed in range(int(runs))
    )
    suite = SuiteFolder(Path(out), "cluster", {}, Plan(specs)).begin()
    display = Display(Console(quiet=True), "cluster")
    start = time.perf_counter()
    where = executor(on)
    failures = execute(suite, suite.plan, jobs=2, display=display, make_workers=where.make_workers)
    seconds = time.perf_counter() - start
    assert not failures, failures
    print(seconds)


def main() -> None:
    """Start a cluster, let both sides have their turns, and print the ratio."""
    given = _alternate.arguments(__doc__)
    # By default Ray's workers stand behind everything else that a machine has to do.
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
    from ray.cluster_utils import Cluster

    runs, rounds = (16, 1) if given.quick else (100, 3)
    cluster = Cluster()
    for _ in range(2):
        cluster.add_node(num_cpus=1, include_dashboard=False, wait=False)
    seconds: dict[str, list[float]] = {name: [] for name in NAMES}
    with tempfile.TemporaryDirectory() as place:
        for number in range(rounds):
            # Who goes first takes turns too.
            for name in NAMES if number % 2 else NAMES[::-1]:
                on = "here" if name == "here" else f"ray:{cluster.address}"
                words = [on, str(Path(place) / f"{name}-{number}"), str(runs)]
                command = [sys.executable, __file__, "turn", *words]
                said = subprocess.run(command, capture_output=True, text=True)
                if said.returncode:
                    sys.exit(said.stderr)
                seconds[name].append(float(said.stdout.split()[-1]))
            latest = ", ".join(f"{name} {seconds[name][-1]:.1f} s" for name in NAMES)
            print(f"round {number + 1} of {rounds}, {runs} runs: {latest}", flush=True)
    cluster.shutdown()
    here, ray = (statistics.median(seconds[name]) for name in NAMES)
    _alternate.report({"runs": runs, "here_seconds": here, "ray_seconds": ray, "ratio": ray / here})


if __name__ == "__main__":
    if sys.argv[1:2] == ["turn"]:
        _alternate.rest_threads()
        turn(*sys.argv[2:])
    else:
        main()
