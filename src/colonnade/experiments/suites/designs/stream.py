"""The design of streams: games that come back in random order, told apart or not.

One Q-network of fixed size, with gains and biases of each task, learns games one after another in a
schedule that returns to them (Kirkpatrick et al. 2017, Fig. 3A and 3B): without a penalty, with EWC
where the tasks are told, with EWC where Forget-Me-Not finds them, and a network for each task as
the ceiling. Of EWC's network where the tasks are told, the overlap of Fishers is measured. Where
asked for, two bounds that peers report stand beside them: experience replay, and all tasks together
in turns too short to forget in.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from colonnade.errors import UsageError
from colonnade.experiments.plans.plan import SCRATCH, Plan, SuiteOptions
from colonnade.experiments.plans.spec import Json, RunSpec, TaskBudget, TaskVisit

FORGET_ME_NOT = "forget-me-not"
"""The kind of labels that are inferred."""


@dataclass(frozen=True)
class StreamTask:
    """A task of a stream.

    Attributes:
        name: As in a spec.
        options: Of the task.
    """

    name: str
    options: dict[str, Json] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """What it is called in the stream."""
        return str(self.options.get("name", self.name))


@dataclass(frozen=True)
class _Curve:
    label: str
    method: str
    labels: Mapping[str, Json] = field(default_factory=dict)
    turns: int = 1


@dataclass(frozen=True)
class StreamDesign:
    """Tasks x visits in random order x curves x seeds.

    Attributes:
        pool: The tasks, or those of which sets are drawn.
        rounds: How often each task is visited; every round is a random order of all.
        visit_steps: Agent steps of a visit.
        seeds: How many seeds, unless the options say otherwise.
        column: Of every run, with task_gains.
        learner: Name of the learner, unless the options say otherwise.
        ewc: Options of EWC.
        replay: Options of experience replay; None leaves it out.
        turns: In how many parts visits are cut where all tasks are learned together; 0 leaves that
            out. Every round then takes as many rounds of turns.
        start_visits: EWC's `start` in lengths of visits, since a budget scales both.
        labels: Options of Forget-Me-Not.
        learner_options: Hyperparameters per learner's name; those named in `scaled` follow the
            budget.
        scaled: Names of hyperparameters that are numbers of steps.
        training_options: Fields of `TrainingOptions`.
        games: How many of the pool a set has; None is all, in their order.
        seeds_a_set: Seeds that share a set.
        tests_a_visit: How often all tasks are scored in a visit.
        evaluation_episodes: How many episodes score the random and the final policy.
    """

    pool: tuple[StreamTask, ...]
    rounds: int
    visit_steps: int
    seeds: int
    column: dict[str, Json]
    learner: str
    ewc: dict[str, Json]
    start_visits: float
    replay: dict[str, Json] | None = None
    turns: int = 0
    labels: dict[str, Json] = field(default_factory=dict)
    learner_options: Mapping[str, dict[str, Json]] = field(default_factory=dict)
    scaled: tuple[str, ...] = ("replay", "warm_up", "target_every", "explore_steps")
    training_options: dict[str, Json] = field(default_factory=dict)
    games: int | None = None
    seeds_a_set: int = 4
    tests_a_visit: int = 2
    evaluation_episodes: int = 30

    def plan(self, options: SuiteOptions) -> Plan:
        """Make four runs a seed, three curves and the ceiling, and those of the bounds."""
        curves = [
            _Curve("no penalty", "finetune"),
            _Curve("EWC, labels", "ewc"),
            _Curve("EWC, Forget-Me-Not", "ewc", {"kind": FORGET_ME_NOT, **self.labels}),
            _Curve("single tasks", SCRATCH),
        ]
        if self.replay is not None:
            curves.append(_Curve("replay", "replay"))
        if self.turns:
            curves.append(_Curve("in turns", "finetune", turns=self.turns))
        seeds = range(options.seeds or self.seeds)
        return Plan(tuple(self._run(options, seed, curve) for seed in seeds for curve in curves))

    def tasks(self, options: SuiteOptions, seed: int) -> tuple[StreamTask, ...]:
        """Choose the tasks of a seed: of a pool, a set for every few seeds.

        Raises:
            UsageError: The pool has fewer than are asked for, or fewer than two are.
        """
        asked = self.games if options.games is None else options.games
        count = len(self.pool) if asked is None else asked
        if not 2 <= count <= len(self.pool):
            raise UsageError(
                f"A stream needs from 2 tasks to the {len(self.pool)} that it can have, but "
                f"--games {count} came."
            )
        if count == len(self.pool):
            return self.pool
        drawn = random.Random(f"set {seed // self.seeds_a_set}").sample(self.pool, count)
        return tuple(sorted(drawn, key=self.pool.index))

    def visits(
        self, tasks: Sequence[StreamTask], steps: int, seed: int, turns: int = 1
    ) -> tuple[TaskVisit, ...]:
        """Return a schedule in random order in which no task follows itself.

        Args:
            tasks: That are visited.
            steps: Of a visit.
            seed: Of the order.
            turns: In how many parts each visit is cut.
        """
        stream, order = random.Random(f"visits {seed}"), list[StreamTask]()
        for _ in range(self.rounds * turns):
            part = list(tasks)
            stream.shuffle(part)
            while order and part[0] is order[-1]:
                stream.shuffle(part)
            order += part
        return tuple(TaskVisit(task.id, max(1, steps // turns)) for task in order)

    def _run(self, options: SuiteOptions, seed: int, curve: _Curve) -> RunSpec:
        learner, steps = options.learner or self.learner, options.scaled(self.visit_steps)
        tasks = self.tasks(options, seed)
        if curve.method == SCRATCH:
            visits = tuple(TaskVisit(task.id, steps * self.rounds) for task in tasks)
        else:
            visits = self.visits(tasks, steps, seed, curve.turns)
        told = {"ewc": {**self.ewc, "start": round(self.start_visits * steps)}}
        tested = max(1, steps // self.tests_a_visit)
        return RunSpec(
            label=f"{curve.label}, seed {seed}",
            method=curve.method,
            tasks=tuple(TaskBudget(t.name, steps * self.rounds, t.options) for t in tasks),
            learner=learner,
            column=self.column,
            seed=seed,
            method_options=(told | {"replay": self.replay or {}}).get(curve.method, {}),
            learner_options=self._learner_options(learner, options),
            training_options={
                **options.placed(self.training_options),
                "curve_steps": tested,
                "segment_steps": tested,
                "test_unseen": curve.method != SCRATCH,
            },
            evaluation_episodes=self.evaluation_episodes,
            visits=visits,
            labels=dict(curve.labels),
            analyses=("fisher-overlap",) if curve.method == "ewc" and not curve.labels else (),
        )

    def _learner_options(self, learner: str, options: SuiteOptions) -> dict[str, Json]:
        """Return the learner's hyperparameters; where visits are shorter, so are its periods."""
        given = dict(self.learner_options.get(learner, {}))
        if options.budget >= 1:
            return given
        from colonnade.learners import learner_from_name

        usual = learner_from_name(learner)
        for name in self.scaled:
            if isinstance(value := given.get(name, getattr(usual, name, None)), int):
                given[name] = max(1, min(value, max(_FEWEST.get(name, 1), options.scaled(value))))
        return given


_FEWEST = {"replay": 1_000, "warm_up": 100, "target_every": 100}
"""Below these a shorter budget takes nothing."""
