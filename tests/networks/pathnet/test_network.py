"""Modular networks against the slow obvious evaluation: a loop over rows, layers and modules."""

import copy
import json

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.errors import ColonnadeError, UsageError
from colonnade.networks import Conv, Custom, Dense
from colonnade.networks.pathnet.layers import _AffineLayer, summing_gain
from colonnade.networks.pathnet.network import ModularNetwork
from colonnade.networks.pathnet.spec import MODULAR_PRESETS, ModularSpec, modular_preset
from colonnade.ops import parameter_fisher

IMAGE = {"observation": (2, 12, 12)}
MAPS = ModularSpec((Conv(3, 4, 2), Conv(4, 3, 1), Dense(6)), modules=5, active=3)
FLAT = ModularSpec((Dense(7), Dense(6)), modules=5, active=3, last="average", activation="tanh")


def make(spec, shapes=IMAGE, outputs=(4,)):
    torch.manual_seed(1)
    network = ModularNetwork(spec, shapes)
    for count in outputs:
        network.add_head(count)
    return network


def slow(network, row, path, head=-1):
    """One row [...], module by module, in float64."""
    x = row.double() / (255 if row.dtype == torch.uint8 else 1)
    act = torch.relu if network.spec.activation == "relu" else torch.tanh
    for stage, modules, layer in zip(network.spec.layers, path, network.layers, strict=True):
        total = 0
        for index in modules:
            module = layer.bank[index]
            if isinstance(stage, Conv):
                y = F.conv2d(
                    x[None], module.weight.double(), module.bias.double(), stage.stride,
                    stage.padding,
                )[0]  # fmt: skip
            elif isinstance(stage, Dense):
                y = module.weight.double() @ x.flatten() + module.bias.double()
            else:
                y = module.double()(x[None])[0]
            total = total + act(y)
        x = total
    if network.spec.last == "average":
        x = x / len(path[-1])
    out = network.heads[head]
    return out.weight.double() @ x.flatten() + out.bias.double()


@st.composite
def paths(draw, spec, count=1):
    def layer():
        return st.sets(st.integers(0, spec.modules - 1), min_size=1, max_size=spec.active)

    made = [tuple(tuple(sorted(draw(layer()))) for _ in spec.layers) for _ in range(count)]
    return made if count > 1 else made[0]


def frames(count, dtype):
    torch.manual_seed(2)
    if dtype == torch.uint8:
        return torch.randint(0, 256, (count, 2, 12, 12), dtype=dtype)
    return torch.randn(count, 2, 12, 12)


@pytest.mark.parametrize("spec", [MAPS, FLAT], ids=["maps", "flat"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_one_path_is_the_sum_of_its_modules(spec, dtype, data):
    network, x = make(spec), frames(3, dtype)
    path = data.draw(paths(spec))
    output = network(x, path)
    for row in range(3):
        torch.testing.assert_close(output[row].double(), slow(network, x[row], path), atol=1e-4,
                                   rtol=1e-4)  # fmt: skip


@pytest.mark.parametrize("how", ["chosen", "by-module", "automatic"])
@pytest.mark.parametrize("spec", [MAPS, FLAT], ids=["maps", "flat"])
@settings(deadline=None, max_examples=10)
@given(data=st.data())
def test_mixed_paths_are_each_as_if_alone(spec, how, data):
    network, x = make(spec), frames(4, torch.uint8)
    population = data.draw(paths(spec, 4))
    view = network.population_view(population)
    with pytest.MonkeyPatch.context() as patch:
        if how != "automatic":
            patch.setattr(_AffineLayer, "_cheaper_by_module", lambda *_: how == "by-module")
        output, _ = view({"observation": x})
        gradients = torch.autograd.grad(output.square().sum(), list(view.parameters()),
                                        allow_unused=True)  # fmt: skip
    alone = torch.cat([network(x[n : n + 1], path) for n, path in enumerate(population)])
    torch.testing.assert_close(output, alone, atol=1e-5, rtol=1e-4)
    expected = torch.autograd.grad(alone.square().sum(), list(view.parameters()),
                                   allow_unused=True)  # fmt: skip
    for got, want in zip(gradients, expected, strict=True):
        assert (got is None) == (want is None)  # a module that no row uses has no gradient at all
        if want is not None:
            torch.testing.assert_close(got, want, atol=1e-3, rtol=1e-3)


def test_bfloat16_agrees_to_its_precision():
    network, x = make(MAPS), frames(4, torch.uint8)
    population = [((0, 1), (2, 3, 4), (1,)), ((1, 4), (0,), (1, 2, 3))] * 2
    view = network.population_view(population)
    exact, _ = view({"observation": x})
    single = network(x, population[0])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough, _ = view({"observation": x})
        rough_single = network(x, population[0])
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, exact, atol=0.02, rtol=0.05)
    torch.testing.assert_close(rough_single, single, atol=0.02, rtol=0.05)


def test_modules_that_are_not_on_the_path_may_be_anything():
    network, x = make(MAPS), frames(3, torch.float32)
    path = ((0, 2), (1,), (3, 4))
    before = network(x, path)
    with torch.no_grad():
        for layer, modules in zip(network.layers, path, strict=True):
            for index in set(range(5)) - set(modules):
                layer.bank[index].weight.fill_(float("nan"))
    assert torch.equal(network(x, path), before)
    # Mixed rows: none of them uses the others' modules either.
    view = network.population_view([path, ((0,), (1,), (3,)), ((2,), (1,), (4,))])
    assert view({"observation": x})[0].isfinite().all()


@pytest.mark.parametrize("optimizer", [
    lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.1),
    lambda p: torch.optim.Adam(p, 0.1, weight_decay=0.1, fused=True),
    lambda p: torch.optim.RMSprop(p, 0.1, momentum=0.9),
])  # fmt: skip
def test_no_optimiser_moves_modules_off_the_path(optimizer):
    network, x = make(MAPS), frames(3, torch.float32)
    made = optimizer([p for p in network.parameters() if p.requires_grad])

    def step(path):
        made.zero_grad()
        network(x, path).square().sum().backward()
        made.step()

    everything = ((0, 1, 2, 3, 4),) * 3
    for _ in range(3):  # all modules gather momentum
        step(everything)
    before = copy.deepcopy(network)
    path = ((0,), (1, 2), (4,))
    step(path)
    for old, new, active in zip(before.layers, network.layers, path, strict=True):
        for index in range(5):
            same = torch.equal(old.bank[index].weight, new.bank[index].weight)
            assert same == (index not in active)


def test_a_custom_module_is_one_of_the_users_own():
    def factory(shape):
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(shape[0] * 144, 5))

    spec = ModularSpec((Custom(factory, (5,)), Dense(3)), modules=4, active=2)
    network, x = make(spec), frames(3, torch.float32)
    population = [((0, 1), (2,)), ((3,), (0, 1)), ((0,), (2,))]
    output, _ = network.population_view(population)({"observation": x})
    reference = copy.deepcopy(network)
    for n, path in enumerate(population):
        expected = slow(reference, x[n], path)
        torch.testing.assert_close(output[n].double(), expected, atol=1e-5, rtol=1e-4)
    old = [module[1].weight.clone() for module in network.layers[0].bank]
    network.freeze(((2,), (0,)))
    network.reinitialise()
    kept = [torch.equal(a, b[1].weight) for a, b in zip(old, network.layers[0].bank, strict=True)]
    assert kept == [False, False, True, False]
    data = json.loads(json.dumps(network.spec_dict()))
    with pytest.raises(UsageError, match=r"Layer 0 \(Custom\): .* a lambda or another function"):
        ModularNetwork.from_spec(data)
    again = ModularNetwork.from_spec(data, [spec])
    again.load_state_dict(network.state_dict())
    assert again.spec == spec
    path = ((0, 2), (1,))
    assert torch.equal(again(x, path), network(x, path))


def test_modules_of_ones_own_that_are_made_anew_are_like_the_first():
    def lazy(shape):
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(5))

    network = make(ModularSpec((Custom(lazy, (5,)), Dense(3)), modules=4, active=2))
    network.freeze(((2,), (0,)))
    network.reinitialise()
    assert all(p.isfinite().all() for p in network.parameters())
    made = []

    def once(shape):  # from the fifth on, the first again
        made.append(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(shape[0] * 144, 5)))
        return made[-1] if len(made) <= 4 else made[2]

    network = make(ModularSpec((Custom(once, (5,)), Dense(3)), modules=4, active=2))
    network.freeze(((2,), (0,)))
    with pytest.raises(ColonnadeError, match="a module that is in use already"):
        network.reinitialise()


def test_an_input_may_be_a_lone_number():
    network = ModularNetwork(ModularSpec((Dense(3),), modules=3, active=2), {"observation": ()})
    network.add_head(2)
    speed, path = torch.randn(6), ((0, 2),)
    view = network.view(path)
    output, _ = view({"observation": speed})
    hidden = sum(
        (
            speed[:, None] * network.layers[0].bank[m].weight.T + network.layers[0].bank[m].bias
        ).relu()
        for m in path[0]
    )
    torch.testing.assert_close(output, network.heads[0](hidden))
    starts = torch.zeros(3, 2, dtype=torch.bool)
    unrolled, _ = view.unroll({"observation": speed.view(3, 2)}, {}, starts)
    torch.testing.assert_close(unrolled.reshape(6, 2), output)


def test_a_frozen_custom_module_keeps_its_statistics():
    def factory(shape):
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.BatchNorm1d(288))

    network = make(ModularSpec((Custom(factory, (288,)),), modules=2, active=2))
    network.freeze(((0,),))
    view = network.view(((0, 1),))
    view.train()
    view({"observation": frames(3, torch.float32)})
    frozen, free = (module[1].running_mean for module in network.layers[0].bank)
    assert not frozen.any()
    assert free.any()


def test_reinitialising_spares_what_is_frozen_and_renews_the_rest():
    network = make(MAPS)
    network.freeze(((0, 1), (2,), (4,)))
    before = copy.deepcopy(network)
    network.reinitialise()
    for old, new, frozen in zip(before.layers, network.layers, network.frozen, strict=True):
        for index in range(5):
            same = torch.equal(old.bank[index].weight, new.bank[index].weight)
            assert same == (index in frozen)
            assert new.bank[index].weight.requires_grad == (index not in frozen)


def test_forced_modules_are_active_whatever_the_path():
    network, x = make(MAPS), frames(2, torch.float32)
    forced = ((1,), (0, 2), (3,))
    view = network.view(((0, 1), (3,), (4,)), forced=forced)
    assert torch.equal(view(x)[0], network(x, ((0, 1), (0, 2, 3), (3, 4))))
    population = network.population_view([((0,), (3,), (4,)), ((1,), (0,), (3,))], forced=forced)
    torch.testing.assert_close(
        population({"observation": x})[0][1:], network(x[1:], forced), atol=1e-5, rtol=1e-4
    )


def test_unrolling_is_stepping_and_a_new_path_waits_for_the_next_episode():
    network = make(MAPS)
    old = [((0,), (1,), (2,)), ((1, 2), (3,), (0,))]
    new = [((3,), (4,), (1,)), ((0, 4), (2,), (3, 4))]
    view = network.population_view(old)
    x = torch.randint(0, 256, (4, 2, 2, 12, 12), dtype=torch.uint8)
    state = view.initial_state(2)
    view.set_paths(new)
    starts = torch.tensor([[False, False], [False, True], [False, False], [False, False]])
    outputs, inputs, route = [], [], state
    for t in range(4):
        fresh = view.initial_state(2)["route"]
        mask = starts[t][:, None, None]
        route = {"route": torch.where(mask, fresh, route["route"])}
        ready, route = view.precompute({"observation": x[t]}, route)
        inputs.append(ready)
        output, route = view(ready, route)
        outputs.append(output)
    for t in range(4):
        assert torch.allclose(outputs[t][0], network(x[t, :1], old[0])[0], atol=1e-5)
        follows = new[1] if t >= 1 else old[1]
        assert torch.allclose(outputs[t][1], network(x[t, 1:], follows)[0], atol=1e-5)
    stacked = {name: torch.stack([part[name] for part in inputs]) for name in inputs[0]}
    for given_inputs in (stacked, {"observation": x}):
        unrolled, last = view.unroll(given_inputs, state, starts)
        torch.testing.assert_close(unrolled, torch.stack(outputs), atol=1e-5, rtol=1e-4)
        assert torch.equal(last["route"], route["route"])
    one = network.view(old[0])
    unrolled, _ = one.unroll({"observation": x}, {}, starts)
    assert torch.allclose(unrolled[2], network(x[2], old[0]), atol=1e-5)


def test_a_copied_module_computes_the_same():
    network, x = make(MAPS), frames(2, torch.float32)
    network.duplicate(1, 0, 3)
    assert torch.equal(network(x, ((0,), (0,), (1,))), network(x, ((0,), (3,), (1,))))
    network.freeze(((0,), (3,), (1,)))
    with pytest.raises(UsageError, match="Module 3 of layer 1 is frozen"):
        network.duplicate(1, 2, 3)


@pytest.mark.parametrize("name", MODULAR_PRESETS)
def test_a_network_is_rebuilt_from_its_data(name):
    spec = modular_preset(name)
    shapes = {
        "atari": (4, 84, 84), "mini": (2, 16, 16), "vector": (3,), "mnist": (1, 28, 28),
        "cifar-svhn": (3, 32, 32), "labyrinth": (3, 84, 84), "labyrinth-lstm": (3, 84, 84),
    }  # fmt: skip
    network = make(spec, {"observation": shapes[name]}, outputs=(3, 5))
    network.freeze(((0, 1),) * len(spec.layers))
    rebuilt = ModularNetwork.from_spec(network.spec_dict())
    rebuilt.load_state_dict(network.state_dict())
    assert rebuilt.spec == spec
    assert rebuilt.frozen == network.frozen
    grads = [p.requires_grad for p in network.parameters()]
    assert [p.requires_grad for p in rebuilt.parameters()] == grads
    x = torch.rand(2, *shapes[name])
    path = ((0, 2),) * len(spec.layers)
    for head in (0, 1):
        assert torch.equal(rebuilt(x, path, head), network(x, path, head))


@pytest.mark.parametrize("active", [1, 2, 4])
def test_the_gain_keeps_the_mean_square(active):
    torch.manual_seed(0)
    spec = ModularSpec((Dense(400),) * 3, modules=active, active=active, init="orthogonal")
    network = make(spec, {"observation": (400,)})
    x = features = torch.randn(500, 400)
    for layer in network.layers:
        features = layer.along(features, range(active), None)
    # Deeper sums are not normal, so that this is rough by nature; without the gain it is 200 fold.
    ratio = (features.square().mean() / x.square().mean()).item()
    assert ratio == pytest.approx(1, abs=0.6)
    assert summing_gain(1) == pytest.approx(2**0.5)


def test_zero_sum_kernels_are_those_of_the_first_layer_alone():
    layers = (Conv(3, 4, 2), Conv(4, 3, 1), Dense(6))
    specs = [ModularSpec(layers, modules=2, active=2, init=i) for i in ("orthogonal", "zero-sum")]
    plain, made = (make(spec) for spec in specs)
    assert torch.equal(plain.layers[1].bank[1].weight, made.layers[1].bank[1].weight)
    assert torch.equal(plain.heads[0].weight, made.heads[0].weight)
    made.freeze(((0,), (0,), (0,)))
    before = made.layers[0].bank[1].weight.clone()
    made.reinitialise()
    assert not torch.equal(made.layers[0].bank[1].weight, before)
    norm = plain.layers[0].bank[0].weight.norm()
    for module in made.layers[0].bank:
        kernels = module.weight
        torch.testing.assert_close(kernels.sum((1, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
        torch.testing.assert_close(kernels.norm(), 4 * norm)
    grey = torch.full((1, 2, 12, 12), 0.7)
    assert made.layers[0].along(grey, (0, 1), None).abs().max() < 1e-5
    assert plain.layers[0].along(grey, (0, 1), None).abs().max() > 0.1
    with pytest.raises(UsageError, match="kernels of a first convolution, but the first stage is"):
        ModularSpec((Dense(5),), init="zero-sum", modules=2, active=1)


def test_bad_input_is_said_in_one_sentence():
    with pytest.raises(UsageError, match=r"can't use 4 distinct modules .* has 3"):
        ModularSpec((Dense(3),), modules=3, active=4)
    network = make(MAPS)
    with pytest.raises(UsageError, match=r"modules \[5\] of layer 1, which has 5"):
        network.freeze(((0,), (5,), (1,)))
    with pytest.raises(UsageError, match="names modules for 3 layers, but one for 2 came"):
        network.view(((0,), (1,)))
    with pytest.raises(UsageError, match="names no module of layer 1"):
        network.view(((0,), (), (1,)))
    with pytest.raises(UsageError, match="no head 1"):
        network.view(((0,), (1,), (1,)), head=1)
    with pytest.raises(UsageError, match=r"3 environments can't follow 2 paths"):
        network.population_view([((0,), (1,), (1,))] * 2).initial_state(3)
    with pytest.raises(UsageError, match=r"should be \[N, 2, 12, 12\], but came as \[3, 5\]"):
        network(torch.zeros(3, 5), ((0,), (1,), (1,)))
    with pytest.raises(UsageError, match="reads the input 'pixels'"):
        ModularNetwork(ModularSpec((Dense(3),), 2, 1, input="pixels"), IMAGE)
    with pytest.raises(UsageError, match="reads maps"):
        ModularNetwork(ModularSpec((Conv(3, 20, 2),), 2, 1), IMAGE)
    with pytest.raises(UsageError, match="did you mean 'atari'"):
        modular_preset("atary")


def test_weights_put_in_place_of_a_views_own_are_used_and_leave_no_trace():
    network, x = make(FLAT, {"observation": (4,)}), torch.randn(6, 4)
    view = network.view(((0, 1), (1, 2)))
    before = view(x)[0].detach()
    named = {n: p.detach() for n, p in view.named_parameters()}
    zeros = {n: torch.zeros_like(p) for n, p in named.items()}
    assert not torch.func.functional_call(view, zeros, (x,))[0].any()
    assert torch.equal(view(x)[0], before)

    def loss(parameters):
        return torch.func.functional_call(view, parameters, (x,))[0].square().sum()

    found = torch.func.grad(loss)(named)
    view(x)[0].square().sum().backward()
    for name, parameter in view.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(found[name], parameter.grad)
    network.load_state_dict(
        {n: torch.zeros_like(v) for n, v in network.state_dict().items()}, assign=True
    )
    assert not view(x)[0].any()


@pytest.mark.parametrize("how", ["auto", "layers", "vmap"])
def test_the_fisher_of_a_path_is_that_of_the_loop(how):
    network, x = make(FLAT, {"observation": (4,)}), torch.randn(6, 4)
    view = network.view(((0, 1), (1, 2)))
    expected = parameter_fisher(view, [x], how="loop")
    assert any(value.any() for name, value in expected.items() if "bank" in name)
    found = parameter_fisher(view, [x], how=how)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value)
