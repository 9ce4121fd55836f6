"""Where and in which precision a network computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from colonnade.errors import UsageError, unknown_name
from colonnade.types import TaskSpec

Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class Compute:
    """A device and the precision of matrix products on it; parameters always stay float32."""

    device: torch.device
    bfloat16: bool = False

    @classmethod
    def choose(cls, spec: TaskSpec, device: str = "auto", precision: Precision = "auto") -> Compute:
        """Choose for a task: a GPU where there is one, bfloat16 for images where it is fast.

        Args:
            spec: Tasks with images gain from bfloat16; small vectors do not.
            device: A torch device name, or "auto".
            precision: "auto" takes bfloat16 only where the processor computes in it natively.

        Raises:
            UsageError: The device is not there, or the precision is unknown.
        """
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        place = _named(device)
        try:
            torch.zeros(1, device=place).item()  # "meta" holds no numbers
        except (RuntimeError, AssertionError, NotImplementedError, ImportError) as error:
            raise _unusable(device, str(error).splitlines()[0].partition(". ")[0]) from error
        if precision not in get_args(Precision):
            raise unknown_name("precision", precision, get_args(Precision))
        if precision == "auto":
            images = any(len(shape) == 3 for shape in spec.input_shapes.values())
            return cls(place, images and _native_bfloat16(place))
        return cls(place, precision == "bfloat16")

    def autocast(self) -> AbstractContextManager[object]:
        """Enter the chosen precision."""
        if not self.bfloat16:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)


def device_for(learner: object, device: str) -> str:
    """Choose a device for a learner: what is asked for, but "auto" is the processor for workers.

    Args:
        learner: Those whose workers share the processor's memory say so (`on_processor`).
        device: A torch device name, or "auto".

    Raises:
        UsageError: Another device is asked for such a learner, or one that does not exist.
    """
    if not getattr(learner, "on_processor", False):
        return device
    if device == "auto":
        return "cpu"
    if _named(device).type != "cpu":
        raise UsageError(
            f"{type(learner).__name__}'s workers share the memory of the processor, but the device "
            f"is {device!r}; choose device 'cpu', or one worker of 'a2c' or 'ppo'."
        )
    return device


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch use `count` threads within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _named(device: str) -> torch.device:
    """Return the device of a name.

    Raises:
        UsageError: PyTorch knows none of that name.
    """
    try:
        return torch.device(device)
    except RuntimeError as error:  # which lists all kinds that there are
        raise _unusable(device, "PyTorch knows no device of that name") from error


def _unusable(device: str, reason: str) -> UsageError:
    return UsageError(f"Device {device!r} can't be used ({reason}); try 'cpu'.")


def _native_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        supported: bool = torch.cuda.is_bf16_supported(including_emulation=False)
        return supported
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())
