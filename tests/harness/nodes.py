"""A Ray cluster of several nodes on one machine, and what becomes of runs when a node is killed.

A node is killed as by a power cut: Ray's processes on it, what stands for the executor there, the
server that runs are forked from and the runs, all by SIGKILL at one moment.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.store.folders import SuiteFolder
from harness.runs import PAIR, SPECS, content, faults
from harness.tally import Tally

_START_SECONDS = 300.0

# So that a dead node is known as such after seconds here; by default it takes Ray half a minute.
_HEALTH = {"health_check_period_ms": 500, "health_check_failure_threshold": 4}


@dataclass(eq=False)
class SimulatedNode:
    """A node that stands for a machine.

    Attributes:
        ray: Ray's own handle.
        id: Its name in the cluster.
    """

    ray: Any

    @property
    def id(self) -> str:
        """Its name in the cluster."""
        return str(self.ray.node_id)

    def processes(self) -> list[int]:
        """All that belongs to it: Ray's processes, those that they started, and so on."""
        own = [each.process.pid for kind in self.ray.all_processes.values() for each in kind]
        return [*own, *descendants(own)]

    def kill(self) -> None:
        """End all of it at once."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class SimulatedCluster:
    """A head that trains nothing, and nodes that can be killed; a context."""

    def __init__(self, cores: int = 1, nodes: int = 2, **head: Any) -> None:
        from ray.cluster_utils import Cluster

        os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
        given = {"num_cpus": 0, "include_dashboard": False, "_system_config": _HEALTH, **head}
        self._cluster = Cluster(initialize_head=False)
        self._head = SimulatedNode(self._cluster.add_node(wait=False, **given))
        self.nodes = [self.add(cores) for _ in range(nodes)]

    def __enter__(self) -> SimulatedCluster:
        return self

    def __exit__(self, *_: object) -> None:
        for node in (*self.nodes, self._head):
            node.kill()

    @property
    def address(self) -> str:
        """Of the head, as for `--on ray:ADDRESS`."""
        return str(self._cluster.address)

    def add(self, cores: int = 1, **given: Any) -> SimulatedNode:
        """Begin a node."""
        node = self._cluster.add_node(num_cpus=cores, wait=False, **given)
        return SimulatedNode(node)

    def replace(self, node: SimulatedNode) -> None:
        """Kill a node, and begin another one."""
        node.kill()
        self.nodes[self.nodes.index(node)] = self.add()


def descendants(roots: list[int]) -> list[int]:
    """Find all processes that descend from some."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    found, waiting = [], list(roots)
    while waiting:
        new = children.get(waiting.pop(), [])
        found += new
        waiting += new
    return found


def at_work_in(out: Path) -> dict[int, str]:
    """Return the living processes that train in an output folder: servers and their forks."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            ours = b"colonnade.experiments.execution" in words and str(out).encode() in words
            if ours and state not in "ZX":
                found[int(entry.name)] = state
    return found


@contextmanager
def command(
    *arguments: object, said: Path, folder: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Begin a command in a folder whose words go to a file; it is ended afterwards."""
    with said.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "colonnade", *map(str, arguments)],
            stdout=output,
            stderr=output,
            cwd=folder,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until(
    condition: Any, process: subprocess.Popen[bytes], seconds: float = _START_SECONDS
) -> bool:
    """Wait for a condition; False if the command ends or time is over before."""
    limit = time.monotonic() + seconds
    while not condition():
        if process.poll() is not None or time.monotonic() > limit:
            return False
        time.sleep(0.02)
    return True


def steps(out: Path) -> int:
    """Count the steps that the runs of a folder have told of."""
    count = 0
    for status in out.glob("runs/*/status.json"):
        with suppress(OSError, ValueError):
            count += (json.loads(status.read_text()).get("progress") or {}).get("run_step", 0)
    return count


def write_specs(file: Path, specs: tuple[RunSpec, ...]) -> Path:
    """Write specs for `colonnade run`."""
    file.write_text(json.dumps([spec.to_json() for spec in specs]))
    return file


def different(specs: tuple[RunSpec, ...], out: Path, undisturbed: Path) -> str:
    """Say which runs of two folders came to other things; empty where none did."""
    wrong = []
    one, other = SuiteFolder.read(out), SuiteFolder.read(undisturbed)
    for spec in specs:
        folder = one.run(spec.id)
        if not folder.done:
            wrong.append(f"{spec.label} is not complete")
        elif spec.learner == "a3c":  # with several workers, which hang on timing
            wrong += faults(spec, folder)
        elif content(folder)[:4] != content(other.run(spec.id))[:4]:
            wrong.append(f"{spec.label} is DIFFERENT")
    return "; ".join(wrong)


def node_kill(
    cluster: SimulatedCluster,
    specs: tuple[RunSpec, ...],
    undisturbed: Path,
    place: Path,
    stream: random.Random,
) -> tuple[str, str]:
    """Kill one of the nodes that runs train on, and compare with what nobody disturbed.

    Returns:
        What was done, and what is wrong; empty where all is well.
    """
    file, out, said = write_specs(place / "specs.json", specs), place / "out", place / "said.txt"
    whole = sum(spec.steps for spec in specs)
    moment = stream.randint(1, int(0.8 * whole))
    with command("run", file, "--out", out, "--on", f"ray:{cluster.address}", said=said) as process:
        reached = 0

        def come() -> bool:
            nonlocal reached
            reached = max(reached, steps(out))
            done = [spec for spec in specs if (out / "runs" / spec.id / "DONE").exists()]
            return max(reached, sum(spec.steps for spec in done)) >= moment

        if not until(come, process):
            return "no kill", f"did not come to it: {said.read_text(errors='replace')[-500:]}"
        busy = [node for node in cluster.nodes if set(node.processes()) & set(at_work_in(out))]
        victim = stream.choice(busy or cluster.nodes)
        training = len(set(victim.processes()) & set(at_work_in(out))) - 1
        cluster.replace(victim)
        status = process.wait(900)
    words = f"node killed with {training} processes of runs at {moment} of {whole} steps"
    if status:
        return words, f"status {status}: {said.read_text(errors='replace')[-500:]}"
    return words, different(specs, out, undisturbed)


def node_kills(count: int, tally: Tally) -> int:
    """Kill nodes of a cluster, a command each; compare.

    Args:
        count: How many.
        tally: Counts them.

    Returns:
        How many went wrong; each is told, and the last line counts those that went well.
    """
    kinds = [(*PAIR, *SPECS[at : at + 3]) for at in range(0, len(SPECS), 3)]
    left = [number for number in range(1, count + 1) if number not in tally]
    with tempfile.TemporaryDirectory() as scratch:
        undisturbed: dict[int, Path] = {}
        with SimulatedCluster() if left else nullcontext() as cluster:
            for number in left:
                kind = number % len(kinds)
                if kind not in undisturbed:
                    out = Path(scratch) / f"undisturbed-{kind}"
                    specs = write_specs(Path(scratch) / "specs.json", kinds[kind])
                    said = Path(scratch) / "said.txt"
                    with command("run", specs, "--out", out, said=said) as process:
                        assert process.wait(900) == 0, said.read_text(errors="replace")
                    undisturbed[kind] = out
                place = Path(scratch) / str(number)
                place.mkdir()
                assert cluster is not None
                given = (kinds[kind], undisturbed[kind], place, tally.stream(number))
                words, wrong = node_kill(cluster, *given)
                if wrong:
                    shutil.copytree(place, Path("stress-different") / f"node-{number}")
                tally.tell(number, words, wrong, "equal")
    return tally.end()
