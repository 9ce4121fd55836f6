"""Dropout of a column: when it acts, what it leaves out, and that the scale is kept."""

import pytest
import torch

from colonnade.errors import UsageError
from colonnade.methods import Dropout, Finetune
from colonnade.networks import ColumnSpec, Conv, Dense, ProgressiveNetwork
from colonnade.tasks import MiniPongTask, task_from_name


def network(**options):
    torch.manual_seed(0)
    made = ProgressiveNetwork()
    made.add_column(ColumnSpec((Dense(64),), output_gain=1.0, **options), {"x": (32,)}, 3)
    return made


def test_it_acts_in_training_with_gradients_alone():
    net, x = network(dropout=0.5, input_dropout=0.2), torch.rand(4, 32)
    assert not torch.equal(net(x)[0], net(x)[0])
    with torch.no_grad():
        whole = net(x)[0]
        assert torch.equal(whole, net(x)[0])
    assert torch.equal(net.eval()(x)[0], whole)


def test_frozen_columns_are_whole():
    net, x = network(dropout=0.5, input_dropout=0.2), torch.rand(4, 32)
    net.add_column(ColumnSpec((Dense(4),)), {"x": (32,)}, 3)
    assert torch.equal(net(x, column=0)[0], net(x, column=0)[0])


@pytest.mark.parametrize("which", ["dropout", "input_dropout"])
def test_the_share_left_out_and_the_scale(which):
    net = network(**{which: 0.3})
    column = net.column(0)
    with torch.no_grad():  # the output is the mean of hidden units that are the mean of inputs
        for layer in (column.stage(0), column.output):
            layer.weight.fill_(1 / layer.weight.shape[1])
            layer.bias.zero_()
    out = torch.stack([net(torch.ones(1, 32))[0][0, 0] for _ in range(2000)]).detach()
    kept = 32 if which == "input_dropout" else 64
    assert float(out.mean()) == pytest.approx(1, abs=0.02)
    assert float(out.var()) == pytest.approx(0.3 / 0.7 / kept, rel=0.15)
    assert float((out * 0.7 * kept).round().max()) <= kept


def test_a_convolution_drops_its_input_too():
    net = ProgressiveNetwork()
    spec = ColumnSpec((Conv(2, 3, 1),), input_dropout=0.5, output_gain=1.0)
    net.add_column(spec, {"x": (1, 8, 8)}, 2)
    x = torch.full((2, 1, 8, 8), 200, dtype=torch.uint8)
    assert not torch.equal(net(x)[0], net(x)[0])


def test_the_method_sets_the_columns_dropout():
    method = Dropout(ColumnSpec((Dense(5),)), dropout=0.4, input_dropout=0.1)
    method.begin_task(MiniPongTask().spec)
    spec = method.network.newest.spec
    assert (spec.dropout, spec.input_dropout) == (0.4, 0.1)
    again = Dropout()
    again.load_state(*method.state())
    assert again.network.newest.spec == spec


@pytest.mark.parametrize("value", [-0.1, 1.0])
def test_a_probability_out_of_range_is_named(value):
    with pytest.raises(
        UsageError, match="dropout of ColumnSpec must be a number from 0 to below 1"
    ):
        ColumnSpec((Dense(5),), dropout=value)


def test_a_column_of_a_parent_learns_with_dropout_from_then_on():
    task = task_from_name("digits/all", steps=100)
    parent = Finetune(ColumnSpec((Dense(64),)))
    parent.begin_task(task.spec)
    method = Dropout()
    method.load_state(*parent.state())
    network = method.begin_task(task.spec)
    assert method.network.newest.spec.dropout == 0.5
    assert method.network.newest.spec.input_dropout == 0.2
    x = torch.rand(9, *task.spec.input_shapes["observation"])
    network.train()
    assert not torch.equal(network({"observation": x})[0], network({"observation": x})[0])
