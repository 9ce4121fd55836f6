"""Rows on their way to trackers, none of whose failures ends training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from typing import Any

from torch import Tensor

from colonnade.training.recorder import MemoryRecorder, Progress, Recorder, Row
from colonnade.training.tracking.tracker import Tracker

_TOLD_APART = ("task", "tested", "other", "policy", "layer")
"""Fields of a row that say what its numbers are of."""

_NO_CURVES = ("step", "width", "task_index", "tested_index", "depth", "visit")
"""Fields of a row that are places and no measures."""


class Trackers:
    """Shows each row to all trackers, and tells of one that fails.

    Args:
        trackers: To whom.
        rows: Gives the rows that there are; asked where earlier ones are to be shown.
        note: Tells a user something.
        steps: Of each visit of the schedule, or of each task. Where they aren't known, a visit
            begins where the one before has ended.
    """

    def __init__(
        self,
        trackers: Sequence[Tracker],
        rows: Callable[[], Sequence[Row]],
        note: Callable[[str], None],
        steps: Sequence[int] | None = None,
    ) -> None:
        self._waiting = list(trackers)
        self._begun: list[Tracker] = []
        self._rows, self._note, self._steps = rows, note, steps
        self._axis = _Axis(steps)
        self._placed = 0

    def append(self, row: Row, number: int) -> None:
        """Show a row, which is the last of all rows already, and its number, counted from 0."""
        if self._placed < number:
            for earlier in self._rows()[self._placed : number]:
                self._axis.place(earlier)
        reach, place = self._axis.settled, self._axis.place(row)
        self._placed = number + 1
        for tracker in list(self._waiting):
            self._waiting.remove(tracker)
            if self._tried(tracker, partial(self._begin, tracker, number, reach)):
                self._begun.append(tracker)
        numbers = numbers_of(row)
        for tracker in list(self._begun):
            if not self._tried(tracker, partial(tracker.add, number, place, numbers)):
                self._begun.remove(tracker)

    def rewind(self) -> None:
        """Take note that rows were dropped."""
        for tracker in self._begun:
            if self._tried(tracker, tracker.pause):
                self._waiting.append(tracker)
        self._begun = []
        self._axis, self._placed = _Axis(self._steps), 0

    def close(self, *, failed: bool) -> None:
        """Let all trackers end."""
        for tracker in [*self._begun, *self._waiting]:
            self._tried(tracker, partial(tracker.close, failed=failed))
        self._begun, self._waiting = [], []

    def _begin(self, tracker: Tracker, number: int, reach: int) -> None:
        rows, axis = self._rows(), _Axis(self._steps)
        first = tracker.begin(number, reach)
        for at, row in enumerate(rows[:number]):
            place = axis.place(row)
            if at >= first:
                tracker.add(at, place, numbers_of(row))

    def _tried(self, tracker: Tracker, work: Callable[[], object]) -> bool:
        try:
            work()
        except Exception as error:
            words = " ".join(str(error).split())[:200].rstrip(".")
            self._note(
                f"{tracker.name} records no more of this: {type(error).__name__}: {words}. "
                "Training goes on without it, and its own metrics lack nothing."
            )
            return False
        return True


class TrackedRecorder:
    """A recorder that shows its rows to trackers too; a `Recorder`, and a context.

    Args:
        *trackers: To whom.
        recorder: Which keeps everything; in memory if not given. For training to go on in another
            process, one that keeps rows and checkpoints, and gives the rows as `history`.
    """

    def __init__(self, *trackers: Tracker, recorder: Any = None) -> None:
        self.recorder: Any = MemoryRecorder() if recorder is None else recorder
        inner: Recorder = self.recorder
        self._inner = inner
        self._trackers = Trackers(trackers, lambda: self.recorder.history, inner.note)

    def __enter__(self) -> TrackedRecorder:
        """Return the recorder."""
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Let all trackers end."""
        self._trackers.close(failed=error is not None)

    @property
    def rows(self) -> int:
        """Number of rows so far."""
        return self._inner.rows

    @property
    def history(self) -> Sequence[Row]:
        """All rows."""
        rows: Sequence[Row] = self.recorder.history
        return rows

    def append(self, row: Row) -> None:
        """Add a row, and show it."""
        self._inner.append(row)
        self._trackers.append(row, self._inner.rows - 1)

    def rewind(self, rows: int) -> None:
        """Drop all but the first `rows` rows."""
        if rows != self._inner.rows:
            self._trackers.rewind()
        self._inner.rewind(rows)

    def save_checkpoint(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Keep a checkpoint, as the recorder does."""
        self._inner.save_checkpoint(tensors, meta)

    def load_checkpoint(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return the newest whole checkpoint, if there is one."""
        return self._inner.load_checkpoint()

    def progress(self, progress: Progress) -> None:
        """Take note of the progress, as the recorder does."""
        self._inner.progress(progress)

    def note(self, message: str) -> None:
        """Say something that the user should know of the run."""
        self._inner.note(message)

    def should_stop(self) -> bool:
        """Say whether to stop at the next rollout."""
        return self._inner.should_stop()


class _Axis:
    """Where rows stand on the axis of all steps of a sequence."""

    def __init__(self, steps: Sequence[int] | None) -> None:
        self._offsets = None if steps is None else [0, *accumulate(steps)]
        self._visit: int | None = None
        self._offset = self.reach = 0

    @property
    def settled(self) -> int:
        """The place before which no further row will stand.

        A visit may end a few steps past its budget, and the next begins where that was spent.
        """
        if self._offsets is None or self._visit is None:
            return self.reach
        return min(self.reach, self._offsets[self._visit + 1])

    def place(self, row: Row) -> int:
        """Place a row. What is measured of the networks in the end stands at the end."""
        if "task_index" not in row:
            return self.reach
        visit: int = row["visit"] if "visit" in row else row["task_index"]
        if self._offsets is not None:
            self._offset = self._offsets[visit]
        elif visit != self._visit:
            self._offset = self.reach
        self._visit = visit
        place: int = self._offset + row.get("step", 0)
        self.reach = max(self.reach, place)
        return place


def numbers_of(row: Row) -> dict[str, float]:
    """Return the numbers of a row by names that tell tasks, policies and layers apart."""
    what = [row["kind"], *(str(row[key]) for key in _TOLD_APART if key in row)]
    return {
        "/".join([*what, name]): value
        for name, value in row.items()
        if name not in _NO_CURVES and isinstance(value, int | float)
    }
