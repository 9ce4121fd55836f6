"""Policies over logits."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from colonnade.errors import UsageError

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
        self.sizes = sizes
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

    @property
    def parameters(self) -> Tensor:
        """What `fisher_root` differentiates by: `log_probs`, whose graph leads to the logits."""
        return self.log_probs

    def fisher_root(self) -> Tensor:
        """Factor the Fisher matrix of the logits: root_r root_r^T, summed over r, is that matrix.

        A component's matrix is diag(p) - p p^T, of rank K - 1, whose Cholesky factor has a closed
        form (Tanabe & Sagae 1992): column j holds sqrt(p_j q_j / q_{j-1}) at j and
        -p_i sqrt(p_j / (q_{j-1} q_j)) below, where q_j is the probability of all choices after j.
        It is worked out in logarithms, so that tiny probabilities keep their digits. Components
        are independent, so each vector concerns one of them.

        Returns:
            [R, ..., A, max(sizes)], without a graph; R is the sum of (size - 1).
        """
        log_p = self.log_probs.detach()
        after = log_p.flip(-1).logcumsumexp(-1).flip(-1)  # [..., A, K]: log of p_j + p_{j+1} + ...
        size = log_p.shape[-1]
        choice = torch.arange(size, device=log_p.device)
        roots = []
        for component, choices in enumerate(self.sizes):
            for j in range(choices - 1):
                now = log_p[..., component, :]
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
                roots.append(root)
        return torch.stack(roots) if roots else log_p.new_zeros(0, *log_p.shape)

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


class Gaussian:
    """Independent Gaussians of one fixed width around a network's outputs: regression.

    The log-probability is minus the squared error over 2 std^2, up to a constant.
    """

    def __init__(self, mean: Tensor, std: float = 1.0) -> None:
        """Centre on `mean` [..., D]; `std` is in the unit of the targets."""
        if not std > 0:
            raise UsageError(f"A Gaussian needs a standard deviation above 0; got {std}.")
        self.mean = mean
        self.std = std

    @property
    def parameters(self) -> Tensor:
        """What `fisher_root` differentiates by: the mean."""
        return self.mean

    def fisher_root(self) -> Tensor:
        """Factor the Fisher matrix of the mean, I / std^2: [D, ..., D]."""
        size = self.mean.shape[-1]
        eye = torch.eye(size, dtype=self.mean.dtype, device=self.mean.device) / self.std
        return eye.view(size, *[1] * (self.mean.dim() - 1), size).expand(size, *self.mean.shape)

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Draw targets [..., D]."""
        noise = torch.empty_like(self.mean).normal_(generator=generator)
        return self.mean.detach() + self.std * noise

    def mode(self) -> Tensor:
        """Most likely targets [..., D]: the mean."""
        return self.mean

    def log_prob(self, targets: Tensor) -> Tensor:
        """Log-density [...] of targets [..., D]."""
        scaled = (targets - self.mean) / self.std
        constant = self.mean.shape[-1] * math.log(self.std * math.sqrt(2 * math.pi))
        return -0.5 * scaled.square().sum(-1) - constant


def categorical(output: Tensor) -> MultiCategorical:
    """Read a classifier's output [..., K] as the logits of one choice among K."""
    return MultiCategorical(output, (output.shape[-1],))


def gaussian(output: Tensor) -> Gaussian:
    """Read a regression's output [..., D] as the means of Gaussians of width 1.

    A Q-network's output [..., actions] is read so too: half the squared TD error is minus the
    log-density of the target under a unit Gaussian around the action's value.
    """
    return Gaussian(output)
