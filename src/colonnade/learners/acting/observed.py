"""What environments give: observations by name, room for them, whole final ones, sound numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from colonnade.errors import UsageError
from colonnade.types import OBSERVATION, Inputs

_LARGEST = float(np.finfo(np.float32).max)
"""What is larger is infinity to a network."""


def by_name(observations: Any) -> dict[str, Any]:
    """Return the parts of a batch of observations by their names."""
    return observations if isinstance(observations, dict) else {OBSERVATION: observations}


_KEPT = {
    torch.float64: torch.float32,
    torch.uint16: torch.int32,
    torch.uint32: torch.int64,
    torch.uint64: torch.float32,
}


def kept_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the type in which numbers of a type are kept: one that torch can gather and fill.

    Of unsigned whole numbers it can neither but bytes.
    """
    return _KEPT.get(dtype, dtype)


def buffer(places: int, like: Tensor, device: torch.device) -> Tensor:
    """Make room for [places, *like.shape]; images [N, C, H, W] in channels-last memory."""
    dtype = kept_dtype(like.dtype)
    if like.dim() == 4:
        n, c, h, w = like.shape
        memory = torch.empty((places, n, h, w, c), dtype=dtype, device=device)
        return memory.permute(0, 1, 4, 2, 3)
    return torch.empty((places, *like.shape), dtype=dtype, device=device)


def completed(info: Mapping[str, Any], observations: Any) -> Any:
    """Make a full batch of Gymnasium's final observations, which may be one object per episode.

    Raises:
        UsageError: There are none.
    """
    if "final_obs" not in info:
        raise UsageError(
            "An episode ended, but the vector environment gave no info['final_obs'], the last "
            "observation of each episode that ended in a step; let it give them, as Gymnasium's "
            "own do where they reset in the same step."
        )
    final = info["final_obs"]
    if isinstance(final, dict) or final.dtype != object:
        return final
    ended = [env for env, one in enumerate(final) if one is not None]

    def fill(batch: np.ndarray[Any, Any], name: str | None) -> np.ndarray[Any, Any]:
        whole = np.array(batch)
        for env in ended:
            whole[env] = final[env] if name is None else final[env][name]
        return whole

    if isinstance(observations, dict):
        return {name: fill(batch, name) for name, batch in observations.items()}
    return fill(observations, None)


def made_of(observations: dict[str, Any], inputs: Inputs) -> bool:
    """Whether observations are those that inputs were made of."""
    return all(
        torch.equal(torch.as_tensor(value).to(inputs[name].dtype), inputs[name].cpu())
        for name, value in observations.items()
        if name in inputs
    )


def first_bad_number(
    observations: Any, rewards: np.ndarray[Any, Any], rows: np.ndarray[Any, Any] | None = None
) -> tuple[int, str] | None:
    """Find what is no number in float32: the environment's place and what it gave.

    Args:
        observations: A batch, or a dict of batches, each [N, ...].
        rewards: [N].
        rows: [N] bool, the environments to look at; None for all.
    """
    parts: dict[str, np.ndarray[Any, Any]] = {**by_name(observations), "reward": rewards}
    for name, value in parts.items():
        if value.dtype.kind != "f" or _surely_finite(value):
            continue
        flat = np.abs(value.reshape(len(value), -1))
        wrong = ~(flat <= _LARGEST).all(1) & (True if rows is None else rows)
        if wrong.any():
            what = "the reward" if value is rewards else f"the observation ({name})"
            return int(np.flatnonzero(wrong)[0]), what
    return None


def _surely_finite(value: np.ndarray[Any, Any]) -> bool:
    """Whether all numbers are seen at a glance to be finite in float32."""
    # Of squares none can cancel another; where their sum is too large, who looks closer decides.
    return float(np.vdot(value, value)) < _LARGEST**2
