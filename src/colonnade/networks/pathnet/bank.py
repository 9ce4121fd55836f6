"""What all layers of a modular network are: alike modules, of which each row uses some."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor, nn

from colonnade.networks.factories import held, let_learn
from colonnade.types import Shape


class Routes:
    """Which modules of a layer each of R rows uses.

    Args:
        mask: [R, M] bool.
    """

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    @cached_property
    def used(self) -> list[int]:
        """The modules that any row uses, ascending."""
        found: list[int] = self.mask.any(0).nonzero().flatten().tolist()
        return found

    @cached_property
    def counts(self) -> list[int]:
        """For each used module, how many rows use it."""
        counts: list[int] = self.mask[:, self.used].sum(0).tolist()
        return counts

    @cached_property
    def rows(self) -> Tensor:
        """The rows of the first used module, then those of the next: [sum of counts]."""
        return self.mask.t().nonzero()[:, 1].contiguous()

    @cached_property
    def uniform(self) -> list[int] | None:
        """The modules that all rows use, if all use the same."""
        alike = not self.counts or min(self.counts) == len(self.mask)
        return self.used if alike else None

    def chosen(self, dtype: torch.dtype) -> Tensor:
        """The columns of used modules as numbers: [R, used]."""
        return self.mask[:, self.used].to(dtype)


class ModularLayer(nn.Module, ABC):
    """M modules, whose activated outputs are summed over those that are active.

    Attributes:
        bank: The modules.
        in_shape: Shape of what they read, without the batch axis.
        out_shape: Shape of what they give, without the batch axis.
        frozen: Indices of the modules that never change again.
    """

    def __init__(self, bank: Sequence[nn.Module], in_shape: Shape, out_shape: Shape) -> None:
        super().__init__()
        self.bank = nn.ModuleList(bank)
        self.in_shape, self.out_shape = in_shape, out_shape
        self.frozen: set[int] = set()
        self._held = [held(module) for module in bank]

    @abstractmethod
    def reinitialise(self, module: int) -> None:
        """Draw new weights for a module."""

    @abstractmethod
    def along(self, features: Tensor, active: Sequence[int], scale: float | None) -> Tensor:
        """Map features [R, *in_shape], times `scale`, to the sum over the active modules."""

    @abstractmethod
    def mixed(self, features: Tensor, routes: Routes, scale: float | None) -> Tensor:
        """Do the same where each row has its own active modules."""

    def forward(self, features: Tensor, routes: Routes, scale: float | None = None) -> Tensor:
        """Map features [R, *in_shape] to [R, *out_shape], each row along its own route."""
        if routes.uniform is not None:
            return self.along(features, routes.uniform, scale)
        return self.mixed(features, routes, scale)

    def flat(self, features: Tensor) -> Tensor:
        """Bring features [R, ...] to the form the modules read."""
        return features

    def freeze(self, modules: Sequence[int]) -> None:
        """Stop everything that could change some modules: gradients, dropout, statistics."""
        self.frozen |= set(modules)
        for module in modules:
            self.bank[module].requires_grad_(False)
            self.bank[module].eval()

    def unfreeze(self) -> None:
        """Let all modules learn."""
        self.frozen.clear()
        for module, names in zip(self.bank, self._held, strict=True):
            let_learn(module, but=names)
        self.bank.train(self.training)

    def train(self, mode: bool = True) -> ModularLayer:
        """Set training mode; frozen modules stay in evaluation mode."""
        super().train(mode)
        for module in self.frozen:
            self.bank[module].eval()
        return self


def scaled(value: Tensor, scale: float | None) -> Tensor:
    """Return a value times a factor, if there is one."""
    return value if scale is None else value * scale
