"""What the contract tests share: how a breach is said, and a short sequence to try parts on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from colonnade.errors import ColonnadeError
from colonnade.tasks import MiniPongTask
from colonnade.training import Interrupted, MemoryRecorder, Row, TrainingOptions


class ContractError(ColonnadeError, AssertionError):
    """A part does not keep its contract."""


def demand(kept: bool, breach: str) -> None:
    """Raise a `ContractError` unless something holds."""
    if not kept:
        raise ContractError(breach)


TASKS = (MiniPongTask("pong", steps=320), MiniPongTask("h-flip", steps=320))
"""Two tasks that are learned in a second, for parts that bring none of their own."""

OPTIONS = TrainingOptions(num_envs=4, segment_steps=160, curve_steps=80, device="cpu")


_BEYOND = 1
"""So many advances behind a checkpoint training is cut off: what they did must be done again."""


class Interrupting(MemoryRecorder):
    """Keeps the newest checkpoint as a file would, and asks to stop just behind each."""

    def __init__(self) -> None:
        """Begin without a checkpoint."""
        super().__init__()
        self._kept: tuple[dict[str, Tensor], str] | None = None
        self._left: int | None = None  # advances until it asks to stop; None before a checkpoint

    def save_checkpoint(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Keep copies, in the order of names, and the JSON data as text."""
        copies = {name: tensors[name].detach().clone() for name in sorted(tensors)}
        self._kept = copies, as_json(meta)
        if self._left is None:
            self._left = _BEYOND

    def load_checkpoint(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return copies of what was kept."""
        if self._kept is None:
            return None
        tensors, meta = self._kept
        return {name: value.clone() for name, value in tensors.items()}, json.loads(meta)

    def note(self, message: str) -> None:
        """Keep it in silence."""
        self.notes.append(message)

    def should_stop(self) -> bool:
        """Stop when training has gone on from a life's first checkpoint."""
        if self._left is None:
            return False
        self._left -= 1
        return self._left < 0

    def go_on(self, train: Any, lives: int = 200) -> int:
        """Call `train(recorder)` again and again, each time cut off within the next segment.

        Returns:
            How often it was cut off.
        """
        for cut in range(lives):
            self._left = None
            try:
                train(self)
            except Interrupted:
                continue
            return cut
        raise ContractError(
            "Training that is cut off behind every checkpoint should come to its end, but was not "
            f"over after {lives} times; what `state` gives must bring `load_state` further."
        )


def as_json(meta: object) -> str:
    """Write JSON data, or say that it is none."""
    try:
        return json.dumps(meta, sort_keys=True)
    except TypeError as error:
        raise ContractError(f"The data of `state` should be JSON, but {error}.") from error


def timeless(rows: list[Row]) -> list[Row]:
    """Rows without the speed, which no two runs share."""
    return [{k: v for k, v in row.items() if k != "steps_per_second"} for row in rows]


def copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies of tensors by name."""
    return {name: value.detach().clone() for name, value in tensors.items()}


def differing(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> list[str]:
    """Names whose tensors differ, or that only one of two has."""
    return sorted(
        name
        for name in one.keys() | other.keys()
        if name not in one or name not in other or not torch.equal(one[name], other[name])
    )
