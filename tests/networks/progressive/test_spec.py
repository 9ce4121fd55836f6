"""Specs to data and back, and one clear sentence for each thing that does not fit."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from colonnade.errors import UsageError
from colonnade.networks import (
    LSTM,
    ColumnSpec,
    Conv,
    Custom,
    Dense,
    Join,
    ProgressiveNetwork,
    column_preset,
)
from colonnade.networks.initialisation import Initialiser

IMAGE = {"observation": (2, 8, 8)}
counts = st.integers(1, 5)
kinds = st.sampled_from(["adapter", "linear", "none", None])
stages = st.one_of(
    st.builds(Conv, counts, counts, counts, st.integers(0, 2), kinds),
    st.builds(Dense, counts, kinds),
    st.builds(LSTM, counts, kinds, st.floats(-2, 2)),
    st.builds(Join, st.sampled_from(["joints", "pixels"]), counts),
)
specs = st.builds(
    ColumnSpec,
    st.lists(stages, min_size=1, max_size=4).map(tuple),
    laterals=kinds.filter(bool),
    alpha=st.sampled_from([1.0, 0.1, 0.01]),
    scale_per=st.sampled_from(["source", "layer"]),
    activation=st.sampled_from(["relu", "tanh", "elu", "silu"]),
)


@given(specs)
def test_column_specs_survive_json(spec):
    assert ColumnSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_networks_survive_their_spec_and_weights():
    network = ProgressiveNetwork()
    shapes = {"observation": (2, 16, 16), "joints": (3,)}
    network.add_column(column_preset("tiny"), shapes, 4)
    network.add_column(ColumnSpec((Conv(3, 4, 2), Join("joints", 2), LSTM(5))), shapes, 6)
    data = json.loads(json.dumps(network.spec_dict()))
    twin = ProgressiveNetwork.from_spec(data)
    twin.load_state_dict(network.state_dict())
    inputs = {
        "observation": torch.randint(0, 256, (3, 2, 16, 16), dtype=torch.uint8),
        "joints": torch.randn(3, 3),
    }
    assert torch.equal(twin(inputs)[0], network(inputs)[0])
    assert [p.requires_grad for p in twin.parameters()] == [
        p.requires_grad for p in network.parameters()
    ]
    assert twin.spec_dict() == network.spec_dict()


def add(spec, shapes=IMAGE, outputs=3, network=None):
    network = network or ProgressiveNetwork()
    network.add_column(spec, shapes, outputs)
    return network


def make(data):
    return lambda: ColumnSpec.from_dict(data)


def second(spec, first=None, shapes=IMAGE, outputs=3):
    first = first or ColumnSpec((Conv(3, 3), Dense(4)))
    return lambda: add(spec, shapes, outputs, add(first))


CODE = Custom(lambda s: nn.Conv2d(s[0], 2, 3), (2, 9, 9))
COPY = ColumnSpec((Conv(3, 3), Dense(4)), output_laterals="linear", output_init="copy")

MISTAKES = {
    "no stages": (lambda: ColumnSpec(()), "at least one stage"),
    "no maps": (lambda: Conv(0, 3), "maps of Conv must be a whole number at least 1; got 0"),
    "half a unit": (lambda: Dense(0.5), "units of Dense .* got 0.5"),
    "a laterals typo": (lambda: ColumnSpec((Dense(4),), laterals="adaptor"), "mean 'adapter'"),
    "a stage's typo": (lambda: Dense(3, laterals="lineal"), "mean 'linear'"),
    "an activation": (lambda: ColumnSpec((Dense(4),), activation="rellu"), "mean 'relu'"),
    "copying adapters": (
        lambda: ColumnSpec((Dense(4),), output_init="copy"),
        'set output_laterals="linear"',
    ),
    "an unknown field": (make({"stages": [], "laterls": "none"}), "mean 'laterals'"),
    "an unknown stage": (make({"stages": [{"kind": "dence", "units": 3}]}), "mean 'dense'"),
    "a stage's field": (make({"stages": [{"kind": "dense", "unit": 3}]}), "mean 'units'"),
    "a missing field": (make({"stages": [{"kind": "dense"}]}), "lacks 'units'; add it"),
    "no kind": (make({"stages": [{"units": 3}]}), 'with a "kind"'),
    "stages of text": (make({"stages": "dense"}), "must be a list; got 'dense'"),
    "a foreign spec": (lambda: ProgressiveNetwork.from_spec({"cols": []}), "'columns' as list"),
    "an unknown preset": (lambda: column_preset("atary"), "mean 'atari'"),
    "too large a kernel": (
        lambda: add(ColumnSpec((Conv(3, 4, 4), Conv(3, 3)))),
        r"Column 0, stage 1 \(Conv\): its kernel of 3x3 is larger than the map of 2x2",
    ),
    "a convolution of a vector": (
        lambda: add(ColumnSpec((Dense(3), Conv(3, 3)))),
        r"reads maps of shape \(C, H, W\), but its input has shape \(3,\)",
    ),
    "no outputs": (
        lambda: add(ColumnSpec((Dense(3),)), outputs=0),
        "output width must be a whole number at least 1; got 0",
    ),
    "a joined typo": (
        lambda: add(ColumnSpec((Join("joint", 3),)), {**IMAGE, "joints": (3,)}),
        "mean 'joints'",
    ),
    "an input typo": (
        lambda: add(ColumnSpec((Dense(3),), input="pixel"), {"pixels": (3,)}),
        "mean 'pixels'",
    ),
    "an ambiguous input": (
        lambda: add(ColumnSpec((Dense(3),)), {"joints": (3,), "pixels": (2, 8, 8)}),
        r"joints, pixels; say with ColumnSpec\(input=...\)",
    ),
    "maps of another size": (
        second(ColumnSpec((Conv(3, 2, 2), Conv(3, 2))), ColumnSpec((Conv(3, 3), Conv(3, 3)))),
        r"Column 1, stage 1 \(Conv\): its own input has shape \(3, 4, 4\).*\(3, 6, 6\)",
    ),
    "maps of another size, linear": (
        second(
            ColumnSpec((Conv(3, 2, 2), Conv(3, 2)), laterals="linear"),
            ColumnSpec((Conv(3, 3), Conv(3, 3))),
        ),
        r"own features have shape \(3, 3, 3\).*\(3, 6, 6\) gives \(3, 5, 5\)",
    ),
    "a source's input of another shape": (
        second(ColumnSpec((Conv(3, 3), Dense(4))), shapes={"observation": (2, 9, 9)}),
        r"Column 0.*'observation' of shape \(2, 8, 8\), but this task's has shape \(2, 9, 9\)",
    ),
    "a source's input missing": (
        second(ColumnSpec((Dense(3), Dense(4))), shapes={"joints": (4,)}),
        "column 0, which the new column reads, needs 'observation'",
    ),
    "copying another width": (second(COPY, outputs=4), "output width of 3, but has 4"),
    "copying from adapters": (
        lambda: add(COPY, network=add(ColumnSpec((Conv(3, 3), Dense(4))), network=add(COPY))),
        "cannot copy the adapters that feed column 1",
    ),
    "a column too many": (lambda: add(ColumnSpec((Dense(3),))).view(1), "no column 1"),
    "no columns": (lambda: ProgressiveNetwork()({}), "counted from 0, and `add_column`"),
    "another image size": (
        lambda: add(ColumnSpec((Dense(3),)))(torch.zeros(4, 2, 9, 9)),
        r"'observation' should be \[N, 2, 8, 8\], but came as \[4, 2, 9, 9\]",
    ),
    "an unrolled input without time": (
        lambda: add(ColumnSpec((Dense(3),))).unroll(
            {"observation": torch.zeros(4, 2, 8, 8)}, {}, torch.zeros(1, 4, dtype=torch.bool)
        ),
        r"should be \[T, N, 2, 8, 8\]",
    ),
    "another input": (
        lambda: add(ColumnSpec((Dense(3),)))({"pixels": torch.zeros(4, 2, 8, 8)}),
        "reads the input 'observation', but was given only 'pixels'",
    ),
    "no state": (
        lambda: add(ColumnSpec((LSTM(3),)))(torch.zeros(4, 2, 8, 8), {}),
        "state lacks 'column0/stage0/h'",
    ),
    "a module of another shape": (
        lambda: add(ColumnSpec((CODE,))),
        r"Column 0, stage 0 \(Custom\): .* out_shape \(2, 9, 9\), but its module gave \(2, 6, 6\)",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_answered_in_one_clear_sentence(mistake):
    attempt, sentence = MISTAKES[mistake]
    with pytest.raises(UsageError, match=sentence) as raised:
        attempt()
    assert "\n" not in str(raised.value)


def test_a_column_that_does_not_fit_leaves_the_network_as_it_was():
    network = add(ColumnSpec((Conv(3, 3), Dense(4))))
    with pytest.raises(UsageError):
        add(ColumnSpec((Conv(3, 3), Dense(4))), {"observation": (2, 9, 9)}, network=network)
    assert len(network.columns) == 1
    assert all(p.requires_grad for p in network.parameters())


def test_a_column_without_laterals_needs_nothing_of_its_sources():
    spec = ColumnSpec((Dense(3),), laterals="none")
    network = add(spec, {"joints": (4,)}, network=add(ColumnSpec((Conv(3, 3), Dense(4)))))
    assert network({"joints": torch.zeros(2, 4)})[0].shape == (2, 3)


@pytest.mark.parametrize("how", ["orthogonal", "default"])
def test_weights_are_drawn_alike_whatever_their_device(how):
    """So that resuming, with weights on the host, draws what the device would have had."""
    states = []
    for device in ("cpu", "meta"):
        torch.manual_seed(0)
        layer = torch.nn.Linear(3, 4, device=device)
        torch.manual_seed(1)
        Initialiser(how)(layer.weight, layer.bias)
        states.append(torch.get_rng_state())
    assert torch.equal(*states)
