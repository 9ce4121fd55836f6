"""Returns and advantages against the slow obvious loop and hand-worked numbers."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from colonnade.ops import gae, n_step_returns


def slow_return(t, n, rewards, terminated, truncated, final_values, last_value, gamma):
    """Walk forward from one step, adding discounted rewards until something ends the walk."""
    total, discount = 0.0, 1.0
    for s in range(t, len(rewards)):
        total += discount * rewards[s, n]
        discount *= gamma
        if terminated[s, n]:
            return total
        if truncated[s, n]:
            return total + discount * final_values[s, n]
    return total + discount * last_value[n]


def slow_gae(t, n, r, v, terminated, truncated, final_values, last_value, gamma, lam):
    """Sum the decayed one-step residuals until the episode ends."""
    total, weight = 0.0, 1.0
    for s in range(t, len(r)):
        if terminated[s, n]:
            following = 0.0
        elif truncated[s, n]:
            following = final_values[s, n]
        else:
            following = v[s + 1, n] if s + 1 < len(r) else last_value[n]
        total += weight * (r[s, n] + gamma * following - v[s, n])
        if terminated[s, n] or truncated[s, n]:
            break
        weight *= gamma * lam
    return total


@st.composite
def rollouts(draw):
    steps, envs = draw(st.integers(1, 7)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    ends = rng.random((steps, envs))
    return {
        "rewards": rng.normal(size=(steps, envs)),
        "values": rng.normal(size=(steps, envs)),
        "terminated": ends < 0.2,
        "truncated": (ends > 0.2) & (ends < 0.4),
        "final_values": rng.normal(size=(steps, envs)),
        "last_value": rng.normal(size=envs),
    }


@given(rollouts(), st.floats(0, 1), st.floats(0, 1))
def test_gae_equals_the_slow_sum(r, gamma, lam):
    fast = gae(**{k: torch.from_numpy(v) for k, v in r.items()}, gamma=gamma, lam=lam)
    for t, n in np.ndindex(r["rewards"].shape):
        slow = slow_gae(t, n, *r.values(), gamma, lam)
        assert fast[t, n].item() == pytest.approx(slow, abs=1e-9)


@given(rollouts(), st.floats(0, 1))
def test_n_step_returns_equal_the_slow_walk(r, gamma):
    fast = n_step_returns(**{k: torch.from_numpy(v) for k, v in r.items()}, gamma=gamma)
    rest = {k: v for k, v in r.items() if k != "values"}
    for t, n in np.ndindex(r["rewards"].shape):
        slow = slow_return(t, n, *rest.values(), gamma)
        assert fast[t, n].item() == pytest.approx(slow, abs=1e-9)


def test_termination_and_truncation_differ_by_the_final_value():
    one = torch.ones(1, 1)
    yes, no = torch.tensor([[True]]), torch.tensor([[False]])
    kwargs = {"final_values": 10 * one, "last_value": torch.tensor([99.0]), "gamma": 0.5}
    ended = n_step_returns(one, 0 * one, yes, no, **kwargs)
    cut = n_step_returns(one, 0 * one, no, yes, **kwargs)
    goes_on = n_step_returns(one, 0 * one, no, no, **kwargs)
    assert (ended.item(), cut.item(), goes_on.item()) == (1.0, 6.0, 50.5)
