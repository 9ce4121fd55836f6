"""Pruning: a run's network without what its policies do not need, as a run of its own."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from colonnade.analysis.policies.pruning import choose_features
from colonnade.analysis.policies.sensitivity import ActivationFisher, activation_fisher
from colonnade.analysis.policies.states import joined, policy_states
from colonnade.errors import ColonnadeError, UsageError, unknown_name
from colonnade.experiments.plans.build import build_learner
from colonnade.experiments.store.folders import RunFolder, SuiteFolder, find_runs
from colonnade.experiments.trained.load import (
    columns_of,
    is_progressive,
    task_as_learned,
    trusting,
)
from colonnade.experiments.trained.prune_options import PruneOptions
from colonnade.experiments.trained.pruned import SUITE, Cost, Returns, check_out, write_pruned
from colonnade.learners import Acting, Compute
from colonnade.networks import ProgressiveNetwork, column_totals, describe
from colonnade.networks.progressive.pruning import prune
from colonnade.seeding import derive, generator
from colonnade.training import evaluate
from colonnade.types import Inputs, Task

_TRIES = 6
_SPEED_ENVIRONMENTS = 16


def prune_run(
    path: Path,
    options: PruneOptions,
    out: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
    *,
    trust: bool = False,
) -> RunFolder:
    """Prune the network of a complete run until the bound holds, and write it as a new run.

    Where the bound does not hold, the share to keep goes half of the way to 1, and so on.

    Args:
        path: The folder of a run, or an output folder with one progressive run.
        options: What is asked.
        out: Output folder of the new run; "pruned" inside the run's own output folder if None.
        say: Is told what each try came to.
        trust: Whether code that the folder names, such as an environment's module, is imported.

    Returns:
        The new run.

    Raises:
        UsageError: The path, a task or a column is wrong.
        ColonnadeError: The run has nothing to prune, or the bound can't be held.
    """
    suite, folder = _one_run(path)
    out = out or suite.path / SUITE
    check_out(out)
    with trusting(suite.path, trust=trust):
        return _pruned(suite, folder, options, out, say)


def _pruned(
    suite: SuiteFolder,
    folder: RunFolder,
    options: PruneOptions,
    out: Path,
    say: Callable[[str], None],
) -> RunFolder:
    network, columns = columns_of(folder)
    for index in options.columns:
        network.column(index)
    tasks = _tasks(suite, columns, folder, options.tasks)
    limit, learner = folder.spec.evaluation_limit, build_learner(folder.spec)

    def played(name: str, player: ProgressiveNetwork) -> Returns:
        return evaluate(
            tasks[name],
            player.view(columns[name]),
            learner=learner,
            episodes=options.episodes,
            seed=derive(options.seed, "pruning", tasks[name].spec.id),
            num_envs=min(options.episodes, _SPEED_ENVIRONMENTS),
            device="cpu",
            limit=limit,
        )

    before = {name: played(name, network) for name in tasks}
    random = {
        name: float(
            evaluate(
                task,
                None,
                episodes=max(10, options.episodes),
                seed=derive(0, "random", name),
                limit=limit,
            ).mean()
        )
        for name, task in tasks.items()
    }
    for name in tasks:
        if not before[name].mean() > random[name]:
            raise ColonnadeError(
                f"Task {name!r} is played no better ({before[name].mean():.4g}) than by the random "
                f"policy ({random[name]:.4g}), so there is no score to keep; leave it out with "
                "--tasks."
            )
    fishers = [_fisher(tasks[name], network, columns[name], learner, options) for name in tasks]
    keep = options.keep
    tried: list[dict[str, Any]] = []
    for _ in range(_TRIES):
        chosen = choose_features(network, fishers, keep, options.columns or None)
        smaller = prune(network, chosen)
        costs = [
            Cost(name, columns[name], random[name], before[name], played(name, smaller))
            for name in tasks
        ]
        worst = max(costs, key=lambda cost: cost.loss)
        tried.append({"keep": keep, "parameters": _size(smaller), "loss": worst.loss})
        say(
            f"keep {keep:.4g}: {1 - _size(smaller) / _size(network):.0%} of the parameters gone, "
            f"{worst.loss:.1%} of {worst.task} lost"
        )
        if worst.loss <= options.bound:
            break
        keep = (1 + keep) / 2
    else:
        raise ColonnadeError(
            f"No choice from keep={options.keep} to keep={tried[-1]['keep']:.4g} held the bound: "
            f"{tried[-1]['loss']:.1%} of {worst.task} is lost where {options.bound:.1%} may be; "
            "raise --bound, or --episodes, since few of them measure a loss badly."
        )
    speeds = _speeds(
        network, smaller, tasks[worst.task], columns[worst.task], learner, options.seed
    )
    kept = {name: columns[name] for name in tasks}
    report = {
        "of": folder.id,
        "options": asdict(options),
        "keep": keep,
        "tried": tried,
        "parameters": {"before": _size(network), "after": _size(smaller)},
        "decisions_per_second": {"before": speeds[0], "after": speeds[1]},
        "costs": [
            {
                "task": cost.task,
                "random": cost.random,
                "before": float(cost.before.mean()),
                "after": float(cost.after.mean()),
                "loss": cost.loss,
                "interval": cost.interval,
                "caution": cost.caution,
            }
            for cost in costs
        ],
        "layers": _layers(network, smaller),
    }
    return write_pruned(suite, folder, out, smaller, kept, report, costs)


def _one_run(path: Path) -> tuple[SuiteFolder, RunFolder]:
    suite, runs, single = find_runs(path)
    if single:
        return suite, runs[0]
    found = [folder for folder in runs if is_progressive(folder)]
    if len(found) != 1:
        ids = ", ".join(folder.id for folder in found) or "none"
        raise UsageError(
            f"{path} should hold one complete progressive run to prune, but holds "
            f"{len(found)} ({ids}); give the folder of one run inside it, {path}/runs/ID."
        )
    return suite, found[0]


def _tasks(
    suite: SuiteFolder, columns: Mapping[str, int], folder: RunFolder, asked: Sequence[str]
) -> dict[str, Task]:
    for name in asked:
        if name not in columns:
            raise unknown_name(f"task of run {folder.id}:", name, columns)
    # In the order in which they were learned, as scores stand: the last one is the target's.
    wanted = [name for name in columns if not asked or name in asked]
    return {name: task_as_learned(suite, folder, name) for name in wanted}


def _fisher(
    task: Task, network: ProgressiveNetwork, column: int, learner: Acting, options: PruneOptions
) -> ActivationFisher:
    view = network.view(column)
    seed = derive(options.seed, "pruning states", task.spec.id)
    states = policy_states(task, view, options.states, learner=learner, seed=seed)
    meaning = partial(learner.likelihood, spec=task.spec)
    return activation_fisher(view, states, meaning, projections=True)


def _size(network: ProgressiveNetwork) -> int:
    return sum(column_totals(describe(network)))


def _layers(old: ProgressiveNetwork, new: ProgressiveNetwork) -> list[dict[str, Any]]:
    return [
        {
            "column": before.column,
            "before": before.layer,
            "after": after.layer,
            "parameters_before": before.total,
            "parameters_after": after.total,
            "laterals": after.laterals or ("removed" if before.laterals else ""),
        }
        for before, after in zip(describe(old), describe(new), strict=True)
    ]


def _speeds(
    old: ProgressiveNetwork,
    new: ProgressiveNetwork,
    task: Task,
    column: int,
    learner: Acting,
    seed: int,
) -> tuple[float, float]:
    """Decisions per second of both networks, medians of turns that alternate."""
    states = joined(
        policy_states(
            task,
            old.view(column),
            _SPEED_ENVIRONMENTS,
            learner=learner,
            seed=seed,
            num_envs=_SPEED_ENVIRONMENTS,
        )
    )
    sides = [decider(network, task, column, states.inputs, learner) for network in (old, new)]
    rates: list[list[float]] = [[], []]
    for turn in range(16):
        for side, decide in enumerate(sides):
            begin = time.perf_counter()
            for _ in range(20):
                decide()
            if turn:  # the first warms up
                rates[side].append(20 * _SPEED_ENVIRONMENTS / (time.perf_counter() - begin))
    return statistics.median(rates[0]), statistics.median(rates[1])


def decider(
    network: ProgressiveNetwork,
    task: Task,
    column: int,
    inputs: Inputs,
    learner: Acting,
) -> Callable[[], None]:
    """Make what an agent does at a step, as collection does it: perceive, decide, sample."""
    view = network.view(column)
    compute = Compute.choose(task.spec, "cpu")
    policy = learner.policy(view, task.spec, compute, generator(0, "speed"))
    state = view.initial_state(len(next(iter(inputs.values()))))

    def decide() -> None:
        with compute.autocast():
            perceived, memory = view.precompute(inputs, state)
        policy(perceived, memory)

    return decide
