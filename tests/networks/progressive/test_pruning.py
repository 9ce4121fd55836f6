"""A pruned network is the original whose removed features are held at their means."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from colonnade.analysis.policies.activations import changed
from colonnade.errors import UsageError
from colonnade.networks import (
    LSTM,
    ColumnSpec,
    Conv,
    Custom,
    Dense,
    Feature,
    Join,
    ProgressiveNetwork,
    Projection,
    column_totals,
    describe,
)
from colonnade.networks.progressive.pruning import Kept, prunable_sites, prune, site_width
from colonnade.seeding import generator

SHAPES = {"observation": (2, 9, 9), "touch": (3,)}
CONV = ColumnSpec((Conv(4, 3, 2), Conv(5, 2, 1), Dense(6)), alpha=0.7)
LINEAR = ColumnSpec((Conv(3, 3, 2), Conv(4, 2, 1), Dense(5)), laterals="linear")
JOINED = ColumnSpec((Conv(4, 3, 2), Join("touch", 2), Dense(6)), alpha=0.7)
DEEP = ColumnSpec((Conv(3, 3, 2), Dense(5), Dense(6)), alpha=0.7, scale_per="layer")


def network_of(*specs, seed=0):
    network = ProgressiveNetwork()
    for i, spec in enumerate(specs):
        network.add_column(spec, SHAPES, 4, generator(seed, i))
    network.double()
    with torch.no_grad():
        for i, p in enumerate(network.parameters()):
            p.add_(0.3 * torch.randn(p.shape, generator=generator(seed, "noise", i)).double())
    return network


def inputs_of(count=7):
    g = generator(3)
    return {n: torch.rand(count, *shape, generator=g).double() for n, shape in SHAPES.items()}


def ablation(rest):
    def hold(x):
        held = rest.mean[:, 0].to(x).view(1, -1, *[1] * (x.dim() - 2)).expand_as(x).clone()
        held[:, rest.index] = x[:, rest.index]
        return held

    return hold


@pytest.mark.parametrize(
    "specs",
    [(CONV, CONV), (LINEAR, LINEAR, CONV), (JOINED, JOINED), (DEEP, DEEP, DEEP), (CONV, LINEAR)],
    ids=["adapters", "linear", "joins", "deep", "mixed"],
)
@given(data=st.data())
@settings(max_examples=4)
def test_pruning_equals_holding_features_at_their_means(specs, data):
    network = network_of(*specs)
    kept = {}
    for number, site in enumerate(prunable_sites(network)):
        size = site_width(network, site)
        rest = data.draw(st.sets(st.integers(0, size - 1)), label=str(site))
        mean = torch.rand(size, 1, generator=generator(5, number)).double()
        kept[site] = Kept(torch.tensor(sorted(rest), dtype=torch.int64), mean)
    smaller = prune(network, kept)
    for k in range(len(specs)):
        with torch.no_grad():
            with changed(network, {site: ablation(rest) for site, rest in kept.items()}):
                expected, _ = network(inputs_of(), column=k)
            output, _ = smaller(inputs_of(), column=k)
        torch.testing.assert_close(output, expected)


def test_dense_readers_of_maps_get_each_pixels_own_mean():
    spec = ColumnSpec((Conv(3, 3, 2), Dense(5)))
    network = network_of(spec)
    mean = torch.rand(3, 16, generator=generator(0)).double()
    smaller = prune(network, {Feature(0, 0): Kept(torch.tensor([1]), mean)})

    def hold(x):
        held = mean.view(1, 3, 4, 4).expand_as(x).clone()
        held[:, 1] = x[:, 1]
        return held

    with torch.no_grad(), changed(network, {Feature(0, 0): hold}):
        expected, _ = network(inputs_of())
    torch.testing.assert_close(smaller(inputs_of())[0], expected)


def test_cells_that_are_always_silent_can_go():
    spec = ColumnSpec((Dense(6), LSTM(5)), alpha=0.7, input="touch")
    network = network_of(spec, spec)
    with torch.no_grad():
        for k in range(2):
            stage = network.column(k).stage(1)
            candidates = [15 + 1, 15 + 4]  # of cells 1 and 4
            for p in (stage.weight, stage.recurrent_weight, stage.bias):
                p[candidates] = 0
            if k:
                stage.lateral.transfer.weight[candidates] = 0
    rest = Kept(torch.tensor([0, 2, 3]), torch.zeros(5, 1))
    smaller = prune(network, {Feature(0, 1): rest, Feature(1, 1): rest})
    assert smaller.initial_state(2)["column1/stage1/h"].shape == (2, 3)
    inputs = {name: value.unsqueeze(1) for name, value in inputs_of().items()}
    starts = torch.zeros(7, 1, dtype=torch.bool)
    for net in (network, smaller):
        net.output = net.unroll(inputs, net.initial_state(1), starts)[0]
    torch.testing.assert_close(smaller.output, network.output)


def test_what_goes_is_gone_and_what_stays_can_be_saved_and_trained():
    network = network_of(CONV, CONV)
    kept = {
        Feature(0, 1): Kept(torch.tensor([0, 2]), torch.zeros(5, 1)),
        Projection(1, 3): Kept(torch.tensor([], dtype=torch.int64), torch.zeros(6, 1)),
    }
    smaller = prune(network, kept)
    before, after = (column_totals(describe(net)) for net in (network, smaller))
    # Two maps of nine pixels stay of five: conv 2, what dense reads of it, and the new column's V.
    lost = 3 * (4 * 4 + 1) + 3 * 9 * 6
    assert before[0] - after[0] == lost
    assert before[1] - after[1] == 3 * 5 + (6 * 6 + 6 + 6 * 4)
    assert smaller.newest.output.lateral is None
    again = ProgressiveNetwork.from_spec(smaller.spec_dict())
    again.double().load_state_dict(smaller.state_dict())
    torch.testing.assert_close(again(inputs_of())[0], smaller(inputs_of())[0], rtol=0, atol=0)
    learns = {name.split(".")[1] for name, p in smaller.named_parameters() if p.requires_grad}
    assert learns == {"1"}


def test_tasks_of_columns_that_lose_nothing_stay_bit_for_bit():
    network = network_of(CONV, CONV, CONV)
    rest = Kept(torch.tensor([0]), torch.rand(6, 1))
    smaller = prune(network, {Feature(1, 2): rest})
    before, after = network(inputs_of(), column=0)[0], smaller(inputs_of(), column=0)[0]
    assert torch.equal(before, after)
    assert not torch.allclose(network(inputs_of())[0], smaller(inputs_of())[0])


def test_users_modules_and_their_inputs_stay():
    def factory(shape):
        return nn.Linear(shape[0], 4)

    spec = ColumnSpec((Dense(5), Custom(factory, (4,)), Dense(6)), input="touch", alpha=0.7)
    network = network_of(spec, spec)
    sites = prunable_sites(network)
    assert Feature(0, 0) not in sites
    assert Feature(0, 1) not in sites
    assert Projection(1, 1) not in sites
    rest = Kept(torch.arange(6), torch.zeros(6, 1))
    smaller = prune(network, {Feature(0, 2): rest, Feature(1, 2): rest})
    torch.testing.assert_close(smaller(inputs_of())[0], network(inputs_of())[0])


def test_wrong_use_is_refused_in_one_sentence():
    network = network_of(CONV, JOINED)
    mean = torch.zeros(4, 1)
    nothing = torch.tensor([], dtype=torch.int64)
    recurrent = network_of(ColumnSpec((Dense(3), LSTM(4)), input="touch"))
    with pytest.raises(UsageError, match="at least one cell"):
        prune(recurrent, {Feature(0, 1): Kept(nothing, mean)})
    with pytest.raises(UsageError, match="ascending indices below 4"):
        prune(network, {Feature(0, 0): Kept(torch.tensor([1, 7]), mean)})
    with pytest.raises(UsageError, match="can't lose features"):
        prune(network, {Feature(1, 1): Kept(torch.tensor([1]), mean)})
    with pytest.raises(UsageError, match="no column 9"):
        prune(network, {Feature(9, 1): Kept(torch.tensor([1]), mean)})


def test_columns_read_after_pruning_those_that_they_read_before():
    network, other = network_of(CONV, LINEAR), network_of(CONV, LINEAR, seed=1)
    begin = network.stand_beside(other)
    pruned = prune(network, {})
    x = inputs_of()
    for index in range(len(network.columns)):
        assert torch.equal(pruned(x, column=index)[0], network(x, column=index)[0])
        assert pruned.column(index).sources == network.column(index).sources
    assert pruned.column(begin).sources == ()
