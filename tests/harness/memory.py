"""Hours of training in flat memory: what all processes of a command hold, from the first on."""

from __future__ import annotations

import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

from harness.orphans import begun, endless, marked, run, trains

_EVERY_SECONDS = 5.0
_ALLOWED = 0.02
"""Growth from the first to the last fifth after the start, as a share."""


_OWN = ("Pss_Anon:", "Pss_Shmem:")


def held(mark: str) -> int:
    """Return the bytes that the processes of a command have for themselves or share.

    Pages of files, libraries for the most part, are left out: a process' share of them grows when
    others that use them end.
    """
    total = 0
    for pid in marked(mark):
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith(_OWN):
                    total += int(line.split()[1]) * 1024
    return total


def memory(seconds: float) -> int:
    """Train two runs for a time, with checkpoints, and watch what they hold.

    Returns:
        0 if it did not grow; the last line says how much it did.
    """
    options = {"segment_steps": 20_000, "curve_steps": 10_000, "num_envs": 8}
    both = run(
        endless("a", "mini-pong/pong", "a2c", training_options=options,
                learner_options={"workers": 2}),
        endless("p", "mini-pong/zoom", "ppo", training_options=options),
        jobs=3,  # the first counts as two
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as place:
        scratch, temporary = Path(place), Path(place) / "temporary"
        temporary.mkdir()
        with begun(both(scratch), temporary) as (process, mark):
            while not trains(scratch):
                if process.poll() is not None:
                    raise RuntimeError("the command did not begin to train")
                time.sleep(0.1)
            found, end = [], time.monotonic() + seconds
            while time.monotonic() < end:
                time.sleep(min(_EVERY_SECONDS, seconds / 50))
                found.append(held(mark) / 2**20)
            saved = [len(list(run.glob("checkpoint-*"))) for run in scratch.glob("out/runs/*")]
    settled = np.array(found[len(found) // 5 :])
    fifth = max(1, len(settled) // 5)
    first, last = np.median(settled[:fifth]), np.median(settled[-fifth:])
    growth = float(last / first - 1)
    print(f"{len(found)} looks in {seconds:.0f} s, {saved} checkpoints of the runs at the end")
    print(f"{first:.1f} MiB in the first fifth, {last:.1f} MiB in the last: {growth:+.2%}")
    return int(growth > _ALLOWED)
