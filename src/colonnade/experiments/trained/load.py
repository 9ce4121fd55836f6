"""Loading the networks of finished runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from colonnade.errors import ColonnadeError, UnfitError, UsageError, unknown_name
from colonnade.experiments.plans.build import build_method, build_task
from colonnade.experiments.store.basis import check_parts
from colonnade.experiments.store.folders import RunFolder, SuiteFolder
from colonnade.experiments.store.parents import foreign_states, task_known
from colonnade.experiments.store.reading import is_there
from colonnade.methods import ColumnMethod, PathMethod, adds_columns
from colonnade.networks import ColumnView, ModularNetwork, ProgressiveNetwork, custom_factories
from colonnade.training.normalizing import (
    normalization_of,
    restore_normalization,
    taken_apart,
)
from colonnade.trust import only_if_trusted
from colonnade.types import Task


@contextmanager
def trusting(folder: Path, *, trust: bool) -> Iterator[None]:
    """Follow within the block what a folder names, such as an environment's module, if trusted.

    Raises:
        UntrustedError: It names code that is needed, and is not trusted.
        UsageError: It has parts of a plugin, which is imported only where its user names it.
    """
    for path in (folder, folder.parent.parent):
        if is_there(path / "suite.json"):
            check_parts(SuiteFolder.read(path).basis.parts, path)
            break
    with only_if_trusted(folder, trust=trust), custom_factories("import"):
        yield


def load_method(folder: RunFolder) -> ColumnMethod | PathMethod:
    """Build the method of a complete run in its final state.

    Code that the run names is imported where `trusting` says so.

    Raises:
        ColonnadeError: The weights are missing, damaged or no method's.
    """
    method = build_method(folder.spec)
    _load(method, folder)
    return method


def task_as_learned(suite: SuiteFolder, folder: RunFolder, name: str) -> Task:
    """Build a task of a complete run, which normalises what it shows as when it was learned.

    Args:
        suite: The output folder.
        folder: The run's.
        name: Of a task that it, or what it started from, has learned.

    Raises:
        UsageError: The run's file says nothing of what it normalises by.
    """
    task = build_task(task_known(suite, folder.spec, name))
    if normalization_of(task) is not None:
        restore_normalization(task, folder.weights()[0])
    return task


def _load(method: ColumnMethod | PathMethod, folder: RunFolder) -> None:
    tensors, meta = folder.weights()
    tensors, _ = taken_apart(tensors)
    with foreign_states(folder.path / "weights.safetensors"):
        method.load_state(tensors, meta)


def load_network(
    folder: RunFolder, *, trust: bool = False
) -> tuple[ProgressiveNetwork, dict[str, int]]:
    """Load the network of a complete run, and which column plays which task.

    Args:
        folder: The run's.
        trust: Whether code that it names, such as a `Custom` stage's factory, is imported.

    Raises:
        ColonnadeError: The run is not complete, or has no progressive network.
    """
    with trusting(folder.path, trust=trust):
        return columns_of(folder)


def network_of(folder: RunFolder) -> ProgressiveNetwork | ModularNetwork:
    """Build the network that a complete run's network.json describes, without its weights.

    Raises:
        ColonnadeError: The file is missing or damaged.
    """
    return network_laid_out(folder.network()["network"], folder.path / "network.json")


def network_laid_out(layout: Mapping[str, Any], where: Path) -> ProgressiveNetwork | ModularNetwork:
    """Build the network that data describes, of paths the last, without its weights.

    Args:
        layout: The network in the state of a method (`Method.state`).
        where: The file that it is from.

    Raises:
        ColonnadeError: It is none.
    """
    with foreign_states(where):
        if "columns" in layout:
            return ProgressiveNetwork.from_spec(layout)
        return ModularNetwork.from_spec(layout["modular"][-1])


def columns_of(folder: RunFolder) -> tuple[ProgressiveNetwork, dict[str, int]]:
    """Load as `load_network`, code that the run names where `trusting` says so.

    Raises:
        ColonnadeError: The run is not complete.
        UnfitError: It has no progressive network.
    """
    method = column_method(folder)
    return method.network, {task: method.columns[known] for task, known in folder.played_as.items()}


def column_method(folder: RunFolder) -> ColumnMethod:
    """Load the method of a complete run whose networks are columns; see `load_method`.

    Raises:
        ColonnadeError: The run is not complete.
        UnfitError: Its networks are others.
    """
    if not folder.done:
        raise ColonnadeError(
            f"Run {folder.id} isn't complete; `colonnade run` with the same --out completes it."
        )
    method = build_method(folder.spec)
    if not isinstance(method, ColumnMethod):
        raise UnfitError(
            f"Run {folder.id} has no progressive network: its method is {folder.spec.method!r}; "
            "give a run of the method 'progressive'."
        )
    _load(method, folder)
    return method


def is_progressive(folder: RunFolder) -> bool:
    """Whether a complete run trained a column beside others."""
    return (
        folder.done
        and _adds_columns(folder.spec.method)
        and len(folder.network()["network"].get("columns", ())) > 1
    )


def _adds_columns(method: str) -> bool:
    """Whether runs of a method add columns, if it is known here."""
    try:
        return adds_columns(method)
    except UsageError:
        return False


def check_progressive(network: ColumnView, folder: RunFolder) -> None:
    """Refuse a column that reads no other.

    Raises:
        UnfitError: There is nothing that could have been reused.
    """
    newest = network.newest
    if not any((*newest.reads, newest.output_reads)):
        count = len(network.columns)
        raise UnfitError(
            f"Run {folder.id} has no progressive network to analyse: its column reads no other "
            f"({'it is the only one' if count == 1 else 'it has no laterals'}); give a run of the "
            "method 'progressive' with a source."
        )


def task_of(folder: RunFolder, task: str | None) -> tuple[str, str]:
    """Choose a task that a complete run's network plays; None takes the run's last one.

    Returns:
        Its id, and the id under which the network plays it.

    Raises:
        UsageError: The network plays no such task.
    """
    known = folder.played_as
    name = task or folder.last_task
    if name not in known:
        raise unknown_name(f"task of run {folder.id}:", name, known)
    return name, known[name]
