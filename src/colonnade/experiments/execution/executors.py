"""Where runs train: what `--on` says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from colonnade.errors import UsageError
from colonnade.experiments.execution.processes import ForkedWorkers
from colonnade.experiments.execution.resources import Resources, this_machine
from colonnade.experiments.execution.workers import Workers

HERE = "here"


@dataclass(frozen=True)
class Executor:
    """Somewhere to train.

    Attributes:
        make_workers: Makes what trains runs from their output folder.
        machines: What there is, now.
        words: What messages call it.
        fetches: Whether data sets that are at hand here are at hand there.
    """

    make_workers: Callable[[Path], Workers]
    machines: Sequence[Resources]
    words: str
    fetches: bool = False


def executor(on: str) -> Executor:
    """Find where to train.

    Args:
        on: "here" for processes of this machine; "ray" for the Ray cluster that was started on it,
            "ray:HOST:PORT" for another that it is a node of.

    Raises:
        UsageError: It is something else, Ray is not installed, or no cluster answers.
    """
    if on == HERE:
        return Executor(ForkedWorkers, [this_machine()], "this machine", fetches=True)
    kind, colon, address = on.partition(":")
    if kind != "ray" or (colon and not address):
        raise UsageError(
            f"--on is 'here', 'ray' or 'ray:HOST:PORT', as in --on ray:10.0.0.1:6379, but {on!r} "
            "came."
        )
    if find_spec("ray") is None:
        raise UsageError("--on ray needs Ray; install it with: pip install 'colonnade[ray]'")
    from colonnade.experiments.execution.on_ray.cluster import RayCluster
    from colonnade.experiments.execution.on_ray.workers import RayWorkers

    cluster = RayCluster(address)
    nodes = cluster.nodes()
    if not nodes:
        raise UsageError(
            "The Ray cluster has no node with a core for runs; start one: "
            f"`ray start --address={address or 'HOST:PORT'}`."
        )
    count = "1 node" if len(nodes) == 1 else f"{len(nodes)} nodes"
    return Executor(
        lambda suite: RayWorkers(suite, cluster),
        [node.resources for node in nodes],
        f"a Ray cluster of {count}",
    )
