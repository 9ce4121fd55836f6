"""The kills of runs in ViZDoom, few; `python tests/doom_kills.py --kills 50` is the whole of it."""

import sys

import pytest

import doom_kills

pytest.importorskip("vizdoom")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc and /dev/shm")
def test_killed_runs_leave_no_engines_and_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert doom_kills.main(["--kills", "2", "--seed", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "2 of 2"
    assert lines[-2].startswith("0 kills left processes, 0 names in /dev/shm")
