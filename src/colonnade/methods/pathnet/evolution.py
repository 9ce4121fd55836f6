"""How PathNet's genotypes are drawn, mutated and selected (Fernando et al. 2017, 1701.08734).

Pure functions: nothing here trains, and nothing given is changed. A genotype is an integer array
[L, N] of module indices, a population [P, L, N]. What the paper leaves open is a parameter here,
and `docs/pathnet.md` names every choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from colonnade.errors import UsageError
from colonnade.networks.pathnet.spec import Path

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

UNKNOWN = float("nan")
"""Fitness of a genotype that was not evaluated since it was last changed."""


@dataclass(frozen=True)
class GenotypeShape:
    """What a genotype may look like.

    Attributes:
        layers: L.
        modules: M, in every layer.
        active: N, the most distinct modules a path uses in a layer.
        spread: Largest change of a gene by one mutation; 2 in the paper.
    """

    layers: int
    modules: int
    active: int
    spread: int = 2

    def __post_init__(self) -> None:
        """Refuse what no network can have."""
        for name in ("layers", "modules", "active"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1; got {getattr(self, name)}.")
        if self.active > self.modules:
            raise UsageError(
                f"A path can't use {self.active} distinct modules of a layer that has "
                f"{self.modules}; lower `active` (N) or raise `modules` (M)."
            )
        if self.spread < 0:
            raise UsageError(f"spread must be 0 or more; got {self.spread}.")

    def check(self, genotypes: Integers) -> None:
        """Refuse genotypes [..., L, N] of another shape, or with modules that are not there.

        Raises:
            UsageError: They do not fit.
        """
        if genotypes.shape[-2:] != (self.layers, self.active):
            raise UsageError(
                f"A genotype here has {self.layers} layers of {self.active} genes, but one of "
                f"shape {list(genotypes.shape[-2:])} came; draw it for this network."
            )
        if genotypes.size and not (genotypes.min() >= 0 and genotypes.max() < self.modules):
            raise UsageError(
                f"A gene is the index of a module, 0 to {self.modules - 1} here, but genes from "
                f"{genotypes.min()} to {genotypes.max()} came; draw the genotype for this network."
            )


def draw_genotype(shape: GenotypeShape, rng: np.random.Generator) -> Integers:
    """Draw a genotype [L, N] whose modules differ within each layer, all choices equally likely."""
    rows = [rng.permutation(shape.modules)[: shape.active] for _ in range(shape.layers)]
    return np.array(rows, dtype=np.int64)


def draw_population(shape: GenotypeShape, size: int, rng: np.random.Generator) -> Integers:
    """Draw genotypes [P, L, N], independently.

    Raises:
        UsageError: Fewer than two, among which nothing can be selected.
    """
    if size < 2:
        raise UsageError(
            f"A population of {size} has nobody to compete with; use at least 2 genotypes."
        )
    return np.stack([draw_genotype(shape, rng) for _ in range(size)])


def mutate(genotype: Integers, shape: GenotypeShape, rng: np.random.Generator) -> Integers:
    """Mutate a copy: each gene, with probability 1 / (N L), moves by -spread to +spread.

    Both ends and 0 are as likely as the rest; a gene that would leave 0 to M - 1 stops at the
    border. Two genes of a layer may come to name one module, which then counts once.
    """
    shape.check(genotype)
    chosen = rng.random(genotype.shape) < 1 / genotype.size
    change = rng.integers(-shape.spread, shape.spread, genotype.shape, endpoint=True)
    moved = np.clip(genotype + change, 0, shape.modules - 1)
    mutant: Integers = np.where(chosen, moved, genotype)
    return mutant


def path_of(genotype: Integers) -> Path:
    """Return the modules a genotype [L, N] makes active; one that is named twice counts once."""
    return tuple(tuple(int(gene) for gene in np.unique(layer)) for layer in genotype)


def overlap(first: Path, second: Path) -> float:
    """Measure how much two paths share: the mean over layers of |A and B| / |A or B|, 0 to 1."""
    shares = [
        len(set(a) & set(b)) / len(set(a) | set(b)) for a, b in zip(first, second, strict=True)
    ]
    return sum(shares) / len(shares)


class Result(NamedTuple):
    """What a comparison came to.

    Attributes:
        population: [P, L, N] afterwards.
        winner: Index of the genotype that was copied.
        loser: Index of the genotype that the mutated copy replaced; never the winner's.
    """

    population: Integers
    winner: int
    loser: int


def draw_pair(size: int, rng: np.random.Generator) -> tuple[int, int]:
    """Choose two different contestants of a population, in random order."""
    first, second = rng.permutation(size)[:2]
    return int(first), int(second)


def binary_tournament(
    population: Integers,
    pair: tuple[int, int],
    fitness: tuple[float, float],
    shape: GenotypeShape,
    rng: np.random.Generator,
) -> Result:
    """Overwrite the less fit of a pair by a mutated copy of the other (the serial tournament).

    On a tie the first of the pair wins, which is a fair draw, since `draw_pair` orders at random.

    Args:
        population: [P, L, N].
        pair: Two different indices.
        fitness: Of the pair, in the same order.
        shape: Of the genotypes.
        rng: For the mutation.
    """
    first, second = pair
    winner, loser = (second, first) if fitness[1] > fitness[0] else (first, second)
    return Result(_replaced(population, winner, loser, shape, rng), winner, loser)


def challenge(
    population: Integers,
    fitness: Floats,
    index: int,
    rivals: int,
    shape: GenotypeShape,
    rng: np.random.Generator,
) -> Result | None:
    """Compare a just evaluated genotype with others (the asynchronous tournament).

    `rivals` (B) others are drawn at random. Where the best of them that has been evaluated is at
    least as fit, its mutated copy replaces the genotype; otherwise the genotype stays and is
    evaluated again. Among equally fit rivals the one drawn first is copied.

    Args:
        population: [P, L, N].
        fitness: [P] shared table; `UNKNOWN` where there is no evaluation.
        index: Whose evaluation has just been written to the table.
        rivals: B; all others where there are fewer.
        shape: Of the genotypes.
        rng: For the choice of rivals and the mutation.

    Returns:
        The change, or None for none.
    """
    others = rng.permutation(np.delete(np.arange(len(population)), index))[:rivals]
    known = others[~np.isnan(fitness[others])]
    if known.size == 0:
        return None
    best = int(known[np.argmax(fitness[known])])
    if fitness[best] < fitness[index]:
        return None
    return Result(_replaced(population, best, index, shape, rng), best, index)


def usefulness(population: Integers, fitness: Floats, modules: int) -> Floats:
    """Measure [L, M]: the mean fitness of the evaluated genotypes whose path uses each module.

    NaN where none does. It is what module duplication goes by.
    """
    layers = population.shape[1]
    value = np.full((layers, modules), np.nan)
    for layer in range(layers):
        for module in range(modules):
            users = (population[:, layer] == module).any(axis=1) & ~np.isnan(fitness)
            if users.any():
                value[layer, module] = fitness[users].mean()
    return value


class Duplication(NamedTuple):
    """Which module's weights are copied into which slot of the same layer."""

    layer: int
    source: int
    target: int


def draw_duplication(
    value: Floats, frozen: Sequence[Sequence[int]], rng: np.random.Generator
) -> Duplication | None:
    """Choose a random layer, its most useful module and the least useful slot that may change.

    Slots that no evaluated path uses are the least useful of all.

    Args:
        value: [L, M] as `usefulness` gives it.
        frozen: For each layer the modules that must not change.
        rng: For the layer, and for the choice among equals.

    Returns:
        The choice; None where the drawn layer has no module of known use or no other free slot.
    """
    layer = int(rng.integers(value.shape[0]))
    row = value[layer]
    if np.isnan(row).all():
        return None
    source = int(np.nanargmax(row))
    free = [m for m in rng.permutation(row.size) if m not in frozen[layer] and m != source]
    if not free:
        return None
    target = min(free, key=lambda module: np.nan_to_num(row[module], nan=-np.inf))
    return Duplication(layer, source, int(target))


def _replaced(
    population: Integers, winner: int, loser: int, shape: GenotypeShape, rng: np.random.Generator
) -> Integers:
    changed = population.copy()
    changed[loser] = mutate(population[winner], shape, rng)
    return changed
