"""How far two tasks depend on the same weights: overlap of their Fisher informations."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from colonnade.errors import UsageError


def fisher_overlap(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> dict[str, float]:
    """Compare two diagonal Fishers layer by layer (Kirkpatrick et al. 2017, Appendix 4.3).

    With both scaled to trace 1, the overlap is 1 - d^2, where d^2 is the Frechet distance
    1/2 tr(F1 + F2 - 2 (F1 F2)^(1/2)); for diagonals it comes to sum_i sqrt(f1_i f2_i). It is 1
    where tasks depend on the same weights in the same proportions, and 0 where they share none.

    Args:
        first: Of one task, by parameter name, as `parameter_fisher` gives it.
        second: Of the other task, with the same names and shapes.

    Returns:
        By layer, in order: the parameters of a layer ("0.weight" and "0.bias" of "0") count
        together. NaN where one of the tasks does not depend on the layer at all.

    Raises:
        UsageError: Names or shapes differ.
    """
    if first.keys() != second.keys():
        odd = sorted(first.keys() ^ second.keys())
        raise UsageError(f"Two Fishers of one network are compared, but only one has {odd[0]!r}.")
    layers: dict[str, list[str]] = {}
    for name, value in first.items():
        if value.shape != second[name].shape:
            raise UsageError(
                f"Two Fishers of one network are compared, but {name!r} has shape "
                f"{list(value.shape)} in one and {list(second[name].shape)} in the other."
            )
        layers.setdefault(name.rpartition(".")[0], []).append(name)
    return {layer: _overlap(first, second, names) for layer, names in layers.items()}


def _overlap(first: Mapping[str, Tensor], second: Mapping[str, Tensor], names: list[str]) -> float:
    together = float(sum((first[n].double() * second[n].double()).sqrt().sum() for n in names))
    one, other = (float(sum(f[n].double().sum() for n in names)) for f in (first, second))
    return together / (one * other) ** 0.5 if one and other else float("nan")
