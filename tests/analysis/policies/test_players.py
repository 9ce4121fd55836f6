"""Processes that play: what they answer, and what is done when one hangs or dies."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from colonnade.analysis.policies.players import Players
from colonnade.errors import ColonnadeError, UsageError
from colonnade.watching import HANG_SECONDS, beat, set_limit


@pytest.fixture
def limit() -> Iterator[None]:
    set_limit(2)  # longer than a sign takes, shorter than a process takes to start
    yield
    set_limit(HANG_SECONDS)


def once(mark: str, number: int, value: int) -> int:
    """Send this process a signal, the first time; a value after that."""
    beat()
    if not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), number)
    return value


def refuse(message: str) -> None:
    raise UsageError(message)


def die() -> None:
    os._exit(3)


@pytest.mark.usefixtures("limit")
def test_what_a_stopped_process_was_at_is_begun_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    players = Players(1)
    first = players.submit(once, str(tmp_path / "mark"), signal.SIGSTOP, 5)
    assert [first.result(280), players.submit(abs, -3).result(280)] == [5, 3]
    players.shutdown()
    assert "which played, gave no sign of life for" in caplog.text
    assert "; what it was at begins again." in caplog.text


def test_errors_come_back_and_who_always_dies_is_given_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("colonnade.analysis.policies.players._LIVES", 1)
    players = Players(2)
    refused, dies = players.submit(refuse, "No such game."), players.submit(die)
    with pytest.raises(UsageError, match="No such game"):
        refused.result(280)
    with pytest.raises(ColonnadeError, match="which played, died, again and again"):
        dies.result(280)
    assert "which played, died; what it was at begins again." in caplog.text
    begun = time.monotonic()
    players.shutdown()
    assert time.monotonic() - begun < 5
