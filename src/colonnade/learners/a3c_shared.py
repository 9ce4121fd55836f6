"""Parameters that forked processes share, and RMSProp on them without a lock."""

from __future__ import annotations

import mmap
from typing import Any

import torch
from torch import Tensor

from colonnade.learners.a2c import A2C
from colonnade.learners.optimisation import trainable
from colonnade.types import Network


class SharedParameters:
    """A network in shared memory, the statistics of its RMSProp, and the count of steps taken.

    All of the network's parameters and buffers move to memory that is shared with every process
    forked later, so that frozen columns exist once. A worker calls `localise` and from then on has
    trainable parameters of its own, which `pull` refreshes; everything else stays shared.

    The updates of several workers interleave as they come (Recht et al. 2011, "Hogwild!"): now and
    then one is lost, in some elements, to another of the same moment.
    """

    def __init__(self, network: Network, config: A2C, budget: int, workers: int) -> None:
        """Move a network to shared memory.

        Args:
            network: Stays the same object, whose parameters are those that the workers change.
            config: Learning rate, whether it is annealed, decay, epsilon and clipping.
            budget: Agent steps over which the learning rate falls to zero, if it does.
            workers: How many processes will count their steps.
        """
        self._config = config
        self._budget = budget
        named = trainable(network)
        self._names = [name for name, _ in named]
        self._parameters = [parameter for _, parameter in named]
        self._all: list[Tensor] = [parameter for _, parameter in network.named_parameters()]
        if isinstance(network, torch.nn.Module):
            self._all += list(network.buffers())
        for tensor in self._all:
            tensor.data = shared_copy(tensor.data)
        self.values = [parameter.data for parameter in self._parameters]
        """The trainable parameters' shared memory, whatever the parameters point to."""
        self._mean_squares = [shared_copy(torch.zeros_like(value)) for value in self.values]
        # A place for each worker, so that counting needs no lock that a dying worker might hold.
        self._taken = shared_copy(torch.zeros(workers, dtype=torch.int64))

    @property
    def taken(self) -> int:
        """Agent steps learned from, by all workers together."""
        return int(self._taken.sum())

    def localise(self) -> None:
        """Give this process trainable parameters of its own."""
        for parameter, value in zip(self._parameters, self.values, strict=True):
            parameter.data = value.clone()

    def pull(self) -> None:
        """Set this process's parameters to the shared ones."""
        for parameter, value in zip(self._parameters, self.values, strict=True):
            parameter.data.copy_(value)

    def descend(self, loss: Tensor, worker: int, steps: int) -> Tensor:
        """Apply the gradient of a loss, taken at this process's parameters, to the shared ones.

        RMSProp without momentum or centring, its mean square shared (Mnih et al. 2016, section
        "Optimization"); epsilon is added to the root, as A2C's optimiser does.

        Args:
            loss: Of this process's parameters.
            worker: Whose steps to count.
            steps: How many agent steps the loss is about.

        Returns:
            The gradient's norm before clipping.
        """
        config = self._config
        left = max(0.0, 1.0 - self.taken / self._budget) if config.anneal else 1.0
        self._taken[worker] += steps
        # Gradients live in this process alone and begin anew each time. Handing them to shared
        # parameters once and relying on that tie, as some code does, sums them up from the second
        # update on: zero_grad drops the tie, and what it leaves behind is added to.
        for parameter in self._parameters:
            parameter.grad = None
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, config.clip_norm)
        with torch.no_grad():
            for parameter, value, mean_square in zip(
                self._parameters, self.values, self._mean_squares, strict=True
            ):
                if (gradient := parameter.grad) is None:
                    continue
                mean_square.mul_(config.decay)
                mean_square.addcmul_(gradient, gradient, value=1 - config.decay)
                root = mean_square.sqrt().add_(config.epsilon)
                value.addcdiv_(gradient, root, value=-config.learning_rate * left)
        return norm

    def release(self) -> None:
        """Bring the network back to memory of this process alone."""
        for tensor in self._all:
            tensor.data = tensor.data.clone()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the mean squares as "parameter|square_avg", and the count of steps."""
        named = zip(self._names, self._mean_squares, strict=True)
        return {f"{name}|square_avg": value for name, value in named}, {"taken": self.taken}

    def load_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Return to a state that `state` gave."""
        for name, value in zip(self._names, self._mean_squares, strict=True):
            value.copy_(tensors[f"{name}|square_avg"])
        self._taken.zero_()
        self._taken[0] = meta["taken"]


def shared_copy(tensor: Tensor) -> Tensor:
    """Copy a tensor to memory that processes forked from this one will share."""
    if tensor.numel() == 0:
        return tensor.clone()
    # Anonymous pages vanish with their last user, however that one ends; unlike /dev/shm they have
    # no limit of their own in a container.
    memory = mmap.mmap(-1, tensor.numel() * tensor.element_size())
    flat = torch.frombuffer(memory, dtype=tensor.dtype)
    return flat.as_strided(tensor.shape, torch.empty_like(tensor).stride()).copy_(tensor)
