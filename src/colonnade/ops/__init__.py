"""The arithmetic of learning: returns, policies over logits, statistics."""

from colonnade.ops.policies import MultiCategorical
from colonnade.ops.returns import gae, n_step_returns

__all__ = ["MultiCategorical", "gae", "n_step_returns"]
