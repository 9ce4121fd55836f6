"""What a run takes from others: weights, or the hyperparameters of the best of several."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colonnade.errors import ColonnadeError, UsageError, unknown_name
from colonnade.experiments.plans.bundled import bundled_columns, bundled_folder
from colonnade.experiments.plans.spec import BEST, BUNDLED, RunSpec
from colonnade.experiments.store.contents import CHOICE, misfit
from colonnade.experiments.store.folders import RunFolder
from colonnade.experiments.store.measures import MEASURES
from colonnade.experiments.store.reading import is_there, read_json

if TYPE_CHECKING:
    from torch import Tensor


@contextmanager
def foreign_states(where: Path) -> Iterator[None]:
    """Say in one sentence that what a file holds is no state of the method that it is given to.

    Args:
        where: The file.

    Raises:
        ColonnadeError: It is none.
    """
    try:
        yield
    except UsageError as error:
        raise type(error)(f"{where}: {error}") from error
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RuntimeError) as error:
        raise ColonnadeError(
            f"{where} holds no state that fits the run's method ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:120]}); restore it, or train the run again."
        ) from error


def lineage(suite: Path, spec: RunSpec) -> list[RunSpec]:
    """List a run and those that it starts from, one from the other, as far as they are there."""
    line = [spec]
    while (parent := line[-1].parent) is not None and not parent.startswith(BUNDLED):
        if parent.startswith(BEST):
            chosen = read_json(suite / "choices.json").get(parent, {})
            if misfit(chosen, CHOICE):
                break
            parent = str(chosen["run"])
        folder = RunFolder(suite / "runs" / parent)
        if not is_there(folder.path / "spec.json"):
            break
        line.append(folder.spec)
    return line


def read_parent(suite: Path, parent: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the method's state that a run starts from.

    Args:
        suite: The output folder.
        parent: As in `RunSpec.parent`.

    Returns:
        Tensors and JSON data as `Method.state` gave them.

    Raises:
        ColonnadeError: The parent is not complete, or its weights are damaged.
    """
    from colonnade.training import read_tensors

    if parent.startswith(BUNDLED):
        name = parent.removeprefix(BUNDLED)
        if name not in bundled_columns():
            raise unknown_name("bundled column", name, bundled_columns())
        with resources.as_file(bundled_folder() / f"{name}.safetensors") as path:
            return read_tensors(path)
    if parent.startswith(BEST):
        parent = _best(suite, parent)
    folder = RunFolder(suite / "runs" / parent)
    if not folder.done:
        raise ColonnadeError(f"Run {parent}, which this one starts from, isn't complete.")
    if folder.measures != MEASURES:
        raise ColonnadeError(
            f"Run {parent}, which this one starts from, is of an earlier version of Colonnade, "
            f"which measured learning in another way; move {folder.path} away to train it again."
        )
    return folder.weights()


def with_learner(suite: Path, spec: RunSpec) -> RunSpec:
    """Give a run the hyperparameters of the best of those that it is to learn like.

    Args:
        suite: The output folder.
        spec: The run; it stays as it is where it names its own.

    Raises:
        ColonnadeError: It isn't known which run was best.
    """
    if spec.learner_from is None:
        return spec
    best = RunFolder(suite / "runs" / _best(suite, spec.learner_from)).spec
    return replace(spec, learner=best.learner, learner_options=best.learner_options)


def _best(suite: Path, name: str) -> str:
    """Return the run that a selection came to."""
    path = suite / "choices.json"
    chosen = read_json(path).get(name, {})
    if misfit(chosen, CHOICE):
        raise ColonnadeError(f"{path} doesn't say which run {name!r} is; restore it.")
    return str(chosen["run"])
