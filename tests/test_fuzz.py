"""`make fuzz` in short: mutations that are always the same, of a folder that needs no training."""

import logging
from pathlib import Path

import pytest

import fuzz
from harness.tally import Tally


def test_every_answer_to_a_damaged_folder_or_a_hostile_spec_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging.getLogger(), "level", logging.WARNING)
    wrong = fuzz.fuzz(40, 20, lambda form: Tally(form, 5), tmp_path, quick=True)
    said = capsys.readouterr().out
    assert not wrong, said
    assert "refused" in said.splitlines()[-1]


def test_a_silent_change_is_a_wrong_answer(tmp_path: Path) -> None:
    mutation = fuzz.Mutation(tmp_path / "metrics.jsonl", "", False)
    (tmp_path / "DONE").touch()
    right, other = fuzz.Said(0, "1.0"), fuzz.Said(0, "7.0")
    assert not fuzz.judge(right, right, mutation)
    assert "other numbers, without a word" in fuzz.judge(other, right, mutation)
    (tmp_path / "DONE").unlink()
    assert not fuzz.judge(other, right, mutation), "a run that has shown nothing yet"
    assert not fuzz.judge(fuzz.Said(0, "7.0", ("told",)), right, mutation)
    assert not fuzz.judge(fuzz.Said(1, "colonnade: metrics.jsonl is damaged."), right, mutation)
    assert fuzz.judge(fuzz.Said(1, "colonnade: An unforeseen KeyError."), right, mutation)
    assert fuzz.judge(fuzz.Said(1, "Traceback"), right, mutation)
    assert fuzz.judge(fuzz.Said(99, "it took more than 120 s"), right, mutation)
