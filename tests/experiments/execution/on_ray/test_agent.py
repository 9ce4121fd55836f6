"""What a node says of itself, and which GPU its runs get; no Ray, no processes."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

import colonnade
from colonnade.errors import ColonnadeError
from colonnade.experiments.execution.on_ray import agent as agents
from colonnade.experiments.execution.on_ray.agent import PACKAGES, Agent, Orders
from colonnade.experiments.execution.resources import Resources
from colonnade.experiments.execution.workers import Ended
from colonnade.experiments.store import lock as agents_lock
from colonnade.experiments.store.lock import LOCK_FILES, FolderLock, is_locked


def orders(suite: Path, holder: str = "me") -> Orders:
    versions = {name: agents.version_of(name) for name in PACKAGES}
    source = agents.source_digest()
    return Orders(str(suite), str(suite), "workers-1.txt", 60.0, (), versions, source, holder)


def test_another_version_of_anything_that_numbers_come_from_is_named(tmp_path: Path) -> None:
    ours = orders(tmp_path)
    assert agents.other_versions(ours) == ""
    torch = ours.versions["torch"].partition("+")[0]
    built = replace(ours, versions={**ours.versions, "torch": f"{torch}+cu999"})
    assert agents.other_versions(built) == ""
    for name in PACKAGES:
        other = replace(ours, versions={**ours.versions, name: "0.0.1"})
        said = agents.other_versions(other)
        assert said.startswith(f"has {name} {ours.versions[name]}, but this machine has 0.0.1; ")
    assert "another state of colonnade" in agents.other_versions(replace(ours, source="0" * 64))


def test_a_package_that_misses_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = orders(tmp_path)
    assert agents.version_of("no_such_package") == ""
    monkeypatch.setattr(agents, "version_of", lambda name: "" if name == "numpy" else "1")
    found = replace(ours, versions={**dict.fromkeys(PACKAGES, "1"), "numpy": "2.0"})
    assert agents.other_versions(found).startswith("has no numpy (")


def test_the_digest_is_of_all_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = agents.source_digest()
    assert before == agents.source_digest()
    ours = Path(colonnade.__file__).parent
    for each in ours.iterdir():
        (tmp_path / each.name).symlink_to(each)
    spec = type("Spec", (), {"origin": str(tmp_path / "__init__.py")})
    monkeypatch.setattr(agents, "find_spec", lambda _: spec)
    (tmp_path / "added.py").touch()
    assert agents.source_digest() != before


def test_the_folder_must_be_the_same_and_its_lock_be_seen(tmp_path: Path) -> None:
    with FolderLock(tmp_path):
        holder = (tmp_path / LOCK_FILES[1]).read_text()
        assert agents.not_shared(orders(tmp_path, holder)) == ""
        assert "does not see" in agents.not_shared(orders(tmp_path, "another process"))
        assert "does not see" in agents.not_shared(orders(tmp_path / "elsewhere", holder))
    (tmp_path / LOCK_FILES[1]).write_text(holder)  # as where the lock itself is not seen
    assert "two nodes could write one run" in agents.not_shared(orders(tmp_path, holder))


class Noting:
    """Workers that only note what they are given."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, str]] = []
        self.over: list[Ended] = []

    def start(self, run: str, share: Resources, gpu: str) -> None:
        if run == "unlucky":
            raise ColonnadeError("there is no memory")
        self.begun.append((run, gpu))

    def ended(self, _: float) -> list[Ended]:
        over, self.over = self.over, []
        return over

    def silent(self) -> dict[str, float]:
        return {"a": 1.0}


def noting(gpus: int) -> tuple[Agent, Noting]:
    agent, workers = Agent(gpus), Noting()
    agent._workers = workers  # type: ignore[assignment]
    return agent, workers


def test_runs_get_the_gpu_that_fewest_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    agent, workers = noting(2)

    async def go() -> None:
        for ticket, run in enumerate("abc"):
            await agent.start(ticket, run, Resources(gpu=True))
        workers.over = [Ended("a", "finished"), Ended("c", "finished")]
        await agent.heard(0, 0.0)
        await agent.start(3, "d", Resources(gpu=True))
        await agent.start(4, "e", Resources())

    asyncio.run(go())
    assert workers.begun == [("a", "0"), ("b", "1"), ("c", "0"), ("d", "0"), ("e", "")]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    assert agents.visible_gpus(2) == ["5", "7"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert agents.visible_gpus(1) == ["0"]


def test_what_is_asked_twice_is_done_once_and_told_until_it_is_seen() -> None:
    agent, workers = noting(0)

    async def go() -> None:
        await agent.start(0, "a", Resources())
        await agent.start(0, "a", Resources())
        await agent.start(1, "unlucky", Resources())
        workers.over = [Ended("a", "finished")]
        first = await agent.heard(0, 0.0)
        assert first == await agent.heard(0, 0.0)
        lost, finished = first[0]
        assert (lost.run, lost.outcome) == ("unlucky", "lost")
        assert lost.reason == "it could not be begun (there is no memory)"
        assert finished == Ended("a", "finished")
        assert (await agent.heard(2, 0.03)) == ([], {"a": 1.0})

    asyncio.run(go())
    assert workers.begun == [("a", "")]


def test_looking_at_a_lock_says_nothing_of_who_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FolderLock(tmp_path):
        before = (tmp_path / LOCK_FILES[1]).read_text()
        assert is_locked(tmp_path)
        monkeypatch.setattr(agents_lock, "FileLock", lambda path: FileLock(tmp_path / "other"))
        assert "two nodes could write" in agents.not_shared(orders(tmp_path, before))
        monkeypatch.undo()
        assert (tmp_path / LOCK_FILES[1]).read_text() == before
        assert agents.not_shared(orders(tmp_path, before)) == ""

        def forbidden(_: Path) -> bool:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(agents_lock, "is_locked", forbidden)
        said = agents.not_shared(orders(tmp_path, before))
        assert said == f"cannot write to {tmp_path} (Permission denied)"


def test_a_commands_variables_hold_where_a_node_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_PROJECT", "")
    monkeypatch.delenv("WANDB_PROJECT")
    given = {"WANDB_MODE": "offline", "WANDB_PROJECT": "mine"}
    told = replace(orders(tmp_path, "nobody"), environment=given)
    assert "does not see" in asyncio.run(Agent(0).open(told))
    assert (os.environ["WANDB_MODE"], os.environ["WANDB_PROJECT"]) == ("online", "mine")
