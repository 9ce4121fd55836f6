"""LSTM modules against PyTorch's own cells, one environment and one module after another."""

import pytest
import torch

from colonnade.errors import UsageError
from colonnade.networks import LSTM, Dense, ModularNetwork, ModularSpec

UNITS, STEPS, ENVS = 4, 6, 3
SPEC = ModularSpec((Dense(7), LSTM(UNITS)), modules=4, active=2, activation="tanh")
PATHS = [((0,), (0, 2)), ((1, 2), (1,)), ((3,), (2, 3))]
LATER = [((2,), (1, 3)), ((0, 1), (0, 2)), ((3,), (0,))]


@pytest.fixture
def network():
    torch.manual_seed(5)
    made = ModularNetwork(SPEC, {"observation": (5,)})
    made.add_head(3)
    with torch.no_grad():  # large, so that what is remembered shows
        for parameter in made.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return made


@pytest.fixture
def x():
    return torch.randn(STEPS, ENVS, 5, generator=torch.Generator().manual_seed(6))


@pytest.fixture
def starts():
    flags = torch.zeros(STEPS, ENVS, dtype=torch.bool)
    flags[0, 0] = flags[2, 1] = flags[4] = True
    return flags


def cells_of(module):
    """PyTorch's LSTMCell with a module's weights; its gates have another order."""
    peer = torch.nn.LSTMCell(7, UNITS)
    i, f, o, g = range(4)
    with torch.no_grad():
        for name, own in (
            ("weight_ih", module.weight),
            ("weight_hh", module.recurrent_weight),
            ("bias_ih", module.bias),
        ):
            peer.get_parameter(name).copy_(torch.cat([own.chunk(4)[k] for k in (i, f, g, o)]))
        peer.bias_hh.zero_()
    return peer


def alone(network, x, paths, starts):
    """Outputs [T, 3] of one environment whose step t goes along paths[t], and its memories."""
    lower, layer = network.layers
    cells = [cells_of(module) for module in layer.bank]
    memories = {}
    outputs = []
    for row, path, start in zip(x, paths, starts, strict=True):
        features = sum(torch.tanh(lower.bank[m].weight @ row + lower.bank[m].bias) for m in path[0])
        if start:
            memories = {}
        memories = {m: cells[m](features[None], memories.get(m)) for m in path[1]}
        head = network.heads[-1]
        outputs.append(head.weight @ sum(h[0] for h, _ in memories.values()) + head.bias)
    return torch.stack(outputs), memories


def test_one_path_is_torchs_own_cells_summed(network, x, starts):
    view = network.view(PATHS[0])
    output, state = view.unroll({"observation": x}, view.initial_state(ENVS), starts)
    for n in range(ENVS):
        want, memories = alone(network, x[:, n], [PATHS[0]] * STEPS, starts[:, n])
        torch.testing.assert_close(output[:, n], want)
        for module in range(SPEC.modules):
            zeros = (torch.zeros(1, UNITS),) * 2
            h, c = memories.get(module, zeros)
            torch.testing.assert_close(state["layer1/h"][n, module], h[0])
            torch.testing.assert_close(state["layer1/c"][n, module], c[0])


def test_each_environment_remembers_along_its_own_path(network, x, starts):
    view = network.population_view(PATHS)
    before = view.initial_state(ENVS)
    view.set_paths(LATER)  # from each environment's next episode on
    output, after = view.unroll({"observation": x}, before, starts)
    fresh = starts.cummax(0).values
    wanted = []
    for n in range(ENVS):
        paths = [LATER[n] if begun else PATHS[n] for begun in fresh[:, n]]
        want, memories = alone(network, x[:, n], paths, starts[:, n])
        torch.testing.assert_close(output[:, n], want)
        for module, (h, c) in memories.items():
            torch.testing.assert_close(after["layer1/h"][n, module], h[0])
            torch.testing.assert_close(after["layer1/c"][n, module], c[0])
        others = sorted({*range(SPEC.modules)} - {*memories})
        assert not after["layer1/h"][n, others].any()
        assert not after["layer1/c"][n, others].any()
        wanted.append(want)
    loss = torch.stack(wanted, 1).square().sum()
    parameters = [p for _, p in sorted(network.layers[0].named_parameters())]
    expected = torch.autograd.grad(loss, parameters)
    found = torch.autograd.grad(output.square().sum(), parameters)
    torch.testing.assert_close(found, expected)


def test_unrolling_is_stepping(network, x, starts):
    for view in (network.view(PATHS[1]), network.population_view(PATHS)):
        first = state = view.initial_state(ENVS)
        outputs = []
        for t in range(STEPS):
            fresh = view.initial_state(ENVS)
            mask = starts[t][:, None, None]
            state = {name: torch.where(mask, fresh[name], part) for name, part in state.items()}
            output, state = view({"observation": x[t]}, state)
            outputs.append(output)
        unrolled, last = view.unroll({"observation": x}, first, starts)
        torch.testing.assert_close(unrolled, torch.stack(outputs))
        assert last.keys() == state.keys()
        for name in last:
            torch.testing.assert_close(last[name], state[name])


def test_modules_that_no_path_uses_have_no_gradient(network, x, starts):
    view = network.population_view(PATHS[:1] * ENVS)
    first = view.initial_state(ENVS)
    output, _ = view.unroll({"observation": x}, first, starts)
    one = network.view(PATHS[0])
    expected, after = one.unroll({"observation": x}, one.initial_state(ENVS), starts)
    torch.testing.assert_close(output, expected)
    one.path = LATER[0]  # a module that is left out forgets
    left_out = one.unroll({"observation": x}, after, torch.zeros_like(starts))[1]
    assert after["layer1/h"][:, [0, 2]].any()
    assert not left_out["layer1/h"][:, [0, 2]].any()
    output.sum().backward()
    for index, module in enumerate(network.layers[1].bank):
        for parameter in module.parameters():
            assert (parameter.grad is not None) == (index in PATHS[0][1])


def test_bfloat16_keeps_the_memory_in_full_precision(network, x, starts):
    view = network.population_view(PATHS)
    exact, _ = view.unroll({"observation": x}, view.initial_state(ENVS), starts)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough, state = view.unroll({"observation": x}, view.initial_state(ENVS), starts)
    assert state["layer1/h"].dtype == state["layer1/c"].dtype == rough.dtype == torch.float32
    torch.testing.assert_close(rough, exact, atol=0.15, rtol=0.1)
    assert not torch.equal(rough, exact)


def test_a_frozen_module_is_spared_when_others_are_renewed_and_forget_gates_start_open(network):
    network.freeze(((0,), (1,)))
    before = {name: value.clone() for name, value in network.layers[1].state_dict().items()}
    network.reinitialise()
    for name, value in network.layers[1].state_dict().items():
        assert torch.equal(value, before[name]) == name.startswith("bank.1.")
    fresh = network.layers[1].bank[0].bias.view(4, UNITS)
    assert fresh[1].mean() > 0.5 > fresh[[0, 2, 3]].abs().mean()
    network.duplicate(1, 1, 2)
    copied = network.layers[1].bank[2].recurrent_weight
    assert torch.equal(copied, network.layers[1].bank[1].recurrent_weight)


def test_a_state_without_the_memory_is_refused(network, x, starts):
    with pytest.raises(UsageError, match=r"state lacks 'layer1/h' .*initial_state"):
        network.view(PATHS[0]).unroll({"observation": x}, {}, starts)
