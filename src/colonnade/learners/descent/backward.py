"""From the gradient of a loss by a network's output to those by its parameters."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from colonnade.learners.compute import Compute
from colonnade.types import Differentiated, Differentiating, Inputs, Network, State

WayBack = Callable[[Tensor, Tensor | None], None]
"""Takes the gradient of a loss by the output, and a penalty [] that is added to the loss or None.
Sets `grad` of each parameter, all of which must be None."""


class Pass:
    """Runs a network forward, and takes gradients the way back through it.

    Written out by the network where it can, which gives the same numbers; by autograd elsewhere.

    Args:
        network: Which parts of it learn must stay as it is.
        compute: Where and in which precision.
    """

    def __init__(self, network: Network, compute: Compute) -> None:
        self._network, self._compute = network, compute
        self._written: Differentiated | None = None
        if isinstance(network, Differentiating) and not compute.bfloat16:
            self._written = network.differentiated()

    def __call__(self, inputs: Inputs, state: State, starts: Tensor) -> tuple[Tensor, WayBack]:
        """Take T steps; see `Network.unroll`.

        Returns:
            [T, N, outputs], without a graph, in float32; and the way back.
        """
        if self._written is not None:
            output, backward = self._written(inputs, starts)

            def back(gradient: Tensor, penalty: Tensor | None) -> None:
                backward(gradient.flatten(0, 1))
                if penalty is not None and penalty.requires_grad:
                    penalty.backward()

            return output.view(*starts.shape, -1), back
        with self._compute.autocast():
            output, _ = self._network.unroll(inputs, state, starts)
        return output.detach().float(), partial(_by_autograd, output)


def _by_autograd(output: Tensor, gradient: Tensor, penalty: Tensor | None) -> None:
    if penalty is None or not penalty.requires_grad:
        torch.autograd.backward(output, gradient.to(output.dtype))
    else:
        torch.autograd.backward([output, penalty], [gradient.to(output.dtype), None])
