"""What a quadratic penalty is evaluated by: parameters one by one, or many small ones together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


class Part(NamedTuple):
    """A parameter of a penalty by itself, or several end to end [numbers].

    Attributes:
        names: Of the parameters.
        curvature: Times the penalty's weight.
        centre: Rounded.
        remainder: Of the centre, or None where it is zero.
    """

    names: list[str]
    curvature: Tensor
    centre: Tensor
    remainder: Tensor | None

    def at(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Return the value at some parameters, and the gradient A (theta - m)."""
        apart = theta - self.centre
        gradient = self.curvature * apart
        value = 0.5 * torch.dot(gradient.reshape(-1), apart.reshape(-1))
        if self.remainder is not None:
            # 1/2 A (d - r)^2 to first order in r, the last digits of the centre. In the
            # gradient they are less than those that theta itself was rounded to.
            value -= torch.dot(gradient.reshape(-1), self.remainder.reshape(-1))
        return value, gradient


class Resting:
    """The value at parameters that do not learn, which is added up anew only where one was written.

    Args:
        parts: Of a parameter each.
    """

    def __init__(self, parts: list[Part]) -> None:
        self.names = [part.names[0] for part in parts]
        self._parts = parts
        self._seen: list[tuple[Tensor, int]] = []
        self._value = torch.zeros(())

    @torch.no_grad()
    def value(self, parameters: Sequence[Tensor]) -> Tensor:
        """Return it at some parameters, in their order."""
        if not self._as_before(parameters):
            pairs = zip(self._parts, parameters, strict=True)
            self._value = torch.stack([part.at(theta)[0].cpu() for part, theta in pairs]).sum()
            # Those made in inference mode have no versions: -1 is never theirs.
            self._seen = [(p, -1 if p.is_inference() else p._version) for p in parameters]
        return self._value

    def _as_before(self, parameters: Sequence[Tensor]) -> bool:
        return len(self._seen) == len(parameters) and all(
            theta is one and not theta.is_inference() and theta._version == version
            for theta, (one, version) in zip(parameters, self._seen, strict=True)
        )


class Value(torch.autograd.Function):
    """The value, with the gradient A (theta - m) worked out beside it in the same pass.

    Written out because the derivative that autograd would record costs three more passes over all
    parameters, which at one gradient step is felt.
    """

    @staticmethod
    def forward(ctx: Any, parts: list[Part], constant: float, *parameters: Tensor) -> Tensor:
        """Return the value at the parameters of all parts, and keep the gradients."""
        gradients: list[Tensor] = []
        total: Tensor | None = None
        for part, here in _by_part(parts, parameters):
            value, gradient = part.at(joined(here))
            total = value if total is None else total + value
            gradients.append(gradient)
        if total is None:
            return torch.tensor(constant)
        ctx.gradients, ctx.parts = gradients, parts
        ctx.shapes = [theta.shape for theta in parameters]
        ctx.save_for_backward(*parameters)
        return total + constant

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Any:
        """Give the gradients that were kept; once, but with `create_graph`."""
        factor, wanted = grad_outputs[0], ctx.needs_input_grad[2:]
        if torch.is_grad_enabled():  # with create_graph, for second derivatives
            slopes = [
                factor * part.curvature * (joined(here) - part.centre)
                for part, here in _by_part(ctx.parts, ctx.saved_tensors)
            ]
            return None, None, *_divided(ctx.parts, slopes, ctx.shapes, wanted)
        # They are given up, so that autograd may add the loss's gradients in place.
        gradients, ctx.gradients = ctx.gradients, None
        if gradients is None:
            raise RuntimeError("The penalty's graph has been used; evaluate the penalty again.")
        # One is by far the most common factor. To ask a GPU for it would cost more than it saves.
        if factor.device.type != "cpu" or float(factor) != 1.0:
            for gradient in gradients:
                gradient.mul_(factor)
        return None, None, *_divided(ctx.parts, gradients, ctx.shapes, wanted)


def _by_part(parts: Sequence[Part], values: Sequence[T]) -> Iterator[tuple[Part, Sequence[T]]]:
    """Yield parts of a penalty, each with what belongs to its parameters."""
    start = 0
    for part in parts:
        yield part, values[start : start + len(part.names)]
        start += len(part.names)


def joined(values: Sequence[Tensor]) -> Tensor:
    """Return one tensor as it is, and several end to end."""
    return values[0] if len(values) == 1 else torch.cat([value.reshape(-1) for value in values])


def _divided(
    parts: Sequence[Part],
    values: Sequence[Tensor],
    shapes: Sequence[torch.Size],
    wanted: Sequence[bool],
) -> list[Tensor | None]:
    """Return of each parameter its share of its part's value, or None where it is not wanted."""
    shares: list[Tensor | None] = []
    for value, (part, here) in zip(values, _by_part(parts, shapes), strict=True):
        pieces = value.split([shape.numel() for shape in here]) if len(part.names) > 1 else (value,)
        shares += [
            piece.view(shape) if asked else None
            for piece, shape, asked in zip(pieces, here, wanted[len(shares) :], strict=False)
        ]
    return shares
