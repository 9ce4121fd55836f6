"""The results of a sweep as a table, a row for every job in every cell: CSV, and Parquet."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from colonnade.errors import ColonnadeError
from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.results.runs import RunResult
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.files import write_bytes, write_text
from colonnade.experiments.store.folders import SuiteFolder


class ParquetUnavailableError(ColonnadeError):
    """The library that writes Parquet is not installed."""


@dataclass(frozen=True)
class JobRow:
    """One job in one cell.

    Attributes:
        job: Number of the draw.
        seed: Of the run.
        method: The row of the table; see `methods.METHODS`.
        source: What was learned before, in words; None where nothing was.
        target: Name of the task.
        hyperparameters: What was drawn.
        state: "complete", "stopped", "failed" or "missing".
        counts: Whether it is among the best few of its cell.
        area: Under the learning curve, above the random policy's score; NaN unless it is over.
        transfer: The area over the mean area of baseline 1's best jobs; NaN where ill-defined.
        final_score: Mean return of the trained policy.
        random_score: Mean return of the random policy.
        steps: Agent steps of the run.
        seconds: Time it trained.
        run: Id of the run.
        failure: Why it failed, if it did.
    """

    job: int
    seed: int
    method: str
    source: str | None
    target: str
    hyperparameters: dict[str, float]
    state: str
    counts: bool
    area: float
    transfer: float
    final_score: float
    random_score: float
    steps: int
    seconds: float
    run: str
    failure: str | None

    def at(self, method: str, target: str) -> bool:
        """Say whether the row belongs to a method on a target."""
        return (self.method, self.target) == (method, target)

    def flat(self) -> dict[str, Any]:
        """Return the row with a column for each hyperparameter."""
        values: dict[str, Any] = dict(vars(self))
        drawn: dict[str, Any] = values.pop("hyperparameters")
        head = {name: values.pop(name) for name in ("job", "seed", "method", "source", "target")}
        return head | drawn | values


def job_rows(results: Results) -> list[JobRow]:
    """Tabulate a sweep: all jobs of all cells, in the order of the plan."""
    counting = {
        run.spec.id
        for cell in results.cells
        for run in results.counting(cell.method, cell.source, cell.target)
    }
    sweep = results.suite.sweep
    assert sweep is not None
    rows = []
    for entry in results.comparisons:
        run = results.runs[entry.run]
        failure = run.folder.failure
        rows.append(
            JobRow(
                job=sweep.number_of(run.spec.seed),
                seed=run.spec.seed,
                method=entry.method,
                source=entry.source,
                target=entry.target,
                hyperparameters=hyperparameters(results.suite, run.spec),
                state=_state(run, failure),
                counts=run.spec.id in counting,
                area=results.area(run),
                transfer=results.relative_area(run),
                final_score=run.average_score("trained") if results.by_gain else run.final_score,
                random_score=run.average_score("random")
                if results.by_gain
                else results.random_score(entry.target).mean,
                steps=run.steps,
                seconds=float(run.result.get("timing", {}).get("training_seconds", math.nan)),
                run=run.spec.id,
                failure=failure,
            )
        )
    return rows


def hyperparameters(folder: SuiteFolder, spec: RunSpec) -> dict[str, float]:
    """Read the drawn hyperparameters of a run back from its spec: those that the folder names.

    An option of another method is NaN.

    Raises:
        ColonnadeError: The spec lacks one of them.
    """
    space = folder.basis.space
    assert space is not None
    held = space.held(spec)
    if missing := [name for name, value in held.items() if not isinstance(value, int | float)]:
        raise ColonnadeError(
            f"Run {spec.id} has no number for {missing[0]!r}, which {folder.path / 'suite.json'} "
            "says was drawn for every run; restore the file."
        )
    drawn = {name: float(str(value)) for name, value in held.items()}
    return {name: drawn.get(name, math.nan) for name in space.names}


def write_csv(rows: list[JobRow], path: Path) -> None:
    """Write the table as CSV; what is not known is empty.

    Raises:
        ColonnadeError: Writing failed.
    """
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0].flat()), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _known(value) for name, value in row.flat().items()})
    write_text(path, buffer.getvalue())


def write_parquet(rows: list[JobRow], path: Path) -> None:
    """Write the table as Parquet, with types; what is not known is null.

    Raises:
        ParquetUnavailableError: pyarrow is not installed.
        ColonnadeError: Writing failed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ParquetUnavailableError(
            f"{path.name} is not written: it needs pyarrow, which `pip install "
            "'colonnade[parquet]'` brings; the CSV file holds the same."
        ) from None
    columns = {name: [_known(row.flat()[name]) for row in rows] for name in rows[0].flat()}
    numbers = {name for name, value in rows[0].flat().items() if isinstance(value, float)}
    schema = pyarrow.schema(
        [
            (name, pyarrow.float64() if name in numbers else _arrow_type(pyarrow, values))
            for name, values in columns.items()
        ]
    )
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.table(columns, schema=schema), sink)
    write_bytes(path, sink.getvalue().to_pybytes())


def _arrow_type(pyarrow: Any, values: list[Any]) -> Any:
    known = next((value for value in values if value is not None), "")
    kinds = {bool: pyarrow.bool_(), int: pyarrow.int64(), str: pyarrow.string()}
    return kinds[type(known)]


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def _state(run: RunResult, failure: str | None) -> str:
    if run.done:
        return "complete"
    return "stopped" if run.stopped else "failed" if failure else "missing"
