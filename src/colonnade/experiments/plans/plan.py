"""What a suite comes to: the runs to train, and what the report compares with what."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, NamedTuple

from tyro.conf import UseAppendAction

from colonnade.checks import ANY, check_fields
from colonnade.errors import UsageError, unknown_name
from colonnade.experiments.plans.selection import Selection
from colonnade.experiments.plans.spec import FOREIGN, Json, RunSpec, TaskBudget
from colonnade.records import read, shown, write

SCRATCH = "scratch"
"""Key of baseline 1, which every transfer score is measured against."""


@dataclass(frozen=True)
class SuiteOptions:
    """What can be changed about a suite.

    Attributes:
        seeds: How many seeds; each repeats every run. The suite's own number if not given. A sweep
            has jobs instead.
        budget: Factor on every step budget, for quicker or longer versions of a suite.
        learner: Name of the learner, "a2c", "a3c", "ppo" or "dqn", or "supervised" on data sets.
            The suite's own if not given.
        device: Where networks live: "auto", "cpu" or "cuda".
        tasks: Only these targets, e.g. "zoom"; all if none is named.
        methods: Only these methods, e.g. "progressive"; baseline 1 always stays.
        set: Change an option of every run: KIND.NAME=VALUE, where the kind is learner, training or
            column, e.g. "learner.learning_rate=1e-3"; or of one method's runs, e.g. "ewc.lam=100".
            May be repeated.
        games: How many tasks a stream has, where a suite draws them from a pool.
    """

    seeds: int | None = None
    budget: float = 1.0
    learner: str | None = None
    device: str = "auto"
    tasks: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    set: UseAppendAction[tuple[str, ...]] = ()
    games: int | None = None

    def __post_init__(self) -> None:
        check_fields(self, {"seeds": ANY, "games": ANY})
        if isinstance(self.budget, str | bool | None):
            raise UsageError(f"--budget is a factor above 0, but {shown(self.budget)} came.")
        if self.seeds is not None and self.seeds < 1:
            raise UsageError(f"A suite needs at least 1 seed, but --seeds {self.seeds} came.")
        if self.games is not None and self.games < 2:
            raise UsageError(f"A stream needs at least 2 tasks, but --games {self.games} came.")
        if not 0 < self.budget < float("inf"):
            raise UsageError(f"--budget is a factor above 0, but {self.budget} came.")

    @property
    def given(self) -> dict[str, Any]:
        """What was asked for, as JSON data, for the output folder."""
        values = {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}
        return {key: value for key, value in values.items() if value not in (None, [])}

    def placed(self, training: Mapping[str, Json]) -> dict[str, Json]:
        """Return a design's options of training with the device: the one asked for, or its own."""
        own = training.get("device", "auto")
        return {**training, "device": own if self.device == "auto" else self.device}

    def scaled(self, steps: int) -> int:
        """Scale a budget in agent steps."""
        return max(1, round(steps * self.budget))


class Place(NamedTuple):
    """What all seeds or jobs of a run have in common: a row of a table on a target.

    Attributes:
        method: The row, as in `Comparison`; "source" of runs that only prepare others, and as in
            "pathnet source" where they do by several methods.
        source: What was learned before, in words; None where nothing was.
        target: Name of the task that is learned last.
    """

    method: str
    source: str | None
    target: str

    @property
    def words(self) -> str:
        """The place in words, as in "finetune pong to zoom"."""
        origin = f"{self.source} to " if self.source else ""
        return f"{self.method} {origin}{self.target.rpartition('/')[2]}"


@dataclass(frozen=True)
class Comparison:
    """The place of a run in the report.

    Attributes:
        run: Id of the run.
        method: The row of the table, e.g. "finetune"; see `methods.METHODS`.
        source: What was learned before, in words; None where nothing was.
        target: Name of the task that was learned last.
        seed: Of the run.
    """

    run: str
    method: str
    source: str | None
    target: str
    seed: int

    @property
    def place(self) -> Place:
        """The place without the seed."""
        return Place(self.method, self.source, self.target)


@dataclass(frozen=True)
class Plan:
    """The runs of a suite, each after its parent, and how the report compares them.

    Attributes:
        runs: Specs, without repetition.
        comparisons: Empty where there is nothing to compare, as for a user's own spec.
        selections: Runs of which the best is a parent, or has the hyperparameters of others.
    """

    runs: tuple[RunSpec, ...]
    comparisons: tuple[Comparison, ...] = ()
    selections: tuple[Selection, ...] = ()

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for spec in self.runs:
            if spec.learner_from and not seen.issuperset(self.models(spec) or ("",)):
                raise UsageError(
                    f"Run {spec.label!r} takes the hyperparameters of {shown(spec.learner_from)}, "
                    "which is no selection of the runs before it; list those first."
                )
            if any(parent not in seen for parent in self.parents(spec)):
                raise UsageError(
                    f"Run {spec.label!r} starts from run {' and '.join(map(shown, spec.origins))}, "
                    "which is not among the runs before it; list the parent first."
                )
            seen.add(spec.id)
        for name, count in Counter(spec.id for spec in self.runs).items():
            if count > 1:
                raise UsageError(f"Run {name} is listed {count} times; list it once.")
        for entry in self.comparisons:
            if entry.run not in seen:
                raise UsageError(
                    f"A comparison of method {shown(entry.method)} names run {shown(entry.run)}, "
                    "which is not among the runs; list the run, or leave the comparison out."
                )

    @property
    def steps(self) -> int:
        """Agent steps of all runs together."""
        return sum(spec.steps for spec in self.runs)

    @property
    def may_end_early(self) -> bool:
        """Whether a run may, so that `steps` are so many at most."""
        return any(spec.may_end_early for spec in self.runs)

    @cached_property
    def _places(self) -> dict[str, Place]:
        """The places of all runs by their ids: the first comparison says it, if there is one."""
        compared = {entry.run: entry.place for entry in reversed(self.comparisons)}
        origins = {run for spec in self.runs for run in self.waits_for(spec)}
        learned: dict[str, list[str]] = {}
        places = {}
        for spec in self.runs:
            before = [name for each in spec.origins for name in self._learned_in(each, learned)]
            learned[spec.id] = before + [task.name.partition("/")[2] for task in spec.tasks]
            source = " + ".join(learned[spec.id][:-1]) or None
            method = "source" if spec.id in origins else spec.method
            places[spec.id] = compared.get(spec.id, Place(method, source, spec.target))
        by = dict[Place, set[str]]()
        for spec in self.runs:
            by.setdefault(places[spec.id], set()).add(spec.method)
        for spec in self.runs:
            if spec.id not in compared and len(by[place := places[spec.id]]) > 1:
                places[spec.id] = place._replace(method=f"{spec.method} {place.method}")
        return places

    def _learned_in(self, origin: str, learned: dict[str, list[str]]) -> list[str]:
        selection = self.selection(origin)
        return learned.get(selection.runs[0] if selection else origin, [])

    def place(self, run: str) -> Place:
        """Say what a run, given its id, has in common with its repetitions."""
        return self._places[run]

    def line_of(self, spec: RunSpec) -> list[RunSpec]:
        """List a run and the plan's runs that it starts from, one from the other."""
        by_id = {other.id: other for other in self.runs}
        line, origins = [spec], list(self.parents(spec))
        while origins:
            line.append(by_id[origins.pop(0)])
            origins += self.parents(line[-1])
        return line

    def task(self, spec: RunSpec, name: str) -> TaskBudget:
        """Return the task of a run that has an id, with the options that it has there.

        What the run has not learned itself is looked for in what it starts from, and then in all
        runs. A name that is in no run is taken as it is, for a task that a shipped column knows.
        """
        runs = (*self.line_of(spec), *self.runs)
        found = (task for run in runs for task in run.tasks if task.is_called(name))
        return next(found, TaskBudget(name, steps=1))

    def selection(self, parent: str | None) -> Selection | None:
        """Return the selection that a spec names, if it names one."""
        return None if parent is None else self._selections.get(parent)

    @cached_property
    def _selections(self) -> dict[str, Selection]:
        return {choice.name: choice for choice in self.selections}

    @cached_property
    def tries(self) -> frozenset[str]:
        """Ids of runs that are made to choose hyperparameters by; they are no results."""
        named = filter(None, (self.selection(spec.learner_from) for spec in self.runs))
        compared = {entry.run for entry in self.comparisons}
        return frozenset(run for choice in named for run in choice.runs if run not in compared)

    def parents(self, spec: RunSpec) -> tuple[str, ...]:
        """Ids of the plan's runs that one starts from, or may start from."""
        found: dict[str, None] = {}
        for origin in spec.origins:
            if (selection := self.selection(origin)) is not None:
                found |= dict.fromkeys(selection.runs)
            elif not origin.startswith(FOREIGN):
                found[origin] = None
        return tuple(found)

    def models(self, spec: RunSpec) -> tuple[str, ...]:
        """Ids of the runs of which one has the hyperparameters that a run takes; see the spec."""
        selection = self.selection(spec.learner_from)
        return () if selection is None else selection.runs

    @cached_property
    def _lines(self) -> dict[str, int]:
        """For each run, its steps and those of the longest line of runs behind it."""
        return self._lines_within({spec.id: spec.steps for spec in self.runs})

    def _lines_within(self, own: Mapping[str, int]) -> dict[str, int]:
        lines = dict(own)
        for spec in reversed(self.runs):
            if spec.id in own:
                for before in own.keys() & set(self.waits_for(spec)):
                    lines[before] = max(lines[before], own[before] + lines[spec.id])
        return lines

    def longest_line(self, runs: Iterable[str]) -> int:
        """Agent steps of the longest line of some of the runs, each waiting for the one before."""
        wanted = set(runs)
        own = {spec.id: spec.steps for spec in self.runs if spec.id in wanted}
        return max(self._lines_within(own).values(), default=0)

    def line(self, run: str) -> int:
        """Agent steps of a run, and of those that wait for it one after another, at most.

        No machine completes the plan before the longest line is through.
        """
        return self._lines[run]

    def waits_for(self, spec: RunSpec) -> tuple[str, ...]:
        """Ids of all runs that come before one."""
        return self.parents(spec) + self.models(spec)

    def configuration(self, spec: RunSpec) -> str:
        """Write everything that decides how a run goes but its seed, as JSON.

        Runs of the same configuration are repetitions of each other. What a run starts from is told
        by its configuration, because its id holds a seed.
        """
        values = spec.to_json()
        del values["seed"], values["label"]
        if spec.visits:  # in an order of the seed's
            stays = sorted((visit.task, visit.steps) for visit in spec.visits)
            values["visits"] = [[task, steps] for task, steps in stays]
        if spec.parent is not None:
            values["parent"] = self._told(spec.parent)
        if spec.parents:
            values["parents"] = [self._told(origin) for origin in spec.parents]
        return json.dumps(values, sort_keys=True)

    def _told(self, origin: str) -> Json:
        """Say without its seeds what a run starts from; what is none of the plan's by its name."""
        if origin.startswith(FOREIGN):
            return origin
        selection = self.selection(origin)
        runs = (origin,) if selection is None else selection.runs
        by_id = {run.id: run for run in self.runs}
        names = {self.configuration(by_id[run]) for run in runs}
        return [selection is not None, *sorted(names)]

    def select(self, wanted: Callable[[str], bool]) -> Plan:
        """Keep the runs whose id is wanted, and those that they start from."""
        keep: set[str] = set()
        # Parents stand before their children, so that one pass from the end finds all ancestors.
        for spec in reversed(self.runs):
            if wanted(spec.id) or spec.id in keep:
                keep |= {spec.id, *self.waits_for(spec)}
        return Plan(
            tuple(spec for spec in self.runs if spec.id in keep),
            tuple(entry for entry in self.comparisons if entry.run in keep),
            tuple(choice for choice in self.selections if keep.issuperset(choice.runs)),
        )

    def narrowed(self, tasks: Sequence[str], methods: Sequence[str]) -> Plan:
        """Keep what compares some methods on some targets, and what that starts from.

        Where nothing is compared, keep the runs that learn some tasks with some methods.

        Args:
            tasks: Names of targets, or the last parts of names; all if empty.
            methods: Names of methods; all if empty. Baseline 1 stays in any case.

        Raises:
            UsageError: One of them is not part of the plan, or no run has both.
        """
        entries = self.comparisons or tuple(
            Comparison(spec.id, spec.method, None, task.name, spec.seed)
            for spec in self.runs
            for task in spec.tasks
        )
        last = {entry.target: entry.target.rpartition("/")[2] for entry in entries}
        for name in tasks:
            _among("task", [name], {*last} if "/" in name else {*last.values()})
        # "progressive" stands for "progressive-2" and so on.
        plain = {entry.method: re.sub(r"-\d+$", "", entry.method) for entry in entries}
        rows = _among("method", methods, {*plain, *plain.values()}) | {SCRATCH}
        kept = tuple(
            entry
            for entry in entries
            if (not tasks or {entry.target, last[entry.target]} & {*tasks})
            and (not methods or rows & {entry.method, plain[entry.method]})
        )
        if kept == entries:
            return self
        found = {name for entry in kept for name in (entry.method, plain[entry.method])}
        if idle := [method for method in methods if method not in found]:
            raise UsageError(
                f"No run of the suite has the method {' or '.join(idle)} and the task "
                f"{' or '.join(tasks)}; leave --methods or --tasks out."
            )
        plan = self.select({entry.run for entry in kept}.__contains__)
        return Plan(plan.runs, kept if self.comparisons else (), plan.selections)

    def to_json(self) -> dict[str, Any]:
        """Write the plan as a JSON object that `from_json` reads back."""
        return write(self)

    @classmethod
    def from_json(cls, value: dict[str, Any], where: str) -> Plan:
        """Read a plan.

        Args:
            value: As `to_json` wrote it, among other things.
            where: How messages name its origin.

        Raises:
            UsageError: It is not a plan.
        """
        own = {name: value.get(name) for name in ("runs", "comparisons")}
        return read(cls, own | {"selections": value.get("selections", [])}, where)


def _among(kind: str, given: Sequence[str], known: set[str]) -> set[str]:
    for name in given:
        if name not in known:
            raise unknown_name(f"{kind} of the suite", name, known)
    return set(given)
