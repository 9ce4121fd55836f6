"""`colonnade report`: the page of what a folder holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class Report:
    """Write DIR/report.html from what a folder holds, complete or not."""

    dir: Positional[Path]
    """A folder that `colonnade run --out` made."""

    def __call__(self) -> None:
        """Write the report and say where it is."""
        from colonnade.experiments.store.folders import SuiteFolder

        suite = SuiteFolder.read(self.dir)
        from colonnade.reports.suite import write_report  # heavy, and of no use to a mistake

        print(write_report(suite))
