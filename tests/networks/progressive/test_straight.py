"""Columns in few calls against their stages; gradients that are written out, and autograd's."""

import copy
import pickle

import pytest
import torch

from colonnade.networks import ColumnSpec, Conv, Dense, ProgressiveNetwork

SHAPE = {"observation": (2, 3)}
STARTS = torch.zeros(5, 4, dtype=torch.bool)


def network(spec: ColumnSpec, shapes=SHAPE) -> ProgressiveNetwork:
    made = ProgressiveNetwork()
    made.add_column(spec, shapes, 3, torch.Generator().manual_seed(0))
    return made


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("units", [(6, 5), (7,), (4, 4, 4)])
@pytest.mark.parametrize("kind", [torch.float32, torch.uint8])
def test_gradients_are_those_of_autograd(activation, units, kind):
    ours = network(ColumnSpec(tuple(map(Dense, units)), activation=activation))
    theirs = copy.deepcopy(ours)
    inputs = {"observation": (torch.rand(5, 4, 2, 3) * 255).to(kind)}
    by_output = torch.randn(20, 3)
    run = ours.differentiated()
    assert run is not None
    output, back = run(inputs, STARTS)
    assert not output.requires_grad
    back(by_output)
    expected, _ = theirs.unroll(inputs, {}, STARTS)
    expected.flatten(0, 1).backward(by_output)
    torch.testing.assert_close(output, expected.flatten(0, 1), rtol=1e-6, atol=1e-6)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert mine.grad.is_contiguous()
        torch.testing.assert_close(mine.grad, other.grad, rtol=1e-6, atol=1e-6)


def frozen(net):
    net.freeze_features()


def hooked(net):
    net.newest.hidden[0].register_forward_hook(lambda *_: None)


def hooked_backward(net):
    net.newest.hidden[0].register_full_backward_hook(lambda *_: None)


def hooked_before_backward(net):
    net.newest.output.register_full_backward_pre_hook(lambda *_: None)


def hooked_before(net):
    net.newest.output.register_forward_pre_hook(lambda *_: None)


HOOKED = [hooked, hooked_before, hooked_backward, hooked_before_backward]


def heard(net):
    next(net.parameters()).register_post_accumulate_grad_hook(lambda _: None)


def watched(net):
    next(net.parameters()).register_hook(lambda _: None)


def second(net):
    net.add_column(ColumnSpec((Dense(6), Dense(5))), SHAPE, 3)


def parametrized(net):
    torch.nn.utils.parametrizations.weight_norm(net.newest.hidden[0])


@pytest.mark.parametrize("change", [frozen, *HOOKED, heard, watched, second, parametrized])
def test_what_is_not_plain_is_left_to_autograd(change):
    net = network(ColumnSpec((Dense(6), Dense(5))))
    assert net.differentiated() is not None
    change(net)
    assert net.differentiated() is None


@pytest.mark.parametrize(
    "spec",
    [
        ColumnSpec((Dense(6),), activation="elu"),
        ColumnSpec((Dense(6),), dropout=0.1),
        ColumnSpec((Dense(6),), task_gains=True),
        ColumnSpec((Conv(2, 2, 1), Dense(6))),
    ],
)
def test_what_is_not_layer_upon_layer_is_left_to_autograd(spec):
    assert network(spec, {"observation": (1, 4, 4)}).differentiated() is None


def test_hooks_of_layers_are_called():
    net, seen = network(ColumnSpec((Dense(6), Dense(5)))), []
    net.newest.hidden[1].register_forward_hook(lambda *given: seen.append(given[-1]))
    net({"observation": torch.rand(4, 2, 3)})
    assert [value.shape for value in seen] == [(4, 5)]


def test_a_new_output_layer_is_the_one_that_is_used():
    net = network(ColumnSpec((Dense(6),)))
    net.replace_output(5)
    assert net({"observation": torch.rand(4, 2, 3)})[0].shape == (4, 5)
    run = net.differentiated()
    assert run is not None
    run({"observation": torch.rand(5, 4, 2, 3)}, STARTS)[1](torch.ones(20, 5))
    assert net.newest.output.weight.grad.shape == (5, 6)


def test_a_network_goes_to_other_processes_with_its_layers():
    net = network(ColumnSpec((Dense(6), Dense(5))))
    other = pickle.loads(pickle.dumps(net))
    seen = {"observation": torch.rand(4, 2, 3)}
    assert other(seen)[0].equal(net(seen)[0])
    with torch.no_grad():
        other.newest.output.weight.zero_()  # which the other goes by, and this one does not
    assert other(seen)[0].equal(other.newest.output.bias.expand(4, 3))
    assert not net(seen)[0].equal(other(seen)[0])


FRAMES = {"observation": (4, 20, 20)}


def convolutions(**options) -> ColumnSpec:
    return ColumnSpec((Conv(12, 8, 4), Conv(5, 2), Dense(7)), **options)


@pytest.mark.parametrize("options", [{}, {"activation": "elu"}, {"task_gains": True}])
@pytest.mark.parametrize("kind", [torch.float32, torch.uint8])
@pytest.mark.parametrize("batch", [1, 32])
@pytest.mark.parametrize("half", [False, True])
def test_convolutions_in_few_calls_are_those_of_their_stages_bit_for_bit(
    options, kind, batch, half
):
    net = network(convolutions(**options), FRAMES)
    if options.get("task_gains"):
        net.learn_row(net.add_row())
        with torch.no_grad():
            for name, value in net.named_parameters():
                if ".gains." in name:
                    value.add_(torch.randn_like(value))
    inputs = {"observation": (torch.rand(batch, 4, 20, 20) * 255).to(kind)}
    assert net.newest.straight is not None
    other = {name: torch.randn_like(value) for name, value in net.named_parameters()}
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        mine = gradients(net, inputs)
        with torch.no_grad():
            both = net.twofold(inputs, other)
        net.newest.straight = None
        assert all(map(torch.equal, mine, gradients(net, inputs)))
        with torch.no_grad():
            apart = net(inputs)[0], torch.func.functional_call(net, other, (inputs,))[0]
    assert both is not None
    assert all(map(torch.equal, both, apart))


@pytest.mark.parametrize("laterals", [False, True])
def test_gains_in_half_precision_are_those_of_full(laterals):
    net = network(convolutions(task_gains=True), FRAMES)
    if laterals:
        net.add_column(convolutions(task_gains=True), FRAMES, 3)
    with torch.no_grad():
        for name, value in net.named_parameters():
            if ".gains." in name or name.endswith("bias"):
                value.add_(torch.randn_like(value))
    inputs = {"observation": torch.randint(0, 256, (64, 4, 20, 20), dtype=torch.uint8)}
    full = gradients(net, inputs)
    with torch.autocast("cpu", torch.bfloat16):
        half = gradients(net, inputs)
    for one, other in ((half[:1], full[:1]), (half[1:], full[1:])):
        apart, whole = (torch.cat([value.flatten() for value in values]) for values in (one, other))
        assert (apart - whole).norm() < 0.1 * whole.norm()


def gradients(net, inputs):
    """An output, and the gradients of its squares, by what learns."""
    output = net(inputs)[0]
    learning = [p for p in net.parameters() if p.requires_grad]
    return [output, *torch.autograd.grad(output.square().sum(), learning)]


def test_what_is_not_given_stays_its_own():
    net = network(convolutions(), FRAMES)
    inputs = {"observation": torch.rand(3, 4, 20, 20)}
    with torch.no_grad():
        own, other = net.twofold(inputs, {"columns.0.output.bias": torch.ones(3)})
    torch.testing.assert_close(other, own - net.newest.output.bias + 1)


def test_a_column_beside_another_does_not_run_twofold():
    net = network(convolutions(), FRAMES)
    net.add_column(convolutions(), FRAMES, 3)
    assert net.twofold({"observation": torch.rand(3, 4, 20, 20)}, {}) is None
