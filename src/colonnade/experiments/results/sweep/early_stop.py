"""Stopping hopeless jobs: the median rule of Golovin et al. 2017 (Google Vizier, section 3.2.2)."""

from __future__ import annotations

import time

import numpy as np

from colonnade.analysis.transfer import carry_forward
from colonnade.experiments.plans.plan import Place
from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.results.runs import Floats, RunResult, read_run
from colonnade.experiments.store.folders import SuiteFolder

_SECONDS = 5.0
"""Between two looks."""


class MedianRule:
    """Gives up a run whose curve so far is worse than that of most complete runs of its cell.

    It is, at the bin b it has reached, if its best bin is below the median over the complete runs
    of their mean up to b. Which runs are complete by then depends on how fast they were, so that a
    sweep with this rule need not come out the same twice; what was given up stays so.

    Args:
        suite: The output folder of a sweep.
        complete: How many runs of a cell must be complete before others are judged.
        share: Which share of its budget a run gets in any case.
    """

    def __init__(self, suite: SuiteFolder, complete: int = 5, share: float = 0.3) -> None:
        self._suite = suite
        self._complete = complete
        self._share = share
        self._due = 0.0
        self._curves: dict[str, Floats] = {}
        self._cells: dict[Place, list[RunSpec]] = {}
        for spec in suite.plan.runs:
            self._cells.setdefault(suite.plan.place(spec.id), []).append(spec)

    def __call__(self, running: list[RunSpec]) -> dict[str, str]:
        """Say which of the runs are hopeless, and why; looks only every few seconds."""
        if time.monotonic() < self._due:
            return {}
        self._due = time.monotonic() + _SECONDS
        verdicts = {spec.id: self._judge(spec) for spec in running}
        return {run: reason for run, reason in verdicts.items() if reason}

    def _judge(self, spec: RunSpec) -> str | None:
        run = self._read(spec)
        bins = run.reached // run.learning.width
        if run.reached < self._share * spec.tasks[-1].steps or np.isnan(run.curve[:bins]).all():
            return None
        means = [
            float(np.nanmean(curve[:bins]))
            for curve in map(self._curve, self._cells[self._suite.plan.place(spec.id)])
            if curve is not None
        ]
        if len(means) < self._complete:
            return None
        best, middle = float(np.nanmax(run.curve[:bins])), float(np.median(means))
        if best >= middle:
            return None
        return (
            f"stopped early after {run.reached:,} of {spec.tasks[-1].steps:,} steps: its best "
            f"{best:.2f} is below {middle:.2f}, the median of {len(means)} complete jobs' means"
        )

    def _read(self, spec: RunSpec) -> RunResult:
        basis = self._suite.basis
        return read_run(self._suite.run(spec.id), spec, basis.training, basis.measures)

    def _curve(self, spec: RunSpec) -> Floats | None:
        """Return the curve of a complete run, which never changes."""
        folder = self._suite.run(spec.id)
        if spec.id not in self._curves and folder.done:
            curve = self._read(spec).curve
            first = curve[~np.isnan(curve)]
            self._curves[spec.id] = carry_forward(curve, first[0] if first.size else np.nan)
        return self._curves.get(spec.id)
