"""Plain gradient descent along one path of dense modules, with the gradients written out.

PathNet's tournaments on labels take very many steps on very small minibatches, where most of the
time goes into keeping a graph. Here the active modules of a layer lie side by side in one matrix,
of which their parameters are views, and a step is a dozen products. The numbers are those of
`torch.optim.SGD` up to rounding.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from colonnade.networks import Path, PathView
from colonnade.networks.pathnet.layers import AffineModule, DenseLayer
from colonnade.types import Inputs, Network


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
    """Takes gradient steps on the cross-entropy, along whatever path a view has at the time."""

    def __init__(self, view: PathView, learning_rate: float) -> None:
        """Take up a view that is suitable; see `along`."""
        self._view, self._rate = view, learning_rate
        self._path: Path | None = None
        self._layers: list[_Layer] = []

    @classmethod
    def along(cls, network: Network, learning_rate: float) -> PathDescent | None:
        """Take up a network if it is one path of rectified dense modules on the processor."""
        if (
            isinstance(network, PathView)
            and network.spec.activation == "relu"
            and network.head.weight.dtype == torch.float32
            and network.head.weight.device.type == "cpu"
            and network.head.weight.requires_grad
            and all(isinstance(layer, DenseLayer) for layer in network.layers)
        ):
            return cls(network, learning_rate)
        return None

    @torch.no_grad()
    def step(self, inputs: Inputs, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Take one step.

        Args:
            inputs: As the network reads them, [B, ...].
            targets: [B] labels.

        Returns:
            The mean cross-entropy in nats and the share of right answers, before the step.
        """
        if self._path is not self._view.path:
            self._join()
        features, scale = self._view.prepared(inputs, 1)
        features, size = features.flatten(1), len(targets)
        if scale is not None:
            features = features * scale
        read, rectified = [], []
        for layer in self._layers:
            read.append(features)
            h = torch.addmm(layer.bias, features, layer.weight.t()).relu_()
            rectified.append(h)
            features = h @ layer.sums
        last = self._layers[-1].active if self._view.spec.last == "average" else 1
        if last != 1:
            features = features / last
        head = self._view.head
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

    def _join(self) -> None:
        """Lay the path's modules side by side, and make their parameters views of that."""
        self._path = self._view.path
        self._layers = []
        for layer, active in self._view.steps:
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
