"""Minibatches without end, from any place in any pass on."""

from __future__ import annotations

from collections.abc import Generator

import torch

from colonnade.memory_layout import take
from colonnade.seeding import derive, generator
from colonnade.types import Examples, Reader
from colonnade.watching import beat


class Passes:
    """Endless minibatches: pass after pass over some examples, from any place on.

    Pass n is read with the seed `derive(seed, "pass", n)`.

    Args:
        reader: What reads a pass.
        size: Examples in a minibatch.
        seed: Of all passes.
    """

    def __init__(self, reader: Reader, size: int, seed: int = 0) -> None:
        self._reader, self._size, self._seed = reader, size, seed
        self._number = self._taken = 0
        self._batches: Generator[Examples] | None = None

    def __iter__(self) -> Passes:
        """Return itself."""
        return self

    def __next__(self) -> Examples:
        """Return the next minibatch."""
        while True:
            if self._batches is None:
                self._batches = self._reader.read(
                    self._size, derive(self._seed, "pass", self._number), skip=self._taken
                )
            for examples in self._batches:
                self._taken += 1
                beat()
                return examples
            self._batches = None
            self._number, self._taken = self._number + 1, 0

    @property
    def finished(self) -> int:
        """Number of passes that are over."""
        return self._number

    def close(self) -> None:
        """Free what reading took; the place is kept."""
        if self._batches is not None:
            self._batches.close()
        self._batches = None

    def state(self) -> dict[str, int]:
        """Return the seed and the place, as JSON data."""
        return {"seed": self._seed, "pass": self._number, "minibatch": self._taken}

    def load_state(self, state: dict[str, int]) -> None:
        """Go on from a place that `state` gave."""
        self.close()
        self._seed, self._number, self._taken = state["seed"], state["pass"], state["minibatch"]


class Held:
    """A reader of examples that lie in memory.

    Args:
        examples: All of them, on whatever device.
    """

    def __init__(self, examples: Examples) -> None:
        self._examples = examples

    def read(
        self, size: int, seed: int, *, shuffle: bool = True, skip: int = 0
    ) -> Generator[Examples]:
        """Go through all examples once; see `Reader`."""
        examples = self._examples
        order = torch.arange(examples.steps)
        if shuffle:
            order = torch.randperm(examples.steps, generator=generator(seed, "order"))
        for index in order[skip * size :].to(examples.targets.device).split(size):
            if not len(index):  # the whole pass is skipped
                return
            yield Examples(
                {name: take(value, 0, index) for name, value in examples.inputs.items()},
                examples.targets.index_select(0, index),
            )
