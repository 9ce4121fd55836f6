"""What somebody who shows numbers elsewhere must be able to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Tracker(Protocol):
    """Shows the numbers of rows, in order, on an axis of all steps of a sequence.

    This is how it is called, where training was cut off after row 40 and goes on from row 30::

        tracker.begin(30, reach)                    # says from which row on it lacks them
        tracker.add(30, place, {"curve/pong/return_mean": 3.5})
        tracker.pause()                             # rows are dropped: it goes back to some row
        tracker.begin(25, reach)
        tracker.add(25, place, ...)
        tracker.close(failed=False)

    Where it raises an error, training tells so in a sentence and goes on without it.
    """

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    def begin(self, number: int, reach: int) -> int:
        """Open what numbers go to, or go on with it.

        Args:
            number: How many rows there are already.
            reach: The place, in steps of the whole sequence, before which none of the rows to
                come will stand; some of those that there are may stand at it or after it.

        Returns:
            The first row that it does not have yet, `number` at most; those from it on follow.
        """
        ...

    def add(self, number: int, place: int, numbers: Mapping[str, float]) -> None:
        """Show the numbers of a row.

        Args:
            number: Of the row, counted from 0. One that it has already comes again, alike, where
                training goes through the same numbers a second time.
            place: In steps of the whole sequence.
            numbers: By names that tell tasks, policies and layers apart.
        """
        ...

    def pause(self) -> None:
        """Take note that rows are dropped; `begin` says where it goes on."""
        ...

    def close(self, *, failed: bool) -> None:
        """Bring everything where it belongs; nothing follows in this process.

        Args:
            failed: Whether training ended with an error.
        """
        ...
