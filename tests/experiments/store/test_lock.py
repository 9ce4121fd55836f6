import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from colonnade.errors import ColonnadeError
from colonnade.experiments.store.lock import FolderLock

HOLDER = """
import sys, time
from pathlib import Path
from colonnade.experiments.store.lock import FolderLock
with FolderLock(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    return process


def test_a_held_lock_refuses_and_names_its_holder_and_a_dead_holder_frees_it(
    tmp_path: Path,
) -> None:
    holder = hold(tmp_path)
    try:
        with (
            pytest.raises(
                ColonnadeError,
                match=rf"being written by process {holder.pid} \('-c .* on .*, since ",
            ),
            FolderLock(tmp_path),
        ):
            pass
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    said = tmp_path / "lock-holder.txt"
    assert said.read_text().startswith(f"{holder.pid} "), "what the dead one left is still there"
    with FolderLock(tmp_path):
        assert said.read_text().startswith(f"{os.getpid()} ")
    assert not said.exists()
    with FolderLock(tmp_path):
        pass


def test_who_has_patience_gets_the_lock_when_it_is_freed(tmp_path: Path) -> None:
    first = FolderLock(tmp_path)
    first.__enter__()
    threading.Timer(0.3, first.__exit__).start()
    with FolderLock(tmp_path, patience=30):
        assert (tmp_path / "lock-holder.txt").exists()


def test_a_child_that_outlives_the_holder_does_not_keep_the_lock(tmp_path: Path) -> None:
    child = (
        "import os, sys, time; from pathlib import Path;"
        "from colonnade.experiments.store.lock import FolderLock;"
        "FolderLock(Path(sys.argv[1])).__enter__(); pid = os.fork();"
        "time.sleep(60) if pid == 0 else (print(pid, flush=True), os._exit(0))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", child, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    orphan = int(process.stdout.readline())
    try:
        process.wait()
        with FolderLock(tmp_path):
            os.kill(orphan, 0)
    finally:
        os.kill(orphan, signal.SIGKILL)
