"""A network's buffers, such as running means, as tensors that stay where they are."""

from __future__ import annotations

import torch
from torch import Tensor

from colonnade.types import Network


class Buffers:
    """The buffers of a network, by their places in its modules.

    A user's module may put a new tensor in a buffer's place, as `self.mean = 0.9 * self.mean + x`
    does. What holds tensors, such as memory that processes share, knows nothing of that one.

    Attributes:
        tensors: The tensors that were there at first.

    Args:
        network: Whose.
    """

    def __init__(self, network: Network | torch.nn.Module) -> None:
        modules = network.modules() if isinstance(network, torch.nn.Module) else ()
        self._places = [
            (part, name, tensor)
            for part in modules
            for name, tensor in part._buffers.items()
            if tensor is not None
        ]
        self.tensors: list[Tensor] = [tensor for *_, tensor in self._places]

    @torch.no_grad()
    def settle(self) -> None:
        """Give the first tensors what stands in their places now, and bring them back there."""
        for part, name, tensor in self._places:
            present = part._buffers[name]
            if present is not None and present is not tensor:
                tensor.copy_(present)
                part._buffers[name] = tensor
