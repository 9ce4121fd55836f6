"""Policies over logits against torch.distributions."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Categorical

from colonnade.ops import MultiCategorical

sizes_and_seed = given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(0, 999))


@sizes_and_seed
def test_agrees_with_independent_categoricals(sizes, seed):
    torch.manual_seed(seed)
    logits = 3 * torch.randn(2, 3, sum(sizes), dtype=torch.float64)
    policy = MultiCategorical(logits, tuple(sizes))
    parts = [Categorical(logits=part) for part in logits.split(sizes, -1)]
    actions = torch.stack([part.sample() for part in parts], -1)
    expected = sum(part.log_prob(actions[..., i]) for i, part in enumerate(parts))
    torch.testing.assert_close(policy.log_prob(actions), expected)
    torch.testing.assert_close(policy.entropy(), sum(part.entropy() for part in parts))
    expected_mode = torch.stack([part.logits.argmax(-1) for part in parts], -1)
    assert torch.equal(policy.mode(), expected_mode)


@sizes_and_seed
def test_samples_are_within_range(sizes, seed):
    policy = MultiCategorical(torch.zeros(50, sum(sizes)), tuple(sizes))
    sample = policy.sample(torch.Generator().manual_seed(seed))
    assert sample.shape == (50, len(sizes))
    assert (sample >= 0).all()
    assert (sample < torch.tensor(sizes)).all()


def test_sampling_frequencies_follow_the_probabilities():
    probabilities = torch.tensor([0.1, 0.2, 0.7])
    policy = MultiCategorical(probabilities.log().expand(20_000, 3), (3,))
    drawn = policy.sample(torch.Generator().manual_seed(0)).flatten()
    counts = torch.bincount(drawn, minlength=3) / len(drawn)
    torch.testing.assert_close(counts, probabilities, atol=0.015, rtol=0)


def test_entropy_has_finite_gradients_with_unequal_sizes():
    logits = torch.randn(4, 5, requires_grad=True)
    MultiCategorical(logits, (2, 3)).entropy().sum().backward()
    assert torch.isfinite(logits.grad).all()


def test_wrong_width_is_refused():
    with pytest.raises(ValueError, match="needs 5 logits; got 4"):
        MultiCategorical(torch.zeros(1, 4), (2, 3))
