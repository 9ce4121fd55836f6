"""Room for what is observed, in the memory layout that networks read fastest."""

from __future__ import annotations

import torch
from torch import Tensor


def buffer(places: int, like: Tensor, device: torch.device) -> Tensor:
    """Make room for [places, *like.shape]; images [N, C, H, W] in channels-last memory."""
    dtype = torch.float32 if like.dtype == torch.float64 else like.dtype
    if like.dim() == 4:
        n, c, h, w = like.shape
        memory = torch.empty((places, n, h, w, c), dtype=dtype, device=device)
        return memory.permute(0, 1, 4, 2, 3)
    return torch.empty((places, *like.shape), dtype=dtype, device=device)
