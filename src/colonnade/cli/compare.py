"""`colonnade compare`: two folders side by side."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

if TYPE_CHECKING:
    from colonnade.experiments.results.two_folders import TwoFolders


@dataclass(frozen=True)
class Compare:
    """Lay two folders side by side: before and after a change, two machines, two settings."""

    first: Positional[Path]
    """A folder that `colonnade run --out` made."""
    second: Positional[Path]
    """Another one of the same suite, or with runs of the same methods on the same tasks."""

    def __call__(self) -> None:
        """Print what was set differently, and the scores with their differences."""
        from colonnade.experiments.results.two_folders import lay_side_by_side
        from colonnade.experiments.store.folders import SuiteFolder

        found = lay_side_by_side(SuiteFolder.read(self.first), SuiteFolder.read(self.second))
        show(found, str(self.first), str(self.second))


def show(found: TwoFolders, first: str, second: str) -> None:
    """Print a comparison."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 200)
    for option, before, after in found.changes:
        console.print(Text(f"{option}: {before} in {first}, {after} in {second}"))
    table = Table()
    for header in ("place", first, second, "difference", ""):
        table.add_column(Text(header), overflow="fold")
    for row in found.rows:
        scores = (f"{each.mean():.4g} ({each.size})" for each in (row.before, row.after))
        reach = f" [{row.interval.low:+.3g} to {row.interval.high:+.3g}]" * row.interval.known
        verdict = row.verdict + "".join(f"; {o}: {b}, {a}" for o, b, a in row.changes)
        cells = (row.words, *scores, f"{row.difference:+.4g}{reach}", verdict)
        table.add_row(*map(Text, cells))
    console.print(table)
    measures = {
        False: "final scores",
        True: "final scores above the random policy's, averaged over all tasks",
    }
    said = " and ".join(words for gained, words in measures.items()
                        if any(row.gained == gained for row in found.rows))  # fmt: skip
    reaches = "" if found.chosen else "; 95 % intervals of the difference"
    console.print(f"{said.capitalize()}: means over so many runs{reaches}.")
    for words in found.chosen:
        console.print(Text(f"What counts {words}."))
    for words in found.missing:
        console.print(Text(f"Left out: {words}."))
