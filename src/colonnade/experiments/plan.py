"""What a suite comes to: the runs to train, and what the report compares with what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any, cast

from colonnade.errors import UsageError
from colonnade.experiments.spec import BUNDLED, RunSpec

SCRATCH = "scratch"
"""Key of baseline 1, which every transfer score is measured against."""

METHOD_TITLES: dict[str, str] = {
    SCRATCH: "Baseline 1 (scratch)",
    "output-only": "Baseline 2 (output layer only)",
    "finetune": "Baseline 3 (full finetune)",
    "random-column": "Baseline 4 (random frozen column)",
    "progressive-2": "Progressive, 2 columns",
    "progressive-3": "Progressive, 3 columns",
    "progressive-4": "Progressive, 4 columns",
    "path-finetune": "Finetuned path",
    "pathnet-alone": "PathNet, no first task",
    "pathnet": "PathNet",
}
"""Keys of `Comparison.method` and their titles, in the order of the paper's Table 1."""


@dataclass(frozen=True)
class SuiteOptions:
    """What can be changed about a suite.

    Attributes:
        seeds: How many seeds; each repeats every run. The suite's own number if not given.
        budget: Factor on every step budget, for quicker or longer versions of a suite.
        learner: Name of the learner, "a2c", "a3c" or "ppo". The suite's own choice if not given.
        device: Where networks live: "auto", "cpu" or "cuda".
    """

    seeds: int | None = None
    budget: float = 1.0
    learner: str | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.seeds is not None and self.seeds < 1:
            raise UsageError(f"A suite needs at least 1 seed, but --seeds {self.seeds} came.")
        if not 0 < self.budget < float("inf"):
            raise UsageError(f"--budget is a factor above 0, but {self.budget} came.")

    def scaled(self, steps: int) -> int:
        """Scale a budget in agent steps."""
        return max(1, round(steps * self.budget))


@dataclass(frozen=True)
class Comparison:
    """The place of a run in the report.

    Attributes:
        run: Id of the run.
        method: A key of `METHOD_TITLES`.
        source: What was learned before, in words; None where nothing was.
        target: Name of the task that was learned last.
        seed: Of the run.
    """

    run: str
    method: str
    source: str | None
    target: str
    seed: int


@dataclass(frozen=True)
class Plan:
    """The runs of a suite, each after its parent, and how the report compares them.

    Attributes:
        runs: Specs, without repetition.
        comparisons: Empty where there is nothing to compare, as for a user's own spec.
    """

    runs: tuple[RunSpec, ...]
    comparisons: tuple[Comparison, ...] = ()

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for spec in self.runs:
            parent = spec.parent
            if parent is not None and not parent.startswith(BUNDLED) and parent not in seen:
                raise UsageError(
                    f"Run {spec.label!r} starts from run {parent!r}, which is not among the "
                    "runs before it; list the parent first."
                )
            seen.add(spec.id)
        for name, count in Counter(spec.id for spec in self.runs).items():
            if count > 1:
                raise UsageError(f"Run {name} is listed {count} times; list it once.")

    @property
    def steps(self) -> int:
        """Agent steps of all runs together."""
        return sum(spec.steps for spec in self.runs)

    def ancestors(self, run: str) -> tuple[str, ...]:
        """Ids of the runs that `run` starts from, the nearest first."""
        parents = {spec.id: spec.parent for spec in self.runs}
        chain: list[str] = []
        while (parent := parents.get(chain[-1] if chain else run)) and parent in parents:
            chain.append(parent)
        return tuple(chain)

    def select(self, wanted: Callable[[str], bool]) -> Plan:
        """Keep the runs whose id is wanted, and those that they start from."""
        keep = {spec.id for spec in self.runs if wanted(spec.id)}
        keep |= {ancestor for run in tuple(keep) for ancestor in self.ancestors(run)}
        return Plan(
            tuple(spec for spec in self.runs if spec.id in keep),
            tuple(entry for entry in self.comparisons if entry.run in keep),
        )

    def to_json(self) -> dict[str, Any]:
        """Write the plan as a JSON object that `from_json` reads back."""
        return {
            "runs": [spec.to_json() for spec in self.runs],
            "comparisons": [asdict(entry) for entry in self.comparisons],
        }

    @classmethod
    def from_json(cls, value: dict[str, Any], where: str) -> Plan:
        """Read a plan.

        Args:
            value: As `to_json` wrote it.
            where: How messages name its origin.

        Raises:
            UsageError: It is not a plan.
        """
        names = {f.name for f in fields(Comparison)}
        runs, entries = value.get("runs"), value.get("comparisons")
        if not (isinstance(runs, list) and isinstance(entries, list)) or any(
            not isinstance(entry, dict) or entry.keys() != names for entry in entries
        ):
            raise UsageError(f"{where} does not hold the runs of a suite.")
        return cls(
            tuple(RunSpec.from_json(spec, f"{where}, run {i + 1}") for i, spec in enumerate(runs)),
            tuple(Comparison(**cast("Any", entry)) for entry in entries),
        )


class PlanBuilder:
    """Collects runs and their places; a run that several comparisons share is trained once."""

    def __init__(self) -> None:
        self._runs: dict[str, RunSpec] = {}
        self._comparisons: dict[Comparison, None] = {}

    def add(self, spec: RunSpec, method: str | None = None, source: str | None = None) -> RunSpec:
        """Add a run, and a comparison where `method` says which row of the report it belongs to."""
        self._runs.setdefault(spec.id, spec)
        if method is not None:
            entry = Comparison(spec.id, method, source, spec.target, spec.seed)
            self._comparisons.setdefault(entry)
        return spec

    def build(self) -> Plan:
        """Return what was collected, in the order of collection."""
        return Plan(tuple(self._runs.values()), tuple(self._comparisons))
