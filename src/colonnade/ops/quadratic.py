"""Quadratic penalties around anchors, merged exactly into one.

A sum of quadratics is a quadratic (Kirkpatrick et al. 2017, below Eq. 3): with curvatures F_k,

    sum_k 1/2 F_k (theta - theta_k)^2 = 1/2 A (theta - m)^2 + C

where A is the sum of the F_k, m their weighted mean of anchors and C what is left of the sum at m.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from colonnade.errors import UsageError
from colonnade.ops.quadratic_parts import Part, Resting, Value, joined

_SMALL = 4096
"""Numbers of a parameter that is evaluated together with others: its calls cost more than they."""


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
        self._merge(curvature, anchor, {})

    @torch.no_grad()
    def add(self, other: Quadratic) -> None:
        """Add another one, which may hold other parameters.

        Raises:
            UsageError: A shape is not as before.
        """
        # Places of what the other one does not hold are asked for, and not used.
        places = {**self.centre, **other.centre}
        check_shapes(self.centre, places)
        self._merge(other.curvature, places, other.remainder)
        self.constant = self.constant + other.constant

    def _merge(
        self,
        curvature: Mapping[str, Tensor],
        anchor: Mapping[str, Tensor],
        remainder: Mapping[str, Tensor],
    ) -> None:
        self.follow(anchor)
        self._changed()
        for name, added in curvature.items():
            place = _wide(anchor[name].detach())
            rest = remainder[name] if name in remainder else torch.zeros_like(place)
            added = _wide(added.detach())
            if name not in self.curvature:
                self.curvature[name] = added.clone()
                self.centre[name] = place.clone()
                self.remainder[name] = rest.clone()
                continue
            old, total = self.curvature[name].double(), self.curvature[name].double() + added
            share = torch.where(total > 0, added / total, 1.0)
            before = self.centre[name].double() + self.remainder[name].double()
            apart = place.double() + rest - before
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
        learning, resting = self._in_parts(parameters, weight)
        value: Tensor = Value.apply(  # type: ignore[no-untyped-call]
            learning,
            weight * float(self.constant),
            *(parameters[name] for part in learning for name in part.names),
        )
        if resting is None:
            return value
        return value + resting.value([parameters[name] for name in resting.names])

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
            elif theta.grad.is_sparse:  # as of an embedding; what holds it is not
                theta.grad = theta.grad.to_dense()
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
        self._parts: tuple[object, list[Part], Resting | None] | None = None

    def _in_parts(
        self, parameters: Mapping[str, Tensor], weight: float
    ) -> tuple[list[Part], Resting | None]:
        """Return what is held of parameters that learn, and of those that rest.

        Curvatures are times a factor; all is worked out once for many steps.
        """
        learning = [name for name in self.curvature if parameters[name].requires_grad]
        if self._parts is None or self._parts[0] != (weight, learning):
            weighted, parts = self._weighted(weight), []
            small: dict[tuple[torch.device, torch.dtype], list[str]] = {}
            for name in learning:
                if (curvature := weighted[name]).numel() > _SMALL:
                    parts.append(self._part([name], weighted))
                else:
                    small.setdefault((curvature.device, curvature.dtype), []).append(name)
            parts += [self._part(names, weighted) for names in small.values()]
            still = [name for name in weighted if not parameters[name].requires_grad]
            resting = Resting([self._part([name], weighted) for name in still]) if still else None
            self._parts = (weight, learning), parts, resting
        return self._parts[1:]

    def _part(self, names: list[str], weighted: dict[str, Tensor]) -> Part:
        rest = [self.remainder[name] for name in names]
        remainder = joined(rest) if any(part.any() for part in rest) else None
        curvature, centre = ([values[name] for name in names] for values in (weighted, self.centre))
        return Part(names, joined(curvature), joined(centre), remainder)

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
        for name, centre in self.centre.items():
            if centre.device != (device := parameters[name].device):
                for part in (self.curvature, self.centre, self.remainder):
                    part[name] = part[name].to(device)
                self._changed()


def _wide(value: Tensor) -> Tensor:
    """Return a tensor in 32 bits at least; one that has them, as it is."""
    return value.to(torch.promote_types(value.dtype, torch.float32))


def check_shapes(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Check that parameters are those that a penalty was made for.

    Raises:
        UsageError: One is missing or has another shape.
    """
    check_not_lazy({name: value for name, value in found.items() if name in expected})
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


def check_not_lazy(parameters: Mapping[str, Tensor]) -> None:
    """Refuse parameters without a shape.

    Args:
        parameters: Those that are meant, by name.

    Raises:
        UsageError: One is a lazy module's that has not been run.
    """
    for name, value in parameters.items():
        if is_lazy(value):
            raise UsageError(
                f"Parameter {name!r} is lazy, and has no shape before its layer has been run; run "
                "the network once first, and leave a layer that it does not use out (by "
                "parameters= of a Fisher, exclude= of a Consolidation)."
            )
