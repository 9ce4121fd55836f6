"""What a run starts from: another run, the best of several, or a bundled column."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colonnade.errors import ColonnadeError, unknown_name
from colonnade.experiments.plans.bundled import bundled_columns, bundled_folder
from colonnade.experiments.plans.spec import BEST, BUNDLED
from colonnade.experiments.store.files import read_json
from colonnade.experiments.store.folders import RunFolder
from colonnade.experiments.store.measures import MEASURES

if TYPE_CHECKING:
    from torch import Tensor


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
        path = suite / "choices.json"
        if parent not in (choices := read_json(path)):
            raise ColonnadeError(f"{path} doesn't say which run {parent!r} is; restore it.")
        parent = str(choices[parent]["run"])
    folder = RunFolder(suite / "runs" / parent)
    if not folder.done:
        raise ColonnadeError(f"Run {parent}, which this one starts from, isn't complete.")
    if folder.measures != MEASURES:
        raise ColonnadeError(
            f"Run {parent}, which this one starts from, is of an earlier version of Colonnade, "
            f"which measured learning in another way; move {folder.path} away to train it again."
        )
    return folder.weights()
