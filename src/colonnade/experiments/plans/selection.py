"""Several runs of which the best is taken."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

from colonnade.errors import UsageError, unknown_name
from colonnade.experiments.plans.spec import BEST, Json
from colonnade.records import fitting, shown


@dataclass(frozen=True)
class Selection:
    """Runs of which the best, by its final score, is what others start from or learn like.

    Attributes:
        runs: Ids; the first of equally good ones is taken.
        rank: 0 stands for the best, 1 for the second best, and so on, as where the best few of many
            are trained for longer. Where fewer are complete, the last of those is meant.
    """

    runs: tuple[str, ...]
    rank: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.rank < max(1, len(self.runs)):
            raise UsageError(
                f"'rank' of a selection is from 0 to {len(self.runs) - 1}, the number of its runs "
                f"less one, but {shown(self.rank)} came."
            )

    @cached_property
    def name(self) -> str:
        """As in `RunSpec.parent`; it follows from the runs, so that a spec says what it takes."""
        told = [*self.runs, *([str(self.rank)] if self.rank else [])]
        return BEST + hashlib.sha256(",".join(told).encode()).hexdigest()[:12]

    @classmethod
    def from_data(cls, data: object) -> Selection:
        """Read a selection, which is a list of ids in JSON, or an object with that and a rank."""
        whole = data if isinstance(data, dict) else {"runs": data}
        if unknown := [key for key in whole if key not in ("runs", "rank")]:
            raise unknown_name("key of a selection", unknown[0], ("runs", "rank"))
        return cls(
            fitting(tuple[str, ...], whole.get("runs"), "runs", "a selection"),
            fitting(int, whole.get("rank", 0), "rank", "a selection"),
        )

    def to_data(self) -> list[str] | dict[str, Json]:
        """Write it."""
        return {"runs": list(self.runs), "rank": self.rank} if self.rank else list(self.runs)
