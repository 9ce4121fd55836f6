"""Features computed once must be the features computed anew."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.networks import LSTM, ColumnSpec, Conv, Dense, ProgressiveNetwork
from colonnade.seeding import generator

T, N = 5, 3
IMAGE = {"observation": (2, 8, 8)}
FF = ColumnSpec((Conv(4, 3), Conv(4, 2, 2), Dense(6)))
RECURRENT = ColumnSpec((Conv(3, 3), Dense(6), LSTM(5)))


def network_of(*specs, seed=0):
    network = ProgressiveNetwork()
    for k, spec in enumerate(specs):
        network.add_column(spec, IMAGE, 3, generator(seed, k))
        with torch.no_grad():
            network.columns[-1].output.weight.mul_(100)
    return network


def frames(seed=0):
    shape = (T, N, 8, 8, 2)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator(seed))
    return pixels.permute(0, 1, 4, 2, 3)


def reset(state, starts):
    return {
        key: torch.where(starts.view(-1, *[1] * (value.dim() - 1)), 0, value)
        for key, value in state.items()
    }


def collect(network, pixels, starts, state):
    """Act step by step, resetting the state at starts; what was stored, and the outputs."""
    stored, outputs = [], []
    with torch.no_grad():
        for t in range(T):
            state = reset(state, starts[t])
            inputs, state = network.precompute({"observation": pixels[t]}, state)
            output, state = network(inputs, state)
            stored.append(inputs)
            outputs.append(output)
    stacked = {name: torch.stack([inputs[name] for inputs in stored]) for name in stored[0]}
    return stacked, torch.stack(outputs), state


def stepped(network, pixels, starts, state):
    outputs = []
    for t in range(T):
        output, state = network({"observation": pixels[t]}, reset(state, starts[t]))
        outputs.append(output)
    return torch.stack(outputs), state


def starting_state(network):
    g = generator(9)
    return {k: torch.randn(v.shape, generator=g) for k, v in network.initial_state(N).items()}


@pytest.mark.parametrize(
    "columns",
    [
        (FF,),
        (FF, FF),
        (FF, FF, FF),
        (FF, RECURRENT),
        (RECURRENT, FF),
        (RECURRENT, RECURRENT, RECURRENT),
    ],
)
@pytest.mark.parametrize("bf16", [False, True])
def test_cached_and_uncached_agree_in_outputs_states_and_gradients(columns, bf16):
    network = network_of(*columns)
    pixels = frames()
    starts = torch.rand(T, N, generator=generator(1)) < 0.4
    state = starting_state(network)
    tolerance = {"atol": 2e-2, "rtol": 2e-2} if bf16 else {"atol": 1e-5, "rtol": 1e-4}
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        stored, acted, last = collect(network, pixels, starts, state)
        plain, plain_last = network.unroll({"observation": pixels}, state, starts)
        cached, cached_last = network.unroll(stored, state, starts)
    assert plain.dtype == cached.dtype == torch.float32
    torch.testing.assert_close(plain, acted, **tolerance)
    torch.testing.assert_close(cached, acted, **tolerance)
    newest = f"column{len(columns) - 1}/"
    for key, value in last.items():
        torch.testing.assert_close(plain_last[key], value, **tolerance)
        if key.startswith(newest):
            torch.testing.assert_close(cached_last[key], value, **tolerance)
    parameters = [p for p in network.parameters() if p.requires_grad]
    gradients = [torch.autograd.grad(out.square().sum(), parameters) for out in (plain, cached)]
    scale = max(g.abs().max() for g in gradients[0])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one / scale, other / scale, **tolerance)


@settings(max_examples=15, deadline=None)
@given(
    starts=st.lists(st.lists(st.booleans(), min_size=N, max_size=N), min_size=T, max_size=T),
    deep=st.booleans(),
)
def test_unrolling_equals_stepping_whatever_the_starts(starts, deep):
    network = network_of(*[RECURRENT] * (2 if deep else 1))
    starts = torch.tensor(starts)
    state = starting_state(network)
    expected, last = stepped(network, frames(), starts, state)
    got, got_last = network.unroll({"observation": frames()}, state, starts)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-4)
    assert got_last.keys() == last.keys()
    for key, value in last.items():
        torch.testing.assert_close(got_last[key], value, atol=1e-5, rtol=1e-4)


def test_frozen_stages_run_once_and_only_when_something_reads_them():
    network = network_of(FF, RECURRENT, FF)
    runs = []
    for k, column in enumerate(network.columns):
        for i, stage in enumerate(column.stages):
            stage.register_forward_hook(lambda *_, name=(k, i): runs.append(name))
        column.output.register_forward_hook(lambda *_, name=(k, "output"): runs.append(name))
    everything = [(k, i) for k in range(3) for i in range(3)]
    inputs, state = network.precompute({"observation": frames()[0]}, network.initial_state(N))
    assert sorted(runs) == everything[:6]
    assert set(inputs) == {"observation", *(f"column{k}/stage{i}" for k, i in everything[:6])}
    runs.clear()
    network(inputs, state)
    assert runs == [*everything[6:], (2, "output")]


def test_a_frozen_lstm_moves_exactly_once_a_step():
    network = network_of(RECURRENT, RECURRENT)
    state = starting_state(network)
    old_only = network.view(0)
    _, expected = old_only({"observation": frames()[0]}, {k: state[k] for k in state if "0/" in k})
    inputs, moved = network.precompute({"observation": frames()[0]}, state)
    _, after = network(inputs, moved)
    for key in expected:
        torch.testing.assert_close(moved[key], expected[key])
        assert torch.equal(after[key], moved[key])
    for key in state:
        if key.startswith("column1/"):
            assert torch.equal(moved[key], state[key])
            assert not torch.equal(after[key], state[key])


def test_a_network_that_trains_its_output_layer_only_needs_no_pixels_to_learn():
    network = network_of(FF)
    network.freeze_features()
    inputs, _ = network.precompute({"observation": frames()[0]}, {})
    assert set(inputs) == {"column0/stage2"}
    torch.testing.assert_close(network(inputs)[0], network({"observation": frames()[0]})[0])


def test_old_columns_play_from_the_cache_too():
    network = network_of(RECURRENT, FF)
    view = network.view(0)
    state = view.initial_state(N)
    assert set(state) == {"column0/stage2/h", "column0/stage2/c"}
    expected, expected_state = view({"observation": frames()[0]}, state)
    inputs, moved = view.precompute({"observation": frames()[0]}, state)
    assert set(inputs) == {"column0/stage2"}
    torch.testing.assert_close(view(inputs, moved)[0], expected)
    torch.testing.assert_close(moved, expected_state)


def test_a_network_that_trains_entirely_caches_nothing():
    network = network_of(FF)
    inputs, _ = network.precompute({"observation": frames()[0]}, {})
    assert set(inputs) == {"observation"}


def test_cached_maps_are_channels_last_and_in_the_compute_dtype():
    network = network_of(FF, FF)
    for parameter in network.parameters():
        assert parameter.dim() != 4 or parameter.is_contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        inputs, _ = network.precompute({"observation": frames()[0]}, {})
    maps = inputs["column0/stage0"]
    assert maps.dtype == torch.bfloat16
    assert maps.is_contiguous(memory_format=torch.channels_last)


def test_inputs_are_never_written_to():
    network = network_of(FF, FF)
    pixels, before = frames(), frames()
    floats = pixels / 255.0
    network.unroll({"observation": pixels}, {}, torch.zeros(T, N, dtype=torch.bool))
    network.unroll({"observation": floats}, {}, torch.zeros(T, N, dtype=torch.bool))
    assert torch.equal(pixels, before)
    assert torch.equal(floats, before / 255.0)


@pytest.mark.parametrize("laterals", ["linear", "adapter"])
def test_the_output_layer_keeps_full_precision_under_autocast(laterals):
    spec = ColumnSpec((Conv(4, 3), Dense(6)), output_laterals=laterals)
    network = network_of(spec, spec)
    network.freeze_features()
    layer, entering = network.columns[1].output, []
    if laterals == "adapter":
        layer.lateral.transfer.register_forward_pre_hook(lambda _, args: entering.append(args[0]))
    with torch.autocast("cpu", torch.bfloat16):
        inputs, _ = network.precompute({"observation": frames()[0]}, {})
        output, _ = network(inputs)
    if laterals == "linear":
        u, source = layer.lateral.transfers[0].weight, inputs["column0/stage1"]
    else:
        u, source = layer.lateral.transfer.weight, entering[0]
    own, w = inputs["column1/stage1"].double(), layer.weight.double()
    expected = own @ w.T + source.double() @ u.double().T + layer.bias
    torch.testing.assert_close(output.double(), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("frozen", [False, True])
def test_layer_after_layer_is_what_is_computed_the_long_way(frozen):
    network = ProgressiveNetwork()
    spec = ColumnSpec((Dense(6), Dense(5)), activation="tanh")
    network.add_column(spec, {"observation": (4,)}, 3, generator(0))
    assert network.newest.straight is not None
    seen = torch.randn(7, 4)
    if frozen:
        network.freeze_features()
    inputs, _ = network.precompute({"observation": seen}, {})
    assert ("observation" in inputs) != frozen
    outputs = [network(given)[0] for given in (inputs, {"observation": seen})]
    hidden = seen
    for stage in network.newest.hidden:
        hidden = torch.tanh(hidden @ stage.weight.T + stage.bias)
    by_hand = hidden @ network.newest.output.weight.T + network.newest.output.bias
    for output in outputs:
        torch.testing.assert_close(output, by_hand)
    network.newest.straight = None
    assert network(inputs)[0].equal(outputs[0])
    network.add_column(spec, {"observation": (4,)}, 3, generator(1))
    assert network.newest.straight is None  # it reads the first


def test_what_is_frozen_later_is_cached_from_then_on():
    network = ProgressiveNetwork()
    network.add_column(ColumnSpec((Dense(6),)), {"observation": (4,)}, 3, generator(0))
    seen = {"observation": torch.randn(2, 4)}
    assert set(network.precompute(seen, {})[0]) == {"observation"}
    network.freeze_features()
    assert set(network.precompute(seen, {})[0]) == {"column0/stage0"}
    network.unfreeze()
    assert set(network.precompute(seen, {})[0]) == {"observation"}
