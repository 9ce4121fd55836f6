"""Gaussian policies against torch's own distributions and against closed forms."""

import math

import pytest
import torch
from torch import nn

from colonnade.errors import UsageError
from colonnade.ops import DiagonalGaussian, parameter_fisher


def output():
    return torch.randn(3, 5, 4)


def test_densities_entropies_and_moments_are_torchs():
    given = output()
    policy = DiagonalGaussian(given)
    reference = torch.distributions.Independent(
        torch.distributions.Normal(given[..., :2], given[..., 2:].exp()), 1
    )
    actions = reference.sample()
    torch.testing.assert_close(policy.log_prob(actions), reference.log_prob(actions))
    torch.testing.assert_close(policy.entropy(), reference.entropy())
    assert torch.equal(policy.mode(), given[..., :2])
    many = DiagonalGaussian(torch.tensor([0.5, -2.0, math.log(0.1), math.log(3.0)]).expand(9000, 4))
    drawn = many.sample(torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn.mean(0), torch.tensor([0.5, -2.0]), atol=0.1, rtol=0)
    torch.testing.assert_close(drawn.std(0), torch.tensor([0.1, 3.0]), atol=0, rtol=0.03)


def test_widths_stay_within_bounds():
    policy = DiagonalGaussian(torch.tensor([0.0, 0.0, -99.0, 99.0]))
    assert policy.log_std.tolist() == [-5, 2]


def test_the_fisher_of_a_linear_policy_is_the_closed_form():
    """Of mean w x + b and log std v x + c: x^2 / std^2 and 2 x^2, and the same without x^2."""
    model = nn.Linear(1, 2).double()
    x = torch.linspace(-1, 2, 7, dtype=torch.float64).unsqueeze(1)
    std = (model.weight[1] * x + model.bias[1]).exp().detach()
    found = parameter_fisher(model, [(x, torch.zeros(7, 1))], DiagonalGaussian, kind="exact")
    weight = torch.stack([(x**2 / std**2).mean(), (2 * x**2).mean()]).unsqueeze(1)
    bias = torch.stack([(1 / std**2).mean(), torch.tensor(2.0, dtype=torch.float64)])
    torch.testing.assert_close(found["weight"].double(), weight, rtol=1e-5, atol=0)
    torch.testing.assert_close(found["bias"].double(), bias, rtol=1e-5, atol=0)


def test_the_root_is_the_mean_of_squared_scores():
    given = torch.tensor([[0.3, -1.0, -0.4, 0.6]]).double()
    roots = torch.stack(list(DiagonalGaussian(given).fisher_root()))[:, 0]
    many = given.expand(200_000, 4).clone().requires_grad_()
    policy = DiagonalGaussian(many)
    drawn = policy.sample(torch.Generator().manual_seed(1))
    (scores,) = torch.autograd.grad(policy.log_prob(drawn).sum(), many)
    torch.testing.assert_close(roots.T @ roots, scores.T @ scores / 200_000, atol=0.05, rtol=0.03)


def test_what_does_not_fit_is_refused():
    with pytest.raises(UsageError, match="a mean and a width each; got 3"):
        DiagonalGaussian(torch.zeros(1, 3))
    policy = DiagonalGaussian(torch.zeros(2, 4))
    with pytest.raises(UsageError, match=r"shape \[2, 1\] do not fit"):
        policy.log_prob(torch.zeros(2, 1))
    with pytest.raises(UsageError, match="finite numbers of shape"):
        policy.fit(torch.full((2, 2), math.nan))
