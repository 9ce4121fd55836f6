"""How a sequence of tasks is learned.

Methods of `METHODS` keep their columns in one `ProgressiveNetwork`, so that a run of any of them
can start from a run of any other: baselines and progressive networks share their source columns.
Those of `PATH_METHODS` follow paths through a `ModularNetwork`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from colonnade.checks import text
from colonnade.errors import UsageError, unknown_name
from colonnade.methods.columns import ColumnMethod
from colonnade.methods.consolidation import Consolidation
from colonnade.methods.ewc import EWC, L2, OneAnchorEWC, OnlineEWC
from colonnade.methods.finetune import Dropout, Finetune, OutputOnly
from colonnade.methods.pathnet.controls import PathDeNovo, PathFinetune
from colonnade.methods.pathnet.evolved import PathNet
from colonnade.methods.pathnet.paths import PathMethod
from colonnade.methods.progressive import Progressive, RandomColumn, Scratch
from colonnade.parts import find, parameters
from colonnade.records import shown

METHODS: dict[str, Callable[..., ColumnMethod]] = {
    "scratch": Scratch,
    "output-only": OutputOnly,
    "finetune": Finetune,
    "random-column": RandomColumn,
    "progressive": Progressive,
    "ewc": EWC,
    "ewc-one-anchor": OneAnchorEWC,
    "ewc-online": OnlineEWC,
    "l2": L2,
    "dropout": Dropout,
}


PATH_METHODS: dict[str, Callable[..., PathMethod]] = {
    "path-de-novo": PathDeNovo,
    "path-finetune": PathFinetune,
    "pathnet": PathNet,
}
"""Methods that learn along paths of modular networks; a run of any can start from any other's."""


def method_from_name(name: str, **options: Any) -> ColumnMethod | PathMethod:
    """Make a method by name, one of ours or of a user's own (`colonnade.parts`).

    Raises:
        UsageError: The method or one of its options is unknown, or what was made is no method.
    """
    make, known = _find(name)
    for option in options:
        if option not in known:
            raise unknown_name(f"{name} option", option, known)
    made = make(**options)
    if not isinstance(made, ColumnMethod | PathMethod):
        raise UsageError(
            f"Method {name!r} must be a colonnade.methods.ColumnMethod or a PathMethod, whose "
            f"network a run's folder can keep, but {shown(make)} made a {type(made).__name__}."
        )
    return made


def follows_paths(name: str) -> bool:
    """Whether a method's networks are modular, its option `network`, and not columns.

    Raises:
        UsageError: The method is unknown.
    """
    return "network" in _find(name)[1]


def _find(name: str) -> tuple[Callable[..., ColumnMethod | PathMethod], Collection[str]]:
    """Return a method's class, and the names of its options."""
    ours: dict[str, Callable[..., ColumnMethod | PathMethod]] = {**METHODS, **PATH_METHODS}
    make = find("methods", text("The name of a method", name), ours)
    return make, parameters(f"Method {name!r}", make)


__all__ = [
    "EWC",
    "L2",
    "METHODS",
    "PATH_METHODS",
    "ColumnMethod",
    "Consolidation",
    "Dropout",
    "Finetune",
    "OneAnchorEWC",
    "OnlineEWC",
    "OutputOnly",
    "PathDeNovo",
    "PathFinetune",
    "PathMethod",
    "PathNet",
    "Progressive",
    "RandomColumn",
    "Scratch",
    "follows_paths",
    "method_from_name",
]
