"""LSTM stages against PyTorch's own cell, and the gates' laterals by hand."""

import torch

from colonnade.networks import LSTM, ColumnSpec, Dense, ProgressiveNetwork
from colonnade.ops.fisher.layer_calls import Discovery
from colonnade.seeding import generator

VECTOR = {"observation": (5,)}


def test_an_lstm_stage_is_torchs_lstm_with_one_bias_vector():
    network = ProgressiveNetwork()
    network.add_column(ColumnSpec((LSTM(4),)), VECTOR, 2, generator(0))
    stage = network.columns[0].stages[0]
    torch.nn.init.normal_(stage.bias)
    peer = torch.nn.LSTM(5, 4)
    i, f, o, g = range(4)
    order = [i, f, g, o]  # torch's order of gates
    with torch.no_grad():
        for name, own in (("weight_ih_l0", stage.weight), ("weight_hh_l0", stage.recurrent_weight)):
            peer.get_parameter(name).copy_(torch.cat([own.chunk(4)[gate] for gate in order]))
        peer.bias_ih_l0.copy_(torch.cat([stage.bias.chunk(4)[gate] for gate in order]))
        peer.bias_hh_l0.zero_()
    x, h, c = torch.randn(6, 3, 5), torch.randn(3, 4), torch.randn(3, 4)
    expected, (last_h, last_c) = peer(x, (h[None], c[None]))
    state = {"column0/stage0/h": h, "column0/stage0/c": c}
    column = network.columns[0]
    out, after = network.unroll({"observation": x}, state, torch.zeros(6, 3, dtype=torch.bool))
    torch.testing.assert_close(out, expected @ column.output.weight.T + column.output.bias)
    torch.testing.assert_close(after["column0/stage0/h"], last_h[0])
    torch.testing.assert_close(after["column0/stage0/c"], last_c[0])


def test_gradients_through_time_are_those_of_torchs_cell_that_is_reset_by_hand():
    torch.manual_seed(3)
    network = ProgressiveNetwork()
    network.add_column(ColumnSpec((LSTM(4),)), VECTOR, 2, generator(0))
    stage, names = network.columns[0].stages[0], ("weight_ih", "weight_hh")
    peer = torch.nn.LSTMCell(5, 4)
    order = [0, 1, 3, 2]  # torch's order of gates
    with torch.no_grad():
        for name, own in zip(names, (stage.weight, stage.recurrent_weight), strict=True):
            peer.get_parameter(name).copy_(torch.cat([own.chunk(4)[gate] for gate in order]))
        peer.bias_ih.copy_(torch.cat([stage.bias.chunk(4)[gate] for gate in order]))
        peer.bias_hh.zero_()
    x, weights = torch.randn(7, 3, 5), torch.randn(7, 3, 4)
    starts = torch.rand(7, 3) < 0.3
    starts[2] = False  # a step at which nobody begins
    first = [torch.randn(3, 4, requires_grad=True) for _ in range(2)]
    outputs, *_ = stage(x.flatten(0, 1), (), *first, starts)
    (outputs * weights.flatten(0, 1)).sum().backward()
    found = [part.grad for part in (*first, stage.weight, stage.recurrent_weight, stage.bias)]

    again = [part.detach().clone().requires_grad_() for part in first]
    (h, c), total = again, 0
    for step, start, weight in zip(x, starts, weights, strict=True):
        keep = (~start).float().unsqueeze(1)
        h, c = peer(step, (h * keep, c * keep))
        total = total + (h * weight).sum()
    total.backward()
    peers = [
        torch.cat([part.grad.chunk(4)[gate] for gate in order])
        for part in (peer.weight_ih, peer.weight_hh, peer.bias_ih)
    ]
    for own, expected in zip(found, [part.grad for part in again] + peers, strict=True):
        torch.testing.assert_close(own, expected)


def test_the_fisher_sees_the_recurrent_weights_at_work():
    network = ProgressiveNetwork()
    network.add_column(ColumnSpec((LSTM(4),)), VECTOR, 2, generator(0))
    parameters = dict(network.columns[0].stages[0].named_parameters())
    with Discovery(parameters) as watch:
        network({"observation": torch.randn(1, 5)})
    assert [call.weight.name for call in watch.calls] == ["weight", "recurrent_weight"]
    assert not watch.elsewhere


def test_forget_gates_start_open_and_the_other_biases_at_zero():
    network = ProgressiveNetwork()
    network.add_column(ColumnSpec((LSTM(3), LSTM(3, forget_bias=2.5))), VECTOR, 2)
    biases = [stage.bias.view(4, 3) for stage in network.columns[0].stages]
    expected = torch.zeros(4, 3)
    expected[1] = 1.0
    torch.testing.assert_close(biases[0].detach(), expected)
    torch.testing.assert_close(biases[1].detach(), expected * 2.5)


def test_the_gates_read_the_source_lstms_input_and_its_current_output():
    spec = ColumnSpec((Dense(6), LSTM(4)), laterals="linear", activation="tanh")
    network = ProgressiveNetwork()
    for k in range(2):
        network.add_column(spec, VECTOR, 2, generator(1, k))
    x = torch.randn(3, 5)
    a, b = network.columns
    zeros = torch.zeros(3, 4)

    def cell(gates, c):
        i, f, o, g = gates.chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh()

    fc_a = torch.tanh(x @ a.stages[0].weight.T + a.stages[0].bias)
    h_a = cell(fc_a @ a.stages[1].weight.T + a.stages[1].bias, zeros)
    fc_b = torch.tanh(x @ b.stages[0].weight.T + b.stages[0].bias)
    u_fc, u_lstm = (u.weight for u in b.stages[1].lateral.transfers)
    gates = fc_b @ b.stages[1].weight.T + b.stages[1].bias + fc_a @ u_fc.T + h_a @ u_lstm.T
    u_out = b.output.lateral.transfers[0].weight
    expected = cell(gates, zeros) @ b.output.weight.T + h_a @ u_out.T + b.output.bias
    torch.testing.assert_close(network(x)[0], expected)


def test_a_feed_forward_source_feeds_the_gates_too():
    network = ProgressiveNetwork()
    network.add_column(ColumnSpec((Dense(6), Dense(7))), VECTOR, 2, generator(2))
    network.add_column(ColumnSpec((Dense(6), LSTM(4))), VECTOR, 2, generator(3))
    project = network.get_parameter("columns.1.stages.1.lateral.project.weight")
    assert project.shape == (6, 6)
    assert set(network.initial_state(2)) == {"column1/stage1/h", "column1/stage1/c"}


def test_copying_the_output_layer_of_a_recurrent_column_keeps_its_policy():
    spec = ColumnSpec((Dense(6), LSTM(4)), output_laterals="linear", output_init="copy")
    network = ProgressiveNetwork()
    network.add_column(spec, VECTOR, 3, generator(4))
    x, starts = torch.randn(6, 2, 5), torch.zeros(6, 2, dtype=torch.bool)
    starts[3, 0] = True
    before, _ = network.unroll({"observation": x}, network.initial_state(2), starts)
    network.add_column(spec, VECTOR, 3, generator(5))
    after, _ = network.unroll({"observation": x}, network.initial_state(2), starts)
    assert before.abs().max() > 0
    assert torch.equal(before, after)
