"""Genotypes, mutation and both tournaments, against what the paper's rules say in words."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colonnade.errors import UsageError
from colonnade.methods.pathnet.evolution import (
    UNKNOWN,
    GenotypeShape,
    binary_tournament,
    challenge,
    draw_duplication,
    draw_genotype,
    draw_pair,
    draw_population,
    mutate,
    overlap,
    path_of,
    usefulness,
)


@st.composite
def shapes(draw):
    modules = draw(st.integers(1, 12))
    return GenotypeShape(draw(st.integers(1, 4)), modules, draw(st.integers(1, modules)))


@st.composite
def genotypes(draw):
    """Any genotype that fits, also one that names a module twice."""
    shape = draw(shapes())
    genes = st.integers(0, shape.modules - 1)
    rows = st.lists(genes, min_size=shape.active, max_size=shape.active)
    layers = draw(st.lists(rows, min_size=shape.layers, max_size=shape.layers))
    return shape, np.array(layers, dtype=np.int64)


seeds = st.integers(0, 2**32 - 1)


@given(shapes(), seeds)
def test_a_drawn_genotype_names_n_distinct_modules_in_every_layer(shape, seed):
    genotype = draw_genotype(shape, np.random.default_rng(seed))
    shape.check(genotype)
    assert [len(layer) for layer in path_of(genotype)] == [shape.active] * shape.layers


@given(genotypes())
def test_a_path_is_the_set_of_modules_named(made):
    _, genotype = made
    for layer, genes in zip(path_of(genotype), genotype, strict=True):
        assert list(layer) == sorted(set(genes.tolist()))


@given(genotypes(), seeds)
def test_a_mutant_is_near_and_in_range_and_its_parent_unchanged(made, seed):
    shape, genotype = made
    before = genotype.copy()
    mutant = mutate(genotype, shape, np.random.default_rng(seed))
    shape.check(mutant)
    assert np.abs(mutant - genotype).max() <= 2
    assert np.array_equal(genotype, before)


def test_every_change_from_minus_two_to_two_is_equally_likely():
    shape = GenotypeShape(1, 9, 1)  # one gene: it mutates for sure, and 4 is far from the borders
    rng = np.random.default_rng(0)
    counts = Counter(int(mutate(np.array([[4]]), shape, rng)[0, 0]) - 4 for _ in range(10_000))
    assert sorted(counts) == [-2, -1, 0, 1, 2]
    assert all(abs(count - 2000) < 5 * np.sqrt(1600) for count in counts.values())


def test_genes_stop_at_the_border():
    shape, rng = GenotypeShape(1, 9, 1), np.random.default_rng(0)
    low = Counter(int(mutate(np.array([[0]]), shape, rng)[0, 0]) for _ in range(5_000))
    high = Counter(int(mutate(np.array([[8]]), shape, rng)[0, 0]) for _ in range(5_000))
    # -2, -1 and 0 all end at the border: 3 in 5, and nothing wraps round to the other side.
    assert sorted(low) == [0, 1, 2]
    assert sorted(high) == [6, 7, 8]
    assert low[0] / 5_000 == pytest.approx(0.6, abs=0.04)
    assert high[8] / 5_000 == pytest.approx(0.6, abs=0.04)


def test_one_gene_in_n_l_mutates_on_average():
    shape, rng = GenotypeShape(4, 30, 5), np.random.default_rng(1)
    genotype = np.full((4, 5), 15)
    changed = sum(int((mutate(genotype, shape, rng) != 15).sum()) for _ in range(5_000))
    # Of the five changes one is 0, so 4 of 5 mutations show.
    assert changed / 5_000 == pytest.approx(0.8, abs=0.06)


@given(st.integers(2, 9), seeds)
def test_a_pair_has_two_members(size, seed):
    first, second = draw_pair(size, np.random.default_rng(seed))
    assert first != second
    assert {first, second} <= set(range(size))


def test_every_ordered_pair_is_drawn():
    rng = np.random.default_rng(0)
    drawn = {draw_pair(4, rng) for _ in range(500)}
    assert drawn == set(itertools.permutations(range(4), 2))


fitnesses = st.sampled_from([0.0, 0.5, 0.5, 1.0])


@given(seeds, st.integers(2, 6), fitnesses, fitnesses)
def test_the_serial_tournament_overwrites_the_less_fit_only(seed, size, one, other):
    shape, rng = GenotypeShape(2, 20, 3), np.random.default_rng(seed)
    population = draw_population(shape, size, rng)
    before, pair = population.copy(), draw_pair(size, rng)
    result = binary_tournament(population, pair, (one, other), shape, rng)
    assert {result.winner, result.loser} == set(pair)  # also on a tie they are two
    value = dict(zip(pair, (one, other), strict=True))
    assert value[result.winner] >= value[result.loser]
    kept = [i for i in range(size) if i != result.loser]
    assert np.array_equal(result.population[kept], before[kept])  # the winner above all
    assert np.abs(result.population[result.loser] - before[result.winner]).max() <= 2
    assert np.array_equal(population, before)


def test_ties_are_fair():
    shape, rng = GenotypeShape(1, 5, 2), np.random.default_rng(0)
    population = draw_population(shape, 2, rng)
    wins = [
        binary_tournament(population, draw_pair(2, rng), (1.0, 1.0), shape, rng).winner
        for _ in range(1_000)
    ]
    assert sum(wins) / 1_000 == pytest.approx(0.5, abs=0.06)


@given(
    st.integers(2, 8).flatmap(
        lambda n: st.lists(st.sampled_from([UNKNOWN, 0.0, 0.5, 0.5, 1.0]), min_size=n, max_size=n)
    ),
    st.integers(1, 9),
    seeds,
    st.data(),
)
def test_the_asynchronous_tournament(table, rivals, seed, data):
    fitness = np.array(table)
    index = data.draw(st.sampled_from(range(len(fitness))))
    fitness[index] = data.draw(st.sampled_from([0.0, 0.5, 1.0]))
    shape, rng = GenotypeShape(2, 20, 3), np.random.default_rng(seed)
    population = draw_population(shape, len(fitness), rng)
    before = population.copy()
    result = challenge(population, fitness, index, rivals, shape, rng)
    others = [f for i, f in enumerate(fitness) if i != index and not np.isnan(f)]
    fitter = [f for f in others if f >= fitness[index]]
    assert np.array_equal(population, before)
    if result is None:
        # Whoever met all the others and stayed was fitter than each of them.
        assert rivals < len(fitness) - 1 or not fitter
        return
    assert result.loser == index
    assert result.winner != index
    assert fitness[result.winner] >= fitness[index]
    if rivals >= len(fitness) - 1:
        assert fitness[result.winner] == max(others)
    kept = [i for i in range(len(fitness)) if i != index]
    assert np.array_equal(result.population[kept], before[kept])
    assert np.abs(result.population[index] - before[result.winner]).max() <= 2


def test_one_rival_is_any_other_with_equal_chance():
    shape, rng = GenotypeShape(1, 5, 2), np.random.default_rng(0)
    population = draw_population(shape, 4, rng)
    results = [challenge(population, np.zeros(4), 2, 1, shape, rng) for _ in range(3_000)]
    counts = Counter(result.winner for result in results)
    assert sorted(counts) == [0, 1, 3]
    assert all(abs(count - 1000) < 150 for count in counts.values())


def test_usefulness_is_the_mean_fitness_of_those_who_use_a_module():
    population = np.array([[[0, 1]], [[1, 1]], [[2, 0]], [[3, 3]]])
    value = usefulness(population, np.array([1.0, 0.0, 4.0, UNKNOWN]), modules=5)
    assert value[0, :3] == pytest.approx([2.5, 0.5, 4.0])
    assert np.isnan(value[0, 3:]).all()


@given(
    st.lists(st.sampled_from([UNKNOWN, 0.0, 1.0, 2.0]), min_size=1, max_size=6),
    st.sets(st.integers(0, 5)),
    seeds,
)
def test_duplication_spares_the_best_and_the_frozen(row, frozen, seed):
    value = np.array([row])
    chosen = draw_duplication(value, [sorted(frozen)], np.random.default_rng(seed))
    free = set(range(len(row))) - frozen
    if np.isnan(value).all():
        assert chosen is None
        return
    best = int(np.nanargmax(value[0]))
    if not free - {best}:
        assert chosen is None
        return
    assert chosen.source == best
    assert chosen.target in free - {best}
    worth = {m: -1.0 if np.isnan(row[m]) else row[m] for m in free - {best}}
    assert worth[chosen.target] == min(worth.values())


def test_overlap_by_hand():
    assert overlap(((0, 1), (2,)), ((0, 1), (2,))) == 1.0
    assert overlap(((0, 1), (2,)), ((1, 3), (4,))) == pytest.approx((1 / 3 + 0) / 2)


def test_bad_input_is_said_in_one_sentence():
    with pytest.raises(UsageError, match=r"can't use 5 distinct modules .* has 4"):
        GenotypeShape(3, 4, 5)
    shape = GenotypeShape(3, 4, 2)
    with pytest.raises(UsageError, match="population of 1 has nobody to compete with"):
        draw_population(shape, 1, np.random.default_rng(0))
    with pytest.raises(UsageError, match=r"3 layers of 2 genes, but one of shape \[2, 2\]"):
        mutate(np.zeros((2, 2), np.int64), shape, np.random.default_rng(0))
    with pytest.raises(UsageError, match="0 to 3 here, but genes from 0 to 4"):
        shape.check(np.array([[0, 1], [2, 4], [0, 0]]))
