"""Plain gradient descent along one path of dense modules, with the gradients written out.

PathNet's tournaments on labels take very many steps on very small minibatches, where most of the
time goes into keeping a graph. Here the active modules of a layer lie side by side in one matrix,
of which their parameters are views, and a step is a dozen products. The numbers are those of
`torch.optim.SGD` up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from colonnade.networks.pathnet.bank import ModularLayer
from colonnade.networks.pathnet.layers import AffineModule, Head

Steps = Sequence[tuple[ModularLayer, Sequence[int]]]
"""Each layer with its active modules."""


class _Layer(NamedTuple):
    """The active modules of a layer, side by side.

    Attributes:
        weight: [k x units, in].
        bias: [k x units].
        sums: [k x units, units], which adds the modules up.
        active: k.
        learns: [k x units], 0 where a module is frozen; None where none is.
    """

    weight: Tensor
    bias: Tensor
    sums: Tensor
    active: int
    learns: Tensor | None


class PathDescent:
    """Takes gradient steps on the cross-entropy, along one path of rectified dense modules.

    Args:
        head: Whose labels are learned; on the processor, in float32.
        average: Whether the head reads the mean over the last layer's modules, not their sum.
        learning_rate: Step size.
    """

    def __init__(self, head: Head, average: bool, learning_rate: float) -> None:
        self._head, self._average, self._rate = head, average, learning_rate
        self._steps: Steps | None = None
        self._layers: list[_Layer] = []

    @torch.no_grad()
    def step(
        self, steps: Steps, features: Tensor, scale: float | None, targets: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Take one step along a path, which is the same as before if it is the same object.

        Args:
            steps: The path.
            features: What its first layer reads, [B, ...].
            scale: A factor on it.
            targets: [B] labels.

        Returns:
            The mean cross-entropy in nats and the share of right answers, before the step.
        """
        if self._steps is not steps:
            self._join(steps)
        features, size = features.flatten(1), len(targets)
        if scale is not None:
            features = features * scale
        read, rectified = [], []
        for layer in self._layers:
            read.append(features)
            h = torch.addmm(layer.bias, features, layer.weight.t()).relu_()
            rectified.append(h)
            features = h @ layer.sums
        last = self._layers[-1].active if self._average else 1
        if last != 1:
            features = features / last
        head = self._head
        logits = torch.addmm(head.bias, features, head.weight.t()).log_softmax(1)
        right = (logits.argmax(1) == targets).float().mean()
        loss = -logits.gather(1, targets[:, None]).mean()
        # d loss / d logits = (softmax - one-hot) / B.
        gradient = logits.exp_()
        gradient.scatter_add_(1, targets[:, None], gradient.new_full((size, 1), -1.0))
        gradient /= size
        below = gradient @ head.weight
        self._descend(head.weight, head.bias, gradient, features)
        if last != 1:
            below /= last
        for number in reversed(range(len(self._layers))):
            layer, h = self._layers[number], rectified[number]
            # A sum hands its gradient to all that entered it; a rectifier passes it where open.
            open_ = (h > 0).view(size, layer.active, -1)
            gradient = (open_ * below.unsqueeze(1)).flatten(1)
            if number:
                below = gradient @ layer.weight
            if layer.learns is not None:
                gradient *= layer.learns
            self._descend(layer.weight, layer.bias, gradient, read[number])
        return loss, right

    def _descend(self, weight: Tensor, bias: Tensor, gradient: Tensor, features: Tensor) -> None:
        weight.addmm_(gradient.t(), features, alpha=-self._rate)
        bias.addmv_(gradient.t(), gradient.new_ones(len(gradient)), alpha=-self._rate)

    def _join(self, steps: Steps) -> None:
        """Lay the path's modules side by side, and make their parameters views of that."""
        self._steps, self._layers = steps, []
        for layer, active in steps:
            modules = [layer.bank[index] for index in active]
            affine = [module for module in modules if isinstance(module, AffineModule)]
            weight = torch.cat([module.weight.data for module in affine])
            bias = torch.cat([module.bias.data for module in affine])
            for module, w, b in zip(
                affine, weight.chunk(len(affine)), bias.chunk(len(affine)), strict=True
            ):
                module.weight.data, module.bias.data = w, b
            learns = None
            if any(index in layer.frozen for index in active):
                flags = [float(_learns(module)) for module in affine]
                learns = torch.tensor(flags).repeat_interleave(len(bias) // len(affine))
            sums = torch.eye(len(bias) // len(affine)).repeat(len(affine), 1)
            self._layers.append(_Layer(weight, bias, sums, len(affine), learns))


def _learns(module: nn.Module) -> bool:
    return next(module.parameters()).requires_grad
