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

_COMMAND_EVERY = 10
"""One kill of so many is of a whole command."""

_SERVER_EVERY = 6
"""One kill of so many is of the process that workers are forked from, too."""

_LOOK_SECONDS = 0.001


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

    def wait(self, until: Callable[[], bool] = lambda: False) -> bool:
        """Say whether the worker ended before a moment, other than with its server."""
        while not until():
            for end in self.workers.ended(_LOOK_SECONDS):
                return end.outcome != "lost"
        return False

    def train(self, spec: RunSpec, watched: Callable[[], bool] = lambda: False) -> RunFolder:
        folder = self.begin(spec)
        self.wait(watched)
        if not folder.done:
            sys.exit(f"{spec.label} did not complete; see {folder.log_path}")
        return folder

    def kill(self, spec: RunSpec, moment: Callable[[], bool], server: bool) -> bool:
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


def after(seconds: float) -> Callable[[], bool]:
    """Say when that many seconds have passed."""
    limit = time.monotonic() + seconds
    return lambda: time.monotonic() >= limit


class Changes:
    """Counts how often the names in a folder change.

    Args:
        path: The folder.
        wanted: After how many it is time.
    """

    def __init__(self, path: Path, wanted: float = float("inf")) -> None:
        self._path = path
        self._wanted = wanted
        self._seen: set[str] = set()
        self.count = 0

    def __call__(self) -> bool:
        """Look; say whether there have been as many as are wanted."""
        names = {path.name for path in self._path.iterdir()}
        self.count += names != self._seen
        self._seen = names
        return self.count >= self._wanted


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


def kills(count: int, seed: int, *, commands: bool) -> int:
    """Kill, resume, compare.

    Args:
        count: How many kills.
        seed: Of what is random.
        commands: Whether whole commands are killed too.

    Returns:
        How many went wrong; each kill is told, and the last line counts those that went well.
    """
    stream = random.Random(seed)
    well = 0
    with tempfile.TemporaryDirectory() as scratch:
        whole = Commands(Path(scratch) / "commands") if commands else None
        stress = Stress(Path(scratch) / "runs")
        reference: dict[str, Any] = {}
        seconds: dict[str, float] = {}
        changes: dict[str, int] = {}
        number = turn = 0
        while number < count:
            if whole is not None and number % _COMMAND_EVERY == _COMMAND_EVERY - 1:
                number += 1
                name = ("analyze", "sweep")[number // _COMMAND_EVERY % 2]
                after_seconds, wrong = whole.kill(name, stream)
                well += not wrong
                words = f"killed after {after_seconds:.1f} s: {wrong or 'equal'}"
                print(f"{number:>4}  {name}: {words}", flush=True)
                continue
            spec = SPECS[turn % len(SPECS)]
            turn += 1
            folder = stress.suite.run(spec.id)
            if spec.id not in reference:
                folder.path.mkdir()
                started, seen = time.monotonic(), Changes(folder.path)
                reference[spec.id] = content(stress.train(spec, seen))
                seconds[spec.id] = time.monotonic() - started
                changes[spec.id] = seen.count
                shutil.rmtree(folder.path)
            server = number % _SERVER_EVERY == 2
            if stream.random() < 0.5:
                moment = after(stream.uniform(0, seconds[spec.id]))
            else:
                folder.path.mkdir(parents=True)
                moment = Changes(folder.path, stream.randint(1, changes[spec.id]))
            started = time.monotonic()
            if not stress.kill(spec, moment, server):
                seconds[spec.id] = time.monotonic() - started  # less busy than it was, or compiled
                shutil.rmtree(folder.path)
                continue
            number += 1
            rows = len(folder.metrics())
            damaged = number % 4 == 0 and damage(folder, stream)
            stress.train(spec)
            found = equal(spec, folder, reference[spec.id], damaged)
            well += not found
            who = "worker and server" if server else "worker"
            what = ", its newest checkpoint damaged" if damaged else ""
            good = "complete, nothing lost or twice" if spec.learner == "a3c" else "equal"
            verdict = "; ".join(found) or good
            print(f"{number:>4}  {spec.label}: {who} killed at row {rows}{what}: {verdict}")
            sys.stdout.flush()
            if found:
                shutil.copytree(folder.path, f"stress-different-{number}", dirs_exist_ok=True)
            shutil.rmtree(folder.path)
        stress.workers.close()
    print(f"{well} of {count}", flush=True)
    return count - well
