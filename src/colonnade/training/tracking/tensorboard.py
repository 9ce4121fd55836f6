"""TensorBoard's events."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter


class TensorBoard:
    """Writes TensorBoard's events to a folder; a `Tracker`.

    Each time training goes on it begins another file, at whose head stands from where on those of
    the earlier files count no more; TensorBoard hides them.

    Args:
        folder: Where to.
    """

    name = "TensorBoard"

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        self._events: SummaryWriter | None = None

    def begin(self, number: int, reach: int) -> int:
        """Begin a file; see `Tracker`."""
        from torch.utils.tensorboard.writer import SummaryWriter

        self._events = SummaryWriter(str(self._folder), purge_step=reach + 1 if reach else 0)
        return number

    def add(self, number: int, place: int, numbers: Mapping[str, float]) -> None:
        """Write an event for each number."""
        assert self._events is not None
        for name, value in numbers.items():
            self._events.add_scalar(name, value, place)

    def pause(self) -> None:
        """Close the file."""
        if self._events is not None:
            self._events.close()
        self._events = None

    def close(self, *, failed: bool) -> None:
        """Close the file."""
        self.pause()
