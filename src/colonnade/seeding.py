"""Independent, reproducible random streams derived from one seed."""

import hashlib

import torch


def derive(seed: int, *path: int | str) -> int:
    """Derive the seed of a named stream, a whole number below 2**31.

    Streams with different paths are independent for all practical purposes, and a stream does
    not change when others are added beside it.

    Args:
        seed: The run's seed.
        *path: What the stream is for, as in `derive(seed, "env", task, segment)`.
    """
    text = "/".join(str(part) for part in (seed, *path))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) >> 1


def generator(seed: int, *path: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """Make a torch generator for the stream `path` of `seed`."""
    return torch.Generator(device=device).manual_seed(derive(seed, *path))
