"""From a suite's name to a folder in which its jobs can be trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from colonnade.errors import UsageError
from colonnade.experiments.launch.changes import changed_names, with_changes
from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.experiments.plans.space import SearchSpace, parse_ranges
from colonnade.experiments.plans.sweep import Sweep
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.suites import Suite, suite_from_name


def begin_sweep(name: str, out: Path, sweep: Sweep, options: SuiteOptions) -> SuiteFolder:
    """Draw the jobs of a sweep, check them and begin the output folder, or go on in it.

    Args:
        name: Of the suite.
        out: The output folder. Jobs that were added to it before stay.
        sweep: How many jobs, drawn how.
        options: What to change about the suite.

    Raises:
        UsageError: A name is unknown, a range impossible, or the folder holds something else.
    """
    suite = _sweepable(name)
    if options.seeds is not None:
        raise UsageError("A sweep draws a seed for every job; leave --seeds out, give --jobs.")
    there = _there(out)
    if there is not None and there.sweep is not None and there.name == name:
        sweep = replace(sweep, added=max(sweep.added, there.sweep.added))
    plan = plan_sweep(suite, sweep, options)
    folder = SuiteFolder(out, name, options.given, plan, sweep)
    folder.check()  # before any work
    _rehearse(plan)
    return folder.begin()


def plan_sweep(suite: Suite, sweep: Sweep, options: SuiteOptions) -> Plan:
    """Make the runs of all jobs.

    Raises:
        UsageError: A target, a method or a hyperparameter is unknown, or a range impossible.
    """
    assert suite.design is not None
    space = space_of(suite, sweep, options)
    if drawn := changed_names(options.set) & set(space.names):
        name = min(drawn)
        raise UsageError(
            f"{name!r} is drawn for each job; instead of --set give --range {name}=A,B."
        )
    plan = suite.design.sweep(options, space, sweep.draw(space), sweep.jobs)
    return with_changes(plan.narrowed(options.tasks, options.methods), options.set)


def space_of(suite: Suite, sweep: Sweep, options: SuiteOptions) -> SearchSpace:
    """Return what a sweep draws: the suite's ranges, as far as the user hasn't changed them."""
    assert suite.design is not None
    space = suite.space(options.learner or suite.design.learner)
    return space.with_ranges(parse_ranges(sweep.ranges))


def _sweepable(name: str) -> Suite:
    if name.endswith(".json"):
        raise UsageError(
            f"A sweep is of a suite, whose ranges it draws from, but {name} is a file; see "
            "`colonnade suites`."
        )
    suite = suite_from_name(name)
    if suite.design is None:
        raise UsageError(
            f"Suite {name!r} has nothing to sweep; choose one that compares methods, such as "
            "pong-soup-mini."
        )
    return suite


def _there(out: Path) -> SuiteFolder | None:
    return SuiteFolder.read(out) if (out / "suite.json").exists() else None


def _rehearse(plan: Plan) -> None:
    """Check one run of each network in full, and the learner of every run."""
    from colonnade.experiments.launch.rehearsal import Rehearsal
    from colonnade.experiments.plans.build import build_learner

    rehearsal = Rehearsal(plan)
    checked: set[str] = set()
    for spec in plan.runs:
        arm = spec.label.rpartition(", ")[0]
        if arm not in checked:
            checked.add(arm)
            rehearsal.check(spec)
        else:
            build_learner(spec)
