"""Kill runs that play in ViZDoom at random moments: what is left of them, and do they go on?

    python tests/doom_kills.py --kills 50

In turns the run itself is killed, the run and the process that it was forked from, the process that
holds its engines, or one engine. Afterwards no process of it may be left, then it is resumed and
compared with a run that nobody disturbed, and in the end no name of it is left in /dev/shm.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from colonnade.experiments.execution.processes import ForkedWorkers
from colonnade.experiments.execution.resources import Resources
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.store.folders import RunFolder, SuiteFolder
from harness.runs import content

SPEC = RunSpec(
    label="progressive a2c in ViZDoom",
    method="progressive",
    tasks=(
        TaskBudget("doom-labyrinth/track-1", 240, {"max_steps": 30}),
        TaskBudget("doom-labyrinth/maze-y", 160, {"max_steps": 30}),
    ),
    learner="a2c",
    column={"stages": [{"kind": "conv", "maps": 4, "kernel": 8, "stride": 8},
                       {"kind": "lstm", "units": 8}]},
    training_options={"num_envs": 2, "segment_steps": 80, "curve_steps": 80},
    evaluation_episodes=1,
)  # fmt: skip
VICTIMS = ("run", "run and server", "holder", "engine")
PARTS = ("rows", "weights", "meta", "scores", "files")
"""Of what a run came to."""

SHARED, PATIENCE = Path("/dev/shm"), 30.0


def processes(folder: Path) -> dict[int, str]:
    """Find the processes whose command names a folder, such as engines and what holds them."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in words:
            found[int(entry.name)] = words
    return found


def shared_names() -> set[str]:
    """Names of ViZDoom's shared memory."""
    return {path.name for path in SHARED.glob("ViZDoom*")}


def soon(what: Callable[[], bool]) -> bool:
    """Say whether something comes to be within patience."""
    deadline = time.monotonic() + PATIENCE
    while not what() and time.monotonic() < deadline:
        time.sleep(0.02)
    return what()


class DoomKills:
    """One run after another of the same spec, in a folder where engines have theirs as well."""

    def __init__(self, scratch: Path) -> None:
        self.engines = scratch / "engines"
        self.engines.mkdir()
        self.suite = SuiteFolder(scratch / "out", "doom-kills", {}, Plan((SPEC,)))
        self.suite.begin()
        self.workers = ForkedWorkers(self.suite.path)
        self.folder: RunFolder = self.suite.run(SPEC.id)

    def begin(self) -> None:
        """Start or resume the run."""
        self.folder.path.mkdir(parents=True, exist_ok=True)
        self.workers.start(SPEC.id, Resources())

    def wait(self, seconds: float = float("inf")) -> bool:
        """Say whether the run ended within so many seconds."""
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            for _ in self.workers.ended(0.1):
                return True
        return False

    def complete(self) -> None:
        """Train to the end."""
        self.begin()
        self.wait()
        if not self.folder.done:
            sys.exit(f"The run did not complete; see {self.folder.log_path}")

    def kill(self, victim: str, stream: random.Random) -> bool:
        """Kill a part of the run that is under way; False where that part is not there."""
        if victim.startswith("run"):
            if victim == "run":
                self.workers.kill(SPEC.id)
                return True
            server = self.workers._server
            assert server is not None
            server.kill()
            if pid := self.folder.status().get("pid"):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return True
        holds = {pid: "worker.py" in words for pid, words in processes(self.engines).items()}
        found = [pid for pid, holder in holds.items() if holder == (victim == "holder")]
        if not found:
            return False
        with suppress(ProcessLookupError):
            os.kill(stream.choice(found), signal.SIGKILL)
        return True


def main(arguments: list[str]) -> int:
    """Kill, look, resume, compare; 0 where nothing is left and all are equal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    stream = random.Random(given.seed)
    before = shared_names()
    equal = left = number = 0
    with tempfile.TemporaryDirectory() as scratch:
        kills = DoomKills(Path(scratch))
        outer, tempfile.tempdir = tempfile.tempdir, None
        os.environ["TMPDIR"], where = str(kills.engines), os.environ.get("TMPDIR")
        try:
            kills.complete()
            shutil.rmtree(kills.folder.path)
            started = time.monotonic()
            kills.complete()
            reference, seconds = content(kills.folder), time.monotonic() - started
            shutil.rmtree(kills.folder.path)
            while number < given.kills:
                victim = VICTIMS[number % len(VICTIMS)]
                kills.begin()
                if not (kills.wait(stream.uniform(0, seconds))) and kills.kill(victim, stream):
                    kills.wait()
                    if not kills.folder.done:
                        number += 1
                        gone = soon(lambda: not processes(kills.engines))
                        left += not gone
                        rows = len(kills.folder.metrics())
                        kills.complete()
                        pairs = zip(PARTS, content(kills.folder), reference, strict=True)
                        other = [f"{part} DIFFERENT" for part, a, b in pairs if a != b]
                        equal += not other
                        print(
                            f"{number:>4}  {victim} killed at row {rows}: "
                            f"{'nothing' if gone else 'PROCESSES'} left, "
                            f"{', '.join(other) or 'equal'}",
                            flush=True,
                        )
                elif not kills.folder.done:
                    kills.wait()
                shutil.rmtree(kills.folder.path)
            kills.workers.close()
        finally:
            tempfile.tempdir = outer
            if where is None:
                del os.environ["TMPDIR"]
            else:
                os.environ["TMPDIR"] = where
        files = [path.name for path in kills.engines.iterdir()]
    names = shared_names() - before
    print(f"{left} kills left processes, {len(names)} names in {SHARED}, {len(files)} folders")
    print(f"{equal} of {given.kills}", flush=True)
    return 0 if equal == given.kills and not (left or names) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
