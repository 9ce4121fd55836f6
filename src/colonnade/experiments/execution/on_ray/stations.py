"""What the executor knows of each node, and of the room that runs have there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from colonnade.experiments.execution.on_ray.nodes import Agent, Call, Node, Room
from colonnade.watching import START_SECONDS, Watch


@dataclass
class Station:
    """A node and what stands for the executor there.

    Attributes:
        opening: The answer to what is in the way; None once it is known that nothing is.
        hearing: The answer to what ended there.
        seen: How many ends were heard.
        answers: How many answers came, which are its signs of life.
    """

    node: Node
    agent: Agent
    opening: Call | None
    hearing: Call | None = None
    seen: int = 0
    answers: int = 0
    silent: Mapping[str, float] = field(default_factory=dict)
    watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        self.watch = Watch(lambda: self.answers, START_SECONDS)


@dataclass
class Place:
    """Room that a run has, or waits for; a run with the same needs takes over what one leaves.

    Attributes:
        amounts: What of a node's resources it is.
        room: The cluster's own handle of it.
        node: Where it is; None as long as there is none.
        free_since: Since when no run has it, by the monotonic clock.
    """

    amounts: Mapping[str, float]
    room: Room
    node: str | None = None
    free_since: float = 0.0
