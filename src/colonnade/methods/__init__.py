"""How a sequence of tasks is learned.

Methods of `METHODS` keep their columns in one `ProgressiveNetwork`, so that a run of any of them
can start from a run of any other: baselines and progressive networks share their source columns.
Those of `PATH_METHODS` follow paths through a `ModularNetwork`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from colonnade.checks import text
from colonnade.errors import unknown_name
from colonnade.methods.columns import ColumnMethod
from colonnade.methods.consolidation import Consolidation
from colonnade.methods.ewc import EWC, L2, OneAnchorEWC, OnlineEWC
from colonnade.methods.finetune import Dropout, Finetune, OutputOnly
from colonnade.methods.pathnet.controls import PathDeNovo, PathFinetune
from colonnade.methods.pathnet.evolved import PathNet
from colonnade.methods.pathnet.paths import PathMethod
from colonnade.methods.progressive import Progressive, RandomColumn, Scratch

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
    """Make a method by name.

    Raises:
        UsageError: The method or one of its options is unknown.
    """
    name = text("The name of a method", name)
    methods: dict[str, Callable[..., ColumnMethod | PathMethod]] = {**METHODS, **PATH_METHODS}
    if name not in methods:
        raise unknown_name("method", name, methods)
    known = inspect.signature(methods[name]).parameters
    for option in options:
        if option not in known:
            raise unknown_name(f"{name} option", option, known)
    return methods[name](**options)


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
    "method_from_name",
]
