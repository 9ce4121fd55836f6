"""TensorBoard's events."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter

_FILES = "events.out.tfevents.*"


class TensorBoard:
    """Writes TensorBoard's events to a folder; a `Tracker`.

    Each time training goes on it begins another file, at whose head stands from where on those of
    the earlier files count no more, and TensorBoard hides them; those of rows that are kept come
    again after it. Where there are no earlier files it gets all rows.

    Args:
        folder: Where to.
    """

    name = "TensorBoard"

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        self._events: SummaryWriter | None = None
        self._from = 0

    def begin(self, number: int, reach: int) -> int:
        """Begin a file; see `Tracker`."""
        from torch.utils.tensorboard.writer import SummaryWriter

        earlier = set(self._folder.glob(_FILES))
        self._from = reach if earlier else 0
        for attempt in range(2):  # where clocks differ, waiting longer would not help
            events = SummaryWriter(str(self._folder), purge_step=self._from)
            made = set(self._folder.glob(_FILES)) - earlier
            # Files are read by the order of their names: of the second, the process, a count.
            if attempt or not earlier or max(earlier) < min(made):
                self._events = events
                break
            events.close()
            for file in made:
                file.unlink()
            time.sleep(1 - time.time() % 1)
        return 0

    def add(self, number: int, place: int, numbers: Mapping[str, float]) -> None:
        """Write an event for each number, but for those that an earlier file has and shows."""
        assert self._events is not None
        if place < self._from:
            return
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
