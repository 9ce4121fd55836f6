"""From a suite to a folder in which its jobs can be trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from colonnade.errors import UsageError
from colonnade.experiments.launch.changes import (
    changed_names,
    check_games,
    check_learner,
    with_changes,
)
from colonnade.experiments.launch.own_parts import changed_since
from colonnade.experiments.plans.plan import Place, Plan, SuiteOptions
from colonnade.experiments.plans.search_space import parse_ranges
from colonnade.experiments.plans.sweep import Sweep, swept
from colonnade.experiments.store.basis import Basis
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.store.reading import is_there
from colonnade.experiments.suites import Suite


def begin_sweep(
    suite: Suite,
    out: Path,
    sweep: Sweep,
    options: SuiteOptions,
    say: Callable[[str], None] = lambda line: None,
) -> SuiteFolder:
    """Draw the jobs of a sweep, check them and begin the output folder, or go on in it.

    Args:
        suite: What is swept.
        out: The output folder. Jobs that were added to it before stay.
        sweep: How many jobs, drawn how.
        options: What to change about the suite.
        say: Is told which of the user's own parts have changed since jobs were trained.

    Raises:
        UsageError: A name is unknown, a range impossible, or the folder holds something else; or
            jobs cannot be stopped early.
    """
    if options.seeds is not None:
        raise UsageError("A sweep draws a seed for every job; leave --seeds out, give --jobs.")
    there = _there(out)
    if there is not None and there.sweep is not None and there.name == suite.name:
        sweep = replace(sweep, added=max(sweep.added, there.sweep.added))
    plan = plan_sweep(suite, sweep, options)
    if sweep.early_stop:
        _check_early_stop(suite.name, plan)
    basis = Basis.now(suite, plan, sweep)
    folder = SuiteFolder(out, suite.name, options.given, plan, sweep, basis)
    folder.check()  # before any work
    _rehearse(plan)
    begun = folder.begin()
    for line in changed_since(begun):
        say(line)
    return begun


def plan_sweep(suite: Suite, sweep: Sweep, options: SuiteOptions) -> Plan:
    """Make the runs of all jobs.

    Raises:
        UsageError: A target, a method or a hyperparameter is unknown, or a range impossible.
    """
    once = suite.once(options)
    check_learner(once, options.learner)
    check_games(once, options.games)
    space = suite.drawn(once).with_ranges(parse_ranges(sweep.ranges))
    if drawn := changed_names(options.set) & set(space.names):
        name = min(drawn)
        raise UsageError(
            f"{name!r} is drawn for each job; instead of --set give --range {name}=A,B."
        )
    plan = swept(once, space, sweep.draw(space), sweep.jobs)
    return with_changes(plan.narrowed(options.tasks, options.methods), options.set)


def _check_early_stop(name: str, plan: Plan) -> None:
    """Refuse to give jobs up by what does not count: by the last task what all tasks decide."""
    by_id = {spec.id: spec for spec in plan.runs}
    compared = [by_id[entry.run] for entry in plan.comparisons] or plan.runs
    if all(len(spec.tasks) > 1 and spec.training_options.get("test_episodes") for spec in compared):
        raise UsageError(
            f"--early-stop gives jobs up by their curves on the last task, but jobs of {name!r} "
            "count by what they gain on all tasks in the end, where the slowest on the last may be "
            "the best; leave it out."
        )


def _there(out: Path) -> SuiteFolder | None:
    return SuiteFolder.read(out) if is_there(out / "suite.json") else None


def _rehearse(plan: Plan) -> None:
    """Check one run of each network in full, and what is drawn for every run."""
    from colonnade.experiments.launch.rehearsal import Rehearsal
    from colonnade.experiments.plans.build import build_learner, build_method

    rehearsal = Rehearsal(plan)
    checked: set[Place] = set()
    for spec in plan.runs:
        place = plan.place(spec.id)
        if place not in checked:
            checked.add(place)
            rehearsal.check(spec)
        else:
            build_learner(spec)
            build_method(spec)
