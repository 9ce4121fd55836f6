"""How a sequence of tasks is learned.

Every method here keeps its columns in one `ProgressiveNetwork`, so that a run of any of them can
start from a run of any other: baselines and progressive networks share their source columns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from colonnade.errors import UsageError, unknown_name
from colonnade.methods.columns import ColumnMethod
from colonnade.methods.finetune import Finetune, OutputOnly
from colonnade.methods.progressive import Progressive, RandomColumn, Scratch

METHODS: dict[str, Callable[..., ColumnMethod]] = {
    "scratch": Scratch,
    "output-only": OutputOnly,
    "finetune": Finetune,
    "random-column": RandomColumn,
    "progressive": Progressive,
}


def method_from_name(name: str, **options: Any) -> ColumnMethod:
    """Make a method by name.

    Raises:
        UsageError: The method or one of its options is unknown.
    """
    if name not in METHODS:
        raise unknown_name("method", name, METHODS)
    try:
        return METHODS[name](**options)
    except TypeError as error:
        raise UsageError(f"Method {name!r} can't be made with {options}: {error}.") from error


__all__ = [
    "METHODS",
    "ColumnMethod",
    "Finetune",
    "OutputOnly",
    "Progressive",
    "RandomColumn",
    "Scratch",
    "method_from_name",
]
