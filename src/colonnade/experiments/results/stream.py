"""What runs through streams of tasks that come back have shown: scores over time."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np

from colonnade.analysis.human_scores import Reference, normalised, reference_of
from colonnade.errors import UsageError
from colonnade.experiments.method_titles import method_of, sequence_title
from colonnade.experiments.plans.plan import SCRATCH
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.results.mean_lines import MeanLine, mean_line
from colonnade.experiments.results.runs import Floats, RunResult
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.titles import learner_title
from colonnade.experiments.words import without_seed
from colonnade.parts.part import Said
from colonnade.training import Row


@dataclass(frozen=True)
class StreamRun:
    """A run through a stream.

    Attributes:
        run: The run.
        rows: Its metrics.
        tasks: Ids of its tasks, in the order of its spec.
    """

    run: RunResult
    rows: Sequence[Row]
    tasks: tuple[str, ...]

    @cached_property
    def begins(self) -> tuple[int, ...]:
        """Steps [V + 1] at which visits begin, and the last ends, by their budgets."""
        return tuple(accumulate((visit.steps for visit in self.run.spec.visits), initial=0))

    @property
    def visited(self) -> tuple[int, ...]:
        """Number [V] of the task of each visit."""
        return self.run.spec.visited

    @cached_property
    def scales(self) -> tuple[Reference | None, ...]:
        """The scale of each task's scores, whatever the task is called here; None without one."""
        return tuple(_scale(task) for task in self.run.spec.tasks)

    def time_of(self, row: Row) -> float:
        """Steps since the stream began, at a row; a visit may end a few steps past its budget."""
        begin, end = self.begins[row["visit"]], self.begins[row["visit"] + 1]
        return float(min(begin + row["step"], end))

    @cached_property
    def scores(self) -> dict[float, dict[int, float]]:
        """Normalised, clipped score by time and number of the tested task, over time."""
        found: dict[float, dict[int, float]] = {}
        for row in self.rows:
            if row["kind"] != "test":
                continue
            scale = self.scales[row["tested_index"]]
            if scale is not None:
                value = float(normalised(row["return_mean"], scale))
                found.setdefault(self.time_of(row), {})[row["tested_index"]] = value
        return dict(sorted(found.items()))

    def total(self) -> tuple[Floats, Floats]:
        """Return times [B] at which all tasks were scored, and the sum of their scores [B]."""
        count = sum(scale is not None for scale in self.scales)
        whole = {t: sum(s.values()) for t, s in self.scores.items() if len(s) == count}
        return np.array(list(whole)), np.array(list(whole.values()))

    def last_score(self, task: str) -> float:
        """Return the last score of a task, by its id, as it is; NaN where it has none."""
        tests = [row for row in self.rows if row["kind"] == "test" and row["tested"] == task]
        return float(max(tests, key=self.time_of)["return_mean"]) if tests else math.nan

    def own_curve(self, task: int) -> tuple[Floats, Floats]:
        """Return the steps [B] that a task was learned for, where it has one visit, and scores.

        Raises:
            ValueError: The task has no scale.
        """
        scale = self.scales[task]
        if scale is None:
            raise ValueError(f"Task {self.tasks[task]} has no human score.")
        visit = self.visited.index(task)
        begin, end = self.begins[visit], self.begins[visit + 1]
        points = {
            float(min(row["step"], end - begin)): float(normalised(row["return_mean"], scale))
            for row in self.rows
            if row["kind"] == "test" and row["visit"] == visit and row["tested_index"] == task
        }
        steps = sorted(points)
        return np.array(steps), np.array([points[step] for step in steps])


@dataclass(frozen=True)
class Curve:
    """One way of going through a stream, in all seeds.

    Attributes:
        title: In words.
        method: Its name.
        inferred: Whether contexts are recognised.
        turns: Whether the same steps are taken in visits at most half as long as others', so that
            all tasks are learned together.
        runs: One a seed.
        colour: Of the method in pictures.
    """

    title: str
    method: str
    inferred: bool
    turns: bool
    runs: tuple[StreamRun, ...]
    colour: str

    @property
    def learner(self) -> str:
        """Its learner's name."""
        return self.runs[0].run.spec.learner

    @property
    def done(self) -> list[StreamRun]:
        """The complete runs."""
        return [run for run in self.runs if run.run.done]

    @property
    def line(self) -> MeanLine | None:
        """The sum of all tasks' scores over time, averaged over the runs."""
        return mean_line([run.total() for run in self.runs if not run.run.failed])


@dataclass(frozen=True)
class Stream:
    """All ways of going through streams of the same tasks.

    Attributes:
        tasks: Their ids; of several sets, those of the first seed.
        curves: Without the ceiling.
        singles: The ceiling: networks that learned one task each, by learner and seed.
        unscored: Tasks that have no human score and are left out of sums.
    """

    tasks: tuple[str, ...]
    curves: tuple[Curve, ...]
    singles: Mapping[tuple[str, int], StreamRun]
    unscored: tuple[str, ...]

    @property
    def learners(self) -> tuple[str, ...]:
        """Names of the learners."""
        return tuple(dict.fromkeys(curve.learner for curve in self.curves))

    def only(self, learner: str, method: str, *, inferred: bool = False) -> Curve | None:
        """Return a learner's curve of long visits by a method; None where there is not one."""
        asked = learner, method, inferred, False
        found = [c for c in self.curves if (c.learner, c.method, c.inferred, c.turns) == asked]
        return found[0] if len(found) == 1 else None

    def below(self, curve: Curve) -> Curve | None:
        """Return the same learner's curve without a penalty, over as many steps, if it is one."""
        base = self.only(curve.learner, "finetune")
        if base is None or base is curve:
            return None
        return base if _as_long(curve.runs[0], base.runs[0]) else None

    def final(self, curve: Curve) -> Floats:
        """Return the sum of scores [R] in the end, of the complete runs."""
        return np.array([run.total()[1][-1] for run in curve.done if run.total()[1].size])

    def last_scores(self, curve: Curve, task: str) -> Floats:
        """Return the last scores [R] of a task, by its id, as they are, of the complete runs."""
        scores = np.array([run.last_score(task) for run in curve.done], np.float64)
        return scores[~np.isnan(scores)]

    def ceiling(self, run: StreamRun) -> tuple[Floats, Floats] | None:
        """Return times and what single-task networks would come to by then, in a run's schedule.

        Each task counts with the score of its own network after as many steps as the schedule has
        given it, between tests linearly.
        """
        single = self.singles.get((run.run.spec.learner, run.run.spec.seed))
        if single is None or not single.run.done or single.tasks != run.tasks:
            return None
        times = np.array(run.begins, np.float64)
        total = np.zeros(len(times))
        for task, scale in enumerate(run.scales):
            if scale is not None:
                own = [0.0]
                for visit, begin in enumerate(run.begins[1:]):
                    stay = begin - run.begins[visit]
                    own.append(own[-1] + stay * (run.visited[visit] == task))
                steps, scores = single.own_curve(task)
                if not steps.size:
                    return None
                total += np.interp(own, steps, scores)
        return times, total

    @property
    def ceiling_line(self) -> MeanLine | None:
        """The ceiling of the first curve's runs, averaged; None where there is none."""
        runs = self.curves[0].runs if self.curves else ()
        return mean_line([found for run in runs if (found := self.ceiling(run)) is not None])


def streams(results: Results) -> list[Stream]:
    """Group the runs that have visits: by their tasks, or by the pool that sets are drawn from."""
    runs = [run for run in results.runs.values() if run.spec.visits and run.foreign is None]
    families: dict[tuple[str, int], list[StreamRun]] = {}
    for run in runs:
        known = range(len(run.spec.visits))
        # Where each task is visited once, in their order, rows say of which task they are alone.
        rows = [{"visit": row.get("task_index"), **row} for row in run.folder.metrics()]
        rows = [row for row in rows if row["visit"] in known]
        made = StreamRun(run, rows, _ids(run, rows))
        family = run.spec.tasks[0].name.partition("/")[0]
        families.setdefault((family, len(made.tasks)), []).append(made)
    return [
        _stream(found, results.own) for family in families.values() for found in _together(family)
    ]


def _together(runs: Sequence[StreamRun]) -> list[list[StreamRun]]:
    """Part runs of which those of one seed learn different tasks: no pool gives a seed two sets."""
    sets = dict[int, set[frozenset[str]]]()
    for run in runs:
        sets.setdefault(run.run.spec.seed, set()).add(frozenset(run.tasks))
    if all(len(found) == 1 for found in sets.values()):
        return [list(runs)]
    parted = dict[frozenset[str], list[StreamRun]]()
    for run in runs:
        parted.setdefault(frozenset(run.tasks), []).append(run)
    return list(parted.values())


def _scale(task: TaskBudget) -> Reference | None:
    """Return a task's human score, or what stands for it, if it has one."""
    from colonnade.tasks.names import id_of_name

    try:
        return reference_of(id_of_name(task.name, task.options))
    except UsageError:
        return None


def _ids(run: RunResult, rows: Sequence[Row]) -> tuple[str, ...]:
    """Call each task as the scores on it do."""
    shown = {row["tested_index"]: row["tested"] for row in rows if row["kind"] == "test"}
    own = [task.options.get("name") for task in run.spec.tasks]
    return tuple(
        str(shown.get(n) or name or task.name)
        for n, (name, task) in enumerate(zip(own, run.spec.tasks, strict=True))
    )


@dataclass(frozen=True)
class _Way:
    """What runs have in common that are one curve."""

    turns: bool
    method: str
    inferred: bool
    learner: str
    other: str


def _stream(runs: Sequence[StreamRun], own: Sequence[Said]) -> Stream:
    singles: dict[tuple[str, int], StreamRun] = {}
    others = list[StreamRun]()
    for run in runs:
        spec = run.run.spec
        if spec.method == SCRATCH:
            singles[spec.learner, spec.seed] = run
        else:
            others.append(run)
    longest = max(others, key=_stay, default=None)
    grouped: dict[_Way, list[StreamRun]] = {}
    for run in others:
        spec = run.run.spec
        assert longest is not None
        turns = 2 * _stay(run) <= _stay(longest) and _as_long(run, longest)
        inferred = spec.labels.get("kind", "true") != "true"
        way = _Way(turns, spec.method, inferred, spec.learner, _other(spec))
        grouped.setdefault(way, []).append(run)
    several = len({run.run.spec.learner for run in runs}) > 1
    titles = {way: _title(way, own, learner=several) for way in grouped}
    given = list(titles.values())
    curves = tuple(
        Curve(
            titles[way] if given.count(titles[way]) == 1 else _labelled(titles[way], grouped[way]),
            way.method,
            way.inferred,
            way.turns,
            tuple(grouped[way]),
            method_of(_shown(way), own).colour,
        )
        # The schedule that is drawn, and the ceiling's, is the one of long visits.
        for way in sorted(grouped, key=lambda way: way.turns)
    )
    tasks, scales = runs[0].tasks, runs[0].scales
    unscored = tuple(task for task, scale in zip(tasks, scales, strict=True) if scale is None)
    return Stream(tasks, curves, singles, unscored)


def _stay(run: StreamRun) -> int:
    """Steps of a run's longest visit."""
    return max(visit.steps for visit in run.run.spec.visits)


def _as_long(one: StreamRun, other: StreamRun) -> bool:
    """Whether two runs take as many steps: cut into parts, a visit may lose some of a part each."""
    apart = abs(one.run.spec.steps - other.run.spec.steps)
    return apart < max(len(one.visited), len(other.visited))


def _other(spec: RunSpec) -> str:
    """Write all of a spec in which seeds of one curve agree: not the seed's tasks and their order.

    Of the schedule, how long a visit and how long all are.
    """
    apart = ("label", "seed", "tasks", "visits", "analyses")
    kept = {key: value for key, value in spec.to_json().items() if key not in apart}
    kept["stays"] = [max(visit.steps for visit in spec.visits), spec.steps]
    return json.dumps(kept, sort_keys=True)


def _labelled(title: str, runs: Sequence[StreamRun]) -> str:
    """Tell curves of one title apart by what their runs are called."""
    return f"{title}: {without_seed(runs[0].run.spec.label)}"


def _shown(way: _Way) -> str:
    """Name the method that a curve stands for: to go on in short turns is joint training."""
    return "joint" if way.turns and way.method == "finetune" else way.method


def _title(way: _Way, own: Sequence[Said], *, learner: bool) -> str:
    shown, bare = _shown(way), way.method == "finetune"
    name = "No penalty" if shown == "finetune" else sequence_title(shown, own, labelled=False)
    told = ", tasks recognised" if way.inferred else ("" if bare else ", tasks told")
    how = told + (", in short turns" if way.turns else "")
    return name + how + (f" ({learner_title(way.learner, own)})" if learner else "")
