"""Fisher overlap against the paper's formula on whole matrices, and at its extremes."""

import math

import pytest
import torch

from colonnade.analysis.overlap import fisher_overlap
from colonnade.errors import UsageError


def random_fisher(seed):
    random = torch.Generator().manual_seed(seed)
    shapes = {"0.weight": (4, 3), "0.bias": (4,), "2.weight": (2, 4), "2.bias": (2,)}
    return {name: torch.rand(shape, generator=random) ** 3 for name, shape in shapes.items()}


def frechet(a, b):
    """1 - 1/2 tr(A + B - 2 (A B)^(1/2)) with A and B scaled to trace 1, as matrices."""
    first, second = (torch.diag(torch.cat([v.flatten() for v in x]).double()) for x in (a, b))
    first, second = first / first.trace(), second / second.trace()
    values, vectors = torch.linalg.eigh(first @ second)
    root = vectors @ values.clamp_min(0).sqrt().diag() @ vectors.T
    return 1 - 0.5 * float((first + second - 2 * root).trace())


def test_it_is_the_papers_formula_layer_by_layer():
    first, second = random_fisher(0), random_fisher(1)
    found = fisher_overlap(first, second)
    assert list(found) == ["0", "2"]
    for layer, value in found.items():
        names = [f"{layer}.weight", f"{layer}.bias"]
        assert value == pytest.approx(frechet(*([x[n] for n in names] for x in (first, second))))
        assert 0.3 < value < 0.99


def test_scale_does_not_matter_and_itself_is_one():
    fisher = random_fisher(0)
    scaled = {name: 7 * value for name, value in fisher.items()}
    assert list(fisher_overlap(fisher, scaled).values()) == pytest.approx([1, 1])


def test_weights_apart_do_not_overlap():
    one = {"0.weight": torch.tensor([1.0, 0.0])}
    assert fisher_overlap(one, {"0.weight": torch.tensor([0.0, 5.0])}) == {"0": 0.0}
    assert math.isnan(fisher_overlap(one, {"0.weight": torch.zeros(2)})["0"])


def test_fishers_of_different_networks_are_named():
    fisher = random_fisher(0)
    with pytest.raises(UsageError, match=r"only one has '2\.bias'"):
        fisher_overlap(fisher, {name: v for name, v in fisher.items() if name != "2.bias"})
    with pytest.raises(UsageError, match=r"'0.bias' has shape \[4\] in one and \[5\]"):
        fisher_overlap(fisher, {**fisher, "0.bias": torch.zeros(5)})
