"""A user's own modules train, are checkpointed, go on exactly, and say what loading them needs."""

import json
import sys

import pytest
import torch
from interrupting import Interrupting, without_clock
from torch import nn

from colonnade.errors import UsageError
from colonnade.learners import A2C, PPO
from colonnade.methods import (
    EWC,
    Dropout,
    Finetune,
    OutputOnly,
    PathFinetune,
    Progressive,
    RandomColumn,
    Scratch,
)
from colonnade.networks import (
    ColumnSpec,
    Conv,
    Custom,
    Dense,
    ModularNetwork,
    ModularSpec,
    ProgressiveNetwork,
    custom_factories,
)
from colonnade.networks.factories import MissingFactory, import_path
from colonnade.tasks import MiniPongTask
from colonnade.training import (
    Interrupted,
    TrainingOptions,
    read_tensors,
    train_sequence,
    write_tensors,
)

TASKS = [MiniPongTask("pong", steps=150), MiniPongTask("zoom", steps=90)]
OPTIONS = TrainingOptions(num_envs=4, segment_steps=60, curve_steps=60, device="cpu")
PPO_LEARNER = PPO(rollout_steps=15, minibatches=2, epochs=2)


def noisy(shape):
    """Draws random numbers and keeps statistics while it learns."""
    return nn.Sequential(
        nn.Flatten(), nn.LazyLinear(6), nn.BatchNorm1d(6), nn.Dropout(0.3), nn.Linear(6, 5)
    )


class Odd(nn.Module):
    """Keeps a part from learning, shares a weight, and has a name with a slash."""

    def __init__(self):
        super().__init__()
        self.held = nn.Linear(5, 5).requires_grad_(False)
        self.count = nn.Parameter(torch.tensor([3]), requires_grad=False)
        self.one, self.two = nn.Linear(5, 5), nn.Linear(5, 5)
        self.two.weight = self.one.weight
        self.named = nn.ModuleDict({"in/out": nn.Linear(5, 5)})

    def forward(self, x):
        return self.named["in/out"](self.two(self.one(self.held(x))))


def odd(shape):
    return nn.Sequential(*noisy(shape), Odd())


def other(shape):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(5))


class Named(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.linear = nn.Linear(shape[0], 5)

    def forward(self, x):
        return self.linear(x)


def column(factory):
    return ColumnSpec((Conv(4, 4, 2), Custom(factory, (5,)), Dense(6)))


NAMED = column(noisy)
NAMELESS = column(lambda shape: noisy(shape))


def of_task(task, index):
    """Choose a column by the task: code in a function, as a user would write it."""
    if "zoom" in task.id:
        return column(lambda shape: nn.Sequential(*noisy(shape), nn.Tanh()))  # of the same weights
    return column(lambda shape: noisy(shape))


class Low(Finetune):
    """Moves on with its first stage as it is."""

    def release(self):
        self.network.newest.stage(0).freeze()


def train(make, learner, stop=10**6):
    """Train, stopping after every `stop` rollouts; each time a new method knows nothing."""
    recorder = Interrupting(stop)
    for _ in range(30):
        method = make()
        try:
            train_sequence(TASKS, method, learner, seed=1, options=OPTIONS, recorder=recorder)
            return method, recorder
        except Interrupted:
            recorder.resume_for(max(stop, 2))
    pytest.fail("never finished")


@pytest.mark.parametrize(
    ("make", "learner"),
    [
        (lambda: Progressive(NAMED), PPO_LEARNER),
        (lambda: Progressive(NAMELESS), PPO_LEARNER),
        (lambda: Progressive(of_task), A2C(rollout_steps=15)),
        (lambda: Scratch(NAMELESS), A2C(rollout_steps=15)),
        (lambda: RandomColumn(NAMELESS), A2C(rollout_steps=15)),
        (lambda: OutputOnly(NAMELESS), A2C(rollout_steps=15)),
        (lambda: Dropout(of_task), PPO_LEARNER),
        (lambda: EWC(NAMELESS, samples=40), A2C(rollout_steps=15)),
        (
            lambda: PathFinetune(
                ModularSpec((Custom(lambda s: noisy(s), (5,)), Dense(4)), modules=3, active=2)
            ),
            A2C(rollout_steps=15),
        ),
        (lambda: Finetune(column(odd)), PPO_LEARNER),
        (lambda: EWC(column(odd), samples=40), PPO_LEARNER),
        (lambda: Low(column(odd)), PPO_LEARNER),
        (
            lambda: PathFinetune(ModularSpec((Custom(odd, (5,)), Dense(4)), modules=3, active=2)),
            PPO_LEARNER,
        ),
    ],
    ids=[
        "named",
        "lambda",
        "of task",
        "scratch",
        "random",
        "output",
        "dropout",
        "ewc",
        "paths",
        "odd",
        "odd ewc",
        "odd low",
        "odd paths",
    ],
)
def test_interrupted_training_ends_with_the_same_numbers(make, learner):
    expected, reference = train(make, learner)
    method, recorder = train(make, learner, stop=3)
    assert without_clock(recorder.history) == without_clock(reference.history)
    assert recorder.kept[1] == reference.kept[1]
    tensors, twins = expected.state()[0], method.state()[0]
    assert any("running_mean" in name for name in tensors)
    assert tensors.keys() == twins.keys()
    for name, value in tensors.items():
        assert torch.equal(value, twins[name]), name


def test_what_a_user_keeps_from_learning_never_learns():
    weights = odd((3,))[-1].held.weight.detach().clone()

    def same(shape):
        made = odd(shape)
        made[-1].held.weight.data.copy_(weights)
        return made

    for method in (
        Finetune(column(same)),
        PathFinetune(ModularSpec((Custom(same, (5,)), Dense(4)), modules=3, active=2)),
    ):
        train(lambda method=method: method, PPO_LEARNER)
        named = dict(method.network.named_parameters())
        held = {name: value for name, value in named.items() if ".held.weight" in name}
        assert held
        assert all(torch.equal(value, weights) for value in held.values())
        assert any(value.requires_grad for value in named.values())


def test_tied_weights_and_names_with_slashes_come_back_from_a_file(tmp_path):
    method = Finetune(column(odd))
    method.begin_task(TASKS[0].spec)
    tensors, meta = method.state()
    write_tensors(tmp_path / "weights.safetensors", tensors, meta)
    again = Finetune(column(odd))
    again.load_state(*read_tensors(tmp_path / "weights.safetensors"))
    found = again.network.state_dict()
    assert all(torch.equal(value, found[name]) for name, value in tensors.items())
    (part,) = (part for part in again.network.modules() if isinstance(part, Odd))
    assert part.one.weight is part.two.weight


def network_of(spec):
    network = ProgressiveNetwork()
    network.add_column(spec, {"observation": (1, 16, 16)}, 3)
    return network


def restored(network, own=()):
    data = json.loads(json.dumps(network.spec_dict()))
    again = ProgressiveNetwork.from_spec(data, own)
    again.load_state_dict(network.state_dict())
    return again


@pytest.mark.parametrize("spec", [NAMED, NAMELESS], ids=["named", "lambda"])
def test_a_network_comes_back_by_the_same_column(spec):
    network, x = network_of(spec).eval(), torch.rand(4, 1, 16, 16)
    decoy = ColumnSpec((Conv(4, 4, 2), Custom(other, (6,)), Dense(6)))
    again = restored(network, [decoy, ColumnSpec(spec.stages[:2]), spec, column(Named)]).eval()
    assert torch.equal(again(x)[0], network(x)[0])
    assert again.spec_dict() == network.spec_dict()


def test_a_named_factory_is_found_by_its_name_wherever_it_stands():
    network = network_of(NAMED)
    elsewhere = ColumnSpec((Custom(other, (5,)), Custom(noisy, (9,))))
    assert restored(network, [elsewhere]).newest.spec == NAMED


def test_a_named_factory_is_imported_where_that_is_said():
    network = network_of(NAMED)
    with custom_factories("import"):
        assert restored(network).newest.spec == NAMED
        assert ColumnSpec.from_dict(json.loads(json.dumps(NAMED.to_dict()))) == NAMED


def test_what_has_a_name(monkeypatch):
    assert import_path(noisy) == f"{__name__}:noisy"
    assert import_path(Named) == f"{__name__}:Named"
    assert import_path(nn.Identity) == "torch.nn.modules.linear:Identity"
    for nameless in (lambda s: noisy(s), Named((3,)), lambda: None, NAMELESS.stages[1].factory):
        assert import_path(nameless) is None

    def local(shape):
        return noisy(shape)

    assert import_path(local) is None
    local.__qualname__ = "noisy"  # a name that leads to another function is none
    assert import_path(local) is None
    local.__module__ = "__main__"  # a script's own, which another script can't import
    monkeypatch.setattr(sys.modules["__main__"], "noisy", local, raising=False)
    assert import_path(local) is None
    assert Custom(f"{__name__}:Named", (5,)) == Custom(Named, (5,))


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A module of the user's that says when it is imported."""
    (tmp_path / "users_nets.py").write_text(
        "from torch import nn\n"
        "def make(shape):\n"
        "    return nn.Sequential(nn.Flatten(), nn.LazyLinear(5))\n"
        "THREE = 3\n"
        "LAYER = nn.Linear(6, 5)\n"
    )
    (tmp_path / "broken_nets.py").write_text("raise RuntimeError('no such GPU\\nhere')\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "users_nets"
    sys.modules.pop("users_nets", None)


def test_reading_data_imports_nothing(package):
    data = ColumnSpec((Dense(4), Custom("users_nets:make", (5,)))).to_dict()
    assert data["stages"][1] == {
        "kind": "custom", "factory": "users_nets:make", "out_shape": [5], "laterals": None,
    }  # fmt: skip
    del sys.modules["users_nets"]
    spec = ColumnSpec.from_dict(data)
    assert spec.stages[1].factory == MissingFactory("users_nets:make")
    assert spec.to_dict() == data
    with pytest.raises(UsageError, match="'users_nets:make', which is code, and code that a file"):
        network_of(spec)
    with custom_factories("stand-in"):
        network = network_of(spec)
    assert network.spec_dict()["columns"][0]["spec"] == data
    with pytest.raises(UsageError, match="can't compute: its module is made by"):
        network(torch.rand(1, 1, 16, 16))
    assert "users_nets" not in sys.modules
    with custom_factories("import"):
        network_of(ColumnSpec.from_dict(data))(torch.rand(1, 1, 16, 16))
    assert "users_nets" in sys.modules
    with pytest.raises(UsageError):  # outside of the block as before
        network_of(ColumnSpec.from_dict(data))


def build(*stages, **options):
    return lambda: network_of(ColumnSpec(tuple(stages), **options))


def raising(shape):
    raise KeyError("no such shape")


class Extra(nn.Linear):
    def get_extra_state(self):
        return {"seen": 3}


ONE, HALF = nn.Linear(5, 5), nn.Dropout(0.5)

MISTAKES = {
    "no such package": (lambda: Custom("users_nts:make", (5,)), r"\(ModuleNotFoundError: .*PYTHON"),
    "no such name": (lambda: Custom("users_nets:mak", (5,)), "did you mean 'make'"),
    "no function": (lambda: Custom("users_nets:THREE", (5,)), "must be a function that .*; got 3"),
    "a module by its path": (
        lambda: Custom("users_nets:LAYER", (5,)),
        "'users_nets:LAYER' must be a function that .*; got the module Linear itself",
    ),
    "a module for a factory": (
        lambda: Custom(nn.Linear(6, 4), (4,)),
        "factory of Custom must be a function that .*; got the module Linear itself",
    ),
    "a broken module": (lambda: Custom("broken_nets:make", (5,)), r"\(RuntimeError: no such GPU\)"),
    "no path": (lambda: Custom("users_nets", (5,)), "import path as 'my_package.nets:make_stage'"),
    "code for a path": (lambda: Custom("os;x:make", (5,)), "but came as 'os;x:make'"),
    "no factory": (lambda: Custom(None, (5,)), "Custom must be a function that .*; got None"),
    "a number for a shape": (lambda: Custom(noisy, 5), "out_shape of Custom must be a list; got 5"),
    "half a unit": (lambda: Custom(noisy, (2.5,)), r"out_shape\[0\] of Custom must be a whole"),
    "a factory that fails": (
        build(Dense(4), Custom(raising, (5,))),
        r"Column 0, stage 1 \(Custom\): its factory fails for features of shape \(4,\): KeyError",
    ),
    "a factory of no module": (build(Custom(lambda s: 3, (5,))), "a torch.nn.Module, but made 3"),
    "another input": (
        build(Dense(4), Custom(lambda s: nn.Linear(3, 5), (5,))),
        r"stage 1 \(Custom\): its module can't read features of shape \(4,\) \(RuntimeError: mat1",
    ),
    "another output": (
        build(Dense(4), Custom(lambda s: nn.Linear(4, 7), (5,))),
        r"states out_shape \(5,\), but its module gave \(7,\)",
    ),
    "other things than tensors": (
        build(Dense(4), Custom(lambda s: Extra(4, 5), (5,))),
        "keeps a dict as '_extra_state', but files of weights hold tensors alone",
    ),
    "no batch axis": (
        build(Dense(4), Custom(lambda s: nn.Flatten(0), (5,))),
        r"states out_shape \(5,\), but its module gave \(\)",
    ),
    "two outputs": (build(Dense(4), Custom(lambda s: nn.LSTM(4, 5), (5,))), "but gave a tuple"),
    "one module for two stages": (
        build(Custom(other, (5,)), Custom(lambda s: ONE, (5,)), Custom(lambda s: ONE, (5,))),
        r"Column 0, stage 2 \(Custom\): its factory gave a module that is in use already",
    ),
    "one module for two columns": (
        lambda: grown(ColumnSpec((Dense(5), Custom(lambda s: ONE, (5,))))),
        r"Column 1, stage 1 \(Custom\): its factory gave a module that is in use already",
    ),
    "one module for a lateral": (
        lambda: grown(
            ColumnSpec((Dense(5), Dense(5))),
            ColumnSpec((Dense(5), Custom(lambda s: ONE, (5,))), laterals="linear"),
        ),
        r"Column 1, stage 1 \(Custom\): its factory gave a module that is in use already",
    ),
    "one dropout for two columns": (
        lambda: grown(ColumnSpec((Custom(lambda s: nn.Sequential(*other(s), HALF), (5,)),))),
        r"Column 1, stage 0 \(Custom\): its factory gave a module that is in use already",
    ),
    "one module for a whole layer": (
        lambda: ModularNetwork(
            ModularSpec((Dense(5), Custom(lambda s: ONE, (5,))), 2, 1), {"observation": (3,)}
        ),
        r"Layer 1 \(Custom\): its factory gave a module that is in use already",
    ),
    "a modular layer's output": (
        lambda: PathFinetune(ModularSpec((Custom(other, (6,)),), 2, 1)).begin_task(TASKS[0].spec),
        r"Layer 0 \(Custom\): .* states out_shape \(6,\), but its module gave \(5,\)",
    ),
    "a lambda that is not given again": (
        lambda: restored(network_of(NAMELESS)),
        r"Column 0, stage 1 \(Custom\): its module was made by a lambda .* only its weights were",
    ),
    "another shape at its place": (
        lambda: restored(network_of(NAMELESS), [ColumnSpec((Dense(3), Custom(other, (6,))))]),
        "its module was made by a lambda",
    ),
    "a name that is not given again": (
        lambda: restored(network_of(NAMED), [column(other)]),
        "code that a file names is not imported unasked",
    ),
    "a factory that has changed": (
        lambda: Progressive(column(Named)).load_state(*begun(NAMELESS).state()),
        "can't read features",
    ),
    "another factory at its place": (
        lambda: Progressive(column(other)).load_state(*begun(NAMELESS).state()),
        r"weights are not those of the network that was built \(.*module",
    ),
    "a path in data": (
        lambda: ColumnSpec.from_dict(
            {"stages": [{"kind": "custom", "factory": 3, "out_shape": [5]}]}
        ),
        "'my_package.nets:make_stage', but came as 3",
    ),
}  # fmt: skip


def grown(*specs):
    network_of(specs[0]).add_column(specs[-1], {"observation": (1, 16, 16)}, 3)


def begun(spec):
    method = Progressive(spec)
    method.begin_task(TASKS[0].spec)
    return method


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_answered_in_one_sentence_before_any_work(mistake, package):
    attempt, sentence = MISTAKES[mistake]
    with pytest.raises(UsageError, match=sentence) as raised:
        attempt()
    assert "\n" not in str(raised.value)
    assert str(raised.value)[-1] in ".?"


def test_trying_a_stage_out_moves_nothing():
    network = network_of(NAMED)
    norm = next(m for m in network.modules() if isinstance(m, nn.BatchNorm1d))
    assert not norm.running_mean.any()
    assert not norm.num_batches_tracked
    assert all(module.training for module in network.modules())


def test_a_state_that_stands_in_for_code_cannot_be_trained(package):
    spec = ColumnSpec((Custom("users_nets:make", (5,)),))
    with custom_factories("stand-in"):
        method = Finetune(ColumnSpec.from_dict(spec.to_dict()))
        network = method.begin_task(TASKS[0].spec)
    with pytest.raises(UsageError, match="can't compute"):
        network(torch.zeros(2, *TASKS[0].spec.input_shapes["observation"]))
