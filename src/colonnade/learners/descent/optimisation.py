"""What the learners' gradient steps share: clipping, annealing, saving and restoring."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from colonnade.errors import UsageError
from colonnade.types import Network


def trainable(network: Network) -> list[tuple[str, torch.nn.Parameter]]:
    """Return the network's named parameters that require gradients."""
    found = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    if not found:
        raise UsageError(
            "The network has no parameter that requires gradients, so there is nothing to learn; "
            "begin a task with a method, or unfreeze a column."
        )
    return found


class Optimisation:
    """An optimiser with gradient clipping and linear annealing to zero."""

    def __init__(
        self, optimizer: torch.optim.Optimizer, budget: int | None, clip_norm: float | None
    ) -> None:
        """Wrap an optimiser whose groups hold named parameters.

        Args:
            optimizer: Its present learning rates are the initial ones.
            budget: Agent steps over which they fall to zero; None keeps them.
            clip_norm: Largest norm of the gradient; None leaves it.
        """
        self.optimizer = optimizer
        self._budget = budget
        self._clip_norm = clip_norm
        self._rates = [group["lr"] for group in optimizer.param_groups]
        self._parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self._names = [n for group in optimizer.param_groups for n in group["param_names"]]
        self._taken = 0

    def advance(self, steps: int) -> None:
        """Count agent steps and anneal the learning rates."""
        if self._budget is not None:
            left = max(0.0, 1.0 - self._taken / self._budget)
            for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
                group["lr"] = rate * left
        self._taken += steps

    def descend(self, loss: Tensor) -> Tensor:
        """Take one gradient step and return the gradient's norm before clipping."""
        self.differentiate(loss)
        return self.step()

    def differentiate(self, loss: Tensor) -> None:
        """Give the parameters the gradient of a loss, and nothing of what they had."""
        self.optimizer.zero_grad()
        loss.backward()

    def step(self) -> Tensor:
        """Step along the gradients there are and return their norm before clipping."""
        limit = float("inf") if self._clip_norm is None else self._clip_norm
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, limit)
        self.optimizer.step()
        return norm

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the optimiser's tensors as "parameter|entry", and its counters."""
        tensors = {
            f"{name}|{entry}": value
            for name, parameter in zip(self._names, self._parameters, strict=True)
            for entry, value in self.optimizer.state[parameter].items()
        }
        return tensors, {"taken": self._taken}

    def load_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Return to a state that `state` gave."""
        self._taken = meta["taken"]
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            name, entry = key.rsplit("|", 1)
            index = self._names.index(name)
            parameter = self._parameters[index]
            # Files hold tensors row by row; fused optimisers walk through memory and so need their
            # state laid out as the parameter is, convolutions' channels last.
            like = torch.empty_like(parameter, dtype=value.dtype, device=value.device)
            copied = like.copy_(value) if value.shape == parameter.shape else value.clone()
            state.setdefault(index, {})[entry] = copied
        # The optimiser knows which entries belong beside the parameters and which on the host.
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
