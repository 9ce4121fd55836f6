"""What rows of metrics and of scores hold: the kinds of their values, checked as they are read."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from colonnade.experiments.store.pictures import is_png
from colonnade.records import shown

_Test = Callable[[Any], bool]


def is_number(value: Any) -> bool:
    """Whether a value is a finite number that is no truth value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def is_count(value: Any) -> bool:
    """Whether a value is a whole number of 0 or more, of a size that can be counted to."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def is_text(value: Any) -> bool:
    """Whether a value is a text."""
    return isinstance(value, str)


def is_picture(value: Any) -> bool:
    """Whether a value is a PNG file in base64, and nothing beside."""
    if not isinstance(value, str):
        return False
    try:
        content = base64.b64decode(value, validate=True)
    except ValueError:
        return False
    return base64.b64encode(content).decode() == value and is_png(content)


def _maybe(test: _Test) -> _Test:
    return lambda value: value is None or test(value)


_FIELDS: dict[str, tuple[_Test, str]] = {
    **dict.fromkeys(
        ("kind", "task", "policy", "tested", "other", "layer", "context", "before"),
        (is_text, "a text"),
    ),
    "picture": (is_picture, "a PNG in base64"),
    **dict.fromkeys(
        ("task_index", "tested_index", "step", "depth", "episodes", "visit"),
        (is_count, "a whole number"),
    ),
    "width": (lambda value: is_count(value) and value > 0, "a whole number above 0"),
    **dict.fromkeys(("return_mean", "return_std", "overlap"), (_maybe(is_number), "a number")),
    "length_mean": (_maybe(is_number), "a number"),
    "steps_per_second": (lambda value: is_number(value) and value >= 0, "a number of 0 or more"),
    "counts": (
        lambda value: isinstance(value, dict) and all(map(is_count, value.values())),
        "whole numbers by name",
    ),
    "reached": (lambda value: isinstance(value, bool), "true or false"),
}
"""What each field must be wherever it stands; others, such as losses, are numbers or null."""

_SCORE = ("task", "policy", "episodes", "return_mean", "return_std")
_NEEDED = {
    "curve": ("task", "task_index", "step", "return_mean", "episodes"),
    "evaluation": ("task", "policy", "step", "episodes", "return_mean", "return_std"),
    "test": ("task_index", "step", "tested", "tested_index", "return_mean"),
    "goal": ("task_index", "step", "episodes", "reached"),
    "switch": ("task_index", "step", "context", "before"),
    "contexts": ("task_index", "step", "counts"),
    "overlap": ("task", "other", "policy", "layer", "depth", "overlap"),
    "zero-shot": _SCORE,
    "domain": (*_SCORE, "picture"),
}
"""Fields that rows of a kind must have."""

_SCORED = "evaluation", "zero-shot", "domain"
_NEVER_NULL = {(kind, name) for kind in _SCORED for name in ("return_mean", "return_std")}


def misfit(row: Mapping[str, Any]) -> str:
    """Say which value of a row is of a wrong kind, and nothing where none is."""
    for name, value in row.items():
        test, words = _FIELDS.get(name, (None, ""))
        if test is not None and not test(value):
            return f"should have {words} as {name!r}, but has {shown(value)}"
    return ""


def misfits(rows: object, tasks: int | None = None) -> str:
    """Say what is wrong with a list of rows; nothing where it is as it should be.

    Args:
        rows: As they were read.
        tasks: How many tasks there are for indices to mean; any number if None.
    """
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return f"should be of objects, but is {shown(rows)}"
    for number, row in enumerate(rows, start=1):
        wrong = misfit(row) or _lacks(row) or _beyond(row, ("task_index", "tested_index"), tasks)
        if wrong:
            return f"has a row, number {number}, that {wrong}"
    return ""


def _lacks(row: Mapping[str, Any]) -> str:
    """Say which value is missing that every row of the kind has."""
    kind = row.get("kind")
    for name in _NEEDED.get(kind, ()) if isinstance(kind, str) else ("kind",):
        if name not in row:
            return f"lacks {name!r}"
        if row[name] is None and (kind, name) in _NEVER_NULL:
            return f"should have a number as {name!r}, but has null"
    return ""


def _beyond(row: Mapping[str, Any], names: Iterable[str], tasks: int | None) -> str:
    for name in names:
        if tasks is not None and row.get(name, 0) >= tasks:
            return f"is of task {row[name]}, where there are {tasks}"
    return ""
