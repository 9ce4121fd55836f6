"""The paths that PathNet's runs took through their modules, and what later tasks reused."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.analysis.transfer import transfer_score
from colonnade.experiments.plans.plan import SCRATCH
from colonnade.experiments.results.pathnet.generations import generations_of
from colonnade.experiments.results.runs import RunResult
from colonnade.experiments.results.transfer import Results


@dataclass(frozen=True)
class Reuse:
    """What the best path of the task learned last took over.

    Attributes:
        run: The run.
        shared: For each layer, how many of its modules were frozen before, and how many it has.
        overlap: With the path of the task before, 0 to 1.
        speedup: Against the de novo control; NaN where unknown.
        first: Against PathNet without a first task, of the same seed; NaN where unknown.
    """

    run: RunResult
    shared: tuple[tuple[int, int], ...]
    overlap: float
    speedup: float
    first: float


class Paths:
    """Complete runs of PathNet.

    Attributes:
        runs: Those that hold the history of their evolution.
    """

    def __init__(self, results: Results) -> None:
        self._results = results
        done = [run for run in results.runs.values() if run.done and run.spec.method == "pathnet"]
        self._layouts = {run.spec.id: run.folder.network() for run in done}
        self.runs = [run for run in done if self.histories(run)]

    def reuse(self) -> list[Reuse]:
        """List what each second or later task took over."""
        rows = []
        for run in self.runs:
            history = self.last_history(run)
            if not history["overlap"]:
                continue
            pairs = zip(history["best"], history["frozen"], strict=True)
            shared = tuple((len(set(best) & set(frozen)), len(best)) for best, frozen in pairs)
            ratios = self._speedup(run), self._first(run)
            if not self._ends_on_target(run):
                ratios = math.nan, math.nan
            rows.append(Reuse(run, shared, history["overlap"][-1], *ratios))
        return rows

    @property
    def example(self) -> RunResult:
        """The first run with the longest history of tasks."""
        return max(self.runs, key=lambda run: len(self.histories(run)))

    def histories(self, run: RunResult) -> dict[str, Any]:
        """What evolution did on each task that a run has learned, by the task's id."""
        own = self._layouts[run.spec.id].get("pathnet", {})
        histories: dict[str, Any] = own.get("histories", {})
        return histories

    def last_history(self, run: RunResult) -> dict[str, Any]:
        """What it did on the one that was learned last."""
        history: dict[str, Any] = next(reversed(self.histories(run).values()))
        return history

    def modular(self, run: RunResult) -> dict[str, Any]:
        """Spec of the modules of a run's network."""
        modular: dict[str, Any] = self._layouts[run.spec.id]["network"]["modular"][-1]["modular"]
        return modular

    def _ends_on_target(self, run: RunResult) -> bool:
        """Whether the last of a run's tasks is the one it learned last."""
        histories = self.histories(run)
        return run.spec.tasks[-1].id_among(histories) == next(reversed(histories))

    def _speedup(self, run: RunResult) -> float:
        """Return how much sooner, or higher, it learned than the de novo control's mean.

        Of a sweep, where jobs learn at other rates, than the same job's control.
        """
        if (own := generations_of(run)) is not None:
            controls = [
                value
                for other in self._results.runs_of(SCRATCH, None, run.spec.target)
                if (self._results.top is None or other.spec.seed == run.spec.seed)
                and (value := generations_of(other)) is not None
            ]
            return sum(controls) / len(controls) / own if controls else math.nan
        return self._results.relative_area(run)

    def _first(self, run: RunResult) -> float:
        """Return how much sooner, or higher, it learned than its like without a first task."""
        results, target = self._results, run.spec.target
        for other in results.runs_of("pathnet-alone", None, target):
            if other.spec.seed != run.spec.seed:
                continue
            own, alone = generations_of(run), generations_of(other)
            if own is not None and alone is not None:
                return alone / own
            areas = results.area(run), results.area(other)
            return float(transfer_score(*areas, minimum=results.random_score(target).error))
        return math.nan


def chance_overlap(modules: int, active: int) -> float:
    """Expected overlap of two paths of N modules a layer, each drawn at random from M.

    The number in common is hypergeometric; overlap is common / (2 N - common).
    """
    total = math.comb(modules, active)
    return sum(
        math.comb(active, common)
        * math.comb(modules - active, active - common)
        / total
        * common
        / (2 * active - common)
        for common in range(active + 1)
        if active - common <= modules - active
    )


@dataclass(frozen=True)
class Moment:
    """How a population ran through the modules at one moment.

    Attributes:
        task: Id of the task.
        when: Evaluations or generations since it began, in words.
        uses: [L, M] share of the paths that use a module.
        edges: Share of the paths that lead from a module to one of the next layer, by the layer
            and the two modules.
        frozen: For each layer the modules that earlier tasks froze.
        best: For each layer the modules of the task's best path; None but at its end.
    """

    task: str
    when: str
    uses: NDArray[np.float64]
    edges: Mapping[tuple[int, int, int], float]
    frozen: Sequence[Sequence[int]]
    best: Sequence[Sequence[int]] | None

    @property
    def best_edges(self) -> list[tuple[int, int, int]]:
        """The edges of the best path."""
        best = self.best or []
        return [
            (layer, a, b)
            for layer, (here, above) in enumerate(pairwise(best))
            for a in here
            for b in above
        ]


MOMENTS = 4
"""How many moments of a task a picture shows."""


def moments(paths: Paths, run: RunResult) -> list[list[Moment]]:
    """Return moments of each task of a run, the first and the last among them."""
    found = []
    for task, history in paths.histories(run).items():
        shots, last = history["snapshots"], MOMENTS - 1
        unit = "generations" if history["scores"] else "evaluations"
        row = []
        for number in range(MOMENTS):
            shot = shots[round(number * (len(shots) - 1) / last)]
            uses, edges = _shares(shot["genotypes"], paths.modular(run)["modules"])
            best = history["best"] if number == last else None
            words = f"{shot['evaluations']} {unit}"
            row.append(Moment(task, words, uses, edges, history["frozen"], best))
        found.append(row)
    return found


def _shares(
    genotypes: Sequence[Sequence[Sequence[int]]], modules: int
) -> tuple[NDArray[np.float64], dict[tuple[int, int, int], float]]:
    """Count in how many of the genotypes each module and each edge is, as shares."""
    paths = [[sorted(set(layer)) for layer in genotype] for genotype in genotypes]
    uses = np.zeros((len(paths[0]), modules))
    counts: Counter[tuple[int, int, int]] = Counter()
    for path in paths:
        for layer, here in enumerate(path):
            uses[layer, here] += 1
        for layer, (here, above) in enumerate(pairwise(path)):
            counts.update((layer, a, b) for a in here for b in above)
    return uses / len(paths), {edge: count / len(paths) for edge, count in counts.items()}
