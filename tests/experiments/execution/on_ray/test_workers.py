"""Runs on a cluster that is made up: no Ray, no processes, and nodes that come and go at will."""

import itertools
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from colonnade.cli.display import Display
from colonnade.errors import ColonnadeError
from colonnade.experiments.execution.execute import execute
from colonnade.experiments.execution.on_ray import workers as on_ray
from colonnade.experiments.execution.on_ray.nodes import AgentAwayError, AgentGoneError, Node
from colonnade.experiments.execution.on_ray.workers import RayWorkers
from colonnade.experiments.execution.resources import Resources
from colonnade.experiments.execution.workers import Ended
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.store.lock import FolderLock
from colonnade.watching import HANG_SECONDS, set_limit


@dataclass
class Agent:
    """On one node; its runs end as `MadeUp.train` says."""

    node: Node
    wrong: str = ""
    dead: bool = False
    mute: bool = False
    closed: bool = False
    away: int = 0
    running: list[str] = field(default_factory=list)
    tickets: set[int] = field(default_factory=set)
    ended: list[Ended] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Call:
    agent: int
    number: int
    method: str
    given: tuple[Any, ...]


@dataclass(eq=False)
class Room:
    amounts: Mapping[str, float]
    nodes: list[str]
    node: str | None = None


class MadeUp:
    """A cluster whose nodes are as large as they say, and which finds room as Ray does."""

    def __init__(self, suite: Path, *cores: int, **more: Any) -> None:
        self.suite = suite
        self.numbers = itertools.count()
        self.there: dict[str, Node] = {}
        self.agents: list[Agent] = []
        self.rooms: list[Room] = []
        self.wrong: dict[str, str] = {}
        self.begun: list[tuple[str, str]] = []
        self.shares: dict[str, int] = {}
        self.closed = False
        for count in cores:
            self.join(count, **more)

    def join(self, cores: int, **more: Any) -> str:
        name = f"n{len(self.there) + sum(agent.dead for agent in self.agents)}-{len(self.agents)}"
        self.there[name] = Node(name, f"node {name}", cores, **more)
        return name

    def lose(self, name: str) -> None:
        del self.there[name]
        for agent in self.agents:
            agent.dead |= agent.node.id == name

    def train(self, run: str, outcome: str = "finished") -> None:
        for agent in self.agents:
            if run in agent.running and not agent.dead:
                agent.running.remove(run)
                if outcome == "finished":
                    (self.suite / "runs" / run / "DONE").touch()
                agent.ended.append(Ended(run, outcome))  # type: ignore[arg-type]

    @property
    def running(self) -> list[str]:
        return [run for agent in self.agents if not agent.dead for run in agent.running]

    def nodes(self) -> list[Node]:
        return list(self.there.values())

    def agent(self, node: Node, orders: Any) -> tuple[int, Call]:
        assert orders.suite == str(self.suite)
        self.agents.append(Agent(node, self.wrong.get(node.id, "")))
        agent = len(self.agents) - 1
        return agent, self.call(agent, "open")

    def call(self, agent: int, method: str, *given: Any) -> Call:
        call, its = Call(agent, next(self.numbers), method, given), self.agents[agent]
        if method == "start" and not its.dead:
            ticket, run, share = given
            assert ticket not in its.tickets
            self.shares[run] = share.cores
            held = [room for room in self.rooms if room.node == its.node.id]
            whole = sum(room.amounts["CPU"] for room in held)
            assert sum(self.shares[each] for each in (run, *its.running)) <= whole
            its.tickets.add(ticket)
            its.running.append(run)
            self.begun.append((run, its.node.id))
        elif method in ("stop", "kill"):
            its.told.append((method, given[0]))
        elif method == "close":
            its.closed = True
            its.running.clear()
        return call

    def wait(self, calls: Sequence[Call], seconds: float) -> list[Call]:
        found = [call for call in calls if self.answered(call)]
        if not found:
            time.sleep(min(seconds, 0.002))
        return found

    def answered(self, call: Call) -> bool:
        agent = self.agents[call.agent]
        if agent.dead or agent.closed or call.method != "heard":
            return agent.dead or not agent.mute
        return not agent.mute and (bool(agent.away) or len(agent.ended) > call.given[0])

    def answer(self, call: Call) -> Any:
        agent = self.agents[call.agent]
        if agent.dead:
            raise AgentGoneError
        if agent.away:
            agent.away -= 1
            raise AgentAwayError
        if call.method == "open":
            return agent.wrong
        return agent.ended[call.given[0] :], dict.fromkeys(agent.running, 7.0)

    def end(self, agent: int, *, stuck: bool = False) -> None:
        assert stuck == self.agents[agent].mute
        self.agents[agent].dead = True

    def reserve(self, amounts: Mapping[str, float], nodes: Iterable[str]) -> Room:
        room = Room(amounts, list(nodes))
        assert room.nodes, "nobody asks for room nowhere"
        self.rooms.append(room)
        return room

    def place(self, room: Room) -> str | None:
        for name in room.nodes:
            if room.node is None and name in self.there and self.fits(room, name):
                room.node = name
        return room.node

    def fits(self, room: Room, name: str) -> bool:
        node = self.there[name]
        whole = {"CPU": node.cores, "GPU": node.gpus, "memory": node.memory}
        held = [each.amounts for each in self.rooms if each.node == name]
        return all(
            sum(each.get(what, 0.0) for each in held) + amount <= whole[what] + 1e-9
            for what, amount in room.amounts.items()
        )

    def release(self, room: Room) -> None:
        self.rooms.remove(room)

    def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_ray, "_NODES_SECONDS", 0.0)
    monkeypatch.setattr(on_ray, "_PLACE_SECONDS", 0.001)


def spec(label: str, parent: RunSpec | None = None, **options: Any) -> RunSpec:
    task = TaskBudget("mini-pong/pong", 100)
    return RunSpec(
        label,
        "scratch",
        (task,),
        "a2c",
        "tiny",
        learner_options=options,
        training_options={"device": "cpu"},
        parent=parent.id if parent else None,
    )


def workers(path: Path, *cores: int, **more: Any) -> tuple[RayWorkers, MadeUp]:
    """Workers on a cluster whose nodes are ready."""
    with FolderLock(path):
        cluster = MadeUp(path, *cores, **more)
        made = RayWorkers(path, cluster)
    made.machines(0)
    made.ended(0.0)
    return made, cluster


def hear(made: RayWorkers) -> list[Ended]:
    return made.ended(0.0) or made.ended(0.0)


@pytest.mark.parametrize("seed", range(4))
def test_every_run_is_completed_whatever_nodes_come_and_go(tmp_path: Path, seed: int) -> None:
    stream = random.Random(seed)
    specs = [spec("root"), *(spec(f"wide {i}", workers=i % 3 + 1) for i in range(8))]
    specs += [spec(f"child {i}", specs[i]) for i in range(3)]
    suite = SuiteFolder(tmp_path, "test", {}, Plan(tuple(specs))).begin()
    cluster = MadeUp(tmp_path, 2, 3)
    kept = max(cluster.there)
    parents = {each.id: each.parent for each in specs}
    losses = 0

    class Chance(RayWorkers):
        """Something happens between any two looks."""

        def ended(self, seconds: float) -> list[Ended]:
            nonlocal losses
            assert len(cluster.running) <= sum(node.cores for node in cluster.nodes())
            for run, _ in cluster.begun:
                assert not parents[run] or suite.run(str(parents[run])).done
            others = sorted(cluster.there.keys() - {kept})
            what = stream.random()
            if what < 0.15 and others and losses < 3:
                losses += 1
                cluster.lose(stream.choice(others))
            elif what < 0.3 and len(others) < 3:
                cluster.join(stream.randint(1, 3))
            elif what < 0.4 and cluster.agents:
                cluster.agents[-1].away += 1
            elif cluster.running:
                cluster.train(stream.choice(cluster.running))
            return super().ended(0.01)

    display = Display(Console(quiet=True), "test")
    made = lambda path: Chance(path, cluster)  # noqa: E731
    assert execute(suite, suite.plan, display=display, make_workers=made) == []
    assert all(suite.run(each.id).done for each in specs)
    assert cluster.rooms == []
    assert cluster.closed
    assert all(agent.dead for agent in cluster.agents), "none is left behind"


def test_what_a_lost_node_had_is_lost_and_the_rest_goes_on(tmp_path: Path) -> None:
    made, cluster = workers(tmp_path, 1, 1)
    for run in ("a", "b", "c"):
        (tmp_path / "runs" / run).mkdir(parents=True)
        made.start(run, Resources())
    assert hear(made) == []
    assert sorted(cluster.running) == ["a", "b"], "c waits for room"
    (gone,) = (node for run, node in cluster.begun if run == "a")
    cluster.train("b")
    cluster.lose(gone)
    ended = {end.run: end for end in (*made.ended(0.0), *made.ended(0.0))}
    assert ended["a"].outcome == "lost"
    assert ended["a"].reason == f"node node {gone} was lost"
    assert ended["b"].outcome == "finished"
    assert cluster.running == ["c"], "on what b left"
    assert {room.node for room in cluster.rooms} == set(cluster.there)


def test_who_waits_for_room_waits_on_the_nodes_that_are_there(tmp_path: Path) -> None:
    made, cluster = workers(tmp_path, 1)
    for run in ("a", "b"):
        made.start(run, Resources())
    made.ended(0.0)
    new = cluster.join(1)
    made.ended(0.0)
    made.ended(0.0)
    assert cluster.begun[1:] == [("b", new)]
    made.start("c", Resources())
    for node in list(cluster.there):
        cluster.lose(node)
    ended = {end.run: end.reason for end in (*made.ended(0.0), *made.ended(0.0))}
    assert ended.keys() == {"a", "b", "c"}
    assert ended["c"] == "all nodes were lost"
    assert cluster.rooms == []


def test_room_is_handed_over_to_who_needs_as_much_and_else_given_back(tmp_path: Path) -> None:
    made, cluster = workers(tmp_path, 2)
    made.start("a", Resources(1))
    made.start("b", Resources(2))
    made.start("c", Resources(1))
    made.start("d", Resources(1))
    made.ended(0.0)
    assert sorted(cluster.running) == ["a", "c"]
    first = next(room for room in cluster.rooms if room.node)
    cluster.train("a", "failed")
    made.ended(0.0)
    assert sorted(cluster.running) == ["c", "d"]
    assert first in cluster.rooms, "d has what a had"
    for run in ("c", "d"):
        cluster.train(run, "failed")
        made.ended(0.0)
    made.ended(0.0)
    assert cluster.running == ["b"]
    assert [room.amounts["CPU"] for room in cluster.rooms] == [2.0]


def test_nothing_begins_before_all_nodes_that_were_there_are_ready(tmp_path: Path) -> None:
    with FolderLock(tmp_path):
        cluster = MadeUp(tmp_path, 1, 2)
        made = RayWorkers(tmp_path, cluster)
    assert made.machines(0) == []
    cluster.agents[1].mute = True
    made.ended(0.0)
    assert made.machines(0) == []
    cluster.agents[1].mute = False
    made.ended(0.0)
    assert made.machines(0) == [Resources(1), Resources(2)]


def test_a_node_that_cannot_train_is_named_before_work_is_spent(tmp_path: Path) -> None:
    with FolderLock(tmp_path):
        cluster = MadeUp(tmp_path, 1, 2)
        made = RayWorkers(tmp_path, cluster)
    (bad, _) = cluster.there
    cluster.wrong[bad] = "has no colonnade (/usr/bin/python); install colonnade 0.1.0 there"
    made.machines(0)
    with pytest.raises(ColonnadeError, match=rf"^Node node {bad} has no colonnade \(/usr/"):
        made.ended(0.0)
    assert cluster.begun == []


def test_a_node_that_joins_trains_too_unless_it_cannot(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made, cluster = workers(tmp_path, 1)
    cluster.join(4)
    bad = cluster.join(8)
    cluster.wrong[bad] = "has torch 2.11.0"
    made.ended(0.0)
    made.ended(0.0)
    assert [each.cores for each in made.machines(0)] == [1, 4]
    assert caplog.messages == [f"Node node {bad} has torch 2.11.0. It takes no part."]


def test_a_node_that_does_not_answer_is_ended_and_its_runs_are_lost(tmp_path: Path) -> None:
    made, cluster = workers(tmp_path, 1)
    made.start("a", Resources())
    made.ended(0.0)
    cluster.agents[0].mute = True
    set_limit(0.05)
    try:
        until = time.monotonic() + 10
        ended: list[Ended] = []
        while not ended and time.monotonic() < until:
            ended = made.ended(0.01)
    finally:
        set_limit(HANG_SECONDS)
    assert [(end.run, end.outcome) for end in ended] == [("a", "lost")]
    assert ended[0].reason.startswith("what Colonnade has on node node n0-0 gave no sign of life ")
    assert cluster.agents[0].dead
    made.ended(0.0)
    assert len(cluster.agents) == 2, "another one takes its place"


def test_runs_wait_for_a_node_for_some_time_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_ray, "WITHOUT_SECONDS", 0.02)
    made, cluster = workers(tmp_path, 1)
    cluster.lose(*cluster.there)
    made.ended(0.0)
    assert made.machines(0) == []
    time.sleep(0.03)
    with pytest.raises(ColonnadeError, match="No node of the Ray cluster is left"):
        made.ended(0.0)


def test_a_run_is_complete_once_this_machine_sees_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, cluster = workers(tmp_path, 1)
    done = tmp_path / "runs" / "a" / "DONE"
    done.parent.mkdir(parents=True)
    made.start("a", Resources())
    made.ended(0.0)
    cluster.train("a")
    done.unlink()  # as a file system has it that shows later what another machine wrote
    assert made.ended(0.02) == []
    done.touch()
    assert [end.outcome for end in made.ended(0.0)] == ["finished"]
    done.unlink()
    made.start("a", Resources())
    cluster.train("a")
    done.unlink()
    monkeypatch.setattr(on_ray, "SEEN_SECONDS", 0.0)
    (end,) = made.ended(0.0)
    assert end.outcome == "lost"
    assert str(done.parent) in end.reason


def test_who_has_no_room_yet_ends_at_once_and_others_are_told(tmp_path: Path) -> None:
    made, cluster = workers(tmp_path, 1)
    made.start("a", Resources())
    made.start("b", Resources())
    made.ended(0.0)
    made.stop("b")
    made.stop("a")
    made.kill("a")
    made.kill("nobody")
    assert made.ended(0.0) == [Ended("b", "stopped")]
    assert cluster.agents[0].told == [("stop", "a"), ("kill", "a")]
    cluster.train("a", "stopped")
    assert made.ended(0.0) == [Ended("a", "stopped")]
    made.start("c", Resources())
    made.close()
    assert cluster.rooms == []


def test_what_was_heard_is_not_heard_again(tmp_path: Path) -> None:
    made, cluster = workers(tmp_path, 1)
    for outcome in ("failed", "lost", "stopped"):
        made.start("a", Resources())
        assert hear(made) == []
        cluster.train("a", outcome)
        assert made.ended(0.0) == [Ended("a", outcome)]  # type: ignore[arg-type]


def test_shares_become_cores_memory_and_parts_of_gpus(tmp_path: Path) -> None:
    made, cluster = workers(tmp_path, 8, gpus=2, memory=100)
    made.start("a", Resources(2, gpu=True, memory=10))
    made.start("b", Resources(1))
    assert cluster.rooms[0].amounts == {"CPU": 2.0, "memory": 10.0, "GPU": 0.5}
    assert cluster.rooms[1].amounts == {"CPU": 1.0}
    # Three runs on two cores: two thirds of a core each, or a little less.
    two, many = workers(tmp_path, 1, 1)
    assert [each.cores for each in two.machines(3)] == [2, 2]
    two.start("a", Resources(1))
    assert many.rooms[0].amounts == {"CPU": 0.5}


def test_silence_is_told_of_runs_that_train(tmp_path: Path) -> None:
    made, cluster = workers(tmp_path, 2)
    for run in ("a", "b"):
        (tmp_path / "runs" / run).mkdir(parents=True)
        made.start(run, Resources())
    made.ended(0.0)
    cluster.train("a")
    made.ended(0.0)
    assert made.silent() == {"b": 7.0}


def test_room_that_nobody_needs_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, cluster = workers(tmp_path, 2)
    made.start("a", Resources())
    made.ended(0.0)
    cluster.train("a", "failed")
    made.ended(0.0)
    kept = list(cluster.rooms)
    made.start("b", Resources())
    assert cluster.rooms == kept, "the next run takes it over"
    cluster.train("b", "failed")
    made.ended(0.0)
    made.start("c", Resources(2))
    assert [room.amounts["CPU"] for room in cluster.rooms] == [2.0]
    cluster.place(cluster.rooms[0])
    made.ended(0.0)
    cluster.train("c", "failed")
    monkeypatch.setattr(on_ray, "_KEEP_SECONDS", 0.0)
    made.ended(0.0)
    made.ended(0.0)
    assert cluster.rooms == []


def test_who_waits_asks_for_no_more_than_the_nodes_that_are_left_have(tmp_path: Path) -> None:
    for first, second, shares in (
        ({"cores": 4, "gpus": 1}, {"cores": 4}, [Resources(2, gpu=True)] * 3),
        ({"cores": 8}, {"cores": 4}, [Resources(6)] * 2),
    ):
        folder = tmp_path / f"{first['cores']}"
        for number in range(len(shares)):
            (folder / "runs" / f"r{number}").mkdir(parents=True)
        with FolderLock(folder):
            cluster = MadeUp(folder)
            large = cluster.join(**first)
            cluster.join(**second)
            workers = RayWorkers(folder, cluster)
            limit = time.monotonic() + 5
            while len(workers.machines(0)) < 2 and time.monotonic() < limit:
                workers.ended(0.01)
            for number, share in enumerate(shares):
                workers.start(f"r{number}", share)
            for _ in range(5):
                workers.ended(0.005)
            waiting = f"r{len(shares) - 1}"
            assert waiting not in cluster.running
            cluster.lose(large)
            while waiting not in cluster.running and time.monotonic() < limit:
                workers.ended(0.01)
            assert waiting in cluster.running
            workers.close()
