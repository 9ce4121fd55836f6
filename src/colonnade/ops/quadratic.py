"""Quadratic penalties around anchors, merged exactly into one.

A sum of quadratics is a quadratic (Kirkpatrick et al. 2017, below Eq. 3): with curvatures F_k,

    sum_k 1/2 F_k (theta - theta_k)^2 = 1/2 A (theta - m)^2 + C

where A is the sum of the F_k, m their weighted mean of anchors and C what is left of the sum at m.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from colonnade.errors import UsageError

T = TypeVar("T")

_SMALL = 4096
"""Numbers of a parameter that is evaluated together with others: its calls cost more than they."""


class _Part(NamedTuple):
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


class Quadratic:
    """1/2 sum_i A_i (theta_i - m_i)^2 + C, over named parameters.

    Kept as curvature, centre and constant instead of as the coefficients of theta^2 and theta: near
    the anchors, where training lives, those would be large numbers whose difference is wanted. For
    the same reason the centre is kept to twice a parameter's digits, as a sum of two numbers.

    Parameters of 16 bits are held in 32; frozen ones stay where they are.

    Attributes:
        curvature: A, by parameter name.
        centre: m rounded to the parameter's precision, 32 bits at least, by parameter name.
        remainder: m minus `centre`, by parameter name.
        constant: C, a float64 scalar.
        merged: How many penalties went in.
    """

    def __init__(self) -> None:
        """Begin with no penalty."""
        self.curvature: dict[str, Tensor] = {}
        self.centre: dict[str, Tensor] = {}
        self.remainder: dict[str, Tensor] = {}
        self.constant = torch.zeros((), dtype=torch.float64)
        self.merged = 0
        self._changed()

    @torch.no_grad()
    def merge(self, curvature: Mapping[str, Tensor], anchor: Mapping[str, Tensor]) -> None:
        """Add 1/2 sum_i F_i (theta_i - a_i)^2.

        Args:
            curvature: F by parameter name, 0 or above.
            anchor: a by parameter name; parameters may be new, and old ones may be missing.

        Raises:
            UsageError: A shape is not as before.
        """
        check_shapes(self.centre, anchor)
        self.follow(anchor)
        self._changed()
        for name, added in curvature.items():
            place = _wide(anchor[name].detach())
            added = _wide(added.detach())
            if name not in self.curvature:
                self.curvature[name] = added.clone()
                self.centre[name] = place.clone()
                self.remainder[name] = torch.zeros_like(place)
                continue
            old, total = self.curvature[name].double(), self.curvature[name].double() + added
            share = torch.where(total > 0, added / total, 1.0)
            before = self.centre[name].double() + self.remainder[name].double()
            apart = place.double() - before
            centre = before + share * apart
            # Row by row: the order of a sum, and so its rounding, must not hang on the layout in
            # memory, which a checkpoint does not keep.
            left = 0.5 * (old * share * apart.square()).contiguous().sum().cpu()
            self.constant = self.constant + left
            self.curvature[name] = total.to(place.dtype)
            self.centre[name] = centre.to(place.dtype)
            self.remainder[name] = (centre - self.centre[name]).to(place.dtype)
        self.merged += 1

    @torch.no_grad()
    def replace(self, curvature: Mapping[str, Tensor], anchor: Mapping[str, Tensor]) -> None:
        """Forget what was merged and begin again with one penalty."""
        self.curvature, self.centre, self.remainder = {}, {}, {}
        self.constant = torch.zeros_like(self.constant)
        merged = self.merged
        self.merge(curvature, anchor)
        self.merged = merged + 1

    @torch.no_grad()
    def widen(self, parameters: Mapping[str, Tensor]) -> None:
        """Make room for parameters that were added at the end of a first axis: they are free.

        Args:
            parameters: By name; entries there already are at their old places. Others than those
                held are let be.
        """
        for name, curvature in self.curvature.items():
            if name not in parameters or not curvature.dim():
                continue
            place, size = parameters[name].detach(), len(curvature)
            if place.shape[1:] == curvature.shape[1:] and len(place) > size:
                for part, rest in (
                    (self.curvature, torch.zeros_like(place[size:])),
                    (self.centre, place[size:]),
                    (self.remainder, torch.zeros_like(place[size:])),
                ):
                    part[name] = torch.cat([part[name].to(place.device), rest])
                self._changed()

    def __call__(self, parameters: Mapping[str, Tensor], weight: float = 1.0) -> Tensor:
        """Evaluate at some parameters, as a scalar that can be differentiated by them.

        Args:
            parameters: By name; others than those held are let be.
            weight: Factor on the value.

        Raises:
            UsageError: A parameter is missing or has another shape.
        """
        check_shapes(self.centre, parameters)
        self.follow(parameters)
        parts = self._in_parts(weight)
        value: Tensor = _Value.apply(  # type: ignore[no-untyped-call]
            parts,
            weight * float(self.constant),
            *(parameters[name] for part in parts for name in part.names),
        )
        return value

    @torch.no_grad()
    def add_gradient(self, parameters: Mapping[str, Tensor], weight: float = 1.0) -> None:
        """Add `weight` times the gradient A (theta - m) to the `grad` of parameters that have one.

        Frozen parameters are let be: an optimiser moves what has a gradient, be it zero.

        It is what backpropagation through the value would add, in a third of the time: as A theta
        minus A m, whose difference is no less exact than theta, rounded to its own digits, is.

        Raises:
            UsageError: A parameter is missing or has another shape.
        """
        check_shapes(self.centre, parameters)
        self.follow(parameters)
        weighted, pull = self._weighted(weight), self._pull(weight)
        for name, curvature in weighted.items():
            theta = parameters[name]
            if not theta.requires_grad:
                continue
            if theta.grad is None:
                theta.grad = torch.zeros_like(theta)
            if theta.grad.dtype == curvature.dtype == theta.dtype:
                theta.grad.addcmul_(curvature, theta).sub_(pull[name])
            else:  # the difference, of which few of 16 bits would be left, is taken in 32
                theta.grad.add_((curvature * theta).sub_(pull[name]))

    @torch.no_grad()
    def gradient(self, name: str, theta: Tensor, weight: float = 1.0) -> Tensor:
        """Return `weight` times the gradient A (theta - m) of one parameter that is held."""
        if self.curvature[name].device != theta.device:
            self.follow(dict.fromkeys(self.curvature, theta))
        return (self._weighted(weight)[name] * theta).sub_(self._pull(weight)[name]).to(theta)

    def state(self, prefix: str) -> dict[str, Tensor]:
        """Return all tensors under names that begin with `prefix`."""
        return {
            **{f"{prefix}curvature/{name}": value for name, value in self.curvature.items()},
            **{f"{prefix}centre/{name}": value for name, value in self.centre.items()},
            **{f"{prefix}remainder/{name}": value for name, value in self.remainder.items()},
            f"{prefix}constant": self.constant,
        }

    def load_state(self, tensors: Mapping[str, Tensor], prefix: str, merged: int) -> None:
        """Return to what `state` gave."""
        found: dict[str, dict[str, Tensor]] = {"curvature": {}, "centre": {}, "remainder": {}}
        for key, value in tensors.items():
            part, _, name = key.removeprefix(prefix).partition("/")
            if key.startswith(prefix) and part in found:
                found[part][name] = value.clone()
        self.curvature, self.centre, self.remainder = found.values()
        self._changed()
        self.constant = tensors[f"{prefix}constant"].clone()
        self.merged = merged

    def _changed(self) -> None:
        """Forget what was worked out for many steps."""
        self._product: tuple[float, dict[str, Tensor]] | None = None
        self._pulled: tuple[float, dict[str, Tensor]] | None = None
        self._parts: tuple[float, list[_Part]] | None = None

    def _in_parts(self, weight: float) -> list[_Part]:
        """Return all that is held, curvatures times a factor, worked out once for many steps."""
        if self._parts is None or self._parts[0] != weight:
            weighted, parts = self._weighted(weight), []
            small: dict[tuple[torch.device, torch.dtype], list[str]] = {}
            for name, curvature in weighted.items():
                if curvature.numel() > _SMALL:
                    parts.append(self._part([name], weighted))
                else:
                    small.setdefault((curvature.device, curvature.dtype), []).append(name)
            parts += [self._part(names, weighted) for names in small.values()]
            self._parts = weight, parts
        return self._parts[1]

    def _part(self, names: list[str], weighted: dict[str, Tensor]) -> _Part:
        remainder = _joined([self.remainder[name] for name in names]) if self.merged > 1 else None
        curvature, centre = ([values[name] for name in names] for values in (weighted, self.centre))
        return _Part(names, _joined(curvature), _joined(centre), remainder)

    def _weighted(self, weight: float) -> dict[str, Tensor]:
        """Return the curvature times a factor, worked out once for many steps."""
        if weight == 1.0:
            return self.curvature
        if self._product is None or self._product[0] != weight:
            product = {name: weight * value for name, value in self.curvature.items()}
            self._product = weight, product
        return self._product[1]

    def _pull(self, weight: float) -> dict[str, Tensor]:
        """Return the curvature times the centre, and a factor, worked out once for many steps."""
        if self._pulled is None or self._pulled[0] != weight:
            pull = {}
            for name, centre in self.centre.items():
                place = centre.double() + self.remainder[name]
                pull[name] = (weight * self.curvature[name].double() * place).to(centre.dtype)
            self._pulled = weight, pull
        return self._pulled[1]

    def follow(self, parameters: Mapping[str, Tensor]) -> None:
        """Move to where the parameters are."""
        for part in (self.curvature, self.centre, self.remainder):
            for name, value in part.items():
                if value.device != parameters[name].device:
                    part[name] = value.to(parameters[name].device)
                    self._changed()


def _wide(value: Tensor) -> Tensor:
    """Return a tensor in 32 bits at least; one that has them, as it is."""
    return value.to(torch.promote_types(value.dtype, torch.float32))


class _Value(torch.autograd.Function):
    """The value, with the gradient A (theta - m) worked out beside it in the same pass.

    Written out because the derivative that autograd would record costs three more passes over all
    parameters, which at one gradient step is felt.
    """

    @staticmethod
    def forward(ctx: Any, parts: list[_Part], constant: float, *parameters: Tensor) -> Tensor:
        gradients: list[Tensor] = []
        total: Tensor | None = None
        for part, here in _by_part(parts, parameters):
            apart = _joined(here) - part.centre
            gradient = part.curvature * apart
            value = 0.5 * torch.dot(gradient.reshape(-1), apart.reshape(-1))
            if part.remainder is not None:
                # 1/2 A (d - r)^2 to first order in r, the last digits of the centre. In the
                # gradient they are less than those that theta itself was rounded to.
                value -= torch.dot(gradient.reshape(-1), part.remainder.reshape(-1))
            total = value if total is None else total + value
            gradients.append(gradient)
        assert total is not None
        ctx.gradients, ctx.parts = gradients, parts
        ctx.shapes = [theta.shape for theta in parameters]
        ctx.save_for_backward(*parameters)
        return total + constant

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Any:
        factor, wanted = grad_outputs[0], ctx.needs_input_grad[2:]
        if torch.is_grad_enabled():  # with create_graph, for second derivatives
            slopes = [
                factor * part.curvature * (_joined(here) - part.centre)
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


def _by_part(parts: Sequence[_Part], values: Sequence[T]) -> Iterator[tuple[_Part, Sequence[T]]]:
    """Yield parts of a penalty, each with what belongs to its parameters."""
    start = 0
    for part in parts:
        yield part, values[start : start + len(part.names)]
        start += len(part.names)


def _joined(values: Sequence[Tensor]) -> Tensor:
    """Return one tensor as it is, and several end to end."""
    return values[0] if len(values) == 1 else torch.cat([value.reshape(-1) for value in values])


def _divided(
    parts: Sequence[_Part],
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


def check_shapes(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Check that parameters are those that a penalty was made for.

    Raises:
        UsageError: One is missing or has another shape.
    """
    for name, value in expected.items():
        if name not in found:
            raise UsageError(
                f"The penalty holds parameter {name!r}, which the network no longer has; the "
                "network must keep its layers from task to task, or leave those that change out."
            )
        if found[name].shape != value.shape:
            raise UsageError(
                f"The penalty was made for {name!r} of shape {list(value.shape)}, but it now has "
                f"{list(found[name].shape)}; the network must keep its shape from task to task, or "
                "leave the layers that change out."
            )
