"""Numbers in the precision that a network computes in."""

from __future__ import annotations

import torch
from torch import Tensor


def to_compute_dtype(value: Tensor, dtype: torch.dtype) -> Tensor:
    """Bring a raw input [B, ...] to floating point, keeping its memory layout and its values.

    uint8 becomes the autocast dtype, or `dtype` where autocast is off; both hold 0 to 255 exactly.
    Other inputs become `dtype`, unless they come in the autocast dtype already.
    """
    device = value.device.type
    if value.dtype == dtype and dtype != torch.uint8:
        return value  # in a fraction of the time
    autocast = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else dtype
    return value.to(autocast if value.dtype in (torch.uint8, autocast) else dtype)
