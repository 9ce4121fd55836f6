"""Finding finished runs by a path, and loading their networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from colonnade.errors import ColonnadeError, UsageError, unknown_name
from colonnade.experiments.plans.build import build_method
from colonnade.experiments.store.folders import RunFolder, SuiteFolder
from colonnade.methods import ColumnMethod
from colonnade.networks import ColumnView, ProgressiveNetwork, custom_factories


def find_runs(path: Path) -> tuple[SuiteFolder, list[RunFolder], bool]:
    """Find what a path on the command line means.

    Args:
        path: An output folder of `colonnade run --out`, or the folder of one run inside it.

    Returns:
        The output folder; the runs; whether one was asked for.

    Raises:
        UsageError: It is neither.
    """
    if (path / "suite.json").exists():
        suite = SuiteFolder.read(path)
        return suite, list(suite.runs), False
    outer = path.resolve().parent.parent
    if path.resolve().parent.name == "runs" and (outer / "suite.json").exists():
        suite = SuiteFolder.read(outer)
        name = path.resolve().name
        names = [spec.id for spec in suite.plan.runs]
        if name not in names:
            raise unknown_name(f"run in {outer}:", name, names)
        return suite, [suite.run(name)], True
    raise UsageError(
        f"{path} is neither a folder that `colonnade run --out` made (with a suite.json) nor one "
        "run's folder inside it (DIR/runs/ID)."
    )


def load_method(folder: RunFolder) -> ColumnMethod:
    """Load the method of a complete run, with the networks of all its tasks.

    Raises:
        ColonnadeError: The run is not complete, or its networks have no columns.
    """
    if not folder.done:
        raise ColonnadeError(
            f"Run {folder.id} isn't complete; `colonnade run` with the same --out completes it."
        )
    spec = folder.spec
    with custom_factories("import"):
        method = build_method(spec)
    if not isinstance(method, ColumnMethod):
        raise ColonnadeError(
            f"Run {folder.id} has no progressive network: its method is {spec.method!r}; give a "
            "run of the method 'progressive'."
        )
    with custom_factories("import"):
        method.load_state(*folder.weights())
    return method


def load_network(folder: RunFolder) -> tuple[ProgressiveNetwork, dict[str, int]]:
    """Load the network of a complete run, and which column plays which task.

    Raises:
        ColonnadeError: The run is not complete, or has no progressive network.
    """
    method = load_method(folder)
    return method.network, dict(method.columns)


def is_progressive(folder: RunFolder) -> bool:
    """Whether a complete run trained a column beside others."""
    return (
        folder.done
        and folder.spec.method == "progressive"
        and len(folder.network()["network"].get("columns", ())) > 1
    )


def check_progressive(network: ColumnView, folder: RunFolder) -> None:
    """Refuse a column that reads no other.

    Raises:
        ColonnadeError: There is nothing that could have been reused.
    """
    newest = network.newest
    if not any((*newest.reads, newest.output_reads)):
        count = len(network.columns)
        raise ColonnadeError(
            f"Run {folder.id} has no progressive network to analyse: its column reads no other "
            f"({'it is the only one' if count == 1 else 'it has no laterals'}); give a run of the "
            "method 'progressive' with a source."
        )


def column_of(columns: Mapping[str, int], folder: RunFolder, task: str | None) -> tuple[str, int]:
    """Choose the column that plays a task; None takes the run's last task.

    Raises:
        UsageError: No column plays it.
    """
    name = task or folder.spec.tasks[-1].id_among(columns)
    if name not in columns:
        raise unknown_name(f"task of run {folder.id}:", name, columns)
    return name, columns[name]
