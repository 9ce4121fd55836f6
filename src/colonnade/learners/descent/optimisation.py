"""What the learners' optimisers share: annealing, saving and restoring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from colonnade.errors import UsageError
from colonnade.learners.descent.adam import adam_step
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


@torch.no_grad()
def clip_gradient(parameters: Sequence[nn.Parameter], largest: float) -> Tensor:
    """Scale the whole gradient down to a norm, as `torch.nn.utils.clip_grad_norm_` does.

    On the host it passes through memory only where there is something to scale.

    Returns:
        The norm [] before.
    """
    gradients: Any = [gradient for p in parameters if (gradient := p.grad) is not None]
    if {(gradient.is_cpu, gradient.dtype) for gradient in gradients} != {(True, torch.float32)}:
        return clip_grad_norm_(parameters, largest)
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    # As single floats, which are rounded as tensors are, in a fraction of the time.
    length, bound = np.float32(norm.item()), np.float32(largest)
    if not length <= bound:
        share = np.float32(1) / (length + np.float32(1e-6)) * bound
        torch._foreach_mul_(gradients, torch.tensor(min(float(share), 1.0)))
    return norm


class Optimisation:
    """An optimiser whose learning rates fall linearly to zero.

    Attributes:
        optimizer: Takes the steps.
        parameters: That it moves.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, budget: int | None) -> None:
        """Wrap an optimiser whose groups hold named parameters.

        Args:
            optimizer: Its present learning rates are the initial ones.
            budget: Agent steps over which they fall to zero; None keeps them.
        """
        self.optimizer = optimizer
        self._budget = budget
        self._rates = [group["lr"] for group in optimizer.param_groups]
        self.parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self._names = [n for group in optimizer.param_groups for n in group["param_names"]]
        self._taken = 0

    def anneal(self, steps: int) -> None:
        """Set the learning rates by the agent steps so far, and count those of a step to come."""
        if self._budget is not None:
            left = max(0.0, 1.0 - self._taken / self._budget)
            for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
                group["lr"] = rate * left
        self._taken += steps

    def clear(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def step(self) -> None:
        """Take a step along the gradients."""
        adam_step(self.optimizer)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the optimiser's tensors as "parameter|entry", and its counters."""
        tensors = {
            f"{name}|{entry}": value
            for name, parameter in zip(self._names, self.parameters, strict=True)
            for entry, value in self.optimizer.state[parameter].items()
        }
        return tensors, {"taken": self._taken}

    def load_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Return to a state that `state` gave.

        Raises:
            UsageError: It is of parameters that do not learn here.
        """
        self._taken = meta["taken"]
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            name, entry = key.rsplit("|", 1)
            if name not in self._names:
                raise UsageError(
                    f"The checkpoint goes on with {name!r}, which does not learn in the network "
                    "that was built; give the method and the column that it was trained with."
                )
            index = self._names.index(name)
            parameter = self.parameters[index]
            # Files hold tensors row by row; fused optimisers walk through memory and so need their
            # state laid out as the parameter is, convolutions' channels last.
            like = torch.empty_like(parameter, dtype=value.dtype, device=value.device)
            copied = like.copy_(value) if value.shape == parameter.shape else value.clone()
            state.setdefault(index, {})[entry] = copied
        # The optimiser knows which entries belong beside the parameters and which on the host.
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
