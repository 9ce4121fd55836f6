"""Signs of life, and ends that come with a parent's."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from colonnade import watching
from colonnade.errors import HungError
from colonnade.watching import Pulses, Watch, await_answer, beat, set_limit

CHILD = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from colonnade.watching import end_with
parent = os.getpid()
child = os.fork()
if not child:
    end_with(parent, thread=sys.argv[2] == "kernel")
    print(os.getpid(), flush=True)
    while True:
        time.sleep(0.01) if sys.argv[3] == "asleep" else sum(range(10**5))
time.sleep(60)
"""


ANEW = """
import multiprocessing, os, sys, time
sys.path[:0] = sys.argv[1:]
from colonnade.watching import call_ending_with
given = os.getpid(), "slow:never"
multiprocessing.get_context("spawn").Process(target=call_ending_with, args=given).start()
time.sleep(60)
"""
SLOW = "import os, signal\nprint(os.getpid(), flush=True)\nos.kill(os.getpid(), signal.SIGSTOP)\n"


@pytest.fixture
def limit() -> Iterator[None]:
    set_limit(0.3)
    yield
    set_limit(watching.HANG_SECONDS)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux's kernel")
@pytest.mark.parametrize("how", ["kernel", "thread"])
@pytest.mark.parametrize("what", ["asleep", "busy"])
def test_a_child_ends_with_its_parent(how: str, what: str) -> None:
    source = str(Path(watching.__file__).parents[1])
    parent = subprocess.Popen(
        [sys.executable, "-c", CHILD, source, how, what], stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    if how == "kernel":
        os.kill(child, signal.SIGSTOP)
    assert ends_with(parent, child)


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux's kernel")
def test_a_child_ends_with_its_parent_even_if_it_is_stopped_while_it_imports(
    tmp_path: Path,
) -> None:
    source = str(Path(watching.__file__).parents[1])
    (tmp_path / "slow.py").write_text(SLOW)
    parent = subprocess.Popen(
        [sys.executable, "-c", ANEW, source, str(tmp_path)], stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    assert ends_with(parent, int(parent.stdout.readline()))


def ends_with(parent: subprocess.Popen[bytes], child: int) -> bool:
    parent.kill()
    parent.wait()
    end = time.monotonic() + 10
    while alive(child) and time.monotonic() < end:
        time.sleep(0.02)
    if left := alive(child):
        os.kill(child, signal.SIGKILL)
    return not left


def test_signs_of_a_fork_are_seen_where_it_gives_them() -> None:
    pulses = Pulses(2)
    ours, theirs = os.pipe()
    if not (child := os.fork()):
        pulses.give(1)
        for _ in range(5):
            beat()
        os.write(theirs, b"x")
        os._exit(0)
    os.read(ours, 1)
    os.waitpid(child, 0)
    assert (pulses.of(0)(), pulses.of(1)()) == (0, 5)
    beat()
    assert pulses.of(1)() == 5, "this process's own signs are elsewhere"


def test_silence_is_what_somebody_saw_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now, signs = [0.0], [0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    watch = Watch(lambda: signs[0])
    assert watch.look() == 0
    for wanted in (1.0, 2.0, 3.0):
        now[0] += 1
        assert watch.look() == wanted
    now[0] += 3600  # who watches was stopped himself, perhaps both were
    assert watch.look() == 8.0
    now[0] += 1
    signs[0] += 1
    assert watch.look() == 0
    now[0] += 2
    assert watch.look(busy=False) == 0, "who has nothing to do may rest"


def test_who_has_to_start_has_longer_for_the_first_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    now, signs = [0.0], [0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(watching, "_limit", 2.0)
    watch, hung = Watch(lambda: signs[0], start=6.0), []
    for second in range(14):
        now[0] += 1
        signs[0] += second == 7
        hung.append(watch.hangs())
    # The first look takes note; then more than 6 s without a first sign, and more than 2 after it.
    assert hung == [False] * 7 + [False] * 3 + [True] * 4


@pytest.mark.usefixtures("limit")
def test_who_never_answers_is_named_and_who_waits_gives_signs_meanwhile() -> None:
    ours, _ = os.pipe()
    before = watching._signs[0]
    with pytest.raises(HungError, match=r"^The oracle gave no sign of life for 0 s and was ended"):
        await_answer(lambda seconds: bool(time.sleep(seconds)), lambda: "The oracle")
    assert watching._signs[0] > before
    os.close(ours)


@pytest.mark.usefixtures("limit")
def test_a_slow_answer_is_waited_for_as_long_as_the_limit_says() -> None:
    begun = time.monotonic()
    set_limit(0)  # never
    await_answer(
        lambda seconds: bool(time.sleep(seconds)) or time.monotonic() - begun > 1.5, lambda: "It"
    )
