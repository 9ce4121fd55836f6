"""What outputs and labels mean: torch's own losses and the Fisher by hand; what does not fit."""

import math
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from modules import close, fisher_by_loop, mlp
from torch import nn

from colonnade.errors import UsageError
from colonnade.ops import Bernoulli, Gaussian, bernoulli, categorical, gaussian, parameter_fisher


def squares_of(model, values, weights=None):
    """Sum of weighted squared gradients of scalars, by parameter name, in float64."""
    named = dict(model.named_parameters())
    totals = {name: torch.zeros_like(p).double() for name, p in named.items()}
    for index, value in enumerate(values):
        found = torch.autograd.grad(value, list(named.values()), retain_graph=True)
        weight = 1.0 if weights is None else float(weights[index].detach())
        for name, gradient in zip(named, found, strict=True):
            totals[name] += weight * gradient.double().square()
    return totals


def test_a_gaussian_is_torchs_own():
    mean, targets = torch.randn(3, 4), torch.randn(3, 4)
    ours, theirs = Gaussian(mean, 0.7), torch.distributions.Normal(mean, 0.7)
    torch.testing.assert_close(ours.log_prob(targets), theirs.log_prob(targets).sum(-1))
    root = torch.stack(list(ours.fisher_root()))
    torch.testing.assert_close(
        torch.einsum("rnd,rne->nde", root, root), (torch.eye(4) / 0.49).expand(3, 4, 4)
    )
    drawn = Gaussian(torch.full((20_000, 1), 3.0), 2.0).sample(torch.Generator().manual_seed(0))
    assert float(drawn.mean()) == pytest.approx(3, abs=0.05)
    assert float(drawn.std()) == pytest.approx(2, abs=0.05)
    for std in (0, -1.0, math.nan, math.inf, "1", None, torch.ones(4), torch.tensor(1.0)):
        with pytest.raises(
            UsageError, match="deviation of a Gaussian must be a number above 0; got"
        ):
            gaussian(mean, std=std)
    assert gaussian(mean, std=np.float32(0.5)).std == 0.5


def test_a_bernoulli_is_torchs_own():
    logits = torch.randn(3, 4) * 5
    ours, theirs = Bernoulli(logits), torch.distributions.Bernoulli(logits=logits)
    answers = theirs.sample()
    torch.testing.assert_close(ours.log_prob(answers), theirs.log_prob(answers).sum(-1))
    assert torch.equal(ours.mode(), (theirs.probs > 0.5).float())
    root = torch.stack(list(ours.fisher_root()))
    torch.testing.assert_close(
        torch.einsum("rnd,rne->nde", root, root), torch.diag_embed(theirs.variance)
    )
    drawn = Bernoulli(torch.full((20_000, 1), -1.0)).sample(torch.Generator().manual_seed(0))
    assert float(drawn.mean()) == pytest.approx(1 / (1 + math.e), abs=0.01)


def test_a_sure_answer_keeps_its_digits():
    root = next(Bernoulli(torch.tensor([[40.0]])).fisher_root())
    assert float(root.double().square()) == pytest.approx(math.exp(-40), rel=1e-5)


@pytest.mark.parametrize("flat", [False, True], ids=["output [B, 1]", "output [B]"])
@pytest.mark.parametrize("labels", [None, "[B]", "as the output"])
def test_one_logit_has_the_closed_form(flat, labels):
    """F of w_i is E[p (1 - p) x_i^2], whose labels come as those of BCE: floats, 0 or 1."""
    model, x = nn.Linear(5, 1), torch.randn(40, 5)
    forward = (lambda m, x: m(x).squeeze(-1)) if flat else None
    y = torch.randint(2, (40,)).float()
    y = y if labels == "[B]" or flat else y.unsqueeze(-1)
    batch = x if labels is None else (x, y)
    p = model(x).detach().double().sigmoid()
    expected = {
        "weight": (p * (1 - p) * x.double().square()).mean(0, keepdim=True),
        "bias": (p * (1 - p)).mean(0),
    }
    close(parameter_fisher(model, [batch], bernoulli, forward=forward), expected)


def test_several_labels_add_up_and_the_empirical_takes_those_of_the_loss():
    model, x, y = mlp(), torch.randn(6, 7), torch.randint(2, (6, 4)).float()
    p = model(x).sigmoid()
    exact = squares_of(model, model(x).flatten(), (p * (1 - p)).flatten() / 6)
    close(parameter_fisher(model, [(x, y)], bernoulli), exact)
    losses = F.binary_cross_entropy_with_logits(model(x), y, reduction="none").sum(1)
    found = parameter_fisher(model, [(x, y)], bernoulli, kind="empirical")
    close(found, squares_of(model, losses, torch.full((6,), 1 / 6)))
    sampled = parameter_fisher(model, [x[:1].expand(4000, 7)], bernoulli, kind="sampled")
    close(sampled, squares_of(model, model(x[:1]).flatten(), (p * (1 - p))[0]), rtol=0.1)


def test_regression_takes_the_loss_of_squares():
    """Half the squared error, summed over the outputs, is minus the log-density."""
    model, x, y = mlp(), torch.randn(6, 7), torch.randn(6, 4)
    losses = 0.5 * (model(x) - y).square().sum(1)
    found = parameter_fisher(model, [(x, y)], gaussian, kind="empirical")
    close(found, squares_of(model, losses, torch.full((6,), 1 / 6)))
    wide = parameter_fisher(model, [(x, y)], partial(gaussian, std=2.0))
    narrow = parameter_fisher(model, [x], gaussian)
    close(wide, {name: value.double() / 4 for name, value in narrow.items()})


def dense(outputs=4):
    return nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.Tanh(), nn.Conv2d(3, outputs, 1))


@pytest.mark.parametrize("how", ["layers", "vmap", "loop"])
@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize("kind", ["exact", "empirical"])
def test_classes_are_on_axis_1_as_in_cross_entropy(kind, ignored, how):
    """Each place [b, h, w] is an entry; its log-probabilities are a softmax over C."""
    model, x = dense(), torch.randn(3, 2, 3, 4)
    y = torch.randint(4, (3, 3, 4))
    if ignored:
        y[0, 1:] = -100
        y[2] = -100
    log_p = model(x).log_softmax(1).movedim(1, -1)
    kept = (y != -100).nonzero().tolist()
    if kind == "exact":
        entries = torch.stack([log_p[b, h, w] for b, h, w in kept]).flatten()
        weights = entries.exp() / len(kept)
    else:
        entries = -F.cross_entropy(model(x), y, reduction="none")[y != -100]
        weights = torch.full((len(kept),), 1 / len(kept))
    expected = squares_of(model, entries, weights)
    batches = zip(x.split(2), y.split(2), strict=True)
    close(parameter_fisher(model, batches, kind=kind, how=how), expected)


def test_classes_may_come_last():
    """As transformers have them: [B, T, C], each step an entry."""
    model, x = nn.Linear(3, 4), torch.randn(6, 5, 3)
    y = torch.randint(4, (6, 5))
    found = parameter_fisher(model, [(x, y)], partial(categorical, axis=-1))
    close(found, fisher_by_loop(model, x.flatten(0, 1)))


def test_the_label_to_ignore_can_be_chosen():
    model, x, y = mlp(), torch.randn(6, 7), torch.tensor([0, -1, 2, -1, 1, 3])
    found = parameter_fisher(model, [(x, y)], partial(categorical, ignore_index=-1))
    close(found, fisher_by_loop(model, x[y >= 0]))
    with pytest.raises(UsageError, match="all labels are those that are ignored"):
        parameter_fisher(model, [(x, torch.full((6,), -100))])


def test_samples_count_places():
    model, x = dense(), torch.randn(8, 2, 3, 4)
    close(
        parameter_fisher(model, [x], samples=24),
        {name: value.double() for name, value in parameter_fisher(model, [x[:2]]).items()},
    )


def test_maps_of_numbers_and_answers_add_up():
    """Of a regression's or a yes-or-no output, all numbers of a sample belong to one entry."""
    model, x = dense(2), torch.randn(3, 2, 3, 3)
    y = torch.rand(3, 2, 3, 3)
    found = parameter_fisher(model, [(x, y)], gaussian)
    close(found, squares_of(model, model(x).flatten(), torch.full((54,), 1 / 3)))
    losses = F.binary_cross_entropy_with_logits(model(x), y, reduction="none").flatten(1).sum(1)
    found = parameter_fisher(model, [(x, y)], bernoulli, kind="empirical")
    close(found, squares_of(model, losses, torch.full((3,), 1 / 3)))


@pytest.mark.parametrize("how", ["layers", "vmap", "loop"])
@pytest.mark.parametrize("kind", ["exact", "empirical", "sampled"])
def test_masked_logits_are_as_if_the_classes_were_not_there(kind, how):
    model, x, y = nn.Linear(5, 6), torch.randn(9, 5), torch.randint(3, (9,))
    masked = torch.zeros(9, 6, dtype=torch.bool)
    masked[:5, 3:] = masked[5:, 4:] = True
    batches = [((x, masked), y)]
    found, finite = (
        parameter_fisher(
            model,
            batches,
            kind=kind,
            how=how,
            forward=lambda m, b, f=fill: m(b[0]).masked_fill(b[1], f),
            generator=torch.Generator().manual_seed(0),
        )
        for fill in (-math.inf, -1e9)
    )
    assert all(torch.equal(found[name], value) for name, value in finite.items())
    if kind != "sampled":
        parts = [
            fisher_by_loop(
                model,
                x[rows],
                run=lambda m, one, k=size: m(one)[:, :k],
                labels=y[rows] if kind == "empirical" else None,
            )
            for rows, size in ((slice(0, 5), 3), (slice(5, 9), 4))
        ]
        close(found, {n: (5 * parts[0][n] + 4 * parts[1][n]) / 9 for n in found})


ONE = nn.Linear(7, 1)
X = torch.zeros(2, 7)
LABELS = torch.tensor([0, 1])


@pytest.mark.parametrize("kind", ["exact", "empirical"])
@pytest.mark.parametrize(
    ("model", "labels", "likelihood", "message"),
    [
        (ONE, LABELS.float(), categorical, r"at least 2 logits.*\[1, 1\] has 1.*bernoulli"),
        (ONE, LABELS, categorical, "at least 2 logits"),
        (nn.Sequential(ONE, nn.Flatten(0)), LABELS, categorical, r"shape \[1\]; one logit"),
        (mlp(), LABELS.float(), categorical, "must be whole numbers.*float32.*gaussian"),
        (mlp(), torch.eye(4)[:2], categorical, "argmax of one-hot rows"),
        (mlp(), torch.eye(4)[:2].long(), categorical, r"\[1, 4\] do not fit.*shape \[1\]"),
        (dense(), torch.zeros(2, 3, 4).long(), categorical, r"\[1, 3, 4\] do not fit.*\[1, 3, 3\]"),
        (dense(), LABELS, categorical, "do not fit.*classes being on axis 1"),
        (mlp(), LABELS.float(), gaussian, r"Targets of shape \[1\] do not fit.*shape \[1, 4\]"),
        (mlp(), torch.zeros(2, 1), gaussian, r"\[1, 1\] do not fit"),
        (ONE, torch.zeros(2, 4), gaussian, r"\[1, 4\] do not fit.*\[1, 1\]"),
        (ONE, torch.full((2,), math.nan), gaussian, "Targets must be finite"),
        (mlp(), LABELS, bernoulli, "Yes-or-no labels of shape"),
        (ONE, torch.tensor([2.0, 3.0]), bernoulli, "run from 0 to 1, but came from 2 to 2"),
    ],
)
def test_labels_that_do_not_fit_are_named(model, labels, likelihood, message, kind):
    x = torch.zeros(2, 2, 3, 3) if isinstance(model[0] if model is not ONE else 0, nn.Conv2d) else X
    with pytest.raises(UsageError, match=message):
        parameter_fisher(model, [(x, labels)], likelihood, kind=kind)


@pytest.mark.parametrize(
    ("forward", "likelihood", "message"),
    [
        (lambda m, x: m(x) / 0.0, categorical, "output is not finite"),
        (lambda m, x: m(x) - math.inf, categorical, "masks every class"),
        (lambda m, x: m(x) - math.inf, gaussian, "output is not finite"),
        (lambda m, x: m(x), lambda o: Gaussian(o.movedim(0, 1)), "should keep the axis over sam"),
    ],
)
def test_outputs_that_do_not_fit_are_named(forward, likelihood, message):
    with pytest.raises(UsageError, match=message):
        parameter_fisher(mlp(), [torch.ones(2, 7)], likelihood, forward=forward)


def test_a_label_that_is_masked_is_named():
    def forward(model, x):
        return model(x).masked_fill(torch.tensor([False, False, True, False]), -math.inf)

    with pytest.raises(UsageError, match=r"Label \[2\] is of a choice that the network masks"):
        parameter_fisher(mlp(), [(X, torch.tensor([0, 2]))], forward=forward)


def test_nothing_broadcasts_in_a_likelihood():
    for given in (Gaussian(torch.zeros(3, 1)), Bernoulli(torch.zeros(3, 1))):
        with pytest.raises(UsageError, match=r"Targets of shape \[3\] do not fit an output of"):
            given.log_prob(torch.zeros(3))
