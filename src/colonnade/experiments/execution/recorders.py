"""Recorders by name: where a folder's runs show their rows besides their own files.

Which they are stands in the output folder, `recorders.json`, so that whoever trains a run knows it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from colonnade.errors import ColonnadeError, UsageError
from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.store.files import write_json
from colonnade.experiments.store.reading import is_there, read_json
from colonnade.parts.finding import find
from colonnade.records import shown

FILE = "recorders.json"
NONE = "none"
"""Stands for no recorder at all."""

DEFAULT = ("tensorboard",)


def _tensorboard(folder: Path, spec: RunSpec) -> Any:
    from colonnade.training.tracking import TensorBoard

    return TensorBoard(folder)


def _wandb(folder: Path, spec: RunSpec) -> Any:
    from colonnade.training.tracking import WeightsAndBiases

    suite = folder.absolute().parents[1].name
    config = {"run": spec.id, "spec": spec.to_json()}
    return WeightsAndBiases(folder, label=spec.label, group=suite, config=config)


RECORDERS: dict[str, Callable[[Path, RunSpec], Any]] = {
    "tensorboard": _tensorboard,
    "wandb": _wandb,
}
"""What makes a `Tracker` of a run's folder and its spec."""


def check_recorders(names: Sequence[str]) -> tuple[str, ...]:
    """Check that there are recorders of these names, before any work.

    Returns:
        The names, each once.

    Raises:
        UsageError: There is none of a name, or what it needs is not installed.
    """
    for name in names:
        find("recorders", name, dict.fromkeys((*RECORDERS, NONE), name))
        if name == NONE and len(set(names)) > 1:
            raise UsageError(f"--recorder {NONE} stands for no recorder, but others came too.")
    if "wandb" in names:
        from colonnade.training.tracking.weights_and_biases import check_installed

        check_installed()
    return tuple(dict.fromkeys(names))


def write_recorders(suite: Path, names: Sequence[str]) -> None:
    """Say in an output folder which recorders its runs have; none that is named is the default.

    Raises:
        ColonnadeError: Writing failed.
    """
    if names or is_there(suite / FILE):
        write_json(suite / FILE, {"recorders": list(names or DEFAULT)})


def recorders_of(
    suite: Path, folder: Path, spec: RunSpec, note: Callable[[str], None]
) -> list[Any]:
    """Make the recorders of a run: `Tracker`s. One that can't be made is told of, and left out.

    Args:
        suite: The output folder.
        folder: The run's.
        spec: Of the run.
        note: Tells a user something.
    """
    names: Any = DEFAULT
    try:
        if is_there(suite / FILE):
            names = read_json(suite / FILE).get("recorders")
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise ColonnadeError(f"{suite / FILE} holds {shown(names)}, no list of names.")
    except ColonnadeError as error:
        note(f"{error} Only TensorBoard's events are written.")
        names = DEFAULT
    made = []
    for name in names:
        if name == NONE:
            continue
        try:
            made.append(find("recorders", name, RECORDERS)(folder, spec))
        except Exception as error:
            words = " ".join(str(error).split())[:200]
            note(f"Recorder {name!r} can't be made ({words}); training goes on without it.")
    return made
