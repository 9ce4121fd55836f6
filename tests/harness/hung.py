"""Stopped processes of every kind: each must be noticed within the limit, named, and replaced."""

from __future__ import annotations

import json
import os
import random
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from colonnade.experiments.store.folders import RunFolder
from harness.orphans import analyse, begun, endless, has_players, marked, run, sweep, trains
from harness.tally import Tally

_SLACK_SECONDS = 10.0
"""Between the limit and the note: one look, ending the process, and the next beginning."""
_START_SECONDS = 900.0
_IMPORT_SECONDS = 10.0
"""Of a processor: more than a process that plays takes before it gives its first sign."""
_LOOK_SECONDS = 0.2
"""Between two looks, which take time from what is looked at."""


@dataclass(frozen=True)
class Hang:
    """What is stopped, and where the note of it is found.

    Attributes:
        name: In words.
        arguments: Of the command, from a scratch folder.
        ready: When something can be stopped.
        victim: Chooses the process, of the command's id and its descendants by depth below it.
        said: What the note must hold.
    """

    name: str
    arguments: Callable[[Path], list[str]]
    ready: Callable[[Path, str], bool]
    victim: Callable[[dict[int, list[int]]], list[int]]
    said: str = "gave no sign of life for"


def at_depth(depth: int) -> Callable[[dict[int, list[int]]], list[int]]:
    """Choose among the processes so far below the command: server 1, run 2, its workers 3."""
    return lambda depths: depths.get(depth, [])


def play(scratch: Path, mark: str) -> bool:
    """Whether two processes play; to import what they need takes them less than that."""
    return has_players(scratch, mark) and all(
        sum(processor_seconds(pid)) > _IMPORT_SECONDS
        for pid, words in marked(mark).items()
        if "spawn_main" in words
    )


def processor_seconds(pid: int) -> tuple[float, float]:
    """Return the processor seconds that a process has used, of its own and for the system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    return int(fields[11]) / ticks, int(fields[12]) / ticks


def hangs() -> list[Hang]:
    """All kinds."""
    two: dict[str, Any] = {"learner_options": {"workers": 2}}
    processes = {"options": {"processes": True}}
    a2c = run(endless("w", "mini-pong/pong", "a2c", **two))
    a3c = run(endless("w", "mini-pong/pong", "a3c"))
    alone = run(endless("w", "mini-pong/pong", "ppo"))
    dqn = run(
        endless("w", "mini-pong/pong", "dqn", learner_options={"replay": 600, "warm_up": 100})
    )
    envs = run(endless("w", "gym/CartPole-v1", "a2c", budget=processes))
    both = run(endless("w", "gym/CartPole-v1", "a2c", budget=processes, **two))
    return [
        Hang("a run of ppo", alone, trains, at_depth(2), "Its process gave no sign"),
        Hang("a worker of a2c", a2c, trains, at_depth(3), "Worker"),
        Hang("a worker of a3c", a3c, trains, at_depth(3), "Worker"),
        Hang("an environment's process", envs, trains, at_depth(3), "Environment"),
        Hang("an environment's process of a worker's", both, trains, at_depth(4), "Environment"),
        Hang("the server", alone, trains, at_depth(1), "The process that all runs are forked from"),
        Hang("a run of a2c, whose workers live", a2c, trains, at_depth(2), "Its process gave"),
        Hang("a run of dqn", dqn, trains, at_depth(2), "Its process gave no sign"),
        Hang("a job of a sweep", sweep, trains, at_depth(2), "Its process gave no sign"),
        Hang("a process that plays, of analyze", analyse, play, at_depth(1), "which played"),
    ]


def below(process: int, mark: str) -> dict[int, list[int]]:
    """Return a command's descendants that work, by how far below it they are."""
    parents = {}
    for pid, words in marked(mark).items():
        with suppress(OSError):
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            if "resource_tracker" not in words:
                parents[pid] = int(stat[1])
    found: dict[int, list[int]] = {}
    for pid in parents:
        depth, at = 0, pid
        while at != process and at in parents:
            depth, at = depth + 1, parents[at]
        if at == process and depth:
            found.setdefault(depth, []).append(pid)
    return found


def notes(scratch: Path) -> str:
    """Everything that a user is told: notes of runs, and what the command printed."""
    found = [path.read_text(errors="replace") for path in scratch.glob("said*.txt")]
    for folder in scratch.glob("out/runs/*"):
        with suppress(OSError, ValueError):
            found += [(folder / "notes.txt").read_text(errors="replace")]
            found += RunFolder(folder).status().get("notes") or []
    return "\n".join(found)


def steps(scratch: Path) -> int:
    """Agent steps of all runs together."""
    total = 0
    for path in scratch.glob("out/runs/*/status.json"):
        with suppress(OSError, ValueError):
            total += (json.loads(path.read_text()).get("progress") or {}).get("run_step", 0)
    return total


def trial(hang: Hang, stream: random.Random, limit_seconds: float) -> tuple[float, str]:
    """Stop a process.

    Returns:
        Seconds until it was noted, and what is wrong; empty where all is well.
    """
    with tempfile.TemporaryDirectory() as place:
        scratch, temporary = Path(place), Path(place) / "temporary"
        temporary.mkdir()
        arguments = [*hang.arguments(scratch), "--hang-seconds", str(limit_seconds)]
        said = scratch / "said.txt"
        with begun(arguments, temporary, said) as (process, mark):
            limit = time.monotonic() + _START_SECONDS
            victims: list[int] = []
            while not victims:
                if process.poll() is not None or time.monotonic() > limit:
                    return 0.0, f"did not begin: {notes(scratch)}"
                time.sleep(_LOOK_SECONDS)
                if hang.ready(scratch, mark):
                    victims = hang.victim(below(process.pid, mark))
            time.sleep(stream.uniform(0.0, 1.0))
            victim = stream.choice(victims)
            os.kill(victim, signal.SIGSTOP)
            stopped = time.monotonic()
            while hang.said not in notes(scratch):
                if time.monotonic() - stopped > limit_seconds + _START_SECONDS:
                    return time.monotonic() - stopped, "was never noticed"
                time.sleep(_LOOK_SECONDS)
            seconds = time.monotonic() - stopped
            if Path(f"/proc/{victim}").exists() and victim in marked(mark):
                return seconds, "is still there"
            if "analyze" not in hang.name:
                before = steps(scratch)
                limit = time.monotonic() + _START_SECONDS
                while steps(scratch) <= before:
                    if process.poll() is not None:
                        return seconds, f"was not replaced, the command ended: {notes(scratch)}"
                    if time.monotonic() > limit:
                        return seconds, "was not replaced: nothing goes on"
                    time.sleep(_LOOK_SECONDS)
    return seconds, ""


def hung(count: int, tally: Tally, only: str = "", limit_seconds: float = 20.0) -> int:
    """Stop a process of each kind, or of more kinds over again.

    Args:
        count: How many processes are stopped.
        tally: Counts them.
        only: Kinds whose name holds it.
        limit_seconds: After so many without a sign a process hangs; more on a busy machine, where
            who works may be kept from it for so long.

    Returns:
        How many were not noticed in time; each is told, and the last line counts those that were.
    """
    chosen = [hang for hang in hangs() if only in hang.name]
    for number in range(1, count + 1):
        if number in tally:
            continue
        hang = chosen[(number - 1) % len(chosen)]
        seconds, wrong = trial(hang, tally.stream(number), limit_seconds)
        if not wrong and seconds > limit_seconds + _SLACK_SECONDS:
            wrong = "TOO LATE"
        words = f"{hang.name}: noted after {seconds:.1f} s"
        tally.tell(number, words, wrong, "named and replaced")
    return tally.end(f", limit {limit_seconds:.0f} s")
