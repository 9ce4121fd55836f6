"""What must stand beside pictures with intervals: how much they cover, where that is too little."""

from __future__ import annotations

from collections.abc import Iterable

from colonnade.analysis.intervals import FEWEST_RUNS, STUDENT, interval_of
from colonnade.experiments.results.mean_lines import MeanLine


def caution_of(method: str, sizes: Iterable[int], what: str) -> str:
    """Say what intervals over so many members are worth.

    Args:
        method: How they are computed; a name of `intervals.COVERAGE`.
        sizes: How many members each is computed from; too few for an interval say nothing.
        what: What they are computed from, such as "seeds" or "episodes".

    Returns:
        For example "with 3 seeds it covers 84% where runs are lognormal"; empty where all intervals
        cover enough.
    """
    found: dict[str, list[str]] = {}
    for size in sorted(set(sizes)):
        if size >= FEWEST_RUNS and (words := interval_of(0.0, 1.0, method, size).caution):
            found.setdefault(words, []).append(str(size))
    parts = [f"with {' or '.join(counts)} {what} it {words}" for words, counts in found.items()]
    caution = "; ".join(parts)
    return caution.replace("runs are", "returns are") if what == "episodes" else caution


def bands_caution(lines: Iterable[MeanLine | None]) -> str:
    """Say what the bands of lines are worth; empty where there is none, or all cover enough."""
    sizes = [len(line.each) for line in lines if line is not None and line.banded]
    return caution_of(STUDENT, sizes, "seeds")
