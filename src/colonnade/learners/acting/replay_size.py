"""How many entries a replay's rings have, and how much memory that is."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from colonnade.learners.acting.frames import Stacks
from colonnade.learners.acting.records import Records
from colonnade.types import Shape

SPARE = 0.02
"""Of the room for steps: kept besides for the frames that begin and end episodes."""

FEWER = "give it fewer steps (replay)"
"""What to do where memory will not do for a replay."""

FEWER_OR_ANEW = (
    f"{FEWER}, or compute frozen columns' features anew at each update (keep_features=False)"
)
"""The same, where it keeps what frozen columns compute."""

_FLAGS = 7
"""Bytes of an entry's reward and three flags."""


def is_stack(shape: Shape, dtype: torch.dtype) -> bool:
    """Whether an input is a stack of grey frames: uint8 [C, H, W], and C no multiple of 3."""
    return dtype == torch.uint8 and len(shape) == 3 and shape[0] % 3 != 0


def replay_bytes(
    capacity: int,
    num_envs: int,
    inputs: Mapping[str, tuple[Shape, torch.dtype]],
    *,
    actions: int = 1,
) -> int:
    """Return the bytes of memory that a replay takes when it is full; see `replay.Replay`."""
    share = -(-capacity // num_envs)
    places = ring_places(share, inputs)
    total = num_envs * places * _FLAGS + Records.size(num_envs, places, (actions,), torch.int32)
    for shape, dtype in inputs.values():
        kind = Stacks if is_stack(shape, dtype) else Records
        total += kind.size(num_envs, places, shape, dtype)
    return total


def ring_places(share: int, inputs: Mapping[str, tuple[Shape, torch.dtype]]) -> int:
    """Entries of a ring: its steps, the spare ones, an episode's beginning and end."""
    deepest = max((s[0] for s, dtype in inputs.values() if is_stack(s, dtype)), default=1)
    return share + int(SPARE * share) + deepest + 2
