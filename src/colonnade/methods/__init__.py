"""How a sequence of tasks is learned.

Every method here keeps its columns in one `ProgressiveNetwork`, so that a run of any of them can
start from a run of any other: baselines and progressive networks share their source columns.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from colonnade.errors import unknown_name
from colonnade.methods.columns import ColumnMethod
from colonnade.methods.consolidation import Consolidation
from colonnade.methods.ewc import EWC, L2, OneAnchorEWC, OnlineEWC
from colonnade.methods.finetune import Finetune, OutputOnly
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
}


def method_from_name(name: str, **options: Any) -> ColumnMethod:
    """Make a method by name.

    Raises:
        UsageError: The method or one of its options is unknown.
    """
    if name not in METHODS:
        raise unknown_name("method", name, METHODS)
    known = inspect.signature(METHODS[name]).parameters
    for option in options:
        if option not in known:
            raise unknown_name(f"{name} option", option, known)
    return METHODS[name](**options)


__all__ = [
    "EWC",
    "L2",
    "METHODS",
    "ColumnMethod",
    "Consolidation",
    "Finetune",
    "OneAnchorEWC",
    "OnlineEWC",
    "OutputOnly",
    "Progressive",
    "RandomColumn",
    "Scratch",
    "method_from_name",
]
