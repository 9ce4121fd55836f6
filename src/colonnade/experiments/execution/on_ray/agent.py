"""What stands for the executor on a node of a cluster: the server that workers are forked from.

Ray sends this module to the nodes as it is, so that one without Colonnade, or with another version,
can say so: at its top it imports nothing but Python's own.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from colonnade.experiments.execution.processes import ForkedWorkers
    from colonnade.experiments.execution.resources import Resources
    from colonnade.experiments.execution.workers import Ended

PACKAGES = ("colonnade", "torch", "numpy", "gymnasium")
"""What numbers come from, and must be of one version on all nodes."""

_LOOK_SECONDS = 0.02

_PATIENCE_SECONDS = 180.0
"""How long a run waits for the process that wrote its folder before. A file server frees the locks
of a machine that is gone after a minute or two (NFS: 90 s)."""


@dataclass(frozen=True)
class Orders:
    """What every node is told at first.

    Attributes:
        suite: The output folder.
        folder: Where the command was given, from where modules of plugins are imported too.
        log: Name of the server's log in the output folder.
        limit: Seconds without a sign of life after which a process is taken to hang.
        plugins: What the command was given as plugins.
        versions: Of `PACKAGES` where the command was given.
        source: Digest of the library's source there.
        holder: What the executor wrote into the output folder as the holder of its lock.
        environment: Variables of the command that hold on nodes that have none of their own.
    """

    suite: str
    folder: str
    log: str
    limit: float
    plugins: tuple[str, ...]
    versions: dict[str, str]
    source: str
    holder: str
    environment: dict[str, str] = field(default_factory=dict)


class Agent:
    """An actor, one on each node; its methods share one thread, and may be asked the same twice.

    Args:
        gpus: How many GPUs the node has.
    """

    def __init__(self, gpus: int) -> None:
        self._gpus = visible_gpus(gpus)
        self._uses: dict[str, str] = {}
        self._tickets: set[int] = set()
        self._ended: list[Ended] = []
        self._closed = False
        self._workers: ForkedWorkers
        self._log: Path

    async def process(self) -> int:
        """Return its process id."""
        return os.getpid()

    async def open(self, orders: Orders) -> str:
        """Make ready to train.

        Returns:
            What is in the way, as a sentence goes on after the node's name; empty if nothing is.
        """
        for name, value in orders.environment.items():
            os.environ.setdefault(name, value)
        if Path(orders.folder).is_dir():
            os.chdir(orders.folder)
        if wrong := other_versions(orders) or not_shared(orders):
            return wrong
        from colonnade.errors import ColonnadeError
        from colonnade.experiments.execution.processes import ForkedWorkers
        from colonnade.watching import set_limit

        set_limit(0.0 if orders.limit == float("inf") else orders.limit)
        suite = Path(orders.suite)
        self._log = suite / orders.log
        self._workers = ForkedWorkers(suite, orders.log, orders.plugins, _PATIENCE_SECONDS)
        try:
            self._workers.open()
            while not self._workers.ready:
                self._workers.ended(0.0)
                await asyncio.sleep(_LOOK_SECONDS)
        except ColonnadeError as error:
            return f"cannot train: {str(error)[:1].lower()}{str(error)[1:]}"
        return ""

    async def start(self, ticket: int, run: str, share: Resources) -> None:
        """Begin to train a run; of several GPUs it gets the one that fewest use.

        Args:
            ticket: The same where the executor asks again, since no answer came.
            run: Its id.
            share: What it has of the node.
        """
        from colonnade.errors import ColonnadeError
        from colonnade.experiments.execution.workers import Ended

        if ticket in self._tickets:
            return
        self._tickets.add(ticket)
        gpu = ""
        if share.gpu and len(self._gpus) > 1:
            used = Counter(self._uses.values())
            gpu = self._uses[run] = min(self._gpus, key=lambda each: used[each])
        try:
            self._workers.start(run, share, gpu)
        except (ColonnadeError, OSError) as error:
            self._ended.append(Ended(run, "lost", f"it could not be begun ({error})"))

    async def stop(self, run: str) -> None:
        """Ask a run to stop."""
        self._workers.stop(run)

    async def kill(self, run: str) -> None:
        """End a run at once."""
        self._workers.kill(run)

    async def heard(self, seen: int, seconds: float) -> tuple[list[Ended], dict[str, float]]:
        """Return what ended, without the first that were seen, and who is silent for how long.

        Nothing is forgotten here before the executor has seen it: an answer may be lost.

        Args:
            seen: How many ends have been seen.
            seconds: How long to wait for another one at most.
        """
        loop = asyncio.get_running_loop()
        limit = loop.time() + seconds
        while True:
            while ended := self._workers.ended(0.0):
                self._ended += ended
                for end in ended:
                    self._uses.pop(end.run, None)
            if len(self._ended) > seen or loop.time() >= limit or self._closed:
                return self._ended[seen:], dict(self._workers.silent())
            await asyncio.sleep(_LOOK_SECONDS)

    async def close(self) -> None:
        """End the server, and with it what still trains; its log goes too, unless it says much."""
        self._closed = True
        self._workers.close()
        self._log.unlink(missing_ok=True)


def kill(process: int) -> None:
    """End a process of this node, stopped as it may be."""
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def other_versions(orders: Orders) -> str:
    """Say how this node's library is not the executor's; empty where it is."""
    for name in PACKAGES:
        here, there = version_of(name), orders.versions[name]
        if not here:
            return f"has no {name} ({sys.executable}); install {name} {there} there"
        # Builds for other hardware, as in 2.13.0+cu130, are of one version.
        if here.partition("+")[0] != there.partition("+")[0]:
            return f"has {name} {here}, but this machine has {there}; install the same on both"
    if source_digest() != orders.source:
        return (
            f"has another state of colonnade {orders.versions['colonnade']} than this machine; "
            "install the same on both"
        )
    return ""


def not_shared(orders: Orders) -> str:
    """Say how the output folder is not the one that the executor sees; empty where it is.

    The executor holds the folder's lock meanwhile.
    """
    from colonnade.experiments.store.lock import LOCK_FILES, is_locked

    suite, holder = Path(orders.suite), ""
    if (suite / LOCK_FILES[1]).exists():
        holder = (suite / LOCK_FILES[1]).read_text(errors="replace")
    if not holder or holder != orders.holder:
        return f"does not see {suite}; choose an --out in a folder that all nodes share"
    try:
        locked = is_locked(suite)
    except OSError as error:
        return f"cannot write to {suite} ({error.strerror or error})"
    if not locked:
        return (
            f"does not see that this machine has locked {suite}, so that two nodes could write "
            "one run; mount the shared folder with locks (NFS: without nolock or local_lock)"
        )
    return ""


def version_of(name: str) -> str:
    """Return the version of a package; empty where there is none."""
    try:
        return version(name) if find_spec(name) else ""
    except (ImportError, ValueError):
        return ""


def source_digest() -> str:
    """Return a digest of the library's source, here."""
    found = find_spec("colonnade")
    assert found is not None
    assert found.origin is not None
    root, content = Path(found.origin).parent, hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        content.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes())
    return content.hexdigest()


def visible_gpus(count: int) -> list[str]:
    """Name the GPUs of this node, as CUDA_VISIBLE_DEVICES names them."""
    named: Any = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return list(named) or [str(number) for number in range(count)]
