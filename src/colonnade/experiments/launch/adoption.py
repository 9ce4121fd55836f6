"""Networks of other folders and of files, which runs start from, taken into an output folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from colonnade.errors import ColonnadeError, UsageError
from colonnade.experiments.plans.spec import FILE, RunSpec
from colonnade.experiments.store.files import begin_folder
from colonnade.experiments.store.parents import Kept, kept_path, read_trained
from colonnade.experiments.store.reading import is_there


def adopted(specs: Sequence[RunSpec]) -> tuple[tuple[RunSpec, ...], dict[str, Kept]]:
    """Name what runs start from by its content, where it lies outside of their folder.

    Args:
        specs: Of which some have a parent "file:PATH"; those that start from such a run name it by
            the id that its own spec has.

    Returns:
        The specs, whose parents are then "kept:NAME" and whose ids follow from that; and the
        networks by these names.

    Raises:
        UsageError: There is nothing at a path, or something else.
    """
    networks: dict[str, Kept] = {}
    names: dict[str, str] = {}  # of parents, before and after
    changed = []
    for spec in specs:
        for origin in spec.origins:
            if origin.startswith(FILE) and origin not in names:
                kept = _read(origin.removeprefix(FILE), spec)
                names[origin] = kept.name
                networks[kept.name] = kept
        parents = tuple(names.get(each, each) for each in spec.parents)
        parent = None if spec.parent is None else names.get(spec.parent, spec.parent)
        moved = replace(spec, parent=parent, parents=parents)
        names[spec.id] = moved.id
        changed.append(moved)
    return tuple(changed), networks


def keep(folder: Path, networks: Mapping[str, Kept]) -> None:
    """Write networks into an output folder that has been begun, as far as they are not there.

    Raises:
        ColonnadeError: Writing failed.
    """
    for name, kept in networks.items():
        path = kept_path(folder, name)
        if not is_there(path):
            begin_folder(path.parent)
            kept.write(path)


def _read(path: str, spec: RunSpec) -> Kept:
    try:
        return read_trained(path)
    except ColonnadeError as error:
        raise UsageError(f"Run {spec.label!r} starts from {path!r}: {error}") from error
