"""The process's global generators, with streams of its own for each environment that draws."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable, Iterable
from typing import Any

import torch
from numpy.random import MT19937, mtrand

from colonnade.seeding import derive


def _swap_python(state: Any) -> Any:
    before = random.getstate()
    random.setstate(state)
    return before


def _swap_numpy(bits: Any) -> Any:
    before = mtrand.get_bit_generator()
    mtrand.set_bit_generator(bits)
    return before


def _swap_torch(state: Any) -> Any:
    before = torch.default_generator.get_state()
    torch.default_generator.set_state(state)
    return before


# Of each source: what brings a state in and hands back the one before, and a state made of a seed.
# numpy's is swapped as a whole, since copying it takes a hundred times as long; that drops the
# second of a pair of its old-style normal numbers, on either side, at every swap.
_SOURCES: dict[str, tuple[Callable[[Any], Any], Callable[[int], Any]]] = {
    "random": (_swap_python, lambda seed: random.Random(seed).getstate()),
    "numpy.random": (_swap_numpy, MT19937),
    "torch": (_swap_torch, lambda seed: torch.Generator().manual_seed(seed).get_state()),
}

SOURCES = tuple(_SOURCES)
"""The generators that all code of a process shares: "random", "numpy.random" and "torch"."""


class GlobalStreams:
    """Streams for global generators, which code draws from inside `with streams:`.

    Outside, the process's own go on as if nothing had been drawn. Seed them before use.

    Args:
        sources: Those of `SOURCES` that are exchanged.
    """

    def __init__(self, sources: Iterable[str] = SOURCES) -> None:
        self._sources = tuple(sources)
        self._states: dict[str, Any] = {}

    def seed(self, seed: int) -> None:
        """Begin all streams anew, each of its own seed."""
        for name in self._sources:
            self._states[name] = _SOURCES[name][1](derive(seed, name))

    def __enter__(self) -> None:
        """Exchange the generators' states."""
        self._exchange()

    def __exit__(self, *_: object) -> None:
        """Exchange them back."""
        self._exchange()

    def _exchange(self) -> None:
        for name in self._sources:
            self._states[name] = _SOURCES[name][0](self._states[name])


def snapshot(source: str) -> object:
    """Return what changes whenever somebody draws from a source, to be compared by `==`."""
    if source == "random":
        return random.getstate()
    if source == "torch":
        return torch.default_generator.get_state().numpy().tobytes()
    return pickle.dumps(mtrand.get_bit_generator().state)


def drawn_from(play: Callable[[], object]) -> frozenset[str]:
    """Call `play` and return the sources that were drawn from, or seeded, meanwhile."""
    before = {name: snapshot(name) for name in SOURCES}
    play()
    return frozenset(name for name in SOURCES if snapshot(name) != before[name])
