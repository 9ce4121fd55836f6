"""Whether memory will do, asked before it is taken."""

from __future__ import annotations

import os
from pathlib import Path

from colonnade.errors import UsageError

_GB = 1e9

_GROUP = Path("/sys/fs/cgroup")


def free_memory() -> int | None:
    """Return the bytes of memory that a process may still take, or None where nobody says.

    Linux says what is available, and a container what it may have at most; elsewhere it is all
    that the machine has.
    """
    limits = [_available(), _of_container()]
    known = [limit for limit in limits if limit is not None]
    return min(known) if known else None


def check_memory(needed: int, what: str, advice: str) -> None:
    """Refuse what will not fit.

    Args:
        needed: Bytes.
        what: Needs them, as the sentence begins: "The replay of 'pong'".
        advice: What to do, as the sentence ends.

    Raises:
        UsageError: There is less.
    """
    free = free_memory()
    if free is not None and needed > free:
        raise UsageError(
            f"{what} needs {needed / _GB:,.2f} GB of memory, but {free / _GB:,.2f} GB are free; "
            f"{advice}."
        )


def _available() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def _of_container() -> int | None:
    try:
        limit, used, counted = (
            (_GROUP / name).read_text() for name in ("memory.max", "memory.current", "memory.stat")
        )
    except OSError:
        return None
    # What is kept of files read is given up where memory is wanted.
    counts = dict(line.split() for line in counted.splitlines())
    taken = int(used) - int(counts.get("inactive_file", 0))
    return None if limit.strip() == "max" else max(0, int(limit) - taken)
