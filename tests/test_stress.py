"""The stress test, short; `make stress KILLS=50` is the whole of it."""

import pytest

import stress


def test_killed_runs_end_as_if_nothing_had_happened(capsys: pytest.CaptureFixture[str]) -> None:
    assert stress.main(["--kills", "3", "--seed", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "3 of 3"
    assert "worker and server killed" in lines[2]
