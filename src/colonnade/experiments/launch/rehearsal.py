"""Runs without the training: the networks their last tasks begin with, and mistakes in specs.

A suite of a hundred runs has a handful of different networks, so that a rehearsal costs little and
finds mistakes before any work: unknown names, a column that does not fit the observations, an
output that does not fit the actions, a device that is not there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from torch import Tensor

from colonnade.errors import ColonnadeError, UsageError
from colonnade.experiments.execution.analyses import check_analysable, check_analyses
from colonnade.experiments.plans.build import (
    build_labels,
    build_learner,
    build_method,
    build_tasks,
    build_training_options,
    build_visits,
)
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.store.kept import Kept
from colonnade.experiments.store.parents import read_parent, take_over
from colonnade.learners import Compute, Demanding, Fitting, LearnerConfig, Lesson, Remembering
from colonnade.learners.compute import device_for
from colonnade.learners.supervised import Supervised, data_set_of
from colonnade.methods import ColumnMethod, PathMethod
from colonnade.networks import custom_factories
from colonnade.networks.initialisation import undrawn
from colonnade.recognition import TrueLabels
from colonnade.records import shown
from colonnade.training.labels import FIRST, Labels, contexts_held
from colonnade.training.normalizing import check_normalized
from colonnade.training.schedule import checked
from colonnade.types import Network, Task, environments_of

_DECIDES_NO_LAYOUT = (
    "label", "seed", "learner", "learner_options", "training_options", "visits", "labels",
    "learner_from", "column_too", "evaluation_episodes",
)  # fmt: skip


class Rehearsal:
    """Goes through runs in the order of a plan, each after the run it starts from.

    Args:
        plan: Where runs start from the best of a selection: what says which runs those are.
        networks: What runs start from that is not in their folder yet.
        folder: Where they find what is.
    """

    def __init__(
        self,
        plan: Plan | None = None,
        networks: Mapping[str, Kept] = MappingProxyType({}),
        folder: Path = Path(),
    ) -> None:
        self._plan = plan
        self._networks = networks
        self._folder = folder
        self._layouts: dict[str, str] = {}
        self._methods: dict[str, ColumnMethod | PathMethod] = {}
        self._begun: dict[str, list[Network]] = {}

    def method(self, spec: RunSpec) -> ColumnMethod | PathMethod:
        """Return a run's method as it is when the last task begins, but untrained.

        Runs whose networks are alike share one.

        Args:
            spec: The run; the run it starts from must have been rehearsed before.

        Raises:
            UsageError: A name is unknown, or the network does not fit a task.
        """
        built = build_tasks(spec)
        for one in built:
            _check_kind(spec, one)
        tasks = [task.spec for task in built]
        ids = [task.id for task in tasks]
        if len(set(ids)) < len(ids):
            raise UsageError(
                f"The tasks of a run must differ, but came as {', '.join(ids)}; to go on with a "
                "task, let a second run start from this one as its 'parent'."
            )
        origins = [self._one_of(origin) for origin in spec.origins]
        learner = build_learner(spec)
        outputs = [learner.outputs(task) for task in tasks]
        layout = spec.to_json() | {
            "tasks": [str((task.observation_space, task.action_space)) for task in tasks],
            "outputs": outputs,
            # What is analysed or played untold is asked for by the tasks' ids.
            "ids": ids if spec.analyses or spec.labels else [],
            "parents": [self._layouts.get(origin, origin) for origin in origins],
        }
        del layout["parent"]
        key = json.dumps({k: v for k, v in layout.items() if k not in _DECIDES_NO_LAYOUT})
        self._layouts[spec.id] = key
        if key not in self._methods:
            with _building(spec), undrawn():
                method = build_method(spec)
                if origins:
                    take_over(method, [self._state(origin) for origin in origins])
                columns = _columns(method)
                begun = zip(tasks, outputs, strict=True)
                self._begun[key] = [method.begin_task(task, width) for task, width in begun]
            if spec.parents and _columns(method) == columns:
                raise UsageError(
                    f"Method {spec.method!r} moves one column on, but the run has "
                    f"{len(spec.parents)} 'parents'; give one 'parent', or a method that adds a "
                    "column, such as 'progressive'."
                )
            self._methods[key] = method
        return self._methods[key]

    def check(self, spec: RunSpec) -> None:
        """Build everything that a run will need, except for its environments.

        The factories that its column names are imported, as they will be to train it.

        Raises:
            UsageError: Something in the spec is unknown, has the wrong type or does not fit.
        """
        check_analyses(spec.analyses)
        options, tasks = build_training_options(spec), build_tasks(spec)
        with custom_factories("import"):
            method = self.method(spec)
        learner = build_learner(spec)
        _check_kept(spec.learner, learner)
        visits = checked(build_visits(spec), tasks, method)
        labels = Labels(build_labels(spec), tasks, spec.seed)
        if isinstance(learner, Demanding):
            for task in tasks:
                steps = sum(visit.steps for visit in visits if visit.task == task.spec.id)
                learner.check(replace(task.spec, steps=steps), options.num_envs)
        if isinstance(learner, Fitting):
            for network in self._begun[self._layouts[spec.id]]:
                learner.check_network(network, options.num_envs)
        check_normalized(tasks, learner, options, told=labels.told)
        if not labels.told:
            self._check_contexts(spec, method)
            _check_untold(learner, tasks[-1], method, spec.steps, options.num_envs)
        check_analysable(spec.analyses, tasks, method, told=labels.told)
        # Taking a GPU that nobody named would keep its memory from the runs.
        device = device_for(learner, options.device)
        device = "cpu" if device == "auto" else device
        Compute.choose(tasks[-1].spec, device, options.precision)

    def _check_contexts(self, spec: RunSpec, method: ColumnMethod | PathMethod) -> None:
        """Refuse to start from contexts that an earlier run has recognised, or will."""
        held = method.columns if isinstance(method, ColumnMethod) else method.tasks
        line = self._plan.line_of(spec)[1:] if self._plan else []
        told = (isinstance(build_labels(run), TrueLabels) for run in line)
        if FIRST in held or not all(told):
            raise contexts_held("What the run starts from")

    def _one_of(self, parent: str) -> str:
        """Take the first run of a selection for its best: their networks are alike."""
        selection = self._plan.selection(parent) if self._plan else None
        return selection.runs[0] if selection else parent

    def _state(self, parent: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
        if parent in self._layouts:
            return self._methods[self._layouts[parent]].state()
        if parent in self._networks:
            kept = self._networks[parent]
            return kept.tensors, kept.meta
        return read_parent(self._folder, parent)


def _columns(method: ColumnMethod | PathMethod) -> int:
    return len(method.network.columns) if isinstance(method, ColumnMethod) else 0


def _check_untold(
    learner: LearnerConfig,
    task: Task,
    method: ColumnMethod | PathMethod,
    steps: int,
    num_envs: int,
) -> None:
    """Refuse a learner that can't do without being told which task it is in."""
    if isinstance(learner, Remembering):
        network, compute = method.network_for(task.spec.id), Compute.choose(task.spec, "cpu")
        learner.memory(
            Lesson(task, network, method.penalty, compute, num_envs, all_steps=steps, told=False)
        )


def _check_kept(name: str, learner: LearnerConfig) -> None:
    """Refuse a learner of which a run could not say what it was."""
    for field, value in asdict(cast("Any", learner)).items():
        try:
            json.dumps(value)
        except (TypeError, ValueError):
            raise UsageError(
                f"{field!r} of learner {name!r} is {shown(value)}, which no file can keep; "
                "let it be a number, a text, or a list or an object of these."
            ) from None


def _check_kind(spec: RunSpec, task: Task) -> None:
    """Refuse to learn labels from environments, or to act in a data set."""
    if isinstance(build_learner(spec), Supervised):
        data_set_of(task)
    else:
        environments_of(task)


@contextmanager
def _building(spec: RunSpec) -> Iterator[None]:
    """Call what torch refuses when a network is built a mistake of the spec."""
    try:
        yield
    except ColonnadeError:
        raise
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"Method {spec.method!r} with the options {json.dumps(spec.method_options)} and column "
            f"{json.dumps(spec.column)} can't be built: {error}."
        ) from error
