"""Modules and batches that a fast way could get wrong: all come to what the plain loop gives."""

import warnings

import pytest
import torch
import torch.nn.functional as F
from modules import MODULES, Recurrent, close, conv, fisher_by_loop, mlp
from torch import nn
from torch.utils.checkpoint import checkpoint

from colonnade.errors import UsageError
from colonnade.ops import gaussian, parameter_fisher
from colonnade.ops.fisher.layer_calls import CallsDiffer, Perturbation
from colonnade.ops.fisher.module_call import ModuleCall
from colonnade.ops.fisher.plans import checked_plan


class Pooled(nn.Module):
    """Takes maps or sequences of any size."""

    def __init__(self, dimensions):
        super().__init__()
        kind = nn.Conv1d if dimensions == 1 else nn.Conv2d
        self.body = kind(2, 4, 3, padding=1)
        self.gain = nn.Parameter(torch.ones(4))
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        hidden = torch.tanh(self.body(x)).flatten(2).sum(-1)
        return self.head(hidden * self.gain)


@pytest.mark.parametrize("how", ["auto", "layers", "vmap"])
@pytest.mark.parametrize("make", [lambda: Pooled(1), lambda: Pooled(2)], ids=["1d", "2d"])
def test_batches_may_differ_in_length(make, how):
    model = make()
    dimensions = model.body.weight.dim() - 2
    sizes = [(5,), (1,), (8,), (5,)] if dimensions == 1 else [(5, 6), (1, 1), (6, 5), (5, 6)]
    batches = [torch.randn(4, 2, *size) for size in sizes]
    parts = [fisher_by_loop(model, batch) for batch in batches]
    expected = {name: sum(part[name] for part in parts) / len(parts) for name in parts[0]}
    close(parameter_fisher(model, batches, how=how), expected)


def test_sequences_may_differ_in_length():
    model = Recurrent(batch_first=True)
    batches = [torch.randn(3, length, 3) for length in (5, 2, 7)]
    parts = [fisher_by_loop(model, batch) for batch in batches]
    expected = {name: sum(part[name] for part in parts) / 3 for name in parts[0]}
    close(parameter_fisher(model, batches), expected)


@torch.jit.script
def scripted_sum(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return torch.tanh(x).sum(1, keepdim=True) * weight.sum()


class Unseen(nn.Module):
    """A weight that a layer uses, and a function that can't be watched."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return self.layer(x) + scripted_sum(x, self.layer.weight) * x[:, :3]


class Dormant(Unseen):
    """The same, where the function is of no effect on the samples that come first."""

    def forward(self, x):
        used = scripted_sum(x, self.layer.weight) * x[:, :3]
        return self.layer(x) + used * (x[:, 3:] > 0)


class Captured(nn.Module):
    """A weight that a function holds on to by itself, beside the module."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.kept = [self.layer.weight]

    def forward(self, x):
        return self.layer(x) + F.linear(torch.tanh(x), self.kept[0])


class Caching(nn.Module):
    """Works a part of itself out on the first call, and keeps it with its graph."""

    def __init__(self):
        super().__init__()
        self.layer, self.encoding, self.kept = nn.Linear(4, 3), nn.Linear(2, 4), None

    def forward(self, x):
        if self.kept is None:
            self.kept = self.encoding(torch.ones(1, 2))
        return self.layer(torch.tanh(x + self.kept))


class Hooked(nn.Module):
    """A weight whose gradient passes through a hook, as those that keep a sparse layer sparse."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        mask = torch.ones(3, 4)
        mask[1] = 0
        self.layer.weight.register_hook(lambda gradient: gradient * mask)

    def forward(self, x):
        return self.layer(x)


@pytest.mark.parametrize("make", [Unseen, Dormant, Captured, Caching, Hooked])
def test_every_use_of_a_parameter_counts(make):
    model, x = make(), torch.randn(6, 4)
    x[:3, 3] = -x[:3, 3].abs()
    x[3:, 3] = x[3:, 3].abs()
    expected = fisher_by_loop(model, x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        close(parameter_fisher(model, [x]), expected)
    close(parameter_fisher(model, [x], how="loop"), expected)


def test_a_parameter_that_is_used_besides_costs_only_its_own_repetition():
    model, x = Unseen(), torch.randn(6, 4)
    close(parameter_fisher(model, [x], how="layers"), fisher_by_loop(model, x))


def test_a_way_that_was_asked_for_and_is_not_sure_is_refused():
    with pytest.raises(UsageError, match=r"can't be computed with how='layers'.*how='auto'"):
        parameter_fisher(Captured(), [torch.randn(2, 4)], how="layers")


def test_layers_that_are_others_than_those_noted_are_noticed():
    """A perturbation that broadcasts, or is left over, would give another gradient in silence."""
    weight, x = torch.randn(3, 2), torch.randn(4, 2)
    with Perturbation({"w": weight}, [torch.zeros(4, 3)]) as watch:
        F.linear(x, weight)
    watch.check_end()
    assert torch.equal(watch.features[0], x)
    with Perturbation({"w": weight}, [torch.zeros(1, 3)]), pytest.raises(CallsDiffer):
        F.linear(x, weight)
    with Perturbation({"w": weight}, []), pytest.raises(CallsDiffer):
        F.linear(x, weight)
    with pytest.raises(CallsDiffer):
        Perturbation({"w": weight}, [torch.zeros(4, 3)]).check_end()


class Checkpointed(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        self.first, self.body = nn.Linear(7, 6), nn.Sequential(nn.Linear(6, 6), nn.Tanh())
        self.head, self.reentrant = nn.Linear(6, 3), reentrant

    def forward(self, x):
        hidden = checkpoint(self.body, self.first(x), use_reentrant=self.reentrant)
        return self.head(hidden)


class Sparse(nn.Module):
    """Embeddings, a bag of them and a product with a sparse matrix."""

    def __init__(self, sparse=True):
        super().__init__()
        self.one = nn.Embedding(9, 4, sparse=sparse)
        self.bag = nn.EmbeddingBag(9, 4, sparse=sparse, mode="sum")
        self.head = nn.Linear(4, 3)
        self.mix = torch.eye(4).to_sparse() if sparse else torch.eye(4)

    def forward(self, x):
        hidden = torch.tanh(self.one(x).sum(1) + self.bag(x))
        return self.head(torch.sparse.mm(self.mix, hidden.T).T if self.mix.is_sparse else hidden)


@pytest.mark.parametrize("how", ["auto", "loop"])
@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointed_layers(reentrant, how):
    model, x = Checkpointed(reentrant), torch.randn(5, 7)
    model.first.weight.grad = torch.ones_like(model.first.weight)
    plain = nn.Sequential(model.first, model.body, model.head)
    names = {id(p): name for name, p in model.named_parameters()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = parameter_fisher(model, [x], how=how)
    assert torch.equal(model.first.weight.grad, torch.ones(6, 7))
    assert model.head.weight.grad is None
    expected = fisher_by_loop(plain, x)
    own = {name: id(p) for name, p in plain.named_parameters()}
    close(found, {names[own[name]]: value for name, value in expected.items()})


def test_the_warning_of_a_fallback_is_a_sentence():
    model, x = Sparse(), torch.randint(9, (5, 3))
    with pytest.warns(UserWarning, match="one by one, which is slow") as caught:
        parameter_fisher(model, [x])
    (ours,) = (str(w.message) for w in caught if "one by one" in str(w.message))
    assert "can't be run on many samples at once: Could not run 'aten::" in ours
    assert "only available for these backends" not in ours
    assert len(ours) < 350
    assert "\n" not in ours


@pytest.mark.parametrize("how", ["auto", "loop"])
def test_sparse_layers(how):
    model, x = Sparse(), torch.randint(9, (5, 3))
    dense = Sparse(sparse=False)
    dense.load_state_dict(model.state_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = parameter_fisher(model, [x], how=how)
    close(found, fisher_by_loop(dense, x))


@pytest.mark.parametrize("how", ["auto", "layers", "vmap", "loop"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["mlp", "conv", "lstm", "twice", "scaled"])
def test_modules_of_16_bits_are_taken_in_32(name, dtype, how):
    make, shape = MODULES[name]
    model, x = make().to(dtype), torch.randn(20, *shape)
    wide = make().eval()
    wide.load_state_dict(model.state_dict())
    found = parameter_fisher(model, x.to(dtype).split(6), how=how)
    assert {value.dtype for value in found.values()} == {torch.float32}
    assert {p.dtype for p in model.parameters()} == {dtype}
    close(found, fisher_by_loop(wide, x.to(dtype).float()))


class Insists(nn.Module):
    """Computes in its own 16 bits, whatever comes."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 2)

    def forward(self, x):
        return self.layer(x.to(torch.bfloat16))


@pytest.mark.parametrize("how", ["auto", "loop"])
def test_a_module_that_insists_on_its_16_bits_is_summed_in_32(how):
    """Of 8 digits a sum of thousands stops growing: 256 + 1 = 256."""
    model = Insists().to(torch.bfloat16)
    x = torch.ones(3000 if how == "auto" else 400, 1)
    p = model(x[:1])[0].detach().float().softmax(-1)
    found = parameter_fisher(model, x.split(100), how=how)
    assert found["layer.bias"].dtype == torch.float32
    torch.testing.assert_close(found["layer.bias"], p * (1 - p), rtol=0.02, atol=0)


def test_a_module_of_16_bits_that_holds_on_to_its_parameters_keeps_them():
    """Copies would miss what reaches the parameters past the module's names."""
    model, x = Captured().to(torch.bfloat16), torch.randn(6, 4).to(torch.bfloat16)
    model.kept = [model.layer.weight]
    expected = fisher_by_loop(model, x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        close(parameter_fisher(model, [x]), expected, rtol=0.02)


def test_parameters_of_32_bits_on_a_base_of_16():
    """An adapter on a frozen base: the base, which may be large, is not copied."""

    class Adapted(nn.Module):
        def __init__(self):
            super().__init__()
            self.base = nn.Linear(7, 4).to(torch.bfloat16).requires_grad_(False)
            self.adapter = nn.Linear(7, 4)

        def forward(self, x):
            assert self.base.weight.dtype == torch.bfloat16
            return self.base(x.to(torch.bfloat16)).float() + self.adapter(x)

    model, x = Adapted(), torch.randn(6, 7)
    expected = fisher_by_loop(model, x)
    found = parameter_fisher(model, [x])
    wanted = {name: expected[name] for name in ("adapter.weight", "adapter.bias")}
    close(found, wanted, rtol=0.01)


def test_the_mode_around_does_not_matter():
    model, x, y = conv(), torch.randn(6, 3, 10, 10), torch.randint(3, (6,))
    expected = parameter_fisher(model, [(x, y)], kind="empirical")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = parameter_fisher(model, [(x, y)], kind="empirical")
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    with torch.inference_mode():
        found = parameter_fisher(model, [(x * 1, y * 1)], kind="empirical")
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert not any(value.is_inference() for value in found.values())


class Drawing(nn.Module):
    """Draws random numbers for each sample, also in evaluation mode; they come to nothing."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(7, 3)

    def forward(self, x):
        return self.layer(x + 0 * torch.rand_like(x))


@pytest.mark.parametrize("how", ["auto", "loop"])
def test_checking_draws_no_random_numbers(how):
    """Only the samples themselves do: together, or one by one."""
    torch.manual_seed(3)
    for shape in [(20, 1, 7)] if how == "auto" else [(1, 7)] * 20:
        torch.rand(shape)
    expected = torch.rand(1)
    torch.manual_seed(3)
    model, x = Drawing(), torch.ones(20, 7)
    torch.manual_seed(3)
    parameter_fisher(model, [x], how=how)
    assert torch.equal(torch.rand(1), expected)


class Named(nn.Module):
    """Returns its output in a wrapping."""

    def __init__(self, wrap):
        super().__init__()
        self.layer, self.wrap = nn.Linear(7, 3), wrap

    def forward(self, x):
        return self.wrap(self.layer(x))


X = torch.randn(2, 7)
Y = torch.tensor([0, 1])


@pytest.mark.parametrize(
    ("wrap", "batch", "message"),
    [
        (lambda o: {"loss": o, "logits": o}, X, r"returned a dict of loss, logits; say which"),
        (lambda o: [o], X, "returned a list, where a tensor"),
        (lambda o: ({"a": o}, o), X, "returned a dict of a"),
        (lambda o: o.squeeze(), X, r"returned shape \[3\] for a batch of one"),
        (lambda o: o.sum(), X, r"returned shape \[\] for a batch of one"),
        (lambda o: o.argmax(1), X, "returned torch.int64, where logits"),
        (lambda o: o.detach(), X, "does not depend on its parameters"),
        (lambda o: o, (X, Y, Y), r"came as a tuple of 3; pick the two.*for x, y, _ in loader"),
        (lambda o: o, (X, (Y, Y)), "labels of a batch should be one tensor, but came as a tuple"),
        (lambda o: o, (X, {"y": Y}), "labels of a batch should be one tensor, but came as a dict"),
        (lambda o: o, (X, Y.numpy()), r"came as a ndarray; make it one by torch.as_tensor\(labels"),
        (lambda o: o, (X, [0, 1]), r"came as a list; make it one by torch.as_tensor\(labels"),
        (lambda o: o, {"x": X, "y": Y}, r"can't be run on a batch of one sample \(TypeError"),
        (lambda o: o, torch.randn(2, 5), r"can't be run on a batch of one sample \(RuntimeError"),
        (lambda o: o, (X, torch.tensor(3)), "must run over samples, but one is a single number"),
        (lambda o: o, torch.tensor(3.0), "must run over samples, but one is a single number"),
        (lambda o: o, (), "came as a tuple of 0"),
    ],
)
def test_batches_and_outputs_of_other_forms_are_named(wrap, batch, message):
    with pytest.raises(UsageError, match=message):
        parameter_fisher(Named(wrap), [batch])


def test_batches_and_outputs_that_can_be_read_are():
    model = Named(lambda o: o)
    expected = {name: value.double() for name, value in parameter_fisher(model, [X]).items()}
    close(parameter_fisher(model, [[X]]), expected)  # as from a TensorDataset of inputs
    close(parameter_fisher(model, [[X, Y]]), expected)
    close(parameter_fisher(model, [(X, Y.to(torch.uint8))]), expected)
    close(parameter_fisher(model, [(X, Y.unsqueeze(1))]), expected)
    picked = Named(lambda o: {"logits": o})
    picked.layer = model.layer
    close(parameter_fisher(picked, [X], forward=lambda m, x: m(x)["logits"]), expected)


def test_a_fisher_that_holds_nothing_is_told():
    model = mlp()
    with torch.no_grad():
        model[4].weight.zero_()
        model[4].bias[0] = 1e4
    with pytest.warns(UserWarning, match="zero for every parameter, and holds nothing"):
        parameter_fisher(model, [torch.randn(2, 7)])


def test_a_module_without_a_part_in_its_output_is_zero():
    model = nn.ModuleDict({"used": nn.Linear(3, 2), "other": nn.Linear(3, 2)})
    found = parameter_fisher(
        model, [torch.randn(4, 3)], gaussian, forward=lambda m, x: m["used"](x)
    )
    assert float(found["used.weight"].min()) > 0
    assert float(found["other.weight"].abs().max()) == 0


@pytest.mark.parametrize("name", ["mlp", "lstm", "twice"])
def test_what_only_layers_use_is_not_repeated(name):
    """All ways agree; that the fast one is taken shows in the plan alone."""
    make, shape = MODULES[name]
    model = make().eval()
    call = ModuleCall(model, dict(model.named_parameters()))
    call.run_by(lambda module, x: module(x.unsqueeze(0)).squeeze(0))
    plan = checked_plan(call, torch.randn(1, *shape), layered=True)
    assert plan.layered.keys() == call.parameters.keys()
    assert not plan.repeated
