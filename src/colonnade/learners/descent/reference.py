"""What PPO's ratio is taken against where a network computes otherwise while it learns.

Experience is collected in evaluation mode: without dropout, with the statistics that normalisation
has kept. Learning runs the network in training mode, on minibatches. The ratio of the two would
differ from one before any step, by what training mode changes and not by what was learned. So the
denominator is taken in training mode too, by the network before any step of the update, for each
minibatch of each pass on its own: normalisation hangs on what else is in the minibatch, and the
same random numbers must be drawn again. (Hausknecht & Wagener 2022, arXiv 2202.11818, do so for
dropout, by keeping its masks.)
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from colonnade.learners.descent.buffers import Buffers


class Randomness:
    """The state of everything that a network may draw random numbers from."""

    def __init__(self, device: torch.device) -> None:
        """Take note of the present state."""
        self._device = device
        self._host = torch.get_rng_state()
        self._there = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        self._numpy: Any = np.random.get_state()  # noqa: NPY002 - what users' modules draw from
        self._python = random.getstate()

    def restore(self) -> None:
        """Return to it."""
        torch.set_rng_state(self._host)
        if self._there is not None:
            torch.cuda.set_rng_state(self._there, self._device)
        np.random.set_state(self._numpy)  # noqa: NPY002
        random.setstate(self._python)


class Reference:
    """Log-probabilities of a minibatch's actions before any step, and how they came about.

    Attributes:
        log_probs: Of the actions taken, shaped as the minibatch.
    """

    def __init__(self, evaluate: Callable[[], Tensor], device: torch.device) -> None:
        """Evaluate the minibatch, as it will be for learning.

        Args:
            evaluate: Runs the network in training mode: the log-probabilities, with their graph.
            device: Where it draws random numbers.
        """
        self._randomness = Randomness(device)
        self._device = device
        # With gradients: without them a column's dropout rests.
        self.log_probs = evaluate().detach()

    @contextmanager
    def repeated(self) -> Iterator[None]:
        """Let the network draw the same random numbers again within the block."""
        present = Randomness(self._device)
        self._randomness.restore()
        try:
            yield
        finally:
            present.restore()


@contextmanager
def statistics_kept(network: nn.Module) -> Iterator[None]:
    """Put all buffers, such as running means, back after the block to what they were."""
    buffers = Buffers(network)
    before = [buffer.clone() for buffer in buffers.tensors]
    try:
        yield
    finally:
        buffers.settle()
        with torch.no_grad():
            for buffer, value in zip(buffers.tensors, before, strict=True):
                buffer.copy_(value)
