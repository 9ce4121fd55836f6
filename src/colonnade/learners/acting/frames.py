"""Where a replay keeps observations: single frames that stacks share, or whole ones."""

from __future__ import annotations

import math
import zlib
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from colonnade.types import Shape

LEVEL = 1
"""Of zlib: frames of games shrink to a tenth or less, at some 500 MB a second."""


class Store(Protocol):
    """Keeps one input of the observations of N environments, an entry of a ring each."""

    def put(self, env: int, entry: int, value: Tensor, *, start: bool) -> None:
        """Keep an observation [...] of an environment as the next entry.

        Args:
            env: Which environment.
            entry: Its number, counted from 0 without end.
            value: The observation.
            start: Whether it does not follow from the one before.
        """
        ...

    def oldest(self, env: int, first: int) -> int:
        """Return the first entry from `first` on that has not been written over."""
        ...

    def get(self, envs: NDArray[np.int64], entries: NDArray[np.int64]) -> Tensor:
        """Return the observations [B, ...] of entries [B] of environments [B]."""
        ...

    def state(self, spans: list[range]) -> dict[str, Tensor]:
        """Pack the entries of each environment."""
        ...

    def load_state(self, tensors: dict[str, Tensor], spans: list[range]) -> None:
        """Unpack what `state` packed."""
        ...


class Stacks:
    """Stacks of C frames, of which those that follow one another share all frames but the newest.

    An observation that is the one before moved on by a frame costs one frame. Any other, as at an
    episode's start, costs as many frames as differ from their neighbours in it: two where an
    emulator fills up with black. So stacks come back exactly as they came, whatever begins them.

    Args:
        envs: N.
        places: Frames, and entries, that an environment has room for.
        shape: (C, H, W) of a stack.
        dtype: uint8.
    """

    def __init__(self, envs: int, places: int, shape: Shape, dtype: torch.dtype) -> None:
        self._shape, self._places = shape, places
        # np.empty: memory is taken as it is written to.
        self._frames = np.empty((envs * places, *shape[1:]), np.uint8)
        self._stacks = np.empty((envs, places, shape[0]), np.int32)  # frames of each stack
        self._written = np.zeros(envs, np.int64)
        self._last = np.zeros((envs, *shape), np.uint8)
        self._last_stack = np.zeros((envs, shape[0]), np.int64)

    @staticmethod
    def size(envs: int, places: int, shape: Shape, dtype: torch.dtype) -> int:
        """Return the bytes that it takes when it is full."""
        frame, depth = math.prod(shape[1:]), shape[0]
        return envs * (places * (frame + 4 * depth) + depth * (frame + 8) + 8)

    def put(self, env: int, entry: int, value: Tensor, *, start: bool) -> None:
        """Keep an observation; see `Store`."""
        stack, last = value.numpy(), self._last[env]
        ids = self._last_stack[env]
        if not start and np.array_equal(stack[:-1], last[1:]):
            ids[:-1] = ids[1:]
            ids[-1] = self._write(env, stack[-1])
        else:
            ids[0] = self._write(env, stack[0])
            for c in range(1, len(stack)):
                same = np.array_equal(stack[c], stack[c - 1])
                ids[c] = ids[c - 1] if same else self._write(env, stack[c])
        self._stacks[env, entry % self._places] = ids
        last[...] = stack

    def _write(self, env: int, frame: NDArray[np.uint8]) -> int:
        number = int(self._written[env])
        self._frames[env * self._places + number % self._places] = frame
        self._written[env] += 1
        return number

    def oldest(self, env: int, first: int) -> int:
        """Return the first entry whose frames are all there; see `Store`."""
        kept = self._written[env] - self._places
        while self._stacks[env, first % self._places, 0] < kept:
            first += 1
        return first

    def get(self, envs: NDArray[np.int64], entries: NDArray[np.int64]) -> Tensor:
        """Return stacks [B, C, H, W], in channels-last memory as convolutions want them."""
        stacks = self._stacks[envs, entries % self._places]
        rows = envs[:, None] * self._places + stacks % self._places
        channels, height, width = self._shape
        out = np.empty((len(envs), height, width, channels), np.uint8)
        for c in range(channels):
            out[..., c] = self._frames[rows[:, c]]
        return torch.from_numpy(out).permute(0, 3, 1, 2)

    def state(self, spans: list[range]) -> dict[str, Tensor]:
        """Pack frames and stacks in the order of time."""
        packer, packed, counts, stacks = zlib.compressobj(LEVEL), [], [], []
        for env, span in enumerate(spans):
            places = np.arange(span.start, span.stop) % self._places
            numbers = self._stacks[env, places].astype(np.int64)
            first = int(numbers[0, 0]) if len(span) else int(self._written[env])
            count = int(self._written[env]) - first
            for number in range(first, first + count):
                row = env * self._places + number % self._places
                packed.append(packer.compress(self._frames[row].data))
            counts.append([first, count])
            stacks.append(numbers - first)
        packed.append(packer.flush())
        ids = np.concatenate([x.ravel() for x in stacks]).astype(np.int32)
        return {
            "frames": torch.frombuffer(bytearray(b"".join(packed)), dtype=torch.uint8),
            "stacks": torch.from_numpy(ids.reshape(-1, self._shape[0])),
            "counts": torch.tensor(counts, dtype=torch.int64),
        }

    def load_state(self, tensors: dict[str, Tensor], spans: list[range]) -> None:
        """Unpack frames and stacks; see `Store`."""
        unpacker = zlib.decompressobj()
        size = int(np.prod(self._shape[1:]))
        rest, begin = tensors["frames"].numpy().tobytes(), 0
        for env, span in enumerate(spans):
            first, count = (int(x) for x in tensors["counts"][env])
            for number in range(first, first + count):
                frame = unpacker.decompress(rest, size)
                while len(frame) < size:
                    frame += unpacker.decompress(unpacker.unconsumed_tail, size - len(frame))
                rest = unpacker.unconsumed_tail
                row = env * self._places + number % self._places
                self._frames[row] = np.frombuffer(frame, np.uint8).reshape(self._shape[1:])
            self._written[env] = first + count
            stacks = tensors["stacks"][begin : begin + len(span)].numpy()
            places = np.arange(span.start, span.stop) % self._places
            self._stacks[env, places] = stacks + first
            begin += len(span)
            if len(span):
                self._last_stack[env] = stacks[-1].astype(np.int64) + first
                newest = np.array([span.stop - 1], np.int64)
                self._last[env] = self.get(np.array([env]), newest)[0].numpy()
