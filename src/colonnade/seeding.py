"""Independent, reproducible random streams derived from one seed."""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def derive(seed: int, *path: int | str) -> int:
    """Derive the seed of a named stream, a whole number below 2**31.

    Streams with different paths are independent for all practical purposes, and a stream does
    not change when others are added beside it.

    Args:
        seed: The run's seed.
        *path: What the stream is for, as in `derive(seed, "environments", task)`.
    """
    text = "/".join(str(part) for part in (seed, *path))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) >> 1


def generator(seed: int, *path: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """Make a torch generator for the stream `path` of `seed`."""
    return torch.Generator(device=device).manual_seed(derive(seed, *path))


def restore(generator: torch.Generator, state: torch.Tensor) -> bool:
    """Bring a generator back to a state, if that is one of its kind of device.

    Another kind's generator begins a stream of its own, which follows from the state.

    Returns:
        Whether it goes on exactly.
    """
    if state.shape != generator.get_state().shape:
        digest = hashlib.sha256(state.cpu().numpy().tobytes()).hexdigest()
        generator.manual_seed(derive(0, "another device", digest))
        return False
    generator.set_state(state)
    return True


MOVED = (
    "It goes on from a checkpoint of another kind of device: from there on, actions are drawn from "
    "a stream of their own, and sums come in another order."
)
"""What `restore` means for a run, where it says no."""


def seed_globals(seed: int) -> None:
    """Seed what any code may draw from unasked: `random`, `numpy.random` and torch.

    Each gets a stream of its own. Environments, data sets and stages of a user's own draw from
    them; the library draws from torch's where torch itself does (dropout, initial weights).
    """
    random.seed(derive(seed, "random"))
    np.random.seed(derive(seed, "numpy"))  # noqa: NPY002
    torch.manual_seed(seed)


def globals_state() -> dict[str, Any]:
    """Return where this process's global generators stand, as JSON data."""
    version, words, gauss = random.getstate()
    numpy = np.random.get_state(legacy=False)  # noqa: NPY002
    inner = {**numpy["state"], "key": numpy["state"]["key"].tolist()}
    state: dict[str, Any] = {
        "random": [version, list(words), gauss],
        "numpy": {**numpy, "state": inner},
        "torch": _text(torch.random.get_rng_state()),
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        state["cuda"] = [_text(one) for one in torch.cuda.get_rng_state_all()]
    return state


def load_globals_state(state: dict[str, Any]) -> None:
    """Bring the global generators back to where `globals_state` found them."""
    version, words, gauss = state["random"]
    random.setstate((version, tuple(words), gauss))
    inner = {**state["numpy"]["state"], "key": np.array(state["numpy"]["state"]["key"], np.uint32)}
    np.random.set_state({**state["numpy"], "state": inner})  # noqa: NPY002
    torch.random.set_rng_state(_tensor(state["torch"]))
    if "cuda" in state and torch.cuda.is_available():
        kept = state["cuda"] if isinstance(state["cuda"], list) else [state["cuda"]]
        for device, one in enumerate(kept[: torch.cuda.device_count()]):
            torch.cuda.set_rng_state(_tensor(one), device)


@contextmanager
def kept_globals(seed: int | None = None) -> Iterator[None]:
    """Leave the global generators after the block as they were before it; seed them for it."""
    before = globals_state()
    try:
        if seed is not None:
            seed_globals(seed)
        yield
    finally:
        load_globals_state(before)


def _text(state: torch.Tensor) -> str:
    return base64.b64encode(state.numpy().tobytes()).decode()


def _tensor(text: str) -> torch.Tensor:
    return torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.uint8)
