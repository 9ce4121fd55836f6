"""Kills at random moments, and what the resumed came to beside what nobody disturbed.

Half of the kills come at a moment drawn from the whole length of a run, from its beginning to its
DONE; the other half follow a change in its folder at once, where files are being written. One in
so many ends the process that workers are forked from as well, and after every fourth a byte of the
newest checkpoint is damaged. One in so many is of the whole command: an analysis or a sweep.
"""

from __future__ import annotations

import hashlib
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
from typing import Any

from colonnade.experiments.execution.processes import ForkedWorkers
from colonnade.experiments.execution.resources import Resources
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.store.folders import RunFolder, SuiteFolder
from colonnade.training import read_tensors
from harness.analysed import SPEC as ANALYSED
from harness.analysed import trained
from harness.orphans import begun
from harness.runs import SPECS, content, faults
from harness.tally import Tally

_COMMAND_EVERY = 10
"""One kill of so many is of a whole command."""

_SERVER_EVERY = 6
"""One kill of so many is of the process that workers are forked from, too."""

Moment = Callable[[], float]
"""Says in how many seconds it is worth asking again; 0 where the moment has come."""


class Stress:
    """Trains runs in forked workers and ends them as asked."""

    def __init__(self, path: Path) -> None:
        self.suite = SuiteFolder(path, "stress", {}, Plan(SPECS))
        self.suite.begin()
        self.workers = ForkedWorkers(path)

    def begin(self, spec: RunSpec) -> RunFolder:
        folder = self.suite.run(spec.id)
        folder.path.mkdir(parents=True, exist_ok=True)
        self.workers.start(spec.id, Resources())
        return folder

    def wait(self, moment: Moment = lambda: 1.0) -> bool:
        """Say whether the worker ended before a moment, other than with its server."""
        while seconds := moment():
            for end in self.workers.ended(seconds):
                return end.outcome != "lost"
        return False

    def train(self, spec: RunSpec, moment: Moment = lambda: 1.0) -> RunFolder:
        folder = self.begin(spec)
        self.wait(moment)
        if not folder.done:
            sys.exit(f"{spec.label} did not complete; see {folder.log_path}")
        return folder

    def kill(self, spec: RunSpec, moment: Moment, server: bool) -> bool:
        """Kill a run at a moment; False where it was complete before."""
        folder = self.begin(spec)
        if self.wait(moment):
            return False
        if server:
            process = self.workers._server
            assert process is not None
            # The server first: its worker is an orphan for as long as it takes to end it as well.
            process.kill()
            if pid := folder.status().get("pid"):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        else:
            self.workers.kill(spec.id)
        self.wait()
        return not folder.done


def damage(folder: RunFolder, stream: random.Random) -> bool:
    """Change a byte of the newest checkpoint, if there is one."""
    checkpoints = sorted(folder.path.glob("checkpoint-*.safetensors"))
    if not checkpoints:
        return False
    content = bytearray(checkpoints[-1].read_bytes())
    content[stream.randrange(len(content))] ^= 0xFF
    checkpoints[-1].write_bytes(content)
    return True


def after(seconds: float) -> Moment:
    """Say when that many seconds have passed."""
    limit = time.monotonic() + seconds
    return lambda: max(0.0, limit - time.monotonic())


class Changes:
    """Counts how often the names in a folder change.

    Args:
        path: The folder.
        wanted: After how many the moment has come.
    """

    def __init__(self, path: Path, wanted: float = float("inf")) -> None:
        self._path = path
        self._wanted = wanted
        self._seen: set[str] = set()
        self.count = 0

    def __call__(self) -> float:
        """Look."""
        names = set(os.listdir(self._path))  # noqa: PTH208 (asked all the time, beside the run)
        self.count += names != self._seen
        self._seen = names
        return 0.002 if self.count < self._wanted else 0.0


class Commands:
    """Whole commands that are killed: `analyze` and `sweep`."""

    def __init__(self, place: Path) -> None:
        self._place = place
        place.mkdir()
        self._expected: dict[str, Any] = {}
        self._seconds: dict[str, float] = {}

    def kill(self, name: str, stream: random.Random) -> tuple[float, str]:
        """Kill a command, give it again, and compare.

        Returns:
            Seconds after which it was killed, and what is wrong; empty where all is well.
        """
        if name not in self._expected:
            out = self._begin(name)
            begun_at = time.monotonic()
            if wrong := self._run(name, out, None)[1]:
                return 0.0, f"undisturbed: {wrong}"
            self._seconds[name] = time.monotonic() - begun_at
            self._expected[name] = self._content(name, out)
            shutil.rmtree(out)
        out = self._begin(name)
        after = stream.uniform(0.0, self._seconds[name])
        self._run(name, out, after)
        wrong = self._run(name, out, None)[1]
        if not wrong and self._content(name, out) != self._expected[name]:
            wrong = "other numbers"
        shutil.rmtree(out)
        return after, wrong

    def _begin(self, name: str) -> Path:
        out = self._place / "out"
        if name == "analyze":
            trained(out)
        return out

    def _run(self, name: str, out: Path, after: float | None) -> tuple[int, str]:
        arguments = {
            "analyze": ["analyze", str(out), "--jobs", "2", "--episodes", "4", "--states", "200"],
            "sweep": ["sweep", "pong-soup-mini", "--out", str(out), "--jobs", "2", "--top", "1",
                      "--budget", "0.002", "--tasks", "zoom", "--methods", "progressive-2"],
        }[name]  # fmt: skip
        temporary = self._place / "temporary"
        temporary.mkdir(exist_ok=True)
        said = self._place / "said.txt"
        with begun(arguments, temporary, said) as (process, _):
            if after is None:
                status = process.wait(1200)
                words = said.read_text(errors="replace").strip().splitlines()[-1:]
                return status, f"status {status}: {words}" if status else ""
            time.sleep(after)
            process.kill()
            return process.wait(), ""

    def _content(self, name: str, out: Path) -> Any:
        suite = SuiteFolder.read(out)
        if name == "sweep":
            return [content(run)[:4] for run in suite.runs]
        tensors, meta = read_tensors(suite.run(ANALYSED.id).path / "analysis.safetensors")
        digests = {n: hashlib.sha256(t.numpy().tobytes()).hexdigest() for n, t in tensors.items()}
        return digests, meta


def equal(spec: RunSpec, folder: RunFolder, reference: Any, damaged: bool) -> list[str]:
    """What is wrong with a resumed run."""
    notes = folder.result()["notes"]
    if damaged != any("damaged" in note for note in notes):
        return [
            f"a checkpoint {'was' if damaged else 'was not'} damaged, and the notes are {notes}"
        ]
    if spec.learner == "a3c":  # with several workers, which hang on timing
        return faults(spec, folder)
    *numbers, files = content(folder)
    *wanted, names = reference
    if numbers != wanted:
        return ["DIFFERENT"]
    other = files ^ (names | {"notes.txt"} if damaged else names)
    return [f"other files: {sorted(other)}"] if other else []


class Kills:
    """Kills runs and resumes them, and compares with runs that nobody disturbed.

    Args:
        place: A folder for them.
    """

    def __init__(self, place: Path) -> None:
        self._stress = Stress(place)
        self._reference: dict[str, Any] = {}
        self._seconds: dict[str, float] = {}
        self._changes: dict[str, int] = {}

    def close(self) -> None:
        """End the processes that are left."""
        self._stress.workers.close()

    def kill(
        self, spec: RunSpec, stream: random.Random, server: bool, harm: bool
    ) -> tuple[str, str]:
        """Kill a run at a moment, damage what it left if asked, resume it, and compare.

        Returns:
            What was done, and what is wrong; empty where all is well.
        """
        if spec.id not in self._reference:
            self._train_undisturbed(spec)
        folder = self._stress.suite.run(spec.id)
        while True:
            folder.path.mkdir()
            moment: Moment = after(stream.uniform(0, self._seconds[spec.id]))
            if stream.random() < 0.5:
                moment = Changes(folder.path, stream.randint(1, self._changes[spec.id]))
            started = time.monotonic()
            if self._stress.kill(spec, moment, server):
                break
            # The machine is less busy than it was.
            self._seconds[spec.id] = time.monotonic() - started
            shutil.rmtree(folder.path)
        rows = len(folder.metrics())
        damaged = harm and damage(folder, stream)
        self._stress.train(spec)
        wrong = equal(spec, folder, self._reference[spec.id], damaged)
        if wrong:
            shutil.copytree(folder.path, Path("stress-different") / spec.id, dirs_exist_ok=True)
        shutil.rmtree(folder.path)
        who = "worker and server" if server else "worker"
        what = ", its newest checkpoint damaged" if damaged else ""
        return f"{spec.label}: {who} killed at row {rows}{what}", "; ".join(wrong)

    def _train_undisturbed(self, spec: RunSpec) -> None:
        folder = self._stress.suite.run(spec.id)
        folder.path.mkdir()
        started, seen = time.monotonic(), Changes(folder.path)
        self._reference[spec.id] = content(self._stress.train(spec, seen))
        self._seconds[spec.id] = time.monotonic() - started
        self._changes[spec.id] = seen.count
        shutil.rmtree(folder.path)


def kills(count: int, tally: Tally, *, commands: bool) -> int:
    """Kill, resume, compare.

    Args:
        count: How many kills.
        tally: Counts them.
        commands: Whether whole commands are killed too.

    Returns:
        How many went wrong; each kill is told, and the last line counts those that went well.
    """
    with tempfile.TemporaryDirectory() as scratch:
        whole = Commands(Path(scratch) / "commands") if commands else None
        runs = Kills(Path(scratch) / "runs")
        for number in range(1, count + 1):
            if number in tally:
                continue
            tens, rest = divmod(number, _COMMAND_EVERY)
            if whole is not None and not rest:
                name = ("analyze", "sweep")[tens % 2]
                seconds, wrong = whole.kill(name, tally.stream(number))
                tally.tell(number, f"{name} killed after {seconds:.1f} s", wrong, "equal")
                continue
            spec = SPECS[(number - 1 - tens) % len(SPECS)]
            server, harm = number % _SERVER_EVERY == 2, number % 4 == 0
            words, wrong = runs.kill(spec, tally.stream(number), server, harm)
            whole_steps = "complete, nothing lost or twice"
            tally.tell(number, words, wrong, whole_steps if spec.learner == "a3c" else "equal")
        runs.close()
    return tally.end()
