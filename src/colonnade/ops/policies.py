"""Policies over logits."""

from __future__ import annotations

import torch
from torch import Tensor

_IMPOSSIBLE = -1e9
"""Logit that pads a component with fewer choices; its probability underflows to zero."""


class MultiCategorical:
    """Independent categorical choices, one per action component.

    The factored policy of Rusu et al. 2016b (nine softmaxes for nine joints); a single component
    is the ordinary categorical policy.
    """

    def __init__(self, logits: Tensor, sizes: tuple[int, ...]) -> None:
        """Normalise the logits.

        Args:
            logits: [..., sum(sizes)], the components' logits one after another.
            sizes: Number of choices of each of the A components.
        """
        if logits.shape[-1] != sum(sizes):
            raise ValueError(
                f"A policy over {sizes} choices needs {sum(sizes)} logits; got {logits.shape[-1]}."
            )
        parts: Tensor
        if len(set(sizes)) == 1:
            parts = logits.reshape(*logits.shape[:-1], len(sizes), sizes[0])
        else:
            parts = torch.nn.utils.rnn.pad_sequence(
                [part.movedim(-1, 0) for part in logits.split(list(sizes), -1)],
                padding_value=_IMPOSSIBLE,
            ).movedim((1, 0), (-2, -1))
        self.log_probs: Tensor = parts.log_softmax(-1)
        """[..., A, max(sizes)] log-probability of every choice."""

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Draw actions [..., A] (int64), by the Gumbel-max trick."""
        noise = torch.empty_like(self.log_probs).exponential_(generator=generator)
        return (self.log_probs - noise.log()).argmax(-1)

    def mode(self) -> Tensor:
        """Most likely actions [..., A] (int64)."""
        return self.log_probs.argmax(-1)

    def log_prob(self, actions: Tensor) -> Tensor:
        """Log-probability [...] of actions [..., A]."""
        return self.log_probs.gather(-1, actions.unsqueeze(-1)).squeeze(-1).sum(-1)

    def entropy(self) -> Tensor:
        """Entropy [...] in nats, summed over components."""
        return -(self.log_probs.exp() * self.log_probs).sum((-2, -1))
