"""Makes a plan run by run."""

from __future__ import annotations

from collections.abc import Iterable

from colonnade.experiments.plans.plan import Comparison, Plan
from colonnade.experiments.plans.selection import Selection
from colonnade.experiments.plans.spec import RunSpec


class PlanBuilder:
    """Collects runs and their places; a run that several comparisons share is trained once."""

    def __init__(self) -> None:
        self._runs: dict[str, RunSpec] = {}
        self._comparisons: dict[Comparison, None] = {}
        self._selections: dict[Selection, None] = {}

    def add(self, spec: RunSpec, method: str | None = None, source: str | None = None) -> RunSpec:
        """Add a run, and a comparison where `method` says which row of the report it belongs to."""
        self._runs.setdefault(spec.id, spec)
        if method is not None:
            entry = Comparison(spec.id, method, source, spec.target, spec.seed)
            self._comparisons.setdefault(entry)
        return spec

    def best_of(self, specs: Iterable[RunSpec], rank: int = 0) -> str:
        """Add a selection; return how a spec names it, as `parent` or in `learner_from`."""
        selection = Selection(tuple(spec.id for spec in specs), rank)
        self._selections.setdefault(selection)
        return selection.name

    def build(self) -> Plan:
        """Return what was collected, in the order of collection."""
        runs = tuple(self._runs.values())
        return Plan(runs, tuple(self._comparisons), tuple(self._selections))
