"""Names of tasks made of data sets."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from colonnade.errors import UsageError
from colonnade.tasks.images.sets import IMAGE_SETS
from colonnade.tasks.images.tasks import (
    ImageTask,
    LabelsTask,
    PermutedTask,
    pair_task,
    split_task,
)

AnyImageTask = ImageTask | PermutedTask | LabelsTask

DATA_FAMILIES: tuple[str, ...] = tuple(
    prefix + name for name in IMAGE_SETS for prefix in ("", "permuted-", "split-")
)
"""First parts of the names."""


def data_task_names() -> tuple[str, ...]:
    """List an example of every kind of name for every data set."""
    return tuple(
        example
        for name in IMAGE_SETS
        for example in (
            f"{name}/all",
            f"{name}/pair-0-1",
            f"{name}/pair-0-1-noise-50",
            f"permuted-{name}/0",
            f"permuted-{name}/8x8-0",
            f"split-{name}/0",
            f"split-{name}/0-all",
            f"split-{name}/0-own",
        )
    )


def data_task_from_name(family: str, rest: str, **options: Any) -> AnyImageTask:
    """Make the task that a name stands for.

    Args:
        family: One of `DATA_FAMILIES`.
        rest: "all", "pair-3-5" or "pair-3-5-noise-50" (per cent) of a data set; "3" or "8x8-3" of
            a permuted one; "0", "0-all" or "0-own" of a split one (see `image_tasks.Heads`).
        **options: `steps`, and of pairs `noise` too.

    Raises:
        UsageError: There is no such task.
    """
    kind, _, data = (
        family.partition("-")
        if family.startswith(("permuted-", "split-"))
        else (
            "",
            "",
            family,
        )
    )
    for pattern, make in _PATTERNS[kind]:
        if found := re.fullmatch(pattern, rest):
            try:
                return make(data, *found.groups(), **options)
            except TypeError:
                raise UsageError(
                    f"Tasks like '{family}/{rest}' take no such options as {options}; 'steps', and "
                    "'noise' for a pair of labels, are all there is."
                ) from None
    examples = [name for name in data_task_names() if name.startswith(f"{family}/")]
    raise UsageError(f"Unknown task '{family}/{rest}'; names are like {', '.join(examples)}.")


def _permuted(data: str, side: str | None, number: str, steps: int = 0) -> PermutedTask:
    return PermutedTask(data, int(number), int(side or 0), steps)


def _split(data: str, number: str, heads: Any, steps: int = 0) -> LabelsTask:
    return split_task(data, int(number), heads=heads or "shared", steps=steps)


def _pair(
    data: str, one: str, other: str, percent: str | None, steps: int = 0, noise: float = 0.0
) -> LabelsTask:
    if percent and noise:
        raise UsageError(
            f"Task '{data}/pair-{one}-{other}-noise-{percent}' says how much noise it has, and "
            f"noise={noise:g} came beside it; leave one of them out."
        )
    share = float(percent) / 100 if percent else noise
    return pair_task(data, (int(one), int(other)), share, steps)


_PATTERNS: dict[str, tuple[tuple[str, Callable[..., AnyImageTask]], ...]] = {
    "": (
        (r"all", ImageTask),
        (r"pair-(\d+)-(\d+)(?:-noise-(\d+(?:\.\d+)?))?", _pair),
    ),
    "permuted": ((r"(?:(\d+)x\1-)?(\d+)", _permuted),),
    "split": ((r"(\d+)(?:-(all|own))?", _split),),
}
