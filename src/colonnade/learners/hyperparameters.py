"""Refusing hyperparameters that make no sense."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass

from colonnade.errors import UsageError

UNBOUNDED = math.inf

COMMON: dict[str, tuple[float, float]] = {
    "learning_rate": (0, UNBOUNDED),
    "entropy_cost": (0, UNBOUNDED),
    "value_cost": (0, UNBOUNDED),
    "gamma": (0, 1),
    "lam": (0, 1),
    "rollout_steps": (1, UNBOUNDED),
    "clip_norm": (0, UNBOUNDED),
    "epsilon": (0, UNBOUNDED),
}
"""Smallest and largest sensible value of what all actor-critic learners have."""


def check_ranges(config: object, ranges: dict[str, tuple[float, float]]) -> None:
    """Raise a `UsageError` if a field of a learner's configuration is out of its range."""
    assert is_dataclass(config)
    whole = {field.name for field in fields(config) if field.type == "int"}
    for name, (low, high) in ranges.items():
        value, kind = getattr(config, name), "whole number" if name in whole else "number"
        right = isinstance(value, int if name in whole else int | float)
        if not right or not math.isfinite(value) or not low <= value <= high:
            span = f"at least {low}" if high == UNBOUNDED else f"from {low} to {high}"
            learner = type(config).__name__
            raise UsageError(f"{name} of {learner} must be a {kind} {span}; got {value!r}.")
