"""Which hyperparameters a sweep draws, and from what.

The papers' own: Rusu et al. 2016 draw the learning rate, the entropy cost, the largest norm of the
gradient and alpha's start from categorical grids; Rusu et al. 2017 draw the learning rate and the
entropy cost log-uniformly.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from colonnade.errors import UsageError, unknown_name
from colonnade.experiments.plans.spec import KINDS, Json, RunSpec
from colonnade.records import LATER, fitting


@dataclass(frozen=True)
class Choice:
    """A categorical grid; every value is as likely.

    Attributes:
        values: Finite, all different.
    """

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.values or not all(map(math.isfinite, self.values)):
            raise UsageError(
                f"A grid needs at least one value and finite ones only, but {_words(self)} came; "
                "write them as in 1e-3,5e-4."
            )
        if len(set(self.values)) < len(self.values):
            raise UsageError(f"A grid names each value once, but {_words(self)} came.")

    def at(self, share: float) -> float:
        """Return the value at a share of the way from 0 to below 1."""
        return self.values[int(share * len(self.values))]

    @classmethod
    def from_data(cls, data: object) -> Choice:
        """Read a grid, which is a list in JSON."""
        return cls(fitting(tuple[float, ...], data, "values", "a grid"))

    def to_data(self) -> list[float]:
        """Write it."""
        return list(self.values)


@dataclass(frozen=True)
class LogUniform:
    """All numbers between two, uniformly on a logarithmic scale.

    Attributes:
        low: Above 0.
        high: Above `low`, finite.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high < math.inf:
            raise UsageError(
                "A log-uniform range runs from a number above 0 to a larger one, but "
                f"{self.low:g}:{self.high:g} came; write it as in 5e-5:5e-3."
            )

    def at(self, share: float) -> float:
        """Return the value at a share of the way from 0 to below 1."""
        return float(self.low * (self.high / self.low) ** share)


Range: TypeAlias = Choice | LogUniform


@dataclass(frozen=True)
class SearchSpace:
    """What is drawn for each job.

    Attributes:
        learner: Ranges of the learner's options.
        column: Ranges of the column's fields.
        methods: Ranges of methods' own options, by the method and the option. They are called
            "ewc.lam" and so on, and are drawn for that method's runs alone.
    """

    learner: Mapping[str, Range] = field(default_factory=dict)
    column: Mapping[str, Range] = field(default_factory=dict)
    methods: Mapping[str, Mapping[str, Range]] = field(default_factory=dict, metadata=LATER)

    def __post_init__(self) -> None:
        if twice := self.learner.keys() & self.column.keys():
            raise UsageError(f"{sorted(twice)[0]!r} is drawn for the learner and for the column.")
        if not self.names:
            raise UsageError("A sweep needs at least one hyperparameter to draw.")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all hyperparameters."""
        return tuple(self.ranges)

    @property
    def ranges(self) -> dict[str, Range]:
        """All ranges, by the hyperparameters' names."""
        return {name: of for name, (_, _, of) in self._entries.items()}

    @property
    def _entries(self) -> dict[str, tuple[str, str, Range]]:
        """For each hyperparameter the kind and the name of its option, and the range."""
        common = {"learner": self.learner, "column": self.column}
        entries = {
            name: (kind, name, of) for kind, ranges in common.items() for name, of in ranges.items()
        }
        return entries | {
            f"{method}.{name}": (method, name, of)
            for method, ranges in self.methods.items()
            for name, of in ranges.items()
        }

    def draw(self, seed: int, job: int) -> dict[str, float]:
        """Draw the hyperparameters of one job.

        A job's values do not change when jobs are added, nor when the range of another
        hyperparameter does.

        Args:
            seed: Of the sweep.
            job: Number of the job.
        """
        return {name: of.at(_share(seed, job, name)) for name, of in self.ranges.items()}

    def put(self, values: Mapping[str, float], spec: RunSpec) -> RunSpec:
        """Put what was drawn for a job into a run's spec.

        Raises:
            UsageError: Fields of a column are drawn, but the run's has no name.
        """
        entries = self._entries.items()
        return spec.with_options((kind, name, values[key]) for key, (kind, name, _) in entries)

    def held(self, spec: RunSpec) -> dict[str, Json]:
        """Read back what `put` put into a run's spec; None stands for what is missing.

        Options of other methods are left out.
        """
        return {
            key: spec.option(kind, name)
            for key, (kind, name, _) in self._entries.items()
            if kind in (*KINDS, spec.method)
        }

    def with_ranges(self, given: Mapping[str, Range]) -> SearchSpace:
        """Replace the ranges of some hyperparameters.

        Raises:
            UsageError: One of them is not drawn here.
        """
        for name in given:
            if name not in self.names:
                raise unknown_name("hyperparameter", name, self.names)

        def chosen(ranges: Mapping[str, Range], kind: str = "") -> dict[str, Range]:
            return {name: _of_kind(of, given.get(kind + name, of)) for name, of in ranges.items()}

        own = {method: chosen(ranges, f"{method}.") for method, ranges in self.methods.items()}
        return SearchSpace(chosen(self.learner), chosen(self.column), own)


def _of_kind(before: Range, now: Range) -> Range:
    """Keep the values of a grid of whole numbers whole."""
    whole = isinstance(before, Choice) and all(isinstance(v, int) for v in before.values)
    if whole and isinstance(now, Choice) and all(float(v).is_integer() for v in now.values):
        return Choice(tuple(map(int, now.values)))
    return now


PAPER = SearchSpace(
    learner={
        "learning_rate": Choice((1e-3, 5e-4, 1e-4)),
        "entropy_cost": Choice((1e-2, 1e-3, 1e-4)),
        "clip_norm": Choice((20.0, 40.0)),
    },
    column={"alpha": Choice((1.0, 0.1, 0.01))},
)
"""Rusu et al. 2016, appendix, for learners whose loss is summed over time as A3C's is."""

PAPER_FOR_PPO = SearchSpace(
    learner={**PAPER.learner, "clip_norm": Choice((0.5, 1.0))}, column=PAPER.column
)
"""The same for PPO, whose loss is a mean, so that no gradient ever has a norm of 20."""

SIM_TO_REAL = SearchSpace(
    learner={"learning_rate": LogUniform(5e-5, 5e-3), "entropy_cost": LogUniform(1e-5, 1e-2)}
)
"""Rusu et al. 2017, section 4.1."""


def parse_ranges(given: tuple[str, ...]) -> dict[str, Range]:
    """Read ranges as a user writes them: "learning_rate=5e-5:5e-3" or "clip_norm=20,40".

    Raises:
        UsageError: One can't be read or is impossible.
    """
    ranges: dict[str, Range] = {}
    for text in given:
        name, equals, values = text.partition("=")
        parts = values.split(":" if ":" in values else ",")
        try:
            numbers = tuple(float(part) for part in parts)
        except ValueError:
            numbers = ()
        if not equals or not numbers or (":" in values and len(numbers) != 2):
            raise UsageError(
                f"--range is NAME=LOW:HIGH or NAME=A,B,C with numbers, but {text!r} came."
            )
        try:
            ranges[name] = LogUniform(*numbers) if ":" in values else Choice(numbers)
        except UsageError as error:
            raise UsageError(f"--range {name}: {error}") from None
    return ranges


def _share(seed: int, job: int, name: str) -> float:
    """Draw a number from 0 to below 1 that depends on its name and nothing else."""
    digest = hashlib.sha256(f"sweep/{seed}/{job}/{name}".encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48


def _words(choice: Choice) -> str:
    return ",".join(f"{value:g}" for value in choice.values) or "none"
