"""RMSProp that several processes apply to shared parameters, without a lock."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from colonnade.learners.a2c import A2C
from colonnade.learners.descent.rmsprop import rmsprop_step
from colonnade.learners.processes.parameters import SharedParameters, shared_copy


class SharedRMSProp:
    """The statistics of A3C's RMSProp, and the count of steps taken, in shared memory.

    The updates of several workers interleave as they come (Recht et al. 2011, "Hogwild!"): now and
    then one is lost, in some elements, to another of the same moment.
    """

    def __init__(self, shared: SharedParameters, config: A2C, budget: int, workers: int) -> None:
        """Begin without statistics.

        Args:
            shared: The parameters that change.
            config: Learning rate, whether it is annealed, clipping, and what RMSProp needs.
            budget: Agent steps over which the learning rate falls to zero, if it does.
            workers: How many processes will count their steps.
        """
        self._shared = shared
        self._config = config
        self._budget = budget
        start = config.mean_square_start
        self._mean_squares = [shared_copy(torch.full_like(v, start)) for v in shared.values]
        # A place for each worker, so that counting needs no lock that a dying worker might hold.
        self._taken = shared_copy(torch.zeros(workers, dtype=torch.int64))

    @property
    def taken(self) -> int:
        """Agent steps learned from, by all workers together."""
        return int(self._taken.sum())

    def descend(self, loss: Tensor, worker: int, steps: int) -> Tensor:
        """Apply the gradient of a loss, taken at this process's parameters, to the shared ones.

        RMSProp without momentum or centring, its mean square shared (Mnih et al. 2016, section
        "Optimization").

        Args:
            loss: Of this process's parameters.
            worker: Whose steps to count.
            steps: How many agent steps the loss is about.

        Returns:
            The gradient's norm before clipping.
        """
        config, parameters = self._config, self._shared.parameters
        left = max(0.0, 1.0 - self.taken / self._budget) if config.anneal else 1.0
        self._taken[worker] += steps
        # Gradients live in this process alone and begin anew each time. Handing them to shared
        # parameters once and relying on that tie, as some code does, sums them up from the second
        # update on: zero_grad drops the tie, and what it leaves behind is added to.
        for parameter in parameters:
            parameter.grad = None
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters, config.clip_norm)
        with torch.no_grad():
            rmsprop_step(
                self._shared.values,
                [parameter.grad for parameter in parameters],
                self._mean_squares,
                lr=config.learning_rate * left,
                decay=config.decay,
                epsilon=config.epsilon,
            )
        return norm

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the mean squares as "parameter|square_avg", and the count of steps."""
        named = zip(self._shared.names, self._mean_squares, strict=True)
        return {f"{name}|square_avg": value for name, value in named}, {"taken": self.taken}

    def load_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Return to a state that `state` gave."""
        for name, value in zip(self._shared.names, self._mean_squares, strict=True):
            value.copy_(tensors[f"{name}|square_avg"])
        self._taken.zero_()
        self._taken[0] = meta["taken"]
