"""`colonnade prune`: a trained network without what its policies do not need."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from colonnade.experiments.trained.prune_options import PruneOptions

if TYPE_CHECKING:
    from rich.table import Table

    from colonnade.experiments.store.folders import RunFolder


@dataclass(frozen=True)
class Prune:
    """Make a trained network smaller by what its policies do not need, as a run of its own.

    Features go by their sensitivity (AFS); real episodes check that no task loses more than --bound
    of its score. Where one does, more is kept.
    """

    run: Positional[Path]
    """One run's folder, DIR/runs/ID; or an output folder DIR that holds one progressive run."""
    out: Path | None = None
    """Output folder of the new run; "pruned" inside the run's own output folder if not given."""
    trust: bool = False
    """Import the code that the folder names, such as an environment's module or a stage's factory;
    see docs/trust.md."""
    options: Annotated[PruneOptions, arg(name="")] = field(default_factory=PruneOptions)
    """How to prune."""

    def __call__(self) -> None:
        """Prune, check and write, and say what it cost."""
        from rich.console import Console

        from colonnade.experiments.trained.prune import prune_run
        from colonnade.experiments.trained.pruned import notes

        console = Console()

        def say(line: str) -> None:
            console.print(line, markup=False, highlight=False, soft_wrap=True)

        pruned = prune_run(self.run, self.options, self.out, say, trust=self.trust)
        console.print(_table(pruned))
        for line in notes(pruned.result()["pruning"]):
            console.print(line, markup=False, highlight=False)
        say(f"Pruned run: {pruned.path}")


def _table(pruned: RunFolder) -> Table:
    """What became of each layer."""
    from rich.table import Table

    table = Table("column", "layer", "became", "laterals")
    for heading in ("parameters", "became"):
        table.add_column(heading, justify="right")
    for row in pruned.result()["pruning"]["layers"]:
        sizes = (f"{row[name]:,}" for name in ("parameters_before", "parameters_after"))
        table.add_row(str(row["column"]), row["before"], row["after"], row["laterals"], *sizes)
    return table
