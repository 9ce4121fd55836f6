"""How a sequence of tasks is learned.

Methods of `METHODS` keep their columns in one `ProgressiveNetwork`, so that a run of any of them
can start from a run of any other: baselines and progressive networks share their source columns.
Those of `PATH_METHODS` follow paths through a `ModularNetwork`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
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
from colonnade.methods.replay import Joint, Replay
from colonnade.parts.finding import find, parameters
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
    "replay": Replay,
    "joint": Joint,
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
    for option, parameter in known.items():
        variable = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if option not in options and parameter.default is parameter.empty and not variable:
            raise UsageError(
                f"Method {name!r} needs a value for its option {option!r}, which has no default; "
                f"give one (--set {name}.{option}=...), or a default in {shown(make)}."
            )
    made = make(**options)
    if not isinstance(made, ColumnMethod | PathMethod):
        raise _no_method(name, f"{shown(make)} made a {type(made).__name__}")
    return made


def follows_paths(name: str) -> bool:
    """Whether a method's networks are modular, its option `network`, and not columns.

    Raises:
        UsageError: The method is unknown.
    """
    return "network" in _find(name)[1]


def adds_columns(name: str) -> bool:
    """Whether a method is progressive networks, or a user's kind of them.

    Raises:
        UsageError: There is no method of that name here.
    """
    make = _find(name)[0]
    if not isinstance(make, type):
        return False
    return issubclass(make, Progressive) and not issubclass(make, RandomColumn)


def _find(
    name: str,
) -> tuple[Callable[..., ColumnMethod | PathMethod], Mapping[str, inspect.Parameter]]:
    """Return a method's class, and its options by name."""
    ours: dict[str, Callable[..., ColumnMethod | PathMethod]] = {**METHODS, **PATH_METHODS}
    make = find("methods", text("The name of a method", name), ours)
    known = parameters(f"Method {name!r}", make)
    if isinstance(make, type) and not issubclass(make, ColumnMethod | PathMethod):
        raise _no_method(name, f"is {shown(make)}")
    if not {"column", "network"} & known.keys():
        raise UsageError(
            f"Method {name!r} must take what its networks look like, as 'column' if it is a "
            f"colonnade.methods.ColumnMethod or as 'network' if it is a PathMethod, but "
            f"{shown(make)} takes {', '.join(known) or 'nothing'}; docs/plugins.md shows one."
        )
    return make, known


def _no_method(name: str, came: str) -> UsageError:
    return UsageError(
        f"Method {name!r} must be a colonnade.methods.ColumnMethod or a PathMethod, whose network "
        f"a run's folder can keep, but {came}."
    )


__all__ = [
    "EWC",
    "L2",
    "METHODS",
    "PATH_METHODS",
    "ColumnMethod",
    "Consolidation",
    "Dropout",
    "Finetune",
    "Joint",
    "OneAnchorEWC",
    "OnlineEWC",
    "OutputOnly",
    "PathDeNovo",
    "PathFinetune",
    "PathMethod",
    "PathNet",
    "Progressive",
    "RandomColumn",
    "Replay",
    "Scratch",
    "follows_paths",
    "method_from_name",
]
