"""Full disks: a small file system of its own where that may be mounted, else errors put in."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.injected import UNFORESEEN, came_to, command, forked, injected, pair
from harness.tally import Tally

_BYTES = 8 * 2**20


@contextmanager
def small_disk(place: Path) -> Iterator[Path | None]:
    """Mount a file system of 8 MiB; None where that is not allowed."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_BYTES}", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    try:
        yield place if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(place)], check=True)  # even if in use still


def full_disks(count: int, tally: Tally) -> int:
    """Fill the disk at random moments of a short command; free it, and give the command again.

    Returns:
        How many were not equal in the end; the last line counts those that were.
    """
    with tempfile.TemporaryDirectory() as scratch, small_disk(Path(scratch) / "disk") as disk:
        if disk is None:
            print("no file system may be mounted here: errors are put in")
            return injected(["full"], count, tally)
        out, ballast = disk / "out", disk / "ballast"
        if forked(lambda: command(pair, out)):
            raise RuntimeError("the undisturbed command failed")
        needed = _BYTES - shutil.disk_usage(disk).free
        expected = came_to(out)
        shutil.rmtree(out)
        for number in range(1, count + 1):
            if number in tally:
                continue
            room = tally.stream(number).randint(0, int(0.9 * needed))
            with ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - room)
            status = forked(lambda: command(pair, out))
            ballast.unlink()
            wrong = "no sentence was said of it" if status == UNFORESEEN else ""
            if forked(lambda: command(pair, out)):
                wrong = "the same command failed"
            elif came_to(out) != expected:
                wrong = "other numbers or files"
            words = f"{room:,} of {needed:,} bytes, status {status}"
            tally.tell(number, words, wrong and f"WRONG, {wrong}", "freed and resumed, equal")
            shutil.rmtree(out, ignore_errors=True)
    return tally.end()
