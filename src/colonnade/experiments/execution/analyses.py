"""What can be measured of a run's networks when all its tasks have been learned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, cast

from torch import Tensor, nn

from colonnade.analysis.overlap import fisher_overlap
from colonnade.analysis.policies.states import policy_states
from colonnade.errors import UsageError, unknown_name
from colonnade.experiments.execution.zero_shot import (
    Scoring,
    check_arm,
    check_first_column,
    domains,
    zero_shot,
)
from colonnade.experiments.store.metrics import finite
from colonnade.learners import Acting
from colonnade.ops import parameter_fisher
from colonnade.training import Row
from colonnade.types import DatasetTask, Examples, Method, Network, Task

_BATCH = 500

_STATES = 2000
"""States of an environment's task, met by the trained policy."""


def check_analyses(names: Sequence[str]) -> None:
    """Check that there is an analysis of each name.

    Raises:
        UsageError: There is none; the nearest is suggested.
    """
    for name in names:
        if name not in ANALYSES:
            raise unknown_name("analysis", name, ANALYSES)


def check_analysable(
    names: Sequence[str], tasks: Sequence[Task], method: Method, *, told: bool = True
) -> None:
    """Check that what a run will have learned can be analysed.

    Args:
        names: Of the analyses.
        tasks: Of the run.
        method: Of the run, as its last task begins.
        told: Whether the learner is told which task it is in.

    Raises:
        UsageError: An analysis doesn't fit the method or the tasks.
    """
    if {"zero-shot", "domains"}.intersection(names):
        check_first_column(method)
    if "domains" in names:
        check_arm(tasks)
    if "fisher-overlap" in names:
        if not told:
            raise UsageError(
                "The Fisher overlap is measured of networks that are known by their tasks, but the "
                "run recognises contexts instead ('labels'); leave 'fisher-overlap' out of the "
                "analyses."
            )
        _check_shared(tasks, method)


def analyse(
    name: str,
    tasks: Sequence[Task],
    method: Method,
    learner: Acting,
    scoring: Scoring | None = None,
) -> list[Row]:
    """Measure what `name` stands for, as rows of metrics; what is played, as `scoring` says."""
    return ANALYSES[name](tasks, method, learner, scoring or Scoring())


def _overlaps(
    tasks: Sequence[Task], method: Method, learner: Acting, scoring: Scoring
) -> list[Row]:
    """Compare the Fishers of each task and the next, layer by layer, at the final parameters.

    The paper leaves open where they are taken; here both belong to the network that has learned
    both tasks.
    """
    _check_shared(tasks, method)
    rows: list[Row] = []
    fishers = [_fisher(task, method, learner) for task in tasks]
    for (first, one), (second, other) in pairwise(zip(tasks, fishers, strict=True)):
        for depth, (layer, overlap) in enumerate(fisher_overlap(one, other).items()):
            rows.append(
                {
                    "kind": "overlap",
                    "task": second.spec.id,
                    "other": first.spec.id,
                    "policy": "overlap",
                    "layer": layer,
                    "depth": depth,
                    "overlap": finite(overlap),
                }
            )
    return rows


def _check_shared(tasks: Sequence[Task], method: Method) -> None:
    """Check that there are Fishers to compare: of the same weights, at states one by one.

    Raises:
        UsageError: Tasks have weights of their own, or a network that acts is recurrent.
    """
    weights = []
    for task in tasks:
        network = method.network_for(task.spec.id)
        weights.append({name: id(parameter) for name, parameter in _shared(network).items()})
        if not isinstance(task, DatasetTask) and network.initial_state(1):
            raise UsageError(
                f"The Fisher overlap is measured on states that do not hang on each other, but the "
                f"network of task {task.spec.id!r} is recurrent; leave 'fisher-overlap' out of the "
                "analyses."
            )
    if not weights[0] or any(each != weights[0] for each in weights):
        raise UsageError(
            "The Fisher overlap compares tasks that have learned the same weights, but the method "
            "gives each task weights of its own; choose one that moves a network on, such as 'ewc' "
            "or 'finetune', or leave 'fisher-overlap' out of the analyses."
        )


def _shared(network: Network) -> dict[str, nn.Parameter]:
    """Return the weights that tasks share, by name; single tasks' gains are left out."""
    return {
        name: parameter
        for name, parameter in network.named_parameters()
        if parameter.requires_grad and ".gains." not in name
    }


def _fisher(task: Task, method: Method, learner: Acting) -> dict[str, Tensor]:
    """Estimate the Fisher of the weights that tasks share."""
    spec = task.spec
    network = method.network_for(spec.id)
    shared = list(_shared(network))
    if isinstance(task, DatasetTask):
        batches: Iterator[Any] = _examples(task)
    else:
        states = policy_states(task, network, _STATES, learner=learner, batch=_BATCH)
        batches = (each.inputs for each in states)
    meaning = partial(learner.likelihood, spec=spec)
    return parameter_fisher(cast("nn.Module", network), batches, meaning, parameters=shared)


def _examples(task: DatasetTask) -> Iterator[Examples]:
    examples = task.examples("train")
    for start in range(0, examples.steps, _BATCH):
        chunk = slice(start, start + _BATCH)
        inputs = {name: value[chunk] for name, value in examples.inputs.items()}
        yield Examples(inputs, examples.targets[chunk])


_Analysis = Callable[[Sequence[Task], Method, Acting, Scoring], list[Row]]

ANALYSES: dict[str, _Analysis] = {
    "fisher-overlap": _overlaps,
    "zero-shot": zero_shot,
    "domains": domains,
}
