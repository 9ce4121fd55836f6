"""Advantages and returns of a rollout, with termination and truncation kept apart."""

import torch
from torch import Tensor


def gae(
    rewards: Tensor,
    values: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    final_values: Tensor,
    last_value: Tensor,
    *,
    gamma: float,
    lam: float,
) -> Tensor:
    """Generalised advantage estimates (Schulman et al. 2016, Eq. 16).

    After a terminated step nothing follows; after a truncated step the value of the final
    observation does; in both cases the sum over later residuals stops.

    Args:
        rewards: [T, N].
        values: [T, N] value of each step's observation.
        terminated: [T, N] bool.
        truncated: [T, N] bool.
        final_values: [T, N] value of the final observation; read only where truncated.
        last_value: [N] value of the observation after the last step.
        gamma: Discount factor.
        lam: Decay of the residuals; 1 gives n-step advantages, 0 one-step ones.

    Returns:
        [T, N] advantages; add `values` for the value targets.
    """
    following = torch.cat([values[1:], last_value.unsqueeze(0)])
    following = torch.where(truncated, final_values, following)
    following = torch.where(terminated, 0.0, following)
    residuals = rewards + gamma * following - values
    decay = gamma * lam * (~(terminated | truncated)).to(values.dtype)
    # Step by step, which numpy goes through faster, with the same roundings.
    fades, advantages = decay.cpu().numpy(), residuals.detach().cpu().numpy().copy()
    for t in range(len(rewards) - 2, -1, -1):
        advantages[t] += fades[t] * advantages[t + 1]
    return torch.from_numpy(advantages).to(residuals.device)


def n_step_returns(
    rewards: Tensor,
    values: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    final_values: Tensor,
    last_value: Tensor,
    *,
    gamma: float,
) -> Tensor:
    """Discounted returns up to the rollout's end, bootstrapped there (Mnih et al. 2016, Alg. S3).

    With `lam` = 1 the residuals of `gae` telescope into these.

    Args:
        rewards: [T, N], as in `gae`.
        values: [T, N].
        terminated: [T, N] bool.
        truncated: [T, N] bool.
        final_values: [T, N], read where an episode was truncated.
        last_value: [N].
        gamma: Discount.

    Returns:
        [T, N] returns.
    """
    advantages = gae(
        rewards, values, terminated, truncated, final_values, last_value, gamma=gamma, lam=1.0
    )
    return advantages + values
