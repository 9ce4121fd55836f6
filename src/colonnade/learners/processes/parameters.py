"""Parameters in memory that forked processes share, and what processes do with them."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from colonnade.learners.descent.buffers import Buffers
from colonnade.learners.descent.optimisation import trainable
from colonnade.networks.modes import mode_matters
from colonnade.types import Network


class SharedParameters:
    """A network in memory that is shared with every process forked later.

    All parameters and buffers move there, so that frozen columns exist once.

    Attributes:
        names: Of the parameters that require gradients.
        parameters: These, whatever memory they point to.
        values: Their shared memory.
        buffers: The network's, in shared memory too.
    """

    def __init__(self, network: Network) -> None:
        """Move a network, which stays the same object."""
        named = trainable(network)
        self.names = [name for name, _ in named]
        self.parameters = [parameter for _, parameter in named]
        self.buffers = Buffers(network)
        self._all: list[Tensor] = [parameter for _, parameter in network.named_parameters()]
        self._all += self.buffers.tensors
        for tensor in self._all:
            tensor.data = shared_copy(tensor.data)
        self.values = [parameter.data for parameter in self.parameters]

    def pull(self) -> None:
        """Set the parameters to the shared values; the first call makes them this process's own."""
        for parameter, value in zip(self.parameters, self.values, strict=True):
            if parameter.data_ptr() == value.data_ptr():
                parameter.data = value.clone()
            else:
                parameter.data.copy_(value)

    def release(self) -> None:
        """Bring the network back to memory of this process alone."""
        for tensor in self._all:
            tensor.data = tensor.data.clone()


class SharedGradients:
    """A place for each worker's gradients, from which this process takes their mean."""

    def __init__(self, parameters: list[torch.nn.Parameter], workers: int) -> None:
        """Make room for the gradients of parameters."""
        self._parameters = parameters
        self._gradients = [
            [shared_copy(torch.zeros_like(parameter)) for parameter in parameters]
            for _ in range(workers)
        ]
        # A parameter that no worker used has no gradient, which is not a gradient of zero.
        self._known = shared_copy(torch.zeros(workers, len(parameters), dtype=torch.bool))

    def give(self, worker: int) -> None:
        """Hand over the gradients that this process's parameters have; in a worker."""
        for place, parameter in enumerate(self._parameters):
            self._known[worker, place] = parameter.grad is not None
            if parameter.grad is not None:
                self._gradients[worker][place].copy_(parameter.grad)

    def take(self) -> None:
        """Give this process's parameters the workers' mean gradients; in the parent."""
        for place, parameter in enumerate(self._parameters):
            known = self._known[:, place].tolist()
            given = [
                own[place] for own, is_known in zip(self._gradients, known, strict=True) if is_known
            ]
            parameter.grad = None
            if given:
                total = given[0].clone()
                for gradient in given[1:]:
                    total += gradient
                parameter.grad = total.div_(len(self._gradients))


class SharedBuffers:
    """Buffers that learning moves, such as running means: each worker its own, one is passed on."""

    def __init__(self, network: Network) -> None:
        """Look for buffers of a network that may act otherwise than it learns."""
        moves = isinstance(network, torch.nn.Module) and mode_matters(network)
        self._moving = Buffers(network) if moves else None
        self._buffers = self._moving.tensors if self._moving else []
        self._passed_on = [shared_copy(buffer.data) for buffer in self._buffers]

    @contextmanager
    def apart(self, worker: int) -> Iterator[None]:
        """Let a worker move copies of the buffers, so that no other one sees them move."""
        before = [buffer.data for buffer in self._buffers]
        for buffer in self._buffers:
            buffer.data = buffer.data.clone()
        yield
        if self._moving:
            self._moving.settle()
        for buffer, kept, passed_on in zip(self._buffers, before, self._passed_on, strict=True):
            if worker == 0:
                passed_on.copy_(buffer.data)
            buffer.data = kept

    def publish(self) -> None:
        """Give all workers, which rest, the buffers of the first; in the parent."""
        for buffer, passed_on in zip(self._buffers, self._passed_on, strict=True):
            buffer.data.copy_(passed_on)


def shared_copy(tensor: Tensor) -> Tensor:
    """Copy a tensor to memory that processes forked from this one will share."""
    if tensor.numel() == 0:
        return tensor.clone()
    # Anonymous pages vanish with their last user, however that one ends; unlike /dev/shm they have
    # no limit of their own in a container.
    memory = mmap.mmap(-1, tensor.numel() * tensor.element_size())
    flat = torch.frombuffer(memory, dtype=tensor.dtype)
    return flat.as_strided(tensor.shape, torch.empty_like(tensor).stride()).copy_(tensor)
