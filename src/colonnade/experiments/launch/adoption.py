"""Networks of other folders and of files, which runs start from, taken into an output folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from colonnade.errors import ColonnadeError, UsageError
from colonnade.experiments.plans.spec import FILE, KEPT, RunSpec
from colonnade.experiments.store.files import begin_folder, write_json
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.store.kept import Kept, kept_path
from colonnade.experiments.store.parents import read_trained
from colonnade.experiments.store.reading import is_there, read_json


class Adopted(NamedTuple):
    """Runs whose origins lie in their own folder.

    Attributes:
        specs: Their parents are "kept:NAME", and their ids follow from that.
        networks: What has to be kept, by these names.
        origins: Names by what the runs were given: "file:PATH".
    """

    specs: tuple[RunSpec, ...]
    networks: dict[str, Kept]
    origins: dict[str, str]


def adopted(specs: Sequence[RunSpec], folder: Path) -> Adopted:
    """Name what runs start from by its content, where it lies outside of their folder.

    Args:
        specs: Of which some have a parent "file:PATH"; those that start from another of them name
            it by its label, where no other has that, or by the id that its own spec has.
        folder: Where their runs go: what it has taken in before may be gone from its place.

    Raises:
        UsageError: There is nothing at a path, or something else; or several runs have the label
            that another starts from.
    """
    networks: dict[str, Kept] = {}
    names: dict[str, str] = {}  # of parents, before and after
    labels = Counter(spec.label for spec in specs)
    ids = {spec.id for spec in specs}
    changed = []
    for spec in specs:
        for origin in spec.origins:
            if labels[origin] > 1 and origin not in ids:
                raise UsageError(
                    f"Run {spec.label!r} starts from {origin!r}, but {labels[origin]} runs have "
                    "that label; give them labels of their own."
                )
            if origin.startswith(FILE) and origin not in names:
                found = _found(origin, spec, folder)
                names[origin] = found if isinstance(found, str) else found.name
                if isinstance(found, Kept):
                    networks[found.name] = found
        parents = tuple(names.get(each, each) for each in spec.parents)
        parent = None if spec.parent is None else names.get(spec.parent, spec.parent)
        moved = replace(spec, parent=parent, parents=parents)
        names[spec.id] = moved.id
        if labels[spec.label] == 1:
            names.setdefault(spec.label, moved.id)
        changed.append(moved)
    return Adopted(
        tuple(changed), networks, {old: new for old, new in names.items() if old.startswith(FILE)}
    )


def keep(folder: Path, networks: Mapping[str, Kept], origins: Mapping[str, str]) -> None:
    """Write networks into an output folder that has been begun, as far as they are not there.

    Args:
        folder: The output folder.
        networks: By their names.
        origins: Their names by where they came from.

    Raises:
        ColonnadeError: Writing failed.
    """
    if origins:
        begin_folder(_origins(folder).parent)
        write_json(_origins(folder), dict(origins))
    for name, kept in networks.items():
        path = kept_path(folder, name)
        if not is_there(path):
            begin_folder(path.parent)
            kept.write(path)


def _found(origin: str, spec: RunSpec, folder: Path) -> Kept | str:
    """Read what a run starts from; where it is gone, name what the folder has kept of it."""
    path = origin.removeprefix(FILE)
    try:
        return read_trained(path)
    except ColonnadeError as error:
        if (name := _taken_in(folder, spec, origin)) is not None:
            return name
        raise UsageError(f"Run {spec.label!r} starts from {path!r}: {error}") from error


def _taken_in(folder: Path, spec: RunSpec, origin: str) -> str | None:
    """Name what a folder keeps of a run's origin since it was begun; None where it keeps none.

    Of another path than the run was begun with it keeps none.
    """
    if not is_there(folder / "suite.json"):
        return None
    if is_there(_origins(folder)):
        name = read_json(_origins(folder)).get(origin)
        return None if name is None else str(name)
    before = [run for run in SuiteFolder.read(folder).plan.runs if run.label == spec.label]
    place = spec.origins.index(origin)
    found = {run.origins[place] for run in before if len(run.origins) == len(spec.origins)}
    return found.pop() if len(found) == 1 and all(o.startswith(KEPT) for o in found) else None


def _origins(folder: Path) -> Path:
    """Where a folder says of which path it keeps what; older ones do not."""
    return folder / "parents" / "origins.json"
