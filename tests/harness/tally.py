"""Counts what came out as it should, and goes on where an earlier part of the same count ended."""

from __future__ import annotations

import json
import random
from pathlib import Path


class Tally:
    """Cases, told one by one.

    Args:
        form: What is done to runs.
        seed: Of what is random: each case has a stream of its own, so that each can be repeated.
        record: Where each case is noted, a line of JSON; those that are there are not tried again.
    """

    def __init__(self, form: str, seed: int, record: Path | None = None) -> None:
        self._of = {"form": form, "seed": seed}
        self._record = record
        self._wrong: dict[int, str] = {}
        if record is not None and record.exists():
            for line in record.read_text().splitlines():
                case = json.loads(line)
                if self._of.items() <= case.items():
                    self._wrong[case["case"]] = case["wrong"]

    def __contains__(self, case: int) -> bool:
        return case in self._wrong

    def stream(self, case: int) -> random.Random:
        """Return what a case draws from."""
        return random.Random(f"{self._of} {case}")

    def tell(self, case: int, words: str, wrong: str, good: str) -> None:
        """Tell and note what became of a case; nothing is wrong where all is well."""
        self._wrong[case] = wrong
        print(f"{case:>4}  {words}: {wrong or good}", flush=True)
        if self._record is not None:
            line = {**self._of, "case": case, "what": words, "wrong": wrong}
            with self._record.open("a") as file:
                file.write(json.dumps(line) + "\n")

    def end(self, more: str = "") -> int:
        """Tell how many came out well, and return how many did not."""
        wrong = sum(map(bool, self._wrong.values()))
        print(f"{len(self._wrong) - wrong} of {len(self._wrong)}{more}", flush=True)
        return wrong
