"""Memory that is kept is not asked for again: the system counts how often a page is."""

import ctypes
import os
import subprocess
import sys

import pytest

THREE_TIMES = """
import ctypes, resource
from colonnade.allocation import keep_memory

keep_memory()
c = ctypes.CDLL(None)
c.malloc.restype = ctypes.c_void_p

def write():
    memory = ctypes.c_void_p(c.malloc(2**24))
    ctypes.memset(memory, 1, 2**24)
    c.free(memory)

write()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    write()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(**environment: str) -> int:
    """Count the pages that are asked for by writing 16 MiB three times, again."""
    said = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", THREE_TIMES], env=said | environment, check=True, capture_output=True
    )
    return int(done.stdout)


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "mallopt") or sys.platform == "darwin", reason="asks glibc"
)
def test_memory_is_kept_unless_the_environment_says_otherwise() -> None:
    assert faults() < 10
    # Of 2 MiB at most: 8 each time.
    assert faults(MALLOC_MMAP_THRESHOLD_="131072", MALLOC_TRIM_THRESHOLD_="131072") >= 24
