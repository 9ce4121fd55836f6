"""The Fisher against closed forms, against the slow obvious loop, and against itself."""

import copy
import weakref

import pytest
import torch
from modules import MODULES, Gated, close, conv, fisher_by_loop, mlp
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from colonnade.errors import UsageError
from colonnade.methods import Consolidation
from colonnade.ops import Gaussian, MultiCategorical, gaussian, parameter_fisher
from colonnade.ops.fisher.samples import samples_of
from colonnade.ops.fisher.squared_gradients import SquaredGradients
from colonnade.types import Examples

EXACT = {"rtol": 1e-5, "atol": 1e-8}


def test_softmax_regression_has_the_closed_form():
    """F of W[k, i] is E[p_k (1 - p_k) x_i^2], since d log p_y / d W[k, i] = (1[y=k] - p_k) x_i."""
    model, x = nn.Linear(5, 4), torch.randn(64, 5)
    p = model(x).softmax(-1).detach().double()
    spread = p * (1 - p)
    expected = {
        "weight": (spread.unsqueeze(-1) * x.double().square().unsqueeze(1)).mean(0),
        "bias": spread.mean(0),
    }
    close(parameter_fisher(model, [x]), expected)


def test_linear_gaussian_has_the_closed_form():
    """F of W[k, i] is E[x_i^2] / std^2, whatever the weights."""
    model, x = nn.Linear(5, 3), torch.randn(64, 5)
    fisher = parameter_fisher(model, [x], lambda output: Gaussian(output, std=0.5))
    expected = {
        "weight": 4 * x.double().square().mean(0).expand(3, 5),
        "bias": torch.full((3,), 4.0).double(),
    }
    close(fisher, expected)


@pytest.mark.parametrize("how", ["layers", "vmap", "loop"])
@pytest.mark.parametrize("name", MODULES)
def test_every_way_equals_the_loop(name, how):
    make, shape = MODULES[name]
    model = make().eval()
    x = torch.randn(9, *shape)
    close(parameter_fisher(model, x.split(4), how=how), fisher_by_loop(model, x))


@pytest.mark.parametrize("labels", [2, 8, 9, 10, 17])
def test_any_number_of_labels(labels):
    """One vector fewer than labels is taken through the layers, eight at a time."""
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, labels))
    x = torch.randn(5, 2, 6, 6)
    close(parameter_fisher(model, [x]), fisher_by_loop(model, x))


@pytest.mark.parametrize("name", ["mlp", "conv", "lstm"])
def test_empirical_takes_the_labels_of_the_data(name):
    make, shape = MODULES[name]
    model = make().eval()
    x, y = torch.randn(9, *shape), torch.randint(3, (9,))
    found = parameter_fisher(model, [(x, y)], kind="empirical")
    close(found, fisher_by_loop(model, x, labels=y))


@pytest.mark.parametrize("name", ["mlp", "conv", "lstm"])
@pytest.mark.parametrize("kind", ["exact", "empirical"])
def test_the_batch_size_does_not_matter(name, kind):
    make, shape = MODULES[name]
    model, x, y = make(), torch.randn(256, *shape), torch.randint(3, (256,))
    whole = parameter_fisher(model, [(x, y)], kind=kind)
    for size in (16, 32, 128):
        parts = zip(x.split(size), y.split(size), strict=True)
        close(parameter_fisher(model, parts, kind=kind), whole)


def test_memory_bounds_the_chunk_and_nothing_else():
    model, x = conv(), torch.randn(32, 3, 10, 10)
    close(parameter_fisher(model, [x], max_bytes=1), parameter_fisher(model, [x]))


def test_sampled_labels_come_to_the_exact_fisher_on_average():
    model, x = nn.Linear(3, 3), torch.randn(1, 3)
    many = x.expand(40_000, 3)
    sampled = parameter_fisher(model, [many], kind="sampled")
    again = [
        parameter_fisher(
            model, [many[:50]], kind="sampled", generator=torch.Generator().manual_seed(seed)
        )
        for seed in (1, 1, 2)
    ]
    close(sampled, parameter_fisher(model, [x]), rtol=0.05)
    assert torch.equal(again[0]["weight"], again[1]["weight"])
    assert not torch.equal(again[0]["weight"], again[2]["weight"])


def test_batch_squared_shrinks_with_the_batch_and_warns():
    """Against the per-sample trace, that of squared mean gradients falls as the batch grows."""
    model = mlp()
    x = torch.randn(2048, 7)
    y = model(x).softmax(-1).multinomial(1).squeeze(1)
    true = sum(float(v.sum()) for v in parameter_fisher(model, [(x, y)], kind="empirical").values())
    shares = []
    for size in (16, 64, 256):
        parts = zip(x.split(size), y.split(size), strict=True)
        with pytest.warns(UserWarning, match="square of a mean"):
            wrong = parameter_fisher(model, parts, kind="batch-squared")
        shares.append(sum(float(v.sum()) for v in wrong.values()) / true)
    for share, size in zip(shares, (16, 64, 256), strict=True):
        assert share == pytest.approx(1 / size, rel=0.5)


def test_batch_squared_is_the_square_of_the_mean_gradient():
    model, x, y = mlp(), torch.randn(8, 7), torch.randint(4, (8,))
    nn.functional.cross_entropy(model(x), y).backward()
    expected = {name: p.grad.double().square() for name, p in model.named_parameters()}
    model.zero_grad()
    with pytest.warns(UserWarning, match="to compare"):
        close(parameter_fisher(model, [(x, y)], kind="batch-squared"), expected)


def test_multi_discrete_components_add_up():
    """Independent components: the Fisher of all is the sum of each alone."""
    model, x = mlp(), torch.randn(6, 7)
    whole = parameter_fisher(model, [x], lambda o: MultiCategorical(o, (2, 2)))
    first = fisher_by_loop(model, x, run=lambda m, one: m(one)[:, :2])
    second = fisher_by_loop(model, x, run=lambda m, one: m(one)[:, 2:])
    close(whole, {name: first[name] + second[name] for name in first})


def test_components_of_different_sizes():
    model, x = mlp(), torch.randn(6, 7)
    whole = parameter_fisher(model, [x], lambda o: MultiCategorical(o, (1, 3)))
    close(whole, fisher_by_loop(model, x, run=lambda m, one: m(one)[:, 1:]))


def test_the_value_of_an_actor_critic_is_left_out():
    model, x = mlp(), torch.randn(6, 7)
    fisher = parameter_fisher(model, [x], lambda o: MultiCategorical(o[..., :-1], (3,)))
    close(fisher, fisher_by_loop(model, x, run=lambda m, one: m(one)[:, :-1]))
    assert float(fisher["4.weight"][-1].abs().max()) == 0


def test_q_networks_are_read_as_unit_gaussians():
    """F is E[sum over actions of (d Q_a / d theta)^2]."""
    model, x = mlp(), torch.randn(5, 7)
    expected = {name: torch.zeros_like(p).double() for name, p in model.named_parameters()}
    for one in x:
        for value in model(one):
            model.zero_grad()
            value.backward(retain_graph=True)
            for name, parameter in model.named_parameters():
                expected[name] += parameter.grad.double().square() / len(x)
    model.zero_grad()
    close(parameter_fisher(model, [x], gaussian), expected)


def test_the_network_is_left_as_it_was():
    model = conv().train()
    model[1].eval()
    before = copy.deepcopy(model.state_dict())
    modes = [part.training for part in model.modules()]
    parameter_fisher(model, [torch.randn(8, 3, 10, 10)])
    assert [part.training for part in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_evaluation_mode_and_no_grad_around_do_not_matter():
    model, x = conv(), torch.randn(8, 3, 10, 10)
    expected = parameter_fisher(model.eval(), [x])
    with torch.no_grad():
        close(parameter_fisher(model.train(), [x]), {k: v.double() for k, v in expected.items()})


def test_only_the_parameters_that_are_asked_for():
    model, x = mlp(), torch.randn(4, 7)
    whole = parameter_fisher(model, [x])
    part = parameter_fisher(model, [x], parameters=["2.weight"])
    close(part, {"2.weight": whole["2.weight"].double()})
    model[0].requires_grad_(False)
    assert set(parameter_fisher(model, [x])) == {"2.weight", "2.bias", "4.weight", "4.bias"}


def test_samples_limits_how_many_are_read():
    model, x = mlp(), torch.randn(10, 7)

    def endless():
        while True:
            yield x[:6]
            yield x[6:]

    close(parameter_fisher(model, endless(), samples=10), fisher_by_loop(model, x))
    close(parameter_fisher(model, endless(), samples=3), fisher_by_loop(model, x[:3]))


def test_forward_calls_unusual_modules():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(4, 3)

        def forward(self, *, left, right):
            return {"logits": self.body(torch.cat([left, right], 1))}

    model, x = Two(), torch.randn(5, 4)
    batch = {"left": x[:, :1], "right": x[:, 1:]}
    fisher = parameter_fisher(model, [batch], forward=lambda m, b: m(**b)["logits"])
    close(fisher, fisher_by_loop(model, x, run=lambda m, one: m.body(one)))


def test_modules_beyond_vmap_take_the_loop():
    model, x = Gated(), torch.randn(5, 4, 3)
    with pytest.warns(UserWarning, match="one by one"):
        found = parameter_fisher(model, [x])
    close(found, fisher_by_loop(model, x))


def frozen():
    return mlp().requires_grad_(False)


@pytest.mark.parametrize(
    ("model", "batches", "options", "message"),
    [
        (frozen, [torch.zeros(2, 7)], {}, "parameters that require gradients.*has none"),
        (nn.ReLU, [torch.zeros(2, 7)], {}, "parameters that require gradients, but ReLU has none"),
        (mlp, [], {}, "data set is empty"),
        (mlp, [torch.zeros(0, 7)], {}, "data set is empty"),
        (mlp, [(torch.zeros(2, 7), torch.tensor([1, 4]))], {}, "Label 4 is outside.*0 to 3"),
        (mlp, [(torch.zeros(2, 7), torch.tensor([-1, 0]))], {}, "Label -1 is outside"),
        (mlp, [(torch.zeros(2, 7), torch.zeros(3).long())], {}, r"one length, but.*\[2, 3\]"),
        (mlp, [torch.full((2, 7), torch.nan)], {}, "output is not finite"),
        (mlp, [torch.zeros(2, 7)], {"kind": "empirical"}, "needs the data's labels"),
        (mlp, [torch.zeros(2, 7)], {"kind": "exakt"}, "did you mean 'exact'"),
        (mlp, [torch.zeros(2, 7)], {"how": "loops"}, "did you mean 'loop'"),
        (mlp, [torch.zeros(2, 7)], {"samples": 0}, "at least 1 sample"),
        (mlp, [torch.zeros(2, 7)], {"parameters": ["0.wieght"]}, "did you mean '0.weight'"),
        (mlp, [[1.0, 2.0]], {}, "labels of a batch should be one tensor, but came as a float"),
        (mlp, [{"x": 1.0}], {}, "batches of tensors.*dict that holds float"),
        (mlp, [torch.zeros(2, 7)], {"max_bytes": 0}, "max_bytes must be a whole number.*got 0"),
        (mlp, [torch.zeros(2, 7)], {"samples": 2.5}, "at least 1 sample; got samples=2.5"),
        (mlp, [torch.zeros(2, 7)], {"forward": "logits"}, "forward must be a function"),
        (mlp, [torch.zeros(2, 7)], {"likelihood": "gaussian"}, "likelihood must be a function"),
    ],
)
def test_mistakes_are_named(model, batches, options, message):
    with pytest.raises(UsageError, match=message):
        parameter_fisher(model(), batches, **options)


class HalfLazy(nn.Module):
    def __init__(self):
        super().__init__()
        self.used = nn.Linear(7, 4)
        self.unused = nn.LazyLinear(3)

    def forward(self, x):
        return self.used(x)


def test_lazy_parameters_are_named():
    x = torch.randn(5, 7)
    message = "Parameter 'unused.weight' is lazy, .*; run the network once first"
    with pytest.raises(UsageError, match=message):
        parameter_fisher(HalfLazy(), [x])
    held = Consolidation(HalfLazy(), lam=1.0)
    with pytest.raises(UsageError, match=message):
        held.consolidate([x])
    with pytest.raises(UsageError, match=message):
        held.hold({"unused.weight": torch.ones(3, 7)})
    other = HalfLazy()
    other.unused(x)
    full = Consolidation(other, lam=1.0)
    full.consolidate([x])
    with pytest.raises(UsageError, match=message):
        held.load_state_dict(full.state_dict())
    Consolidation(HalfLazy(), lam=1.0, exclude=["unused.*"]).consolidate([x])
    lazy = nn.Sequential(nn.LazyLinear(4))
    with pytest.raises(UsageError, match=r"Parameter '0.weight' is lazy"):
        parameter_fisher(lazy, [x])
    lazy(x)
    parameter_fisher(lazy, [x])


x, y = torch.zeros(3, 7), torch.tensor([0, 1, 2])


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        (x, r"one batch by itself came, a tensor of shape \[3, 7\]; put it into a list"),
        ((x, y), r"a pair of inputs and labels; put it into a list: \[\(inputs, labels\)\]"),
        ((x, x), "one batch by itself came, a pair"),
        (((x, x), y), "one batch by itself came, a pair"),
        (next(iter(DataLoader(TensorDataset(x, y)))), "one batch by itself came, a pair"),
        ({"x": x}, "one batch by itself came, of type dict"),
        (Examples({"x": x}, y), "one batch by itself came, of type Examples"),
        (5, r"an iterable of batches, such as a DataLoader or \[\(inputs, labels\)\]; got 5"),
        (None, "an iterable of batches.*got None"),
        ("data", "an iterable of batches.*got 'data'"),
        (TensorDataset(x, y), "give a data set by a DataLoader"),
    ],
)
def test_what_is_no_iterable_of_batches_is_refused(batches, message):
    with pytest.raises(UsageError, match=message):
        parameter_fisher(mlp(), batches)
    with pytest.raises(UsageError, match=message):
        Consolidation(mlp(), lam=1.0).consolidate(batches)


@pytest.mark.parametrize(
    "batches",
    [
        [x],
        [x, x],
        (x,),
        (x, x, x),
        [(x, y)],
        [[x, y], [x, y]],
        ((x, y), (x, y)),
        ([x, y], [x, y]),
        iter([(x, y)]),
        {"first": (x, y)}.values(),
        DataLoader(TensorDataset(x, y)),
    ],
)
def test_any_iterable_of_batches_is_taken(batches):
    model = mlp()
    close(parameter_fisher(model, batches), parameter_fisher(model, [x]))


@pytest.mark.parametrize("how", ["auto", "loop"])
def test_outputs_of_many_forms_of_inputs_are_not_kept_for_ever(how):
    model = nn.Linear(2, 3)
    squares = SquaredGradients(model, ["weight", "bias"], how)
    batches = [torch.randn(1, length, 2) for length in range(1, 81)]
    kept = [weakref.ref(squares.output(samples_of(x, None, x.device))) for x in batches]
    assert sum(output() is not None for output in kept) <= 64
    for x in (batches[0], batches[-1]):  # gone, and kept
        torch.testing.assert_close(squares.output(samples_of(x, None, x.device)), model(x))
