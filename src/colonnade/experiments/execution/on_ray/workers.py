"""Runs trained on the nodes of a cluster."""

from __future__ import annotations

import itertools
import logging
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from colonnade.errors import ColonnadeError
from colonnade.experiments.execution.on_ray.agent import PACKAGES, Orders, source_digest, version_of
from colonnade.experiments.execution.on_ray.nodes import (
    AgentAwayError,
    AgentGoneError,
    Call,
    Cluster,
    Node,
)
from colonnade.experiments.execution.on_ray.stations import Place, Station
from colonnade.experiments.execution.resources import Resources
from colonnade.experiments.execution.workers import Ended
from colonnade.experiments.store.folders import RunFolder
from colonnade.experiments.store.lock import LOCK_FILES
from colonnade.parts.plugins import loaded_plugins
from colonnade.watching import limit, silence

logger = logging.getLogger(__name__)

_HEAR_SECONDS = 1.0
_NODES_SECONDS = 2.0
_PLACE_SECONDS = 0.02
_CLOSE_SECONDS = 10.0

WITHOUT_SECONDS = 60.0
"""How long runs wait for a node where all are gone."""

SEEN_SECONDS = 60.0
"""How long a file that another machine wrote may take to be seen on this one."""

_KEEP_SECONDS = 5.0
"""How long room is kept for a run that may come."""

_AGENTS = 3
"""How often an agent is begun on a node."""


_CARRIED = ("WANDB_", "COLONNADE_", "MUJOCO_GL")
"""How the environment variables begin that runs on nodes should find as the command does."""


class RayWorkers:
    """Workers forked on the nodes of a cluster, with their share of a node held there.

    On each node an agent, which takes no share, has a server such as `ForkedWorkers` has here. A
    run's share is room that the cluster finds; then the agent of that node is told to begin it.

    Args:
        suite: The output folder, whose lock this process holds.
        cluster: Where to train.
    """

    def __init__(self, suite: Path, cluster: Cluster) -> None:
        self._suite = suite.resolve()
        self._cluster = cluster
        self._stations: dict[str, Station] = {}
        self._refused: set[str] = set()
        self._tickets = itertools.count()
        self._begun: dict[str, int] = {}
        self._first: set[str] | None = None
        self._places: dict[str, Place] = {}
        self._shares: dict[str, Resources] = {}
        self._free: list[Place] = []
        self._out: list[Ended] = []
        self._unseen: dict[str, tuple[Ended, float]] = {}
        self._looked = -math.inf
        self._without: float | None = None
        self._scale = 1.0
        versions = {name: version_of(name) for name in PACKAGES}
        holder = (self._suite / LOCK_FILES[1]).read_text(errors="replace")
        self._orders = Orders(
            suite=str(self._suite),
            folder=str(Path.cwd()),
            log="",
            limit=limit(),
            plugins=loaded_plugins(),
            versions=versions,
            source=source_digest(),
            holder=holder,
            environment={k: v for k, v in os.environ.items() if k.startswith(_CARRIED)},
        )

    def machines(self, runs: int) -> Sequence[Resources]:
        """Return the nodes that are ready, once all that were there at first are."""
        self._look_for_nodes()
        ready = [each.node for each in self._stations.values() if each.opening is None]
        if self._first or not ready:
            return []
        cores = sum(node.cores for node in ready)
        if runs <= cores:
            self._scale = 1.0
            return [node.resources for node in ready]
        shared = [math.ceil(node.cores * runs / cores) for node in ready]
        self._scale = min(node.cores / many for node, many in zip(ready, shared, strict=True))
        return [
            replace(node.resources, cores=many) for node, many in zip(ready, shared, strict=True)
        ]

    def start(self, run: str, share: Resources) -> None:
        """Ask for room for a run, which begins as soon as there is some."""
        amounts = self._amounts(share)
        self._shares[run] = share
        for place in self._free:
            if place.amounts == amounts:
                self._free.remove(place)
                self._places[run] = place
                self._begin(run, place)
                return
        self._clear()
        self._places[run] = Place(amounts, self._cluster.reserve(amounts, self._ready))

    def stop(self, run: str) -> None:
        """Ask a run to stop after its next update; one that has no room yet waits no more."""
        self._tell(run, "stop")

    def kill(self, run: str) -> None:
        """End a run at once."""
        self._tell(run, "kill")

    def ended(self, seconds: float) -> list[Ended]:
        """Return what ended.

        Raises:
            ColonnadeError: A node that was there at first can't train, or none is left.
        """
        until = time.monotonic() + seconds
        while True:
            self._look_for_nodes()
            waiting = self._find_room()
            left = max(0.0, until - time.monotonic())
            self._hear(min(left, _PLACE_SECONDS) if waiting or self._unseen else left)
            self._look_at_unseen()
            if self._out or time.monotonic() >= until:
                ended, self._out = self._out, []
                return ended

    def silent(self) -> Mapping[str, float]:
        """Say for how many seconds runs have given no sign of life, as their nodes tell."""
        found: dict[str, float] = {}
        for each in self._stations.values():
            found |= each.silent
        return found

    def close(self) -> None:
        """End the agents, and with them what still trains."""
        closing: list[Call] = []
        for each in self._stations.values():
            if each.opening is None:
                closing.append(self._cluster.call(each.agent, "close"))
                closing += [each.hearing] if each.hearing else []
        until = time.monotonic() + _CLOSE_SECONDS
        while closing and (left := until - time.monotonic()) > 0:
            for call in self._cluster.wait(closing, left):
                closing.remove(call)
        self._clear()
        for place in self._places.values():
            self._cluster.release(place.room)
        for each in self._stations.values():
            self._cluster.end(each.agent)
        self._cluster.close()

    @property
    def _ready(self) -> list[str]:
        """Names of the nodes that runs can train on."""
        return [name for name, each in self._stations.items() if each.opening is None]

    def _amounts(self, share: Resources) -> dict[str, float]:
        """Say what of a node's resources a share is; Ray counts in ten-thousandths."""
        amounts = {"CPU": math.floor(share.cores * self._scale * 1e4) / 1e4}
        if share.memory:
            amounts["memory"] = float(share.memory)
        with_gpu = [each.node for each in self._stations.values() if each.node.gpus]
        if share.gpu and with_gpu:
            # Runs share a GPU, as many as its part of the node's cores is enough for.
            part = min(1.0, amounts["CPU"] * min(node.gpus / node.cores for node in with_gpu))
            amounts["GPU"] = math.floor(part * 1e4) / 1e4
        return amounts

    def _look_for_nodes(self) -> None:
        """Begin an agent on each node that has none; take note that there are no nodes."""
        now = time.monotonic()
        if now - self._looked < _NODES_SECONDS:
            return
        self._looked = now
        self._clear(now - _KEEP_SECONDS)
        nodes = self._cluster.nodes()
        for node in nodes:
            if node.id in self._stations or node.id in self._refused:
                continue
            if self._begun.get(node.id, 0) == _AGENTS:
                self._refuse(node, "ended what Colonnade began there again and again")
                continue
            self._begun[node.id] = self._begun.get(node.id, 0) + 1
            orders = replace(self._orders, log=f"workers-{node.id[:8]}.txt")
            self._stations[node.id] = Station(node, *self._cluster.agent(node, orders))
        if self._first is None:
            self._first = set(self._stations)
        if any(node.id not in self._refused for node in nodes):
            self._without = None
        elif self._without is None:
            self._without = now
        elif now - self._without > WITHOUT_SECONDS:
            raise ColonnadeError(
                "No node of the Ray cluster is left to train on; the last checkpoints are kept, "
                "and the same command goes on from them when there is one."
            )

    def _refuse(self, node: Node, why: str) -> None:
        sentence = f"Node {node.name} {why}."
        if self._first and node.id in self._first:
            raise ColonnadeError(sentence)
        self._refused.add(node.id)
        logger.warning("%s It takes no part.", sentence)

    def _find_room(self) -> bool:
        """Begin runs for which there is room now; say whether others wait."""
        waiting = False
        for run, place in list(self._places.items()):
            if place.node is None:
                place.node = self._cluster.place(place.room)
                if place.node is None:
                    waiting = True
                else:
                    self._begin(run, place)
        return waiting

    def _begin(self, run: str, place: Place) -> None:
        station = self._stations.get(place.node or "")
        if station is None:  # lost, before anybody knew
            self._lose([run], "its node was lost")
        else:
            given = (next(self._tickets), run, self._shares[run])
            self._cluster.call(station.agent, "start", *given)

    def _tell(self, run: str, what: str) -> None:
        place = self._places.get(run)
        if place is None:
            return
        if place.node is None:
            self._cluster.release(self._places.pop(run).room)
            self._out.append(Ended(run, "stopped"))
        elif place.node in self._stations:
            self._cluster.call(self._stations[place.node].agent, what, run)

    def _hear(self, seconds: float) -> None:
        """Take note of what the agents answer, within that time."""
        calls: dict[Call, Station] = {}
        for each in self._stations.values():
            if each.opening is None and each.hearing is None:
                given = (each.seen, _HEAR_SECONDS)
                each.hearing = self._cluster.call(each.agent, "heard", *given)
            calls[each.hearing or each.opening] = each
        if not calls:
            time.sleep(min(seconds, _PLACE_SECONDS))
            return
        for call in self._cluster.wait(list(calls), seconds):
            self._answered(calls[call], call)
        for each in list(self._stations.values()):
            if each.watch.hangs():
                self._cluster.end(each.agent, stuck=True)
                self._leave(each, silence(each.watch.silent))

    def _answered(self, station: Station, call: Call) -> None:
        node, opened = station.node, station.opening is None
        station.hearing = None
        try:
            answer = self._cluster.answer(call)
        except AgentAwayError:
            time.sleep(_PLACE_SECONDS)
            return
        except AgentGoneError:
            if any(each.id == node.id for each in self._cluster.nodes()):
                self._leave(station, "was ended")
                return
            self._leave(station, "")
            if self._first is not None:
                self._first.discard(node.id)
            return
        except ColonnadeError as error:
            self._leave(station, f"could not go on ({error})")
            return
        station.answers += 1
        if opened:
            ended, station.silent = answer
            station.seen += len(ended)
            for end in ended:
                self._end(end)
            return
        station.opening = None
        if answer:
            self._leave(station, "")
            self._cluster.end(station.agent)
            self._refuse(node, answer)
        elif self._first is not None:
            self._first.discard(node.id)
            self._wait_anew()

    def _leave(self, station: Station, how: str) -> None:
        """Take note that an agent is gone, with its node unless it is said how."""
        node = station.node
        del self._stations[node.id]
        there = [run for run, place in self._places.items() if place.node == node.id]
        reason = f"node {node.name} was lost"
        self._lose(there, f"what Colonnade has on node {node.name} {how}" if how else reason)
        for place in [place for place in self._free if place.node == node.id]:
            self._free.remove(place)
            self._cluster.release(place.room)
        self._wait_anew()

    def _wait_anew(self) -> None:
        """Have those who wait for room wait for it on the nodes that are now there."""
        for run, place in list(self._places.items()):
            if place.node is None and not self._ready:
                self._lose([run], "all nodes were lost")
            elif place.node is None:
                # What it would have had of a node that is gone, none of these may have.
                largest = max(self._stations[node].node.cores for node in self._ready)
                share, most = self._shares[run], max(1, int(largest / self._scale))
                self._shares[run] = replace(share, cores=min(share.cores, most))
                place.amounts = self._amounts(self._shares[run])
                self._cluster.release(place.room)
                place.room = self._cluster.reserve(place.amounts, self._ready)

    def _lose(self, runs: Sequence[str], reason: str) -> None:
        for run in runs:
            self._cluster.release(self._places.pop(run).room)
            self._out.append(Ended(run, "lost", reason))

    def _end(self, end: Ended) -> None:
        place = self._places.pop(end.run, None)
        if place is None:  # it was taken for lost before
            return
        self._hand_over(place)
        if end.outcome == "finished":
            self._unseen[end.run] = (end, time.monotonic() + SEEN_SECONDS)
        else:
            self._out.append(end)

    def _hand_over(self, place: Place) -> None:
        """Let who waits have the room that a run leaves, if it is what they need."""
        waiting = {run: each for run, each in self._places.items() if each.node is None}
        for run, each in waiting.items():
            if each.amounts == place.amounts:
                self._cluster.release(each.room)
                self._places[run] = place
                self._begin(run, place)
                return
        if waiting:
            self._cluster.release(place.room)
        else:
            place.free_since = time.monotonic()
            self._free.append(place)

    def _look_at_unseen(self) -> None:
        """Let go of runs that another machine completed once this one sees so too."""
        for run, (end, until) in list(self._unseen.items()):
            folder = RunFolder(self._suite / "runs" / run)
            if not folder.done and time.monotonic() < until:
                continue
            del self._unseen[run]
            late = f"it was completed, but {folder.path} does not show that on this machine"
            self._out.append(end if folder.done else replace(end, outcome="lost", reason=late))

    def _clear(self, before: float = math.inf) -> None:
        """Give back the room that no run uses, and did not before a moment."""
        for place in [place for place in self._free if place.free_since < before]:
            self._free.remove(place)
            self._cluster.release(place.room)
