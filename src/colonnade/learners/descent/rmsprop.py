"""RMSProp as the papers that train by A3C have it; PyTorch's own adds epsilon elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

_PIECE = 2**18
"""Numbers, a megabyte of them."""


class RMSProp(torch.optim.Optimizer):
    """RMSProp without momentum or centring (Mnih et al. 2016, supplement on optimisation)."""

    def __init__(
        self,
        parameters: Iterable[tuple[str, nn.Parameter]],
        lr: float,
        *,
        decay: float,
        epsilon: float,
        start: float = 0.0,
    ) -> None:
        """Begin without statistics.

        Args:
            parameters: With their names.
            lr: Learning rate.
            decay: Of the mean square.
            epsilon: Added to the mean square.
            start: Of the mean square.
        """
        options = {"lr": lr, "decay": decay, "epsilon": epsilon, "start": start}
        super().__init__(parameters, options)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Take a step along the gradients there are.

        Args:
            closure: Computes the loss and its gradients first, as PyTorch's optimisers allow.

        Returns:
            What the closure returned.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = group["params"]
            for parameter in parameters:
                if not self.state[parameter]:
                    self.state[parameter]["square_avg"] = torch.full_like(parameter, group["start"])
            rmsprop_step(
                parameters,
                [parameter.grad for parameter in parameters],
                [self.state[parameter]["square_avg"] for parameter in parameters],
                lr=group["lr"],
                decay=group["decay"],
                epsilon=group["epsilon"],
            )
        return loss


@torch.no_grad()
def rmsprop_step(
    values: Sequence[Tensor],
    gradients: Sequence[Tensor | None],
    mean_squares: Sequence[Tensor],
    *,
    lr: float,
    decay: float,
    epsilon: float,
) -> None:
    """Step along gradients D: g = d g + (1 - d) D^2, then v = v - lr D / sqrt(g + e), in place.

    Epsilon stands under the root. There it damps the steps of weights whose gradients are smaller
    than its root, above all the first ones, when g is far below the mean that it will have: they
    would else be 1 / sqrt(1 - d) = 10 times too long, and rectifiers would fall silent by dozens.

    Args:
        values: v.
        gradients: D; values without one stay as they are.
        mean_squares: g.
        lr: Learning rate.
        decay: d.
        epsilon: e.
    """
    known = [
        trio for trio in zip(values, gradients, mean_squares, strict=True) if trio[1] is not None
    ]
    large = [trio for trio in known if _large(*trio)]
    small = [trio for trio in known if not _large(*trio)]
    groups = [[piece] for trio in large for piece in zip(*map(_pieces, trio), strict=True)]
    for group in ([small] if small else []) + groups:
        own, along, squares = map(list, zip(*group, strict=True))
        torch._foreach_mul_(squares, decay)
        torch._foreach_addcmul_(squares, along, along, value=1 - decay)
        roots = torch._foreach_add(squares, epsilon)
        torch._foreach_sqrt_(roots)
        torch._foreach_addcdiv_(own, along, roots, value=-lr)


def _large(*tensors: Any) -> bool:
    """Whether tensors on the host are larger than its cache, and can be cut."""
    first = tensors[0]
    return first.is_cpu and first.numel() > _PIECE and all(t.is_contiguous() for t in tensors)


def _pieces(tensor: Any) -> Sequence[Tensor]:
    """Cut a tensor into pieces that stay in the cache from one operation to the next."""
    pieces: Sequence[Tensor] = tensor.view(-1).split(_PIECE)
    return pieces
