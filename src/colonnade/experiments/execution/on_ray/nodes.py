"""What the executor asks of a cluster: nodes, an agent on each, and room for runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from colonnade.experiments.execution.on_ray.agent import Orders
from colonnade.experiments.execution.resources import Resources

Agent = Any
Call = Any
Room = Any


@dataclass(frozen=True)
class Node:
    """A machine of a cluster.

    Attributes:
        id: The cluster's name for it, which no other node ever has.
        name: What messages call it.
        cores: How many there are for runs.
        gpus: How many there are.
        memory: Bytes for runs.
    """

    id: str
    name: str
    cores: int
    gpus: int = 0
    memory: int = 0

    @property
    def resources(self) -> Resources:
        """What there is for runs."""
        return Resources(self.cores, self.gpus > 0, self.memory)


class AgentGoneError(Exception):
    """An agent is gone, and its node perhaps too."""


class AgentAwayError(Exception):
    """An agent could not be reached this time; whether it is gone is not known yet."""


class Cluster(Protocol):
    """A cluster that this process is connected to."""

    def nodes(self) -> list[Node]:
        """Return the nodes that live and have cores."""

    def agent(self, node: Node, orders: Orders) -> tuple[Agent, Call]:
        """Begin an agent on a node; the answer is what is in the way of it."""

    def call(self, agent: Agent, method: str, *given: object) -> Call:
        """Ask an agent for something."""

    def wait(self, calls: Sequence[Call], seconds: float) -> list[Call]:
        """Return the calls that are answered; wait that long at most for the first one."""

    def answer(self, call: Call) -> Any:
        """Return the answer to a call.

        Raises:
            AgentGoneError: There will be none.
            AgentAwayError: There is none this time.
            ColonnadeError: The agent raised it.
        """

    def end(self, agent: Agent, *, stuck: bool = False) -> None:
        """End an agent at once, also if it is stuck and hears nothing."""

    def reserve(self, amounts: Mapping[str, float], nodes: Iterable[str]) -> Room:
        """Ask for room on one of some nodes: "CPU", "GPU" and "memory"."""

    def place(self, room: Room) -> str | None:
        """Return the node where there is room; None as long as there is none."""

    def release(self, room: Room) -> None:
        """Give room back, or wait for it no more."""

    def close(self) -> None:
        """Let go of the cluster."""
