"""Which hyperparameters of learners make sense; `colonnade.checks` refuses the others."""

from __future__ import annotations

from colonnade.checks import ABOVE_0, AT_LEAST_0, AT_LEAST_1, SHARE, Range

COMMON: dict[str, Range] = {
    "learning_rate": ABOVE_0,
    "entropy_cost": AT_LEAST_0,
    "value_cost": AT_LEAST_0,
    "gamma": SHARE,
    "lam": SHARE,
    "rollout_steps": AT_LEAST_1,
    "clip_norm": ABOVE_0,
    "epsilon": AT_LEAST_0,
}
"""Of what all actor-critic learners have. A gradient clipped to a norm of 0 would teach nothing."""
