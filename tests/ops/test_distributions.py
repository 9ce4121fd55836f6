"""Policies over logits against torch.distributions."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Categorical

from colonnade.errors import UsageError
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


@given(
    st.lists(st.floats(-30, 30), min_size=5, max_size=5),
    st.sampled_from([(5,), (2, 3), (1, 4), (3, 1, 1)]),
)
@settings(max_examples=50, deadline=None)
def test_the_fisher_root_squares_to_the_fisher_of_the_logits(logits, sizes):
    logits = torch.tensor([logits], dtype=torch.float64)
    root = torch.stack(
        [*MultiCategorical(logits, sizes).fisher_root(), torch.zeros(1, len(sizes), max(sizes))]
    )
    assert len(root) - 1 == sum(size - 1 for size in sizes)
    found = torch.einsum("rnak,rnbl->akbl", root, root)
    for a, part in enumerate(logits.split(list(sizes), -1)):
        p = part[0].softmax(-1)
        size = len(p)
        torch.testing.assert_close(found[a, :size, a, :size], p.diag() - torch.outer(p, p))
        assert float(found[a].sum()) == pytest.approx(0, abs=1e-9)


def test_the_fisher_root_keeps_the_digits_of_a_sure_choice():
    """In float32, 1 - p of a probability near one has none left; the root works in logarithms."""
    logits = torch.tensor([[40.0, 0.0, -3.0]])
    root = torch.stack([*MultiCategorical(logits, (3,)).fisher_root()])
    p = logits.double().softmax(-1)[0]
    expected = p * torch.tensor([float(p[1] + p[2]), 1 - float(p[1]), 1 - float(p[2])])
    torch.testing.assert_close(root.double().square().sum(0)[0, 0], expected, rtol=1e-5, atol=0)


def test_a_masked_choice_has_no_part():
    """With a logit of -inf: as if the choice were not there, in value, entropy and gradients."""
    logits = torch.randn(4, 3, requires_grad=True)
    infinite = torch.full((4, 1), -torch.inf)
    masked = MultiCategorical(torch.cat([logits[:, :2], infinite, logits[:, 2:]], 1), (4,))
    without = Categorical(logits=logits)
    torch.testing.assert_close(masked.entropy(), without.entropy())
    actions = torch.tensor([0, 1, 3, 0])
    torch.testing.assert_close(
        masked.log_prob(actions.unsqueeze(-1)), without.log_prob(torch.tensor([0, 1, 2, 0]))
    )
    (masked.entropy().sum() + masked.log_prob(actions.unsqueeze(-1)).sum()).backward()
    assert logits.grad.isfinite().all()
    assert 2 not in masked.sample(torch.Generator().manual_seed(0))


def test_actions_of_another_shape_are_refused():
    """`gather` would take the first few rows, or components, alone."""
    policy = MultiCategorical(torch.zeros(4, 5), (2, 3))
    for shape in [(2, 2), (4, 1), (4,), (1, 4, 2)]:
        with pytest.raises(UsageError, match=r"whose actions have shape \[4, 2\]"):
            policy.log_prob(torch.zeros(shape, dtype=torch.int64))
