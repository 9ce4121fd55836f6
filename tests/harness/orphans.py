"""Nothing is alive 10 s after the SIGKILL of a command, whatever it and its processes were at."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from harness.tally import Tally

MARK = "COLONNADE_STRESS"
WITHIN_SECONDS = 10.0
_START_SECONDS = 900.0
_ENDLESS = 10**9


def endless(label: str, task: str, learner: str, **changes: Any) -> RunSpec:
    """A run without end."""
    training = {"num_envs": 4, "segment_steps": 2000, **changes.pop("training_options", {})}
    return RunSpec(
        label=label,
        method="progressive",
        tasks=(TaskBudget(task, _ENDLESS, **changes.pop("budget", {})),),
        learner=learner,
        column="tiny" if "gym" not in task else {"stages": [{"kind": "dense", "units": 8}]},
        training_options=training,
        evaluation_episodes=1,
        **changes,
    )


class DidNotBeginError(Exception):
    """A command ended, or took too long, before it came to what it is watched at."""


@dataclass(frozen=True)
class Kind:
    """A kind of command.

    Attributes:
        name: In words.
        arguments: Makes the arguments of `colonnade` from a scratch folder.
        ready: From when on a random moment is drawn; None for the very beginning.
        seconds: The longest that is waited from then on.
    """

    name: str
    arguments: Callable[[Path], list[str]]
    ready: Callable[[Path, str], bool] | None
    seconds: float = 4.0


def trains(scratch: Path, _: str = "") -> bool:
    """Whether some run takes steps."""
    for status in scratch.glob("out/runs/*/status.json"):
        with suppress(OSError, ValueError):
            if (json.loads(status.read_text()).get("progress") or {}).get("run_step"):
                return True
    return False


def has_players(_: Path, mark: str) -> bool:
    """Whether two processes that play, and what tracks their memory, have begun."""
    return len(marked(mark)) > 2


def run(*specs: RunSpec, jobs: int = 2) -> Callable[[Path], list[str]]:
    """Make a command that trains specs."""

    def arguments(scratch: Path) -> list[str]:
        file = scratch / "specs.json"
        file.write_text(json.dumps([spec.to_json() for spec in specs]))
        return ["run", str(file), "--out", str(scratch / "out"), "--jobs", str(jobs)]

    return arguments


def sweep(scratch: Path) -> list[str]:
    """Make a command that sweeps."""
    return ["sweep", "pong-soup-mini", "--out", str(scratch / "out"), "--jobs", "3", "--top", "1"]


def analyse(scratch: Path) -> list[str]:
    """Make a command that analyses a network for a long time, with two processes that play."""
    from harness.analysed import trained

    trained(scratch / "out")
    options = ["--jobs", "2", "--episodes", "20000"]
    return ["analyze", str(scratch / "out"), *options]


def kinds() -> list[Kind]:
    """All that can be run here."""
    pong, pole = "mini-pong/pong", "gym/CartPole-v1"
    two = run(endless("w", pong, "a2c", learner_options={"workers": 2}))
    replay = {"learner_options": {"replay": 600, "warm_up": 100}}
    mixed = run(endless("p", pong, "ppo"), endless("d", "mini-pong/zoom", "dqn", **replay))
    large = run(endless("l", pole, "a2c", training_options={"num_envs": 10**6}))
    processes = run(endless("e", pole, "a2c", budget={"options": {"processes": True}}))
    found = [
        Kind("a2c with two workers", two, trains),
        Kind("analyze", analyse, has_players, 8.0),
        Kind("a3c with two workers", run(endless("w", pong, "a3c")), trains),
        Kind("ppo and dqn at once", mixed, trains),
        Kind("sweep", sweep, trains),
        Kind("very large start", large, None, 15.0),
        Kind("environments in processes", processes, trains),
        Kind("the first seconds", run(endless("w", pong, "ppo")), None, 8.0),
        Kind("the arm", run(endless("j", "jaco/reach", "a2c")), trains),
        Kind("the mazes", run(endless("m", "labyrinth/avoid-1", "ppo")), trains),
    ]
    if importlib.util.find_spec("vizdoom"):
        doom = run(endless("v", "doom-labyrinth/avoid-1", "a2c"))
        found.append(Kind("ViZDoom's engines", doom, trains))
    return found


def marked(mark: str) -> dict[int, str]:
    """Return the living processes that descend from a command, and what they are."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"{MARK}={mark}".encode() not in (entry / "environ").read_bytes().split(b"\0"):
                continue
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if state not in "ZX":
                found[int(entry.name)] = f"{state} {words[:120]}"
    return found


@contextmanager
def begun(
    arguments: list[str], temporary: Path, said: Path | None = None
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Start a command whose descendants can be told, and end all of them afterwards."""
    mark = uuid.uuid4().hex
    with (said or Path(os.devnull)).open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "colonnade", *arguments],
            env=os.environ | {MARK: mark, "TMPDIR": str(temporary)},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process, mark
    finally:
        for pid in marked(mark):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def engines_memory() -> set[Path]:
    """Names of memory that ViZDoom's engines share with those who hold them."""
    return set(Path("/dev/shm").glob("ViZDoom*"))


def left_over(temporary: Path, before: set[Path]) -> list[str]:
    """Names of memory and of temporary files that engines and processes left; given some time."""
    limit = time.monotonic() + WITHIN_SECONDS
    while True:
        files = {path for path in temporary.iterdir() if not path.name.startswith("torchinductor")}
        found = files | (engines_memory() - before)
        if not found or time.monotonic() > limit:
            return sorted(path.name for path in found)
        time.sleep(0.1)


def trial(
    kind: Kind, stream: random.Random, stop: str
) -> tuple[int, float, dict[int, str], list[str]]:
    """Kill a command at a random moment.

    Args:
        kind: Of the command.
        stream: What is random is drawn from it.
        stop: Which of its processes are stopped before: "none", "one" or "all".

    Returns:
        How many processes there were, seconds until they were gone, those that were not, and the
        files that were left.

    Raises:
        DidNotBeginError: If the command ended before it came to where it is to be killed.
    """
    with tempfile.TemporaryDirectory() as place:
        scratch, temporary = Path(place), Path(place) / "temporary"
        temporary.mkdir()
        before = engines_memory()
        said = scratch / "said.txt"
        with begun(kind.arguments(scratch), temporary, said) as (process, mark):
            limit = time.monotonic() + _START_SECONDS
            while kind.ready is not None and not kind.ready(scratch, mark):
                if process.poll() is not None or time.monotonic() > limit:
                    raise DidNotBeginError(said.read_text(errors="replace")[-500:])
                time.sleep(0.2)
            time.sleep(stream.uniform(0.0, kind.seconds))
            found = marked(mark)
            others = sorted(found.keys() - {process.pid})
            # Python's own, which ends by itself once all others have, unless somebody stops it.
            ours = [pid for pid in others if "resource_tracker" not in found[pid]]
            some = stream.sample(ours, min(1, len(ours)))
            chosen = {"all": ours, "one": some, "none": []}[stop]
            for pid in chosen:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
            process.kill()
            process.wait()
            died = time.monotonic()
            while (left := marked(mark)) and time.monotonic() - died < WITHIN_SECONDS:
                time.sleep(0.05)
            return len(others), time.monotonic() - died, left, left_over(temporary, before)


def orphans(count: int, tally: Tally, only: str = "") -> int:
    """Kill commands of all kinds, with some of their processes stopped or none.

    Args:
        count: How many.
        tally: Counts them.
        only: Kinds whose name holds it.

    Returns:
        How many left a process behind; each is told, and the last line counts those that did not.
    """
    chosen = [kind for kind in kinds() if only in kind.name]
    longest = 0.0
    for number in range(1, count + 1):
        if number in tally:
            continue
        kind, stop = chosen[(number - 1) % len(chosen)], ("none", "one", "all")[(number - 1) % 3]
        try:
            processes, seconds, left, files = trial(kind, tally.stream(number), stop)
        except DidNotBeginError as error:
            tally.tell(number, kind.name, f"DID NOT BEGIN: {error}", "")
            continue
        longest = max(longest, seconds)
        wrong = f"ALIVE: {left}" if left else ""
        good = f"all gone after {seconds:.1f} s" + (f", leaving {files}" if files else "")
        words = f"{kind.name}, {processes} processes, {stop} stopped"
        tally.tell(number, words, wrong, good)
    print(f"the longest: {longest:.1f} s")
    return tally.end()
