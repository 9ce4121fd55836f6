"""The Fisher against a slow loop, finite differences, and nets whose answer is known."""

import numpy as np
import pytest
import torch
from torch import nn

from colonnade.analysis.policies.activations import changed, sites_of
from colonnade.analysis.policies.sensitivity import SiteStatistics, activation_fisher
from colonnade.analysis.policies.states import States
from colonnade.errors import ColonnadeError, UsageError
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
)
from colonnade.seeding import generator

IMAGE = {"observation": (2, 8, 8)}
CONV = ColumnSpec((Conv(3, 3, 2), Conv(4, 2, 1), Dense(5)), alpha=1.0, output_gain=1.0)
RECURRENT = ColumnSpec((Conv(3, 3, 2), Dense(5), LSTM(4)), alpha=1.0, output_gain=1.0)


def network_of(*specs, shapes=IMAGE, outputs=4, seed=0):
    network = ProgressiveNetwork()
    for i, spec in enumerate(specs):
        network.add_column(spec, shapes, outputs, generator(seed, i))
    network.double()
    with torch.no_grad():  # so that no bias is zero and the policy is far from uniform
        for p in network.parameters():
            noise = torch.randn(p.shape, generator=generator(seed, p.numel()), dtype=p.dtype)
            p.add_(0.2 * noise)
    return network


def batches_of(count=24, parts=3, shapes=IMAGE, seed=0):
    g = generator(seed, "inputs")
    inputs = {n: torch.rand(count, *s, generator=g).double() for n, s in shapes.items()}
    return [{name: value[i::parts] for name, value in inputs.items()} for i in range(parts)], inputs


def read(network, site, inputs, state=None):
    """Activations at a site."""
    seen = []
    with torch.no_grad(), changed(network, {site: lambda x: seen.append(x) or x}):
        network(inputs, state)
    return seen[0]


def slow_fisher(network, inputs, sizes, site, order, state=None):
    """One state, one joint action and one backward pass at a time."""
    count = len(next(iter(inputs.values())))
    values = read(network, site, inputs, state).flatten(2 if site_is_map(network, site) else 1)
    total = 0
    for b in range(count):
        one = {name: value[b : b + 1] for name, value in inputs.items()}
        memory = {name: value[b : b + 1] for name, value in (state or {}).items()} or None
        seen = []

        def leaf(x, seen=seen):
            seen.append(x.detach().requires_grad_())
            return seen[0]

        for joint in np.ndindex(*sizes):
            seen.clear()
            with changed(network, {site: leaf}):
                output, _ = network(one, memory)
            start, log_prob = 0, 0
            for size, choice in zip(sizes, joint, strict=True):
                log_prob = log_prob + output[0, start : start + size].log_softmax(0)[choice]
                start += size
            (gradient,) = torch.autograd.grad(log_prob, seen)
            gradient = gradient[0].reshape(gradient.shape[1], -1)
            by_map = gradient.square().sum(1) if order == "map" else gradient.sum(1).square()
            total = total + log_prob.exp().item() * by_map
    variance = values.transpose(0, 1).flatten(1).var(1, correction=0)
    return (total / count * variance).numpy()


def site_is_map(network, site):
    return isinstance(site, Feature) and len(network.column(site.column).out_shape(site.stage)) == 3


@pytest.mark.parametrize("order", ["map", "map-shift"])
@pytest.mark.parametrize("sizes", [(3,), (2, 1), (3, 2, 4)])
def test_every_site_equals_the_slow_loop(order, sizes):
    network = network_of(CONV, CONV, outputs=sum(sizes) + 1)
    batches, inputs = batches_of(6)
    fisher = activation_fisher(network, batches, sizes)
    for site in sites_of(network):
        expected = slow_fisher(network, inputs, sizes, site, order)
        np.testing.assert_allclose(fisher.sensitivity(site, order), expected, rtol=1e-5, atol=1e-12)


def test_single_precision_equals_the_slow_loop():
    network = network_of(CONV, CONV).float()
    batches, inputs = batches_of(6)
    fisher = activation_fisher(
        network, [{"observation": b["observation"].float()} for b in batches], (3,)
    )
    for site in sites_of(network):
        expected = slow_fisher(network.double(), inputs, (3,), site, "map")
        np.testing.assert_allclose(fisher.sensitivity(site), expected, rtol=1e-5, atol=1e-8)


def test_recurrent_layers_equal_the_slow_loop_given_what_they_remember():
    network = network_of(RECURRENT, RECURRENT)
    _, inputs = batches_of(6)
    g = generator(0, "state")
    state = {
        name: torch.randn(6, *part.shape[1:], generator=g).double()
        for name, part in network.initial_state(6).items()
    }
    fisher = activation_fisher(network, [States(inputs, state)], (3,))
    assert Feature(1, 2) in fisher.sites
    assert Feature(0, 2) in fisher.sites
    for site in sites_of(network):
        expected = slow_fisher(network, inputs, (3,), site, "map", state)
        np.testing.assert_allclose(fisher.sensitivity(site), expected, rtol=1e-5, atol=1e-12)


def test_projections_of_adapters_equal_the_slow_loop_on_dense_columns():
    spec = ColumnSpec((Dense(4), Dense(5)), alpha=1.0)
    shapes = {"observation": (6,)}
    network = network_of(spec, spec, shapes=shapes)
    batches, inputs = batches_of(6, shapes=shapes)
    fisher = activation_fisher(network, batches, (3,), projections=True)
    places = [Projection(1, 1), Projection(1, 2)]
    assert [site for site in fisher.sites if isinstance(site, Projection)] == places
    for site in places:
        expected = slow_fisher(network, inputs, (3,), site, "map")
        np.testing.assert_allclose(fisher.sensitivity(site), expected, rtol=1e-5, atol=1e-12)


def test_half_the_fisher_is_how_far_the_policy_moves_by_finite_differences():
    network = network_of(CONV, CONV)
    batches, inputs = batches_of(40)
    fisher = activation_fisher(network, batches, (3,))

    def divergence(site, m, pixel, step):
        def shift(x):
            x = x.clone()
            x[:, m].view(len(x), -1)[:, pixel] += step
            return x

        with torch.no_grad(), changed(network, {site: shift}):
            moved = network(inputs)[0][:, :3].log_softmax(1)
        return (clean.exp() * (clean - moved)).sum(1).mean().item()

    with torch.no_grad():
        clean = network(inputs)[0][:, :3].log_softmax(1)
    for site in sites_of(network):
        std = fisher.sites[site].map_variance ** 0.5
        for m in np.flatnonzero(std)[:2]:
            pixels, step = fisher.sites[site].mean.shape[1], 1e-3 * std[m]
            moved = [divergence(site, m, p, s) for p in range(pixels) for s in (step, -step)]
            assert sum(moved) / 1e-6 == pytest.approx(fisher.sensitivity(site)[m], rel=0.05)


def test_sampled_actions_come_near_the_exact_expectation():
    network = network_of(CONV)
    with torch.no_grad():
        network.newest.output.weight.mul_(0.3)  # no action is rare
    batches, _ = batches_of(8000, 8)
    exact = activation_fisher(network, batches, (3,)).sensitivity(Feature(0, 2))
    sampled = activation_fisher(
        network, batches, (3,), actions="sampled", generator=generator(0)
    ).sensitivity(Feature(0, 2))
    np.testing.assert_allclose(sampled, exact, rtol=0.1)
    assert (sampled != exact).any()


def test_a_column_behind_zero_laterals_has_no_share():
    network = network_of(CONV, CONV)
    with torch.no_grad():
        for name, p in network.named_parameters():
            if ".lateral.transfer" in name:
                p.zero_()
    afs = activation_fisher(network, batches_of()[0], (3,)).layer_afs()
    assert [afs[Feature(0, i)] for i in range(3)] == [0, 0, 0]
    assert [afs[Feature(1, i)] for i in range(3)] == pytest.approx([1, 1, 1])


def test_a_policy_that_reads_one_feature_leans_on_it_alone():
    network = network_of(CONV, CONV)
    with torch.no_grad():
        output = network.newest.output
        output.weight.zero_()
        transfer, project = output.lateral.transfer.weight, output.lateral.project.weight
        transfer.zero_()
        transfer[:, 1] = torch.tensor([1.0, -2.0, 0.5, 0.0])
        project[1] = 0
        project[1, 3] = 1.0
        output.lateral.project.bias[1] = 1.0
    fisher = activation_fisher(network, batches_of()[0], (3,))
    afs = fisher.afs()
    assert fisher.sites[Feature(0, 2)].variance[3] > 0
    assert afs[Feature(0, 2)] == pytest.approx([0, 0, 0, 1, 0])
    assert afs[Feature(1, 2)].sum() == 0


def test_shares_of_a_level_sum_to_one_and_levels_meet_at_the_top():
    deep, shallow = CONV, ColumnSpec((Dense(5),), alpha=1.0)
    network = network_of(deep, shallow, deep)
    fisher = activation_fisher(network, batches_of()[0], (3,))
    assert fisher.levels == [
        (Feature(0, 0), Feature(2, 0)),
        (Feature(0, 1), Feature(2, 1)),
        (Feature(0, 2), Feature(1, 0), Feature(2, 2)),
    ]
    for level in fisher.levels:
        assert sum(fisher.layer_afs()[feature] for feature in level) == pytest.approx(1)


def test_a_join_stands_for_its_level_with_both_inputs():
    shapes = {"observation": (2, 8, 8), "touch": (3,)}
    spec = ColumnSpec((Conv(3, 3, 2), Join("touch", 2), Dense(5)), alpha=1.0, output_gain=1.0)
    network = network_of(spec, spec, shapes=shapes)
    fisher = activation_fisher(network, batches_of(shapes=shapes)[0], (3,))
    assert fisher.levels[0] == (Feature(0, 1), Feature(1, 1))
    assert fisher.sensitivity(Feature(1, 1)).shape == (3 * 9 + 2,)


def test_a_users_own_stages_are_measured_without_their_dropout():
    def factory(shape):
        return nn.Sequential(nn.Linear(shape[0], 4), nn.Dropout(0.5))

    spec = ColumnSpec((Custom(factory, (4,)), Dense(5)), output_gain=1.0)
    shapes = {"observation": (6,)}
    network = network_of(spec, spec, shapes=shapes)
    batches, _ = batches_of(shapes=shapes)
    first, second = (activation_fisher(network, batches, (3,)) for _ in range(2))
    np.testing.assert_array_equal(
        first.sensitivity(Feature(1, 0)), second.sensitivity(Feature(1, 0))
    )
    assert network.newest.stage(0).module[1].training, "as it was before"
    assert not network.column(0).stage(0).module[1].training


def test_numbers_do_not_depend_on_how_states_are_batched_and_nothing_changes():
    network = network_of(CONV, CONV)
    before = {name: p.clone() for name, p in network.named_parameters()}
    coarse = activation_fisher(network, batches_of(parts=1)[0], (3,)).afs()
    fine = activation_fisher(network, batches_of(parts=8)[0], (3,)).afs()
    for feature, values in coarse.items():
        np.testing.assert_allclose(values, fine[feature], rtol=1e-9)
    for name, p in network.named_parameters():
        assert torch.equal(p, before[name])
        assert p.grad is None
        assert p.requires_grad == name.startswith("columns.1")


def test_statistics_of_values_are_those_of_numpy():
    network = network_of(CONV, CONV)
    batches, inputs = batches_of()
    statistics = activation_fisher(network, batches, (3,)).sites[Feature(1, 0)]
    values = read(network, Feature(1, 0), inputs).numpy()
    np.testing.assert_allclose(statistics.mean, values.mean(0).reshape(3, -1))
    np.testing.assert_allclose(statistics.variance, values.var(0).reshape(3, -1), atol=1e-12)
    np.testing.assert_allclose(statistics.map_variance, values.var((0, 2, 3)), atol=1e-12)


def test_states_that_never_change_and_policies_that_ignore_them_are_refused():
    network = network_of(CONV, CONV)
    still = {"observation": torch.ones(5, 2, 8, 8).double()}
    with pytest.raises(ColonnadeError, match="No feature of the network changes over the 10"):
        activation_fisher(network, [still, still], (3,))
    with torch.no_grad():
        network.newest.output.weight.zero_()
        network.newest.output.lateral.transfer.weight.zero_()
    with pytest.raises(ColonnadeError, match="leans on none of them"):
        activation_fisher(network, batches_of()[0], (3,))


def test_wrong_use_is_refused_in_one_sentence():
    network = network_of(CONV, CONV)
    batches, inputs = batches_of()
    with pytest.raises(UsageError, match="5 choices in all"):
        activation_fisher(network, batches, (5,))
    with pytest.raises(UsageError, match="at least one state"):
        activation_fisher(network, [], (3,))
    with pytest.raises(UsageError, match="did you mean 'exact'"):
        activation_fisher(network, batches, (3,), actions="exat")
    ahead, _ = network.precompute(inputs, {})
    with pytest.raises(UsageError, match="raw inputs"):
        activation_fisher(network, [inputs | ahead], (3,))
    with pytest.raises(UsageError, match="no column 7"), changed(network, {Feature(7, 0): abs}):
        pass
    with (
        pytest.raises(UsageError, match="no stage 3 in column 1"),
        changed(network, {Feature(1, 3): abs}),
    ):
        pass
    fisher = activation_fisher(network, batches, (3,))
    with pytest.raises(UsageError, match="did you mean 'map-shift'"):
        fisher.afs("mapshift")


def test_the_three_normalisations_by_hand():
    site = SiteStatistics(
        mean=np.array([[1.0, 3.0]]),  # of one map of two pixels
        variance=np.array([[4.0, 2.0]]),
        squared_gradients=np.array([[0.5, 3.0]]),
        squared_sums=np.array([7.0]),
    )
    whole = (4 + 2) / 2 + 1  # within pixels, and between their means
    assert site.sensitivity("pixel").tolist() == [4 * 0.5 + 2 * 3]
    assert site.sensitivity("map").tolist() == [whole * 3.5]
    assert site.sensitivity("map-shift").tolist() == [whole * 7]
