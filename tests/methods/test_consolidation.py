"""`Consolidation` in a loop of one's own: what it holds, what it lets be, and what it refuses."""

import copy
import io
import math

import pytest
import torch
import torch.nn.functional as F
from modules import mlp
from torch import nn

from colonnade.errors import UsageError
from colonnade.methods import Consolidation
from colonnade.ops import bernoulli, gaussian, parameter_fisher


def batch():
    return torch.randn(8, 7), torch.randint(4, (8,))


def test_one_anchor_sums_fishers_and_online_decays_them():
    """With curvatures 1 and 1 a step apart: each anchor pulls, or the latest alone."""
    values = {}
    for name, options in {
        "each": {},
        "latest": {"anchors": "latest"},
        "online": {"anchors": "latest", "decay": 0.5},
    }.items():
        model = nn.Linear(1, 1, bias=False)
        held = Consolidation(model, lam=2.0, **options)
        for place in (0.0, 1.0):
            model.weight.data.fill_(place)
            held.hold({"weight": torch.ones(1, 1)})
        model.weight.data.fill_(3.0)
        values[name] = float(held.penalty().detach())
    assert values == {"each": 3**2 + 2**2, "latest": 2 * 2**2, "online": 1.5 * 2**2}


def toy_tasks():
    """Two tasks of two classes in eight dimensions, each of which uses half of them."""
    tasks = []
    for half in (slice(0, 4), slice(4, 8)):
        x = torch.randn(400, 8)
        x[:, half] *= 3
        y = (x[:, half].sum(1) > 0).long()
        tasks.append([(x[i : i + 40], y[i : i + 40]) for i in range(0, 400, 40)])
    return tasks


def forgetting(lam, directly=False):
    """Train on one task after another, and return the share of the first that is still right."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    consolidation = Consolidation(model, lam=lam)
    tasks = toy_tasks()
    for loader in tasks:
        for _ in range(15):
            for x, y in loader:
                loss = F.cross_entropy(model(x), y)
                if consolidation.tasks and not directly:
                    loss = loss + consolidation.penalty()
                optimizer.zero_grad()
                loss.backward()
                if directly:
                    consolidation.add_gradient()
                optimizer.step()
        consolidation.consolidate(loader)
    model.eval()
    return [
        float(torch.cat([model(x).argmax(1) == y for x, y in task]).float().mean())
        for task in tasks
    ]


def test_a_loop_of_ones_own_forgets_less():
    free, held = forgetting(0.0), forgetting(100.0)
    assert free[0] < 0.6
    assert held[0] > 0.8
    assert held[1] > 0.85
    assert forgetting(100.0, directly=True) == pytest.approx(held, abs=0.02)


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.AdamW])
@pytest.mark.parametrize("directly", [True, False])
def test_a_layer_that_is_frozen_after_a_task_stays(optimizer, directly):
    """An optimiser moves whatever has a gradient, be it zero, by its weight decay alone."""
    model, (x, y) = mlp(), batch()
    consolidation = Consolidation(model, lam=10.0)
    consolidation.consolidate([(x, y)])
    model[0].requires_grad_(False)
    for parameter in model.parameters():
        parameter.data += 0.01
    before = copy.deepcopy(model.state_dict())
    step = optimizer(model.parameters(), lr=0.1, weight_decay=0.5)
    for _ in range(3):
        step.zero_grad()
        loss = F.cross_entropy(model(x), y)
        (loss if directly else loss + consolidation.penalty()).backward()
        if directly:
            consolidation.add_gradient()
        step.step()
    moved = {n for n, v in model.state_dict().items() if not torch.equal(v, before[n])}
    assert moved == {"2.weight", "2.bias", "4.weight", "4.bias"}
    assert model[0].weight.grad is None
    model[0].requires_grad_(True)
    consolidation.add_gradient()
    pull = 10 * consolidation.quadratic.curvature["0.weight"] * 0.01
    torch.testing.assert_close(model[0].weight.grad, pull, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("attached", [True, False])
def test_sparse_gradients_of_an_embedding_get_the_penaltys_too(attached):
    words, labels = torch.randint(9, (8, 3)), torch.randint(5, (8,))
    gradients = []
    for sparse in (False, True):
        torch.manual_seed(0)
        model = nn.EmbeddingBag(9, 5, sparse=sparse)
        consolidation = Consolidation(model, lam=10.0)
        consolidation.consolidate([(words, labels)])
        model.weight.data += 0.1
        if attached:
            consolidation.attach()
        F.cross_entropy(model(words), labels).backward()
        if not attached:
            consolidation.add_gradient()
        gradients.append(model.weight.grad)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_modules_of_16_bits_are_held_in_32(dtype):
    """Over two tasks: curvature, anchor, value and gradient against those in 64 bits."""
    model = mlp().to(dtype)
    consolidation = Consolidation(model, lam=3.0)
    parts = []
    for _ in range(2):
        for parameter in model.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
        fisher = consolidation.consolidate([torch.randn(8, 7).to(dtype)])
        parts.append(({n: p.detach().double() for n, p in model.named_parameters()}, fisher))
    kept = consolidation.quadratic
    for part in (kept.curvature, kept.centre, kept.remainder):
        assert {value.dtype for value in part.values()} == {torch.float32}
    for parameter in model.parameters():
        parameter.data += 0.01 * torch.randn_like(parameter)
    theta = {n: p.detach().double().requires_grad_() for n, p in model.named_parameters()}
    expected = sum(
        1.5 * (fisher[n].double() * (theta[n] - place[n]).square()).sum()
        for place, fisher in parts
        for n in theta
    )
    expected.backward()
    penalty = consolidation.penalty()
    assert float(penalty.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    penalty.backward()
    by_loss = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    consolidation.add_gradient()
    digits = torch.finfo(dtype).eps
    for parameter, other, exact in zip(model.parameters(), by_loss, theta.values(), strict=True):
        largest = float(exact.grad.abs().max())
        for found in (parameter.grad, other):
            torch.testing.assert_close(
                found.double(), exact.grad, rtol=digits, atol=1e-5 * largest + 6e-8
            )


def test_the_order_with_a_gradient_scaler():
    """Unscaled before the penalty's gradient is added, a step is that without a scaler."""
    found = []
    for scaled in (True, False):
        torch.manual_seed(0)
        model, (x, y) = mlp(), batch()
        consolidation = Consolidation(model, lam=10.0)
        consolidation.consolidate([(x, y)])
        for parameter in model.parameters():
            parameter.data += 0.1
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16, enabled=scaled)
        scaler.scale(F.cross_entropy(model(x), y)).backward()
        scaler.unscale_(optimizer)
        consolidation.add_gradient()
        scaler.step(optimizer)
        scaler.update()
        found.append([p.detach() for p in model.parameters()])
    for ours, plain in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("anchors", ["each", "latest"])
def test_its_state_goes_around_a_file(anchors):
    model, tasks = mlp(), [batch() for _ in range(3)]
    first = Consolidation(model, lam=2.0, anchors=anchors)
    for task in tasks[:2]:
        for parameter in model.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
        first.consolidate([task])
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "consolidation": first.state_dict()}, file)
    kept = first.state_dict()
    before = {name: value.clone() for name, value in kept.items()}
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    other = mlp()
    other.load_state_dict(saved["model"])
    second = Consolidation(other, lam=2.0, anchors=anchors)
    second.load_state_dict(saved["consolidation"])
    assert second.tasks == 2
    for net, held in ((model, first), (other, second)):
        net[0].weight.data += 0.1
        held.consolidate([tasks[2]])
        net[0].weight.data += 0.1
    assert float(second.penalty().detach()) == float(first.penalty().detach()) > 0
    for name, value in first.state_dict().items():
        assert torch.equal(second.state_dict()[name], value), name
    assert all(torch.equal(kept[name], value) for name, value in before.items())


def test_a_state_before_any_task_goes_around():
    held = Consolidation(mlp(), lam=1.0)
    held.load_state_dict(Consolidation(mlp(), lam=1.0).state_dict())
    assert held.tasks == 0
    held.add_gradient()


def test_states_that_do_not_fit_are_named():
    model = mlp()
    held = Consolidation(model, lam=1.0)
    held.consolidate([batch()])
    state, before = held.state_dict(), held.penalty()
    lacking = {n: v for n, v in state.items() if n != "remainder/0.bias"}
    for other, wrong, message in [
        (model, model.state_dict(), "not the state of a consolidation, for it lacks"),
        (model, lacking, "lacks some of a parameter's curvature"),
        (nn.Sequential(nn.Linear(7, 5)), state, r"'0.weight' of shape \[6, 7\]"),
        (nn.Linear(7, 6), state, "'0.weight', which the network no longer has"),
    ]:
        one = Consolidation(other, lam=1.0)
        with pytest.raises(UsageError, match=message):
            one.load_state_dict(wrong)
        assert one.tasks == 0
    assert float(held.penalty().detach()) == float(before.detach())


def test_the_ways_and_the_memory_of_the_fisher_can_be_chosen():
    model, (x, y) = mlp(), batch()
    seen = []

    def forward(network, inputs):
        seen.append(type(inputs))
        return network(inputs)

    for options in ({"how": "loop"}, {"max_bytes": 1}, {}):
        found = Consolidation(model, lam=1.0, forward=forward, **options).consolidate([(x, y)])
        expected = parameter_fisher(model, [(x, y)])
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-9)
        seen.append(options)
    runs = [seen.index(options) for options in ({"how": "loop"}, {"max_bytes": 1}, {})]
    counts = [runs[0], runs[1] - runs[0] - 1, runs[2] - runs[1] - 1]
    assert counts[0] == 1 + 8  # a probe, and each sample by itself
    assert counts[1] == counts[2] + 7  # chunks of one, or all in one


def test_one_logit_is_held_as_a_bernoulli():
    model, x = nn.Linear(3, 1), torch.randn(20, 3)
    y = torch.randint(2, (20,)).float()
    held = Consolidation(model, lam=1.0)
    with pytest.raises(UsageError, match="bernoulli"):
        held.consolidate([(x, y)])
    assert held.tasks == 0
    fisher = held.consolidate([(x, y)], bernoulli)
    assert float(fisher["weight"].min()) > 0
    held.consolidate([(x, y)], gaussian)
    assert held.tasks == 2


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (mlp, {"lam": -1.0}, "lam, the penalty's weight, must be 0 or more; got -1"),
        (mlp, {"lam": "1"}, "must be 0 or more; got '1'"),
        (mlp, {"decay": 0.5}, 'needs anchors="latest"'),
        (mlp, {"decay": None}, "decay must be from 0 to 1; got None"),
        (mlp, {"anchors": "all"}, "Unknown kind of anchors"),
        (mlp, {"kind": "emp"}, "Unknown kind of Fisher 'emp'; did you mean 'empirical'"),
        (mlp, {"how": "fast"}, "Unknown way to compute per-sample gradients 'fast'"),
        (mlp, {"samples": 0}, "at least 1 sample; got samples=0"),
        (mlp, {"samples": True}, "at least 1 sample; got samples=True"),
        (mlp, {"max_bytes": 1.5}, "max_bytes must be a whole number"),
        (mlp, {"forward": "logits"}, "forward must be a function"),
        (mlp, {"exclude": ["*"]}, "no parameter to hold: all are frozen or excluded"),
        (mlp, {"exclude": ["0.wieght"]}, "did you mean '0.weight'"),
        (mlp, {"exclude": ["haed.*"]}, r"Unknown pattern of parameters to exclude 'haed.\*'"),
        (mlp, {"exclude": "0.*"}, "exclude must be a list of patterns"),
        (mlp, {"exclude": None}, "exclude must be a list of patterns, each a text; got None"),
        (mlp, {"exclude": [3]}, r"exclude must be a list of patterns, each a text; got \[3\]"),
        (lambda: mlp().requires_grad_(False), {}, "Sequential has no parameter to hold"),
        (nn.ReLU, {}, "ReLU has no parameter to hold"),
    ],
)
def test_options_are_refused_when_they_are_given(make, options, message):
    with pytest.raises(UsageError, match=message):
        Consolidation(make(), **{"lam": 1.0, **options})


@pytest.mark.parametrize(
    ("curvature", "message"),
    [
        ({"0.bias": torch.ones(1)}, r"'0.bias' must be .* shape \[6\]; got shape \[1\]"),
        ({"0.bias": torch.tensor(1.0)}, r"'0.bias' must be .* shape \[6\]; got shape \[\]"),
        ({"0.bias": 1.0}, r"'0.bias' must be .* shape \[6\]; got 1.0"),
        ({"bias": torch.ones(6)}, "Unknown parameter to hold 'bias'; did you mean"),
        ({}, "The curvature to hold by is of no parameter"),
        ({"0.bias": -torch.ones(6)}, "must be finite and 0 or above"),
        ({"0.bias": torch.full((6,), torch.nan)}, "must be finite and 0 or above"),
    ],
)
def test_curvatures_that_do_not_fit_are_refused(curvature, message):
    held = Consolidation(mlp(), lam=1.0)
    with pytest.raises(UsageError, match=message):
        held.hold(curvature)
    assert held.tasks == 0


@pytest.mark.parametrize("anchors", ["each", "latest"])
@pytest.mark.parametrize("directly", [True, False])
def test_what_is_excluded_is_held_in_no_way(anchors, directly):
    model = mlp()
    whole = Consolidation(model, lam=1.0, anchors=anchors)
    curvature = {name: torch.ones_like(p) for name, p in model.named_parameters()}
    whole.hold(curvature)
    part = Consolidation(model, lam=1.0, anchors=anchors, exclude=["0.*"])
    with pytest.raises(UsageError, match=r"also of '0.weight', which exclude=\['0.\*'\] leaves"):
        part.hold(curvature) if directly else part.load_state_dict(whole.state_dict())
    assert part.tasks == 0
    part.hold({name: curvature[name] for name in part.held()})
    again = Consolidation(model, lam=1.0, anchors=anchors, exclude=["0.*"])
    again.load_state_dict(part.state_dict())
    assert again.tasks == 1


@pytest.mark.parametrize(
    "part", ["curvature/0.bias", "centre/0.bias", "remainder/0.bias", "constant"]
)
@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
def test_states_with_impossible_numbers_are_refused(part, value):
    model = mlp()
    held = Consolidation(model, lam=1.0)
    held.consolidate([batch()])
    state = held.state_dict()
    state[part] = torch.full_like(state[part], value)
    one = Consolidation(model, lam=1.0)
    if value == -1 and part != "curvature/0.bias":
        one.load_state_dict(state)  # below 0 in other places is nothing odd
        return
    with pytest.raises(UsageError, match=r"0\.bias|constant"):
        one.load_state_dict(state)
    assert one.tasks == 0


def test_a_module_that_changed_is_named_with_one_anchor_too():
    model = nn.Sequential(nn.Linear(3, 2))
    consolidation = Consolidation(model, lam=1.0, anchors="latest")
    consolidation.consolidate([torch.randn(4, 3)])
    model[0] = nn.Linear(3, 5)
    with pytest.raises(UsageError, match=r"\[2, 3\], but it now has \[5, 3\]"):
        consolidation.consolidate([torch.randn(4, 3)])


def test_what_only_the_data_can_tell_is_named_too():
    held = Consolidation(mlp(), lam=1.0)
    with pytest.raises(UsageError, match="before any task has ended"):
        held.penalty()
    with pytest.raises(UsageError, match="data set is empty"):
        held.consolidate([])
    held.network.requires_grad_(False)
    with pytest.raises(UsageError, match="all are frozen or excluded"):
        held.consolidate([batch()])


def test_a_module_that_changed_is_named():
    model = nn.Sequential(nn.Linear(3, 2))
    consolidation = Consolidation(model, lam=1.0)
    consolidation.consolidate([torch.randn(4, 3)])
    model[0] = nn.Linear(3, 5)
    with pytest.raises(UsageError, match=r"'0.weight' of shape \[2, 3\], but it now has \[5, 3\]"):
        consolidation.penalty()
    with pytest.raises(UsageError, match=r"\[2, 3\], but it now has \[5, 3\]"):
        consolidation.consolidate([torch.randn(4, 3)])
