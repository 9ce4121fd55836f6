"""Policies over logits, which are classifiers too: independent choices among a few."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from colonnade.errors import UsageError

_IMPOSSIBLE = -1e9
"""Logit of a choice that is masked, or that pads a component with fewer choices; its probability
underflows to zero. Minus infinity itself, times 0, would turn entropies and gradients to NaN."""


OutputGradient = Callable[[Tensor, Tensor | None], Tensor]
"""Takes the gradient of a loss by log-probabilities [...] and that by each entropy [], None where
there is none, and returns the gradient by the output that the distribution was made of."""


class MultiCategorical:
    """Independent categorical choices, one per action component.

    The factored policy of Rusu et al. 2016b (nine softmaxes for nine joints); a single component
    is the ordinary categorical policy. A logit of minus infinity masks its choice.
    """

    def __init__(
        self, logits: Tensor, sizes: tuple[int, ...], ignore_index: int | None = None
    ) -> None:
        """Normalise the logits.

        Args:
            logits: [..., sum(sizes)], the components' logits one after another.
            sizes: Number of choices of each of the A components.
            ignore_index: Label of entries that do not count, as in `torch`'s `cross_entropy`.

        Raises:
            UsageError: The logits are of another number.
        """
        if logits.shape[-1] != sum(sizes):
            raise UsageError(
                f"A policy over {sizes} choices needs {sum(sizes)} logits; got {logits.shape[-1]}."
            )
        self.sizes = sizes
        self.ignore_index = ignore_index
        impossible = max(_IMPOSSIBLE, torch.finfo(logits.dtype).min)
        self.logits = logits = logits.clamp_min(impossible)
        parts: Tensor
        if len(set(sizes)) == 1:
            parts = logits.reshape(*logits.shape[:-1], len(sizes), sizes[0])
        else:
            parts = torch.nn.utils.rnn.pad_sequence(
                [part.movedim(-1, 0) for part in logits.split(list(sizes), -1)],
                padding_value=impossible,
            ).movedim((1, 0), (-2, -1))
        self.log_probs: Tensor = parts.log_softmax(-1)
        """[..., A, max(sizes)] log-probability of every choice."""

    @property
    def parameters(self) -> Tensor:
        """What `fisher_root` differentiates by: `log_probs`, whose graph leads to the logits."""
        return self.log_probs

    def fisher_root(self) -> Iterator[Tensor]:
        """Factor the Fisher matrix of the logits: root_r root_r^T, summed over r, is that matrix.

        A component's matrix is diag(p) - p p^T, of rank K - 1, whose Cholesky factor has a closed
        form (Tanabe & Sagae 1992): column j holds sqrt(p_j q_j / q_{j-1}) at j and
        -p_i sqrt(p_j / (q_{j-1} q_j)) below, where q_j is the probability of all choices after j.
        It is worked out in logarithms, so that tiny probabilities keep their digits. Components
        are independent, so each vector concerns one of them.

        Yields:
            Vectors [..., A, max(sizes)], without a graph; there are the sum of (size - 1). One at
            a time, since all of them are K times as large as the logits.
        """
        log_p = self.log_probs.detach()
        after = log_p.flip(-1).logcumsumexp(-1).flip(-1)  # [..., A, K]: log of p_j + p_{j+1} + ...
        size = log_p.shape[-1]
        choice = torch.arange(size, device=log_p.device)
        for component, choices in enumerate(self.sizes):
            now = log_p[..., component, :]
            for j in range(choices - 1):
                here, before, rest = (
                    now[..., j],
                    after[..., component, j],
                    after[..., component, j + 1],
                )
                half = 0.5 * (here - before)
                below = -(now + (half - 0.5 * rest).unsqueeze(-1)).exp()
                column = torch.where(choice > j, below, torch.zeros_like(below))
                column[..., j] = (half + 0.5 * rest).exp()
                root = torch.zeros_like(log_p)
                root[..., component, :] = column
                yield root

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Draw actions [..., A] (int64), by the Gumbel-max trick."""
        noise = torch.empty_like(self.log_probs).exponential_(generator=generator)
        return (self.log_probs - noise.log()).argmax(-1)

    def mode(self) -> Tensor:
        """Most likely actions [..., A] (int64)."""
        return self.log_probs.argmax(-1)

    def log_prob(self, actions: Tensor) -> Tensor:
        """Log-probability [...] of actions [..., A].

        Raises:
            UsageError: The actions are of another shape.
        """
        return self.log_probs.gather(-1, self._index(actions)).squeeze(-1).sum(-1)

    def differentiated(self, actions: Tensor) -> tuple[Tensor, OutputGradient]:
        """Compute log-probabilities [...] of actions [..., A], and what leads back to the output.

        Raises:
            UsageError: The actions are of another shape.
        """
        log_p, index = self.log_probs, self._index(actions)

        def gradient(by_log_prob: Tensor, by_entropy: Tensor | None) -> Tensor:
            # The order of products and sums is the one that autograd has.
            if by_entropy is None:
                by = torch.zeros_like(log_p)
            else:
                p = log_p.exp()
                by = (p * -by_entropy).add_((log_p * -by_entropy).mul_(p))
            by.scatter_add_(-1, index, by_log_prob[..., None, None].expand(index.shape))
            by = torch.ops.aten._log_softmax_backward_data(by, log_p, -1, log_p.dtype)
            sizes = self.sizes
            if len(set(sizes)) == 1:
                by = by.flatten(-2)
            else:
                by = torch.cat([by[..., place, :size] for place, size in enumerate(sizes)], -1)
            return by.masked_fill_(self.logits <= _IMPOSSIBLE, 0.0)

        return log_p.gather(-1, index).squeeze(-1).sum(-1), gradient

    def _index(self, actions: Tensor) -> Tensor:
        if actions.shape != self.log_probs.shape[:-1]:  # `gather` would take a part of them
            raise UsageError(
                f"Actions of shape {list(actions.shape)} do not fit a policy whose actions have "
                f"shape {list(self.log_probs.shape[:-1])}, the last axis running over components."
            )
        return actions.unsqueeze(-1)

    def entropy(self) -> Tensor:
        """Entropy [...] in nats, summed over components."""
        return -(self.log_probs.exp() * self.log_probs).sum((-2, -1))

    def fit(self, labels: Tensor) -> tuple[Tensor, Tensor | None]:
        """Bring labels to the form that `log_prob` takes.

        Args:
            labels: Whole numbers [..., A]; or [...] where there is one component.

        Returns:
            The labels [..., A] (int64), and which of the entries [...] count (bool); None is all.

        Raises:
            UsageError: They do not fit: by shape or kind, or one is no choice or a masked one.
        """
        shape = self.log_probs.shape[:-1]
        if labels.is_floating_point() or labels.is_complex():
            raise UsageError(
                f"Labels of classes must be whole numbers, but came as {labels.dtype} of shape "
                f"{list(labels.shape)}; take the argmax of one-hot rows, and state the likelihood "
                "of other labels: colonnade.ops.bernoulli for yes or no, colonnade.ops.gaussian "
                "for regression."
            )
        fitted = labels.unsqueeze(-1) if labels.dim() == len(shape) - 1 else labels
        if fitted.shape != shape:
            wanted = list(shape if len(self.sizes) > 1 else shape[:-1])
            raise UsageError(
                f"Labels of shape {list(labels.shape)} do not fit the network's output, which "
                f"takes labels of shape {wanted}: one class index for each choice, the classes "
                "being on axis 1 of the output as in cross_entropy (where they come last: "
                "functools.partial(colonnade.ops.categorical, axis=-1))."
            )
        fitted, counted = fitted.long(), None
        if self.ignore_index is not None:
            skipped = fitted == self.ignore_index
            fitted, counted = fitted.masked_fill(skipped, 0), ~skipped.any(-1)
        for component, size in enumerate(self.sizes):
            own = fitted[..., component]
            wrong = own[(own < 0) | (own >= size)]
            if len(wrong):
                raise UsageError(
                    f"Label {int(wrong[0])} is outside the network's output, which has {size} "
                    f"choices (0 to {size - 1}); give the network as many outputs as there are "
                    "labels."
                )
        chosen = self.log_probs.detach().gather(-1, fitted.unsqueeze(-1)).squeeze(-1).amin(-1)
        masked = (chosen < _IMPOSSIBLE / 2) & (True if counted is None else counted)
        if bool(masked.any()):
            raise UsageError(
                f"Label {fitted[masked][0].tolist()} is of a choice that the network masks with a "
                "logit of -inf; unmask it, or mend the label."
            )
        return fitted, counted
