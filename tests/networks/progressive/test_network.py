"""Progressive networks against Eq. 1 and Eq. 2 written out in numpy, and against freezing."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from colonnade.errors import UsageError
from colonnade.networks import (
    ColumnSpec,
    Conv,
    Custom,
    Dense,
    Join,
    ProgressiveNetwork,
    column_preset,
)
from colonnade.seeding import generator

VECTOR = {"observation": (5,)}
IMAGE = {"observation": (2, 8, 8)}


def network_of(*specs, shapes=VECTOR, outputs=3, seed=0):
    network = ProgressiveNetwork()
    for i, spec in enumerate(specs):
        network.add_column(spec, shapes, outputs, generator(seed, i))
    with torch.no_grad():  # so that no bias is zero and no output is small
        for p in network.parameters():
            p.add_(torch.randn(p.shape, generator=generator(seed, "noise", p.numel())) * 0.1)
    return network


def numpy_parameters(network):
    return {name: p.detach().double().numpy() for name, p in network.named_parameters()}


def relu(x):
    return np.maximum(x, 0)


def conv(x, weight, stride):
    """The slow obvious convolution of one image, [C, H, W] to [M, H', W']."""
    maps, _, k, _ = weight.shape
    size = (x.shape[1] - k) // stride + 1
    out = np.zeros((maps, size, size))
    for m in range(maps):
        for i in range(size):
            for j in range(size):
                patch = x[:, i * stride : i * stride + k, j * stride : j * stride + k]
                out[m, i, j] = (patch * weight[m]).sum()
    return out


def test_dense_stages_follow_equation_2():
    spec = ColumnSpec((Dense(4), Dense(6)))
    network = network_of(spec, ColumnSpec((Dense(3), Dense(5))), spec)
    p = numpy_parameters(network)
    x = np.random.default_rng(0).normal(size=5)

    hidden = []  # features of both layers, column by column
    for k in range(3):
        c = f"columns.{k}"
        h1 = relu(p[f"{c}.stages.0.weight"] @ x + p[f"{c}.stages.0.bias"])
        below = [h1]
        for layer, above in (("stages.1", relu), ("output", lambda z: z)):
            total = p[f"{c}.{layer}.weight"] @ below[-1] + p[f"{c}.{layer}.bias"]
            if k > 0:
                lateral = f"{c}.{layer}.lateral"
                scaled = np.concatenate(
                    [p[f"{lateral}.scales"][j] * hidden[j][len(below) - 1] for j in range(k)]
                )
                adapted = relu(
                    p[f"{lateral}.project.weight"] @ scaled + p[f"{lateral}.project.bias"]
                )
                assert len(adapted) == len(below[-1])  # V projects to the new column's own width
                total = total + p[f"{lateral}.transfer.weight"] @ adapted
            below.append(above(total))
        hidden.append(below)
        out, _ = network(torch.tensor(x[None], dtype=torch.float32), column=k)
        np.testing.assert_allclose(out[0].detach().numpy(), below[-1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["adapter", "linear"])
def test_convolutions_and_the_dense_stage_on_them_follow_the_equations(kind):
    first = ColumnSpec((Conv(3, 3), Conv(4, 2, 2), Dense(6)), laterals=kind)
    second = ColumnSpec((Conv(2, 3), Conv(5, 2, 2), Dense(7)), laterals=kind)
    network = network_of(first, second, shapes=IMAGE)
    p = numpy_parameters(network)
    x = np.random.default_rng(1).normal(size=(2, 8, 8))

    def bias(name):
        return p[f"{name}.bias"][:, None, None]

    def adapter(name, source):
        """V as a 1x1 convolution of the scaled maps."""
        v = p[f"{name}.project.weight"][:, :, 0, 0]
        scaled = p[f"{name}.scales"][0] * source
        return relu(np.einsum("mc,chw->mhw", v, scaled) + p[f"{name}.project.bias"][:, None, None])

    a = "columns.0"
    a1 = relu(conv(x, p[f"{a}.stages.0.weight"], 1) + bias(f"{a}.stages.0"))
    a2 = relu(conv(a1, p[f"{a}.stages.1.weight"], 2) + bias(f"{a}.stages.1"))
    a3 = relu(p[f"{a}.stages.2.weight"] @ a2.ravel() + p[f"{a}.stages.2.bias"])
    b = "columns.1"
    b1 = relu(conv(x, p[f"{b}.stages.0.weight"], 1) + bias(f"{b}.stages.0"))
    if kind == "adapter":
        u2 = conv(
            adapter(f"{b}.stages.1.lateral", a1), p[f"{b}.stages.1.lateral.transfer.weight"], 2
        )
        u3 = (
            p[f"{b}.stages.2.lateral.transfer.weight"]
            @ adapter(f"{b}.stages.2.lateral", a2).ravel()
        )
        v = "columns.1.output.lateral"
        u4 = p[f"{v}.transfer.weight"] @ relu(
            p[f"{v}.project.weight"] @ (p[f"{v}.scales"][0] * a3) + p[f"{v}.project.bias"]
        )
    else:
        u2 = conv(a1, p[f"{b}.stages.1.lateral.transfers.0.weight"], 2)
        u3 = p[f"{b}.stages.2.lateral.transfers.0.weight"] @ a2.ravel()
        u4 = p[f"{b}.output.lateral.transfers.0.weight"] @ a3
    b2 = relu(conv(b1, p[f"{b}.stages.1.weight"], 2) + bias(f"{b}.stages.1") + u2)
    b3 = relu(p[f"{b}.stages.2.weight"] @ b2.ravel() + p[f"{b}.stages.2.bias"] + u3)
    expected = p[f"{b}.output.weight"] @ b3 + p[f"{b}.output.bias"] + u4

    out, _ = network(torch.tensor(x[None], dtype=torch.float32))
    np.testing.assert_allclose(out[0].detach().numpy(), expected, rtol=1e-4, atol=1e-5)


def test_pixels_are_scaled_and_other_inputs_are_not():
    network = network_of(ColumnSpec((Conv(3, 3), Dense(4))), shapes=IMAGE)
    pixels = torch.randint(0, 256, (3, 2, 8, 8), dtype=torch.uint8)
    torch.testing.assert_close(network(pixels)[0], network(pixels / 255.0)[0])
    dense = network_of(ColumnSpec((Dense(4),)), shapes=IMAGE)
    torch.testing.assert_close(dense(pixels)[0], dense(pixels.double() / 255)[0])


@pytest.mark.parametrize("source", [0, 1])
@pytest.mark.parametrize("kind", ["adapter", "linear"])
@pytest.mark.parametrize("layer", ["stages.0", "stages.1"])
def test_every_source_column_is_read_at_every_layer(source, kind, layer):
    spec = ColumnSpec((Dense(6), Dense(6), Dense(6)), laterals=kind, activation="tanh")
    network = network_of(spec, spec, spec)
    x = torch.randn(4, 5)
    before, _ = network(x)
    with torch.no_grad():
        network.get_parameter(f"columns.{source}.{layer}.bias").fill_(torch.nan)
    assert network(x)[0].isnan().all()
    assert not before.isnan().any()


def test_gradients_reach_all_laterals_and_no_frozen_column():
    spec = ColumnSpec((Conv(4, 3), Dense(6)), activation="tanh")
    network = network_of(spec, spec, spec, shapes=IMAGE)
    network(torch.randn(4, 2, 8, 8))[0].square().sum().backward()
    for name, p in network.named_parameters():
        assert p.requires_grad == name.startswith("columns.2."), name
        if p.requires_grad:
            assert p.grad.abs().max() > 0, name
            if name.endswith("scales"):  # one for each source, and each moves
                assert (p.grad != 0).all()
        else:
            assert p.grad is None


@pytest.mark.parametrize("alpha", [1.0, 0.1, 0.01])
def test_learned_scalars_start_at_alpha(alpha):
    for scale_per, count in (("source", 2), ("layer", 1)):
        spec = ColumnSpec((Dense(4), Dense(4)), alpha=alpha, scale_per=scale_per)
        network = ProgressiveNetwork()
        for _ in range(3):
            network.add_column(spec, VECTOR, 2)
        scales = [p for name, p in network.named_parameters() if name.endswith("scales")]
        assert len(scales) == 4
        assert scales[-1].tolist() == pytest.approx([alpha] * count)


def test_one_scalar_per_layer_equals_equal_scalars_per_source():
    spec = ColumnSpec((Dense(4), Dense(4)))
    layer = ColumnSpec((Dense(4), Dense(4)), scale_per="layer")
    networks = [ProgressiveNetwork(), ProgressiveNetwork()]
    for network, s in zip(networks, (spec, layer), strict=True):
        for k in range(3):
            network.add_column(s, VECTOR, 2, generator(3, k))
    x = torch.randn(2, 5)
    torch.testing.assert_close(networks[0](x)[0], networks[1](x)[0])


def noisy(shape):
    return nn.Sequential(nn.Linear(shape[0], 6), nn.BatchNorm1d(6), nn.Dropout(0.5))


def test_frozen_columns_never_change_while_the_next_learns():
    spec = ColumnSpec((Custom(noisy, (6,)), Custom(noisy, (6,))))
    network = network_of(spec, spec)
    network.train()
    x = torch.randn(16, 5)
    old = network.view(0)
    before = old(x)[0].clone()
    weights = copy.deepcopy(network.columns[0].state_dict())
    second = network(x)[0].clone()
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], 0.05)
    for _ in range(3):
        network.train()
        old.train()
        optimizer.zero_grad()
        network(torch.randn(16, 5) + 3)[0].square().sum().backward()
        optimizer.step()
    assert torch.equal(old(x)[0], before)
    assert all(torch.equal(weights[n], v) for n, v in network.columns[0].state_dict().items())
    network.eval()
    assert not torch.equal(network(x)[0], second)


def test_a_trainable_custom_stage_keeps_its_training_mode():
    network = network_of(ColumnSpec((Custom(noisy, (6,)),)))
    x = torch.randn(8, 5)
    assert not torch.equal(network(x)[0], network(x)[0])
    network.eval()
    assert torch.equal(network(x)[0], network(x)[0])


def test_playing_adds_and_changes_nothing():
    spec = ColumnSpec((Dense(4), Dense(4)))
    network = network_of(spec, spec)
    before = copy.deepcopy(network.state_dict())
    trainable = [n for n, p in network.named_parameters() if p.requires_grad]
    for k in (0, 1):
        view = network.view(k)
        inputs, state = view.precompute({"observation": torch.randn(3, 5)}, view.initial_state(3))
        view(inputs, state)
        assert not hasattr(view, "add_column")
    assert len(network.columns) == 2
    assert [n for n, p in network.named_parameters() if p.requires_grad] == trainable
    assert all(torch.equal(before[n], v) for n, v in network.state_dict().items())
    assert {id(p) for p in network.view(0).parameters()} == {
        id(p) for p in network.columns[0].parameters()
    }


@pytest.mark.parametrize("laterals", ["linear", "none"])
@pytest.mark.parametrize("columns", [1, 2, 3])
def test_a_copied_output_layer_starts_with_the_very_same_output(columns, laterals):
    source = ColumnSpec((Dense(64), Dense(32)), output_laterals=laterals)
    target = ColumnSpec((Dense(8), Dense(16)), output_laterals="linear", output_init="copy")
    network = network_of(*[source] * columns)
    x = torch.randn(7, 5)
    before, _ = network(x)
    network.add_column(target, VECTOR, 3)
    after, _ = network(x)
    assert torch.equal(before, after)
    assert network.columns[-1].output.weight.abs().max() == 0
    after.square().sum().backward()
    assert network.columns[-1].output.weight.grad.abs().max() > 0


def test_baselines_2_and_3_train_the_output_layer_or_everything():
    network = network_of(ColumnSpec((Custom(noisy, (6,)), Dense(4))))
    network.freeze_features()
    x = torch.randn(8, 5)
    for _ in range(2):
        assert torch.equal(network(x)[0], network(x)[0])
        network.train()
    names = {n for n, p in network.named_parameters() if p.requires_grad}
    assert names == {"columns.0.output.weight", "columns.0.output.bias"}
    network.unfreeze()
    assert all(p.requires_grad for p in network.parameters())
    assert not torch.equal(network(x)[0], network(x)[0])


def test_a_replaced_output_layer_has_the_new_width_and_spares_the_features():
    network = network_of(ColumnSpec((Dense(4), Dense(4))), ColumnSpec((Dense(4), Dense(4))))
    features = copy.deepcopy(network.columns[1].stages.state_dict())
    network.replace_output(7, generator(1))
    assert network(torch.randn(2, 5))[0].shape == (2, 7)
    assert network.spec_dict()["columns"][1]["outputs"] == 7
    assert all(
        torch.equal(features[n], v) for n, v in network.columns[1].stages.state_dict().items()
    )


def test_columns_of_other_depth_are_aligned_from_the_top():
    network = network_of(
        ColumnSpec((Dense(4), Dense(5), Dense(6))),
        ColumnSpec((Dense(7),)),
        ColumnSpec((Dense(8), Dense(9))),
    )
    shapes = {n: tuple(p.shape) for n, p in network.named_parameters() if "project.weight" in n}
    assert shapes == {
        "columns.1.output.lateral.project.weight": (7, 6),
        "columns.2.stages.1.lateral.project.weight": (8, 5),
        "columns.2.output.lateral.project.weight": (9, 6 + 7),
    }


def test_columns_may_differ_in_inputs():
    shapes = {"pixels": (2, 8, 8), "joints": (9,)}
    eyes = ColumnSpec((Conv(3, 3), Dense(6), Dense(6)), input="pixels")
    both = ColumnSpec((Conv(3, 3), Join("joints", 4), Dense(6), Dense(6)), input="pixels")
    body = ColumnSpec((Dense(5), Dense(6)), input="joints")
    network = network_of(eyes, both, body, shapes=shapes)
    inputs = {"pixels": torch.randn(4, 2, 8, 8), "joints": torch.randn(4, 9)}
    base = [network(inputs, column=k)[0] for k in range(3)]
    for name, changed in (("pixels", [True, True, True]), ("joints", [False, True, True])):
        other = {**inputs, name: torch.randn_like(inputs[name])}
        got = [not torch.equal(network(other, column=k)[0], base[k]) for k in range(3)]
        assert got == changed
    # A join is no level: the last column meets the stages above it, joined features included.
    assert network.columns[1].stages[1].out_shape == (3 * 36 + 4,)
    project = network.get_parameter("columns.1.stages.2.lateral.project.weight")
    assert project.shape == (3 * 36 + 4, 3 * 36)


def test_join_concatenates_features_and_the_encoded_input():
    shapes = {"observation": (5,), "joints": (3,)}
    network = network_of(ColumnSpec((Dense(4), Join("joints", 2))), shapes=shapes)
    p = numpy_parameters(network)
    x, q = np.random.default_rng(2).normal(size=(2, 5)), np.ones((2, 3))
    h = relu(x @ p["columns.0.stages.0.weight"].T + p["columns.0.stages.0.bias"])
    e = relu(q @ p["columns.0.stages.1.weight"].T + p["columns.0.stages.1.bias"])
    expected = np.concatenate([h, e], 1) @ p["columns.0.output.weight"].T
    out, _ = network({"observation": torch.tensor(x), "joints": torch.tensor(q)})
    np.testing.assert_allclose(
        out.detach().numpy(), expected + p["columns.0.output.bias"], rtol=1e-4, atol=1e-5
    )


def test_flat_adapters_join_maps_of_other_sizes_into_a_dense_stage():
    coarse = ColumnSpec((Conv(3, 4, 4), Dense(6)))
    fine = ColumnSpec((Conv(4, 3), Dense(6)))
    network = network_of(coarse, fine, shapes=IMAGE)
    project = network.get_parameter("columns.1.stages.1.lateral.project.weight")
    assert project.shape == (4 * 36, 3 * 4)
    network(torch.randn(2, 2, 8, 8))[0].sum().backward()
    assert project.grad.abs().max() > 0


def test_adding_a_column_is_reproducible_and_leaves_the_global_generator_alone():
    spec = ColumnSpec((Dense(4), Custom(lambda s: nn.Linear(s[0], 3), (3,))))
    weights = []
    for noise in (1, 2):
        torch.manual_seed(noise)
        expected = torch.initial_seed(), torch.get_rng_state()
        network = ProgressiveNetwork()
        network.add_column(spec, VECTOR, 2, generator(5, "network"))
        assert torch.equal(torch.get_rng_state(), expected[1])
        assert torch.initial_seed() == expected[0]
        weights.append(network.state_dict())
    assert all(torch.equal(v, weights[1][n]) for n, v in weights[0].items())
    other = ProgressiveNetwork()
    other.add_column(spec, VECTOR, 2, generator(6, "network"))
    name = "columns.0.stages.0.weight"
    assert not torch.equal(other.state_dict()[name], weights[0][name])


def test_orthogonal_weights_have_the_stated_gains():
    network = ProgressiveNetwork()
    network.add_column(ColumnSpec((Dense(5),), output_gain=0.5), VECTOR, 3)
    first, last = network.columns[0].stages[0].weight, network.columns[0].output.weight
    torch.testing.assert_close(first @ first.T, 2 * torch.eye(5), atol=1e-5, rtol=0)
    torch.testing.assert_close(last @ last.T, 0.25 * torch.eye(3), atol=1e-5, rtol=0)
    assert not network.columns[0].stages[0].bias.any()


def test_zero_sum_kernels_are_blind_to_brightness():
    stages = (Conv(6, 4, 2), Conv(5, 3, 1), Dense(7))
    networks = {}
    for init in ("orthogonal", "zero-sum"):
        networks[init] = ProgressiveNetwork()
        spec = ColumnSpec(stages, init=init)
        networks[init].add_column(spec, {"observation": (3, 16, 16)}, 2, generator(5, "network"))
    plain, made = (network.state_dict() for network in networks.values())
    for name in plain:
        if name != "columns.0.stages.0.weight":
            assert torch.equal(plain[name], made[name])
            continue
        torch.testing.assert_close(made[name].sum((1, 2, 3)), torch.zeros(6), atol=1e-5, rtol=0)
        torch.testing.assert_close(made[name].norm(), 4 * plain[name].norm())

    def first_maps(init, frames):
        column = networks[init].columns[0]
        return column.stages[0](frames, [])

    grey = torch.rand(5, 1, 1, 1).expand(5, 3, 16, 16)
    assert first_maps("zero-sum", grey).abs().max() < 1e-5
    assert first_maps("orthogonal", grey).abs().max() > 0.1
    spots = (torch.rand(64, 3, 16, 16) < 0.02) * 0.5 + 0.4
    alive = {init: (first_maps(init, spots) > 0.01).any(0).flatten(1).any(1) for init in networks}
    assert alive["zero-sum"].all()
    assert not alive["orthogonal"].all()


@pytest.mark.parametrize("preset", ["atari", "pong-soup"])
def test_presets_for_atari_see_contrast_alone(preset):
    network = ProgressiveNetwork()
    network.add_column(column_preset(preset), {"observation": (4, 84, 84)}, 7)
    grey = torch.full((1, 4, 84, 84), 0.7)
    assert network.columns[0].stages[0](grey, []).abs().max() < 1e-5


def test_zero_sum_needs_kernels_that_can_sum_to_zero():
    with pytest.raises(UsageError, match="kernels of a first convolution, but the first stage is"):
        ColumnSpec((Dense(5),), init="zero-sum")
    single = ColumnSpec((Conv(3, 1, 1),), init="zero-sum")
    with pytest.raises(UsageError, match="1x1 kernels on a single channel"):
        ProgressiveNetwork().add_column(single, {"observation": (1, 4, 4)}, 2)


def test_new_columns_follow_the_network_to_its_precision():
    network = network_of(ColumnSpec((Dense(4), Dense(4)))).double()
    network.add_column(ColumnSpec((Dense(4), Dense(4))), VECTOR, 3)
    assert network(torch.randn(2, 5, dtype=torch.float64))[0].dtype == torch.float64


@pytest.mark.parametrize("sources", [[7], [-1], ["x"], 3, "0", [0.0]])
@pytest.mark.parametrize("init", ["copy", "random"])
def test_sources_that_are_no_columns_are_named(sources, init):
    plain = ColumnSpec((Dense(4),))
    network = network_of(plain)
    new = ColumnSpec((Dense(4),), output_laterals="linear", output_init=init)
    with pytest.raises(UsageError, match=r"^sources of a column must be a list of .* 0 to 0; got"):
        network.add_column(new, VECTOR, 3, sources=sources)
    assert len(network.columns) == 1
    with pytest.raises(UsageError, match="of which there are none yet"):
        ProgressiveNetwork().add_column(plain, VECTOR, 3, sources=[0])


def test_a_network_stands_beside_itself_once():
    network = network_of(ColumnSpec((Dense(4),)), ColumnSpec((Dense(5),)))
    assert network.stand_beside(network) == 2
    assert [column.sources for column in network.columns] == [None, None, (), (2,)]


def test_an_input_may_be_a_lone_number():
    shapes = {"image": (2, 8, 8), "speed": ()}
    network = ProgressiveNetwork()
    network.add_column(ColumnSpec((Dense(4),), input="speed"), shapes, 3)
    joined = ColumnSpec((Conv(2, 3, 1), Dense(4), Join("speed", 5), Dense(3)), input="image")
    network.add_column(joined, shapes, 3)
    speed, image = torch.randn(6), torch.rand(6, 2, 8, 8)
    output, _ = network.view(0)({"image": image, "speed": speed}, {})
    (stage,) = network.column(0).stages
    hidden = (speed[:, None] * stage.weight.T + stage.bias).relu()
    last = network.column(0).output
    torch.testing.assert_close(output, hidden @ last.weight.T + last.bias)
    inputs = {"image": image, "speed": speed}
    whole = network(inputs)[0]
    apart = [network({"image": image[n : n + 1], "speed": speed[n : n + 1]})[0] for n in range(6)]
    torch.testing.assert_close(whole, torch.cat(apart))
    kept, _ = network.precompute(inputs, {})
    torch.testing.assert_close(network(kept)[0], whole)


def test_of_silent_stages_the_number_of_rows_is_kept():
    network = ProgressiveNetwork()
    network.add_column(ColumnSpec((Dense(4), Dense(1, silent=True))), VECTOR, 3)
    inputs = {"observation": torch.randn(6, 5)}
    kept, state = network.precompute(inputs, {})
    assert torch.equal(network(kept, state)[0], network(inputs)[0])
